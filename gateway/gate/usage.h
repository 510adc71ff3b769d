/*
 * usage.h: how much the guests and volumes behind one URI have, for quotas (quota.c). What libvirtd says in their documents, asked for when a
 * decision needs it and kept until something may have changed it: an event about the guest, a change by way of the gateway, or a minute, for what
 * somebody beside the gateway does without an event. After a restart everything is asked anew.
 */
#ifndef GATE_USAGE_H
#define GATE_USAGE_H

#include "gateway/gate/gate.h"

struct inventory_domain;
struct usage;

/* Of one domain; a member of the inventory's, which begins with `changed` as usage_change() says, and the rest zero. */
struct usage_count {
	bool known, asked;		/* asked: an answer is awaited */
	bool unreadable;		/* libvirtd does not tell, or something that is no amount */
	uint64_t changed;		/* when it last may have, by usage_change() */
	time_t since;			/* known */
	struct vg_amounts amounts;
};

struct usage_volume {
	char *name;
	struct xdr_span object;		/* as libvirtd named it; owned */
	uint64_t kib;
};

struct usage *usage_create(struct gate *gate, struct inventory *inventory);
void usage_destroy(struct usage *usage);

/* Counts changes: one more, of nothing in particular. */
uint64_t usage_change(struct usage *usage);
void usage_domain_changed(struct usage *usage, const uint8_t uuid[VG_UUID_LEN]);
void usage_volumes_changed(struct usage *usage);
/* libvirtd is away: nothing is known. */
void usage_lost(struct usage *usage);

/* A guest is not known any more and may run on: nothing is counted until it is clear, which usage_sure() says. */
void usage_doubt(struct usage *usage);
void usage_sure(struct usage *usage);
bool usage_in_doubt(const struct usage *usage);

enum usage_state {
	USAGE_KNOWN,
	USAGE_AWAITED,		/* it was asked for; usage_wait() tells when there are answers */
	USAGE_UNREADABLE
};
/* `domain` is the inventory's. */
enum usage_state usage_of_domain(struct usage *usage, const struct inventory_domain *domain, struct vg_amounts *amounts);
/* Of a pool that does not run: what was there when it last did. The volumes are borrowed until anything of this is called again. */
enum usage_state usage_of_pool(struct usage *usage, const char *name, const uint8_t uuid[VG_UUID_LEN], const struct usage_volume **volumes,
    size_t *num);

/* The call is judged again (call_looked_up) when all answers are there that are awaited now. */
int usage_wait(struct usage *usage, struct call *call);
void usage_forget_call(struct usage *usage, const struct call *call);

#endif
