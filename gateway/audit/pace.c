/*
 * pace.c: the size of groups.
 */
#include "gateway/audit/pace.h"

#define WAIT_LEAST_US	1000u
#define WAIT_EACH_US	16u
#define WAIT_MOST_US	100000u		/* a disk that hangs is no measure */

bool
pace_enough(const struct pace *pace, size_t records)
{
	return pace->wait_us == 0 || records >= pace->wanted;
}

void
pace_group_done(struct pace *pace, size_t records, size_t in_flight, unsigned sync_us)
{
	size_t nearly_all = in_flight - in_flight / 8;
	bool came = pace_enough(pace, records);
	unsigned each_us;

	if (sync_us > WAIT_MOST_US)
		sync_us = WAIT_MOST_US;
	pace->sync_us = pace->sync_us == 0 ? sync_us : (3 * pace->sync_us + sync_us) / 4;
	pace->wanted = records;
	if (came && records > 1)
		pace->wanted += records / 4 + 1;
	if (pace->wanted > nearly_all)
		pace->wanted = nearly_all;
	each_us = in_flight < WAIT_MOST_US / WAIT_EACH_US ? (unsigned)in_flight * WAIT_EACH_US : WAIT_MOST_US;
	pace->wait_us = pace->sync_us > each_us ? pace->sync_us : each_us;
	if (pace->wanted < 2 || pace->wait_us < WAIT_LEAST_US)
		pace->wait_us = 0;
}
