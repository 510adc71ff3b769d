/*
 * trail.h: makes a trail as the writer would have written it in years: many records, users and objects, chained and in segments. For measuring and
 * testing what reads one.
 */
#ifndef TESTS_BENCH_TRAIL_H
#define TESTS_BENCH_TRAIL_H

#include <stdint.h>

#include "gateway/core/ids.h"

struct trail_plan {
	uint64_t records;		/* two of three belong to changes: intent and outcome */
	unsigned users, objects;	/* "user-7", domain "guest-12" */
	uint64_t per_day;		/* records; days begin at 2026-01-01 */
	uint64_t segment_bytes;
};

/* What record number `seq` of a plan names. */
unsigned trail_user(const struct trail_plan *plan, uint64_t seq);
unsigned trail_object(const struct trail_plan *plan, uint64_t seq);
void trail_op(uint64_t seq, char op[ID_LEN + 1]);
void trail_time(const struct trail_plan *plan, uint64_t seq, char time[28]);

/* Into an empty directory. Ends the program when that fails. */
void trail_make(const char *dir, const struct trail_plan *plan);

#endif
