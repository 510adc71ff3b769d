/*
 * pace.c: the size of groups.
 */
#include "gateway/audit/pace.h"

#define WAIT_LEAST_US	1000u
#define WAIT_MOST_US	20000u
#define SYNC_MOST_US	100000u		/* a disk that hangs is no measure */
#define RECORD_MOST_US	1000u		/* nor is a night without changes */
#define REST_GROUPS	16u

bool
pace_enough(const struct pace *pace, size_t records)
{
	return pace->wait_us == 0 || records >= pace->wanted;
}

static unsigned
smooth(unsigned old, uint64_t new, unsigned most)
{
	if (new > most)
		new = most;
	return old == 0 ? (unsigned)new : (3 * old + (unsigned)new) / 4;
}

static size_t
next_wanted(struct pace *pace, size_t records)
{
	if (!pace_enough(pace, records)) {
		pace->rest = REST_GROUPS;
		return (pace->wanted + records) / 2;
	}
	if (pace->rest > 0) {
		pace->rest--;
		return pace->wanted;
	}
	return records > 1 ? records + records / 4 + 1 : 1;
}

void
pace_group_done(struct pace *pace, size_t records, size_t in_flight, unsigned sync_us, uint64_t now_us)
{
	size_t nearly_all = in_flight - in_flight / 8;
	uint64_t half_us;

	if (records == 0)
		return;
	pace->wanted = next_wanted(pace, records);
	if (pace->wanted > nearly_all)
		pace->wanted = nearly_all;
	pace->sync_us = smooth(pace->sync_us, sync_us, SYNC_MOST_US);
	pace->record_us = smooth(pace->record_us, (now_us - pace->last_us) / records, RECORD_MOST_US);
	pace->last_us = now_us;
	half_us = (uint64_t)in_flight * pace->record_us / 2;
	if (half_us > WAIT_MOST_US)
		half_us = WAIT_MOST_US;
	pace->wait_us = pace->sync_us > half_us ? pace->sync_us : (unsigned)half_us;
	if (pace->wanted < 2 || pace->wait_us < WAIT_LEAST_US)
		pace->wait_us = 0;
}
