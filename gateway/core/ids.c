/*
 * ids.c: ULIDs that rise within one process also when the clock does not.
 */
#include "gateway/core/ids.h"

#include <stdint.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "gateway/core/log.h"

#define RANDOM_LEN 10

/* The id made last, by this process: a forked child must not go on from its parent's. */
static struct {
	pid_t pid;
	uint64_t ms;
	uint8_t random[RANDOM_LEN];
} last;

static void
fill_random(void *buf, size_t len)
{
	if (getrandom(buf, len, 0) != (ssize_t)len)
		log_fatal("no randomness from the system");
}

static uint64_t
clock_ms(void)
{
	struct timespec now;

	if (clock_gettime(CLOCK_REALTIME, &now) == -1)
		log_fatal("the system has no clock");
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Adds a random step to the random part, so that ids of one millisecond rise; false when it overflows. */
static int
step_random(void)
{
	uint32_t step;
	uint64_t carry;

	fill_random(&step, sizeof(step));
	carry = (uint64_t)step + 1;
	for (size_t i = RANDOM_LEN; i-- > 0 && carry > 0; ) {
		carry += last.random[i];
		last.random[i] = (uint8_t)carry;
		carry >>= 8;
	}
	return carry == 0;
}

static void
advance(void)
{
	uint64_t now = clock_ms();
	pid_t pid = getpid();

	if (pid == last.pid && now <= last.ms) {
		if (step_random())
			return;
		now = last.ms + 1;
	}
	last.pid = pid;
	last.ms = now;
	fill_random(last.random, RANDOM_LEN);
}

void
id_make(char id[ID_LEN + 1])
{
	static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
	uint64_t ms;

	advance();
	ms = last.ms;
	for (int i = 9; i >= 0; i--) {		/* 48 bits in 10 digits */
		id[i] = digits[ms & 31];
		ms >>= 5;
	}
	for (int half = 0; half < 2; half++) {	/* 40 bits in 8 digits, twice */
		uint64_t bits = 0;

		for (int i = 0; i < 5; i++)
			bits = bits << 8 | last.random[half * 5 + i];
		for (int i = 7; i >= 0; i--) {
			id[10 + half * 8 + i] = digits[bits & 31];
			bits >>= 5;
		}
	}
	id[ID_LEN] = '\0';
}
