/*
 * pace.h: how long a group waits for company before it is written. Pure: counts and microseconds in, a decision out.
 *
 * A change alone never waits: who comes while the disk is at rest is written at once. With many changes in flight that would make small groups: those
 * that the last group answered are still on their way through the gate and libvirtd while the next one is closed, so that on a slow disk two halves
 * take turns, and on a fast one the processor is spent on syncs. So a group waits for somewhat more records than the last ones had, up to nearly all
 * changes in flight, for as long as a sync takes, or half of the time in which as many records came lately, whichever is longer. Below a
 * millisecond, which is what the loop counts in, it does not. When the time was over before, the next one waits for half as many more, and for a while
 * it is not tried again with more: changes that hang in libvirtd hold up nobody for long.
 */
#ifndef AUDIT_PACE_H
#define AUDIT_PACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pace {
	size_t wanted;			/* records that the group waits for; 0 and 1: it does not wait */
	unsigned wait_us;		/* for at most so long; 0: it does not */
	unsigned sync_us;		/* what a group took on the disk, of late */
	unsigned record_us;		/* and how far apart records came */
	uint64_t last_us;		/* the end of the last group */
	unsigned rest;			/* groups for which `wanted` does not grow */
};

bool pace_enough(const struct pace *pace, size_t records);
/* A group of `records` took `sync_us` and is on the disk at `now_us`; `in_flight` changes wait for their intent or their outcome. */
void pace_group_done(struct pace *pace, size_t records, size_t in_flight, unsigned sync_us, uint64_t now_us);

#endif
