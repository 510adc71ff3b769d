/*
 * clock.c: steps of the host's clock.
 */
#include "gateway/audit/clock.h"

#include <stdio.h>
#include <string.h>

#include <jansson.h>

#define SECOND_US	INT64_C(1000000)
#define LEAST_HELD	2		/* seconds: that a clock which was set back as far as it had been set ahead may be off */
#define MOST_SECONDS	INT64_C(253370764800)	/* until the year 9999: more has no room */

static int64_t
read_us(clockid_t which)
{
	struct timespec now = { 0 };

	(void)clock_gettime(which, &now);
	return (int64_t)now.tv_sec * SECOND_US + now.tv_nsec / 1000;
}

int64_t
clock_wall_us(void)
{
	return read_us(CLOCK_REALTIME);
}

void
clock_text(int64_t wall_us, char text[AUDIT_TIME_LEN + 1])
{
	time_t second = (time_t)(wall_us / SECOND_US);
	struct tm tm;
	char seconds[32];

	if (second < 0 || second >= MOST_SECONDS || gmtime_r(&second, &tm) == NULL)
		tm = (struct tm){ .tm_year = second < 0 ? 70 : 9999 - 1900, .tm_mday = 1 };
	(void)strftime(seconds, sizeof(seconds), "%Y-%m-%dT%H:%M:%S", &tm);
	(void)snprintf(text, AUDIT_TIME_LEN + 1, "%.19s.%06uZ", seconds, (unsigned)(wall_us < 0 ? 0 : wall_us % SECOND_US));
}

static bool
parse_text(const char *text, int64_t *wall_us)
{
	int64_t second = scan_second(text);
	int micro = 0;

	if (second == -1 || sscanf(text, "%*[^.].%6d", &micro) != 1)
		return false;
	*wall_us = second * SECOND_US + micro;
	return true;
}

static void
hold(struct clock_watch *watch, int64_t seconds, int64_t for_us)
{
	watch->held_seconds = seconds;
	watch->held_until_us = watch->boot_us + for_us;
}

/* A step ahead is added to what is held, for a whole day again; one back takes from it. */
static void
take_step(struct clock_watch *watch, int64_t step_us)
{
	int64_t left, held = clock_held(watch, &left) + step_us / SECOND_US;

	watch->untold_us += step_us;
	if (held <= LEAST_HELD)
		watch->held_seconds = 0;
	else if (step_us > 0)
		hold(watch, held, CLOCK_HOLD_SECONDS * SECOND_US);
	else
		watch->held_seconds = held;
}

void
clock_begin(struct clock_watch *watch)
{
	memset(watch, 0, sizeof(*watch));
	watch->wall_us = clock_wall_us();
	watch->boot_us = read_us(CLOCK_BOOTTIME);
}

void
clock_take_line(struct clock_watch *watch, const struct scan_line *facts, const char *line, size_t len)
{
	json_t *record, *args;
	int64_t then, seconds, left;

	if (strcmp(facts->code, CLOCK_STEP_CODE) != 0 && strcmp(facts->code, CLOCK_WAITS_CODE) != 0)
		return;
	record = json_loadb(line, len, 0, NULL);
	args = json_object_get(record, "args");
	seconds = (int64_t)json_integer_value(json_object_get(args, CLOCK_HELD_MEMBER));
	left = (int64_t)json_integer_value(json_object_get(args, CLOCK_LEFT_MEMBER));
	json_decref(record);
	if (left > CLOCK_HOLD_SECONDS || !parse_text(facts->time, &then))
		return;
	left = left * SECOND_US - (watch->wall_us - then);
	hold(watch, seconds > 0 && seconds < MOST_SECONDS && left > 0 ? seconds : 0, left);
}

void
clock_settle(struct clock_watch *watch, const char *last)
{
	int64_t then, ahead;

	if (!parse_text(last, &then))
		return;
	ahead = watch->wall_us - then;
	if (ahead > -CLOCK_STEP_US && ahead < CLOCK_GAP_SECONDS * SECOND_US)
		return;
	take_step(watch, ahead);
	watch->down = true;
}

static bool
is_step(int64_t step_us)
{
	return step_us > CLOCK_STEP_US || step_us < -CLOCK_STEP_US;
}

bool
clock_stepped(struct clock_watch *watch)
{
	int64_t wall, boot, step;

	/* Twice: a process that was put aside between the two readings has seen none. */
	for (int i = 0; i < 2; i++) {
		wall = clock_wall_us();
		boot = read_us(CLOCK_BOOTTIME);
		step = (wall - watch->wall_us) - (boot - watch->boot_us);
		if (!is_step(step))
			break;
	}
	watch->wall_us = wall;
	watch->boot_us = boot;
	if (is_step(step))
		take_step(watch, step);
	return watch->untold_us != watch->telling_us;
}

int64_t
clock_tell(struct clock_watch *watch)
{
	int64_t step = watch->untold_us - watch->telling_us;

	watch->telling_us += step;
	return step;
}

void
clock_told(struct clock_watch *watch, bool durable)
{
	if (durable)
		watch->untold_us -= watch->telling_us;
	if (durable && watch->telling_us != 0)
		watch->down = false;
	watch->telling_us = 0;
}

int64_t
clock_held(struct clock_watch *watch, int64_t *for_seconds)
{
	int64_t left = (watch->held_until_us - read_us(CLOCK_BOOTTIME)) / SECOND_US;

	if (left <= 0)
		watch->held_seconds = 0;
	*for_seconds = watch->held_seconds > 0 ? left : 0;
	return watch->held_seconds;
}
