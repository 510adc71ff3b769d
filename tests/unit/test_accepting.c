/* test_accepting.c: does a room without descriptors wait instead of turning for nothing, and does it go on afterwards? */
#include <arpa/inet.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "gateway/core/accepting.h"

static struct process process;
static struct event_base *base;
static struct accepting *accepting;
static unsigned called;
static int taken = -1;

static void
on_accept(const struct listener *listener, void *arg)
{
	struct sockaddr_storage address;

	called++;
	assert_ptr_equal(arg, &process);
	assert_int_equal(listener->kind, LISTENER_WEB);
	taken = accepting_take(accepting, listener, &address);
	if (taken >= 0)
		assert_int_equal(address.ss_family, AF_INET);
}

static int
setup(void **state)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	(void)state;
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 8), 0);
	process.listeners[0] = (struct listener){ LISTENER_WEB, fd };
	process.num_listeners = 1;
	base = event_base_new();
	accepting = accepting_create(base, &process, on_accept, &process);
	assert_non_null(accepting);
	called = 0;
	taken = -1;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	accepting_destroy(accepting);
	event_base_free(base);
	close(process.listeners[0].fd);
	if (taken >= 0)
		close(taken);
	return 0;
}

static int
knock(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons(accepting_port(process.listeners[0].fd)) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void
run_for(long ms)
{
	const struct timeval time = { ms / 1000, ms % 1000 * 1000 };

	assert_int_equal(event_base_loopexit(base, &time), 0);
	(void)event_base_dispatch(base);
}

/* No descriptor beyond those that are open may be had. */
static struct rlimit
forbid_descriptors(void)
{
	struct rlimit old, none;
	int next = dup(0);

	close(next);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	none = old;
	none.rlim_cur = (rlim_t)next;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	return old;
}

static void
test_without_descriptors_it_waits(void **state)
{
	int client = knock();
	struct rlimit old = forbid_descriptors();

	(void)state;
	run_for(500);
	assert_in_range(called, 1, 30);		/* at 0, 200 and 400 ms, and longer on a busy machine; a loop that spins: thousands */
	assert_int_equal(taken, -1);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	run_for(500);
	assert_true(taken >= 0);
	assert_true((fcntl(taken, F_GETFL) & O_NONBLOCK) != 0);
	assert_true((fcntl(taken, F_GETFD) & FD_CLOEXEC) != 0);
	close(client);
}

static void
test_what_becomes_free_ends_the_pause(void **state)
{
	const struct timeval hour = { 3600, 0 };
	int client = knock();

	(void)state;
	accepting_pause(accepting, &hour);
	accepting_pause(accepting, &hour);
	run_for(100);
	assert_int_equal(called, 0);
	accepting_resume(accepting);
	accepting_resume(accepting);
	run_for(100);
	assert_int_equal(called, 1);
	assert_true(taken >= 0);
	close(client);
}

static void
test_a_port_that_is_none(void **state)
{
	int fds[2];

	(void)state;
	assert_true(accepting_port(process.listeners[0].fd) > 0);
	assert_int_equal(accepting_port(-1), 0);
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(accepting_port(fds[0]), 0);
	close(fds[0]);
	close(fds[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_without_descriptors_it_waits, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_becomes_free_ends_the_pause, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_port_that_is_none, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
