/*
 * clock.c: LD_PRELOAD: the host's clock is by as many microseconds another as the first eight bytes of the file VIRTGATE_LAB_CLOCK say, from one moment to
 * the next and in all processes that were forked from this one. Time goes on as it does.
 */
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define SECOND_NS 1000000000

static const _Atomic int64_t *set_by_us;

__attribute__((constructor)) static void
begin(void)
{
	const char *file = getenv("VIRTGATE_LAB_CLOCK");
	int fd = file == NULL ? -1 : open(file, O_RDONLY | O_CLOEXEC);
	void *map = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof(*set_by_us), PROT_READ, MAP_SHARED, fd, 0);

	if (map == MAP_FAILED)
		abort();
	set_by_us = map;
	close(fd);
}

int
clock_gettime(clockid_t which, struct timespec *now)
{
	int status = (int)syscall(SYS_clock_gettime, which, now);
	int64_t ns;

	if (status != 0 || set_by_us == NULL || (which != CLOCK_REALTIME && which != CLOCK_REALTIME_COARSE))
		return status;
	ns = now->tv_sec * (int64_t)SECOND_NS + now->tv_nsec + atomic_load(set_by_us) * 1000;
	now->tv_sec = ns / SECOND_NS;
	now->tv_nsec = ns % SECOND_NS;
	return 0;
}

time_t
time(time_t *out)
{
	struct timespec now = { 0 };

	(void)clock_gettime(CLOCK_REALTIME, &now);
	if (out != NULL)
		*out = now.tv_sec;
	return now.tv_sec;
}

int
gettimeofday(struct timeval *restrict out, void *restrict zone)
{
	struct timespec now = { 0 };

	(void)zone;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	out->tv_sec = now.tv_sec;
	out->tv_usec = now.tv_nsec / 1000;
	return 0;
}
