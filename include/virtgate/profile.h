/*
 * profile.h: what the policy and the rules of admission must agree on: profiles, the bounds that a row of the policy sets, what a
 * quota counts, and a site's own rules.
 * Plain values; whoever made them owns them.
 */
#ifndef VIRTGATE_PROFILE_H
#define VIRTGATE_PROFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Each holds what the one before it holds. */
enum vg_profile {
	VG_PROFILE_PRIVILEGED,	/* everything is admitted */
	VG_PROFILE_BASELINE,	/* what a tenant must never do is refused */
	VG_PROFILE_RESTRICTED	/* and what is not known to keep him apart from the others */
};

struct vg_texts {
	const char *const *texts;
	size_t num;
};

/* Asked by profile restricted. */
struct vg_limits {
	struct vg_texts macs;		/* globs in lower case: "52:54:00:aa:*" */
	struct vg_texts filters;	/* names of network filters */
	struct vg_texts vlans;		/* numbers as text: "100" */
	uint64_t max_vcpus;		/* of one guest; 0: no bound */
	uint64_t max_memory_kib;	/* of one guest; 0: no bound */
};

/* What a quota bounds, of all its guests and volumes together. */
enum vg_amount {
	VG_AMOUNT_GUESTS,
	VG_AMOUNT_VCPUS,	/* processors that a guest may have, also those that are off now */
	VG_AMOUNT_MEMORY,	/* KiB */
	VG_AMOUNT_DISK,		/* KiB, of volumes: what they hold or may grow to */
	VG_NUM_AMOUNTS
};

struct vg_amounts {
	uint64_t of[VG_NUM_AMOUNTS];
};

/* A site's own rule, a row of "rules". */
struct vg_rule {
	const char *id;
	const char *class;	/* of documents: "domain", "device", …: classes[] of gateway/admission/own.c */
	const char *xpath;
	bool must;		/* it must hold, instead of finding nothing */
	const char *message, *hint;	/* never NULL */
	unsigned line;		/* where it stands in the policy */
	size_t index;		/* among the rules of its policy */
};

#endif
