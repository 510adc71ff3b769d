/*
 * inventory_private.h: what the files of inventory.h share.
 */
#ifndef GATE_INVENTORY_PRIVATE_H
#define GATE_INVENTORY_PRIVATE_H

#include "gateway/gate/inventory.h"
#include "gateway/gate/known.h"
#include "gateway/gate/upstream.h"

#define INVENTORY_BUCKETS 4096u	/* for 10,000 domains two or three in each */

struct lookup;

struct inventory {
	struct gate *gate;
	char *uri;
	struct upstream *upstream;
	struct event retry;
	bool ready;
	char trouble[256];
	struct inventory_domain *by_uuid[INVENTORY_BUCKETS], *by_name[INVENTORY_BUCKETS];
	size_t num_domains;
	uint64_t clock, listed;			/* events so far, and when the list was asked for */
	uint64_t features_asked, features_there;	/* bit N: VIR_DRV_FEATURE N */
	struct known known;			/* networks and pools */
	struct lookup *lookups;
	uint64_t last_ticket;
	struct usage *usage;
	struct roll *roll;
};

/* ---- inventory_domains.c: the table of domains ---- */

/* Has libvirtd told of it unasked since the clock said `asked`? */
bool inventory_told_since(const struct inventory *inventory, const uint8_t uuid[VG_UUID_LEN], uint64_t asked);
void inventory_forget_domains(struct inventory *inventory);

/* ---- inventory_ask.c: questions to libvirtd ---- */

/* They get no answer. */
void inventory_drop_lookups(struct inventory *inventory);

#endif
