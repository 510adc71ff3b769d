/*
 * clock.h: does the host's clock go as time does? CLOCK_BOOTTIME, which nobody can set, tells by how much the other was set. (An NTP daemon that only
 * speeds a clock up or slows it down does so to both.)
 *
 * Times of records are the host's, whatever it says; their order is that of `seq`. A step is told by a record clock.step, and only behind one the time
 * may be earlier than before (verify holds the writer to that). Less than CLOCK_STEP_US is none: times stand still for that long.
 *
 * What is removed by age must not be, because a clock ran ahead. Steps ahead do not count for CLOCK_HOLD_SECONDS: so long somebody has to
 * look at the record, and set the clock. Nor does it count between two runs that the clock is more than CLOCK_GAP_SECONDS ahead of the last record.
 */
#ifndef AUDIT_CLOCK_H
#define AUDIT_CLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "gateway/audit/scan.h"

#define CLOCK_STEP_US		1500000		/* a leap second is none */
#define CLOCK_HOLD_SECONDS	86400
#define CLOCK_GAP_SECONDS	(7 * 86400)
#define CLOCK_LOOK_SECONDS	60		/* while nothing is recorded */
#define CLOCK_STEP_CODE		"VG1014W"
#define CLOCK_WAITS_CODE	"VG1015W"
#define CLOCK_HELD_MEMBER	"held_seconds"	/* of "args" of both, with … */
#define CLOCK_LEFT_MEMBER	"held_for_seconds"	/* … for how long that holds */

struct clock_watch {
	int64_t wall_us, boot_us;	/* as they were at the last look */
	int64_t untold_us;		/* steps since the last record that is durable; ahead is positive */
	int64_t telling_us;		/* of them, what a record in the group tells */
	bool down;			/* it was while no gateway ran */
	int64_t held_seconds;		/* it may be that far ahead */
	int64_t held_until_us;		/* … until then (boot_us) */
};

void clock_begin(struct clock_watch *watch);
/* A line of the trail as it is read at the start: is something held still? */
void clock_take_line(struct clock_watch *watch, const struct scan_line *facts, const char *line, size_t len);
/* All lines were read, the last has this time; empty: there is none. */
void clock_settle(struct clock_watch *watch, const char *last);
/* Looks. True: there is a step that no record tells. */
bool clock_stepped(struct clock_watch *watch);
/* A record of it goes into the group: the step in microseconds; and whether that became durable. */
int64_t clock_tell(struct clock_watch *watch);
void clock_told(struct clock_watch *watch, bool durable);
/* By how many seconds the clock may be ahead, and for how long that is to be taken into account. 0: by none. */
int64_t clock_held(struct clock_watch *watch, int64_t *for_seconds);

/* The host's clock, and "2026-11-23T19:50:12.123456Z" of it, from 1970 to 9999. */
int64_t clock_wall_us(void);
void clock_text(int64_t wall_us, char text[AUDIT_TIME_LEN + 1]);

#endif
