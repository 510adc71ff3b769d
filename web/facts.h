/*
 * facts.h: state and size of guests as libvirtd told them last, kept from one list to the next: only those are asked about again of which an event told,
 * that are in another run, or that were not asked about for long. Whom somebody sees and what he may there is never kept. Pure.
 *
 *	struct facts fresh = { 0 };
 *
 *	for each guest of the new list: facts_add(&fresh, uuid, id)
 *	facts_settle(&fresh, &old, oldest)
 *	fact = facts_find(&fresh, uuid): not known, it is to be asked for and filled in
 */
#ifndef WEB_FACTS_H
#define WEB_FACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "virtgate/object.h"

struct fact {
	uint8_t uuid[VG_UUID_LEN];
	int32_t id;			/* of its run; -1: it does not run */
	bool known;			/* what follows was told */
	bool touched;			/* an event told of it, perhaps after that */
	time_t asked;
	unsigned state, vcpus;
	uint64_t memory_kib;
};

struct facts {
	struct fact *facts;		/* sorted by facts_settle() */
	size_t num, room;
};

/* -1: out of memory. */
int facts_add(struct facts *facts, const uint8_t uuid[VG_UUID_LEN], int32_t id);
/* All are there: what was asked in `old` from the second `oldest` on, and still holds, is taken over. */
void facts_settle(struct facts *facts, const struct facts *old, time_t oldest);
/* Borrowed; NULL: no such guest. */
struct fact *facts_find(const struct facts *facts, const uint8_t uuid[VG_UUID_LEN]);
/* An event told of it; unknown ones are fine. */
void facts_touch(struct facts *facts, const uint8_t uuid[VG_UUID_LEN]);
void facts_free(struct facts *facts);

#endif
