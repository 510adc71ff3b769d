/*
 * roll_lap.c: the comparison that goes round while the gate runs: all is listed once, then looked at a slice a second, so that libvirtd never has more
 * than one question of it and everything else goes first. What a call or an event touches meanwhile is left to the round of what is touched.
 */
#include "gateway/gate/roll_private.h"

#include <stdlib.h>
#include <string.h>

#include "gateway/core/log.h"
#include "gateway/gate/inventory.h"

#define SLICE		128u	/* things a second: 10,000 in 80 */
#define DOUBT_SECONDS	2	/* what was different is looked at again: libvirtd's event may still be on its way */

static void
begin(struct roll *roll, time_t now)
{
	roll->next_lap = now + roll->gate->settings->inventory_interval;
	roll->all = false;
	roll->lapping = true;
	roll_list_anew(roll);
}

void
roll_lap_listed(struct roll *roll)
{
	roll->lap = roll->round;
	roll->lap_began = roll->began;
	memcpy(roll->lap_has, roll->has, sizeof(roll->lap_has));
	roll->lap_at = 0;
	roll->lap_left_out = roll->doubts = false;
	roll->phase = ROLL_IDLE;
}

static void
add_due(struct roll *roll, struct thing *thing)
{
	thing->next_due = roll->due;
	roll->due = thing;
}

/* Those that were different, and that nothing has touched since. */
static void
add_doubted(struct roll *roll, time_t now)
{
	roll->doubts = false;
	for (size_t i = 0; i < ROLL_BUCKETS; i++)
		for (struct thing *thing = roll->buckets[i]; thing != NULL; thing = thing->next) {
			if (thing->doubted == 0)
				continue;
			if (now >= thing->doubted + DOUBT_SECONDS)
				add_due(roll, thing);
			else
				roll->doubts = true;
		}
}

static void
slice(struct roll *roll, time_t now)
{
	unsigned num = 0;

	roll->all = false;
	roll->lapping = true;
	roll->least = roll->lap;
	roll->began = roll->lap_began;
	if (roll->doubts)
		add_doubted(roll, now);
	while (roll->lap_at < ROLL_BUCKETS && num < SLICE)
		for (struct thing *thing = roll->buckets[roll->lap_at++]; thing != NULL; thing = thing->next)
			if (roll->lap_has[thing->kind] && thing->doubted == 0) {
				add_due(roll, thing);
				num++;
			}
	roll->phase = ROLL_LOOKING;
	roll_go_on(roll);
}

/* What was left out may be another since before it began: then the time of the last comparison of all stays. */
static void
end(struct roll *roll)
{
	log_debug("%s: %zu objects compared in %lld s", inventory_uri(roll->inventory), roll->num,
	    (long long)(roll_now() - roll->lap_began) / 1000000);
	if (!roll->lap_left_out)
		roll->compared = roll->lap_began;
	roll->lap = 0;
	roll->phase = ROLL_KEEPING;
	roll_go_on(roll);
}

bool
roll_lap_tick(struct roll *roll, time_t now)
{
	int interval = roll->gate->settings->inventory_interval;

	if (interval == 0 || !roll->known) {
		roll->lap = 0;
		return false;
	}
	if (roll->next_lap == 0 || roll->next_lap > now + interval)
		roll->next_lap = now + interval;
	if (roll->lap == 0 && now < roll->next_lap)
		return false;
	if (roll->lap == 0)
		begin(roll, now);
	else if (roll->lap_at < ROLL_BUCKETS || roll->doubts)
		slice(roll, now);
	else
		end(roll);
	return true;
}

bool
roll_lap_leaves_out(struct roll *roll)
{
	if (!roll->lapping || (!roll->at->touched && roll->at->held == NULL && roll_explained(roll, roll->at) == 0))
		return false;
	roll->lap_left_out = true;
	roll->at->doubted = 0;
	roll->at = NULL;
	return true;
}

bool
roll_lap_doubts(struct roll *roll)
{
	if (!roll->lapping || roll->at->doubted != 0)
		return false;
	roll->at->doubted = gate_steady();
	roll->doubts = true;
	roll->at = NULL;
	return true;
}
