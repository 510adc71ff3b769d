#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "gateway/core/link.h"

struct end {
	struct link *link;
	unsigned messages, closed;
	enum link_type last_type;
	uint8_t last_body[LINK_MAX_BODY];
	size_t last_len;
	int last_fd;
	size_t last_num_fds;
	uint32_t next;			/* serial that must come next */
	bool in_order;
	void (*then)(struct end *end);	/* run inside the callback */
};

static struct event_base *base;
static struct end near, far;

static void
on_message(struct link *link, enum link_type type, const uint8_t *body, size_t len, const int *fds, size_t num_fds, void *arg)
{
	struct end *end = arg;
	uint32_t serial = 0;

	assert_ptr_equal(link, end->link);
	end->messages++;
	end->last_type = type;
	end->last_len = len;
	end->last_num_fds = num_fds;
	end->last_fd = fds[0];
	memcpy(end->last_body, body, len);
	if (len >= sizeof(serial)) {
		memcpy(&serial, body, sizeof(serial));
		if (serial != end->next++)
			end->in_order = false;
	}
	if (end->then != NULL)
		end->then(end);
}

static void
on_closed(struct link *link, void *arg)
{
	struct end *end = arg;

	assert_ptr_equal(link, end->link);
	end->closed++;
	if (end->then != NULL)
		end->then(end);
}

static void
clear(struct end *end)
{
	memset(end, 0, sizeof(*end));
	end->in_order = true;
	end->last_fd = -1;
}

static int
setup(void **state)
{
	int fds[2];

	(void)state;
	clear(&near);
	clear(&far);
	base = event_base_new();
	if (base == NULL || link_pair(fds) < 0)
		return -1;
	near.link = link_create(base, fds[0], on_message, on_closed, &near);
	far.link = link_create(base, fds[1], on_message, on_closed, &far);
	return near.link != NULL && far.link != NULL ? 0 : -1;
}

static int
teardown(void **state)
{
	(void)state;
	link_destroy(near.link);
	link_destroy(far.link);
	event_base_free(base);
	return 0;
}

/* Everything that can happen now, happens. */
static void
settle(void)
{
	for (int i = 0; i < 1000; i++)
		(void)event_base_loop(base, EVLOOP_NONBLOCK);
}

static void
destroy_self(struct end *end)
{
	link_destroy(end->link);
	end->link = NULL;
}

/* In place of the far link: its descriptor, for which a link can be made later. */
static int
far_that_does_not_read(void)
{
	int fds[2];

	link_destroy(near.link);
	link_destroy(far.link);
	far.link = NULL;
	assert_int_equal(link_pair(fds), 0);
	near.link = link_create(base, fds[0], on_message, on_closed, &near);
	assert_non_null(near.link);
	return fds[1];
}

static int
count_descriptors(void)
{
	int count = 0;

	for (int fd = 0; fd < 256; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static void
test_message_and_descriptor(void **state)
{
	int pipe_fds[2];
	char byte = 0;

	(void)state;
	assert_int_equal(pipe(pipe_fds), 0);
	assert_int_equal(link_send(near.link, LINK_SESSION, "hello", 5, &pipe_fds[1], 1), 0);
	close(pipe_fds[1]);
	settle();
	assert_int_equal(far.messages, 1);
	assert_int_equal(far.last_type, LINK_SESSION);
	assert_int_equal(far.last_len, 5);
	assert_memory_equal(far.last_body, "hello", 5);
	assert_int_equal(far.last_num_fds, 1);
	assert_int_equal(fcntl(far.last_fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	assert_int_equal(write(far.last_fd, "x", 1), 1);
	assert_int_equal(read(pipe_fds[0], &byte, 1), 1);
	close(far.last_fd);
	close(pipe_fds[0]);
}

static void
test_empty_and_largest_body(void **state)
{
	static uint8_t body[LINK_MAX_BODY + 1];

	(void)state;
	assert_int_equal(link_send(near.link, LINK_READY, NULL, 0, NULL, 0), 0);
	settle();
	assert_int_equal(far.messages, 1);
	assert_int_equal(far.last_len, 0);
	assert_int_equal(link_send(near.link, LINK_RECORD, body, LINK_MAX_BODY, NULL, 0), 0);
	settle();
	assert_int_equal(far.messages, 2);
	assert_int_equal(far.last_len, LINK_MAX_BODY);
	assert_int_equal(link_send(near.link, LINK_RECORD, body, LINK_MAX_BODY + 1, NULL, 0), -1);
	assert_int_equal(errno, EMSGSIZE);
}

/* A reader that does not read costs LINK_MAX_QUEUED and no more; nothing that was accepted is lost or reordered. */
static void
test_queue_is_bounded_and_in_order(void **state)
{
	static uint8_t body[64 * 1024];
	int far_fd, before, pipe_fds[2];
	uint32_t serial = 0;

	(void)state;
	far_fd = far_that_does_not_read();
	before = count_descriptors();
	for (;; serial++) {
		memcpy(body, &serial, sizeof(serial));
		if (link_send(near.link, LINK_RECORD, body, sizeof(body), NULL, 0) < 0)
			break;
	}
	assert_int_equal(errno, ENOBUFS);
	assert_true(link_queued(near.link) <= LINK_MAX_QUEUED);
	assert_true(link_queued(near.link) > LINK_MAX_QUEUED - sizeof(body));
	assert_int_equal(pipe(pipe_fds), 0);
	assert_int_equal(link_send(near.link, LINK_PEER, NULL, 0, pipe_fds, 1), 0);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	settle();
	assert_int_equal(far.messages, 0);
	far.link = link_create(base, far_fd, on_message, on_closed, &far);
	assert_non_null(far.link);
	settle();
	assert_int_equal(far.messages, serial + 1);
	assert_int_equal(far.next, serial);
	assert_true(far.in_order);
	assert_int_equal(far.last_num_fds, 1);
	close(far.last_fd);
	assert_int_equal(link_queued(near.link), 0);
	assert_int_equal(count_descriptors(), before);
}

/* With something waiting, an idle link does not keep the loop busy. */
static void
test_waiting_costs_no_turns(void **state)
{
	static uint8_t body[LINK_MAX_BODY];
	const struct timeval soon = { 0, 20 * 1000 };
	unsigned turns = 0;
	int far_fd = far_that_does_not_read();

	(void)state;
	while (link_queued(near.link) == 0)
		assert_int_equal(link_send(near.link, LINK_RECORD, body, sizeof(body), NULL, 0), 0);
	(void)event_base_loopexit(base, &soon);
	while (!event_base_got_exit(base)) {
		(void)event_base_loop(base, EVLOOP_ONCE);
		turns++;
	}
	assert_true(turns < 5);
	close(far_fd);
}

static void
test_destroy_inside_message_callback(void **state)
{
	(void)state;
	far.then = destroy_self;
	assert_int_equal(link_send(near.link, LINK_READY, NULL, 0, NULL, 0), 0);
	assert_int_equal(link_send(near.link, LINK_READY, NULL, 0, NULL, 0), 0);
	settle();
	assert_int_equal(far.messages, 1);
	assert_null(far.link);
	assert_int_equal(near.closed, 1);
}

static void
test_destroy_inside_closed_callback(void **state)
{
	(void)state;
	near.then = destroy_self;
	link_destroy(far.link);
	far.link = NULL;
	settle();
	assert_int_equal(near.closed, 1);
	assert_null(near.link);
}

/* What was sent before the sender went is delivered first, then the end, once; also when the receiver was sending itself. */
static void
test_end_comes_after_the_last_message(void **state)
{
	(void)state;
	assert_int_equal(link_send(far.link, LINK_READY, NULL, 0, NULL, 0), 0);
	for (int i = 0; i < 5; i++)
		assert_int_equal(link_send(near.link, LINK_ACK, NULL, 0, NULL, 0), 0);
	link_destroy(near.link);
	near.link = NULL;
	assert_int_equal(link_send(far.link, LINK_READY, NULL, 0, NULL, 0), -1);
	assert_int_equal(errno, EPIPE);
	assert_int_equal(far.closed, 0);
	settle();
	assert_int_equal(far.messages, 5);
	assert_int_equal(far.closed, 1);
	assert_int_equal(link_send(far.link, LINK_READY, NULL, 0, NULL, 0), -1);
	assert_int_equal(errno, EPIPE);
}

static void
send_raw(int fd, const void *bytes, size_t len, const int *fds, size_t num_fds)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(LINK_MAX_FDS * sizeof(int))];
	} control = { .bytes = { 0 } };
	struct iovec iov = { (void *)(uintptr_t)bytes, len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (num_fds > 0) {
		struct cmsghdr *cmsg;

		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(num_fds * sizeof(int));
		cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(num_fds * sizeof(int));
		memcpy(CMSG_DATA(cmsg), fds, num_fds * sizeof(int));
	}
	assert_int_equal(sendmsg(fd, &msg, 0), (ssize_t)len);
}

/* Everything that breaks the rules ends the link, delivers nothing, and leaves no descriptor behind. */
static void
test_broken_rules_close(void **state)
{
	static uint8_t large[LINK_MAX_BODY + 64];
	static const int copies[] = { STDERR_FILENO, STDERR_FILENO, STDERR_FILENO };
	static const struct {
		uint32_t type;
		size_t len, num_fds;
	} bad[] = {
		{ 0, 4, 0 }, { LINK_ANSWER + 1, 4, 0 }, { UINT32_MAX, 8, 0 }, { LINK_READY, 3, 0 },
		{ LINK_RECORD, sizeof(large), 0 }, { LINK_RECORD, 8, 1 }, { LINK_SESSION, 8, 3 },
	};

	(void)state;
	link_destroy(near.link);
	near.link = NULL;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		int fds[2], before;

		link_destroy(far.link);
		clear(&far);
		before = count_descriptors();
		assert_int_equal(link_pair(fds), 0);
		far.link = link_create(base, fds[1], on_message, on_closed, &far);
		assert_non_null(far.link);
		memcpy(large, &bad[i].type, sizeof(bad[i].type));
		send_raw(fds[0], large, bad[i].len, copies, bad[i].num_fds);
		settle();
		assert_int_equal(far.messages, 0);
		assert_int_equal(far.closed, 1);
		close(fds[0]);
		link_destroy(far.link);
		far.link = NULL;
		assert_int_equal(count_descriptors(), before);
	}
}

/* A process without room for descriptors keeps its link and is told by their absence. */
static void
test_I79_no_room_for_descriptors(void **state)
{
	struct rlimit limit, none;
	int lowest = dup(STDERR_FILENO);

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = (struct rlimit){ (rlim_t)lowest, limit.rlim_max };
	assert_int_equal(link_send(near.link, LINK_SESSION, "hello", 5, &lowest, 1), 0);
	close(lowest);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	settle();
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(far.messages, 1);
	assert_int_equal(far.last_num_fds, 0);
	assert_int_equal(far.last_fd, -1);
	assert_int_equal(far.closed, 0);
	assert_int_equal(link_send(near.link, LINK_READY, NULL, 0, NULL, 0), 0);
	settle();
	assert_int_equal(far.messages, 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_message_and_descriptor, setup, teardown),
		cmocka_unit_test_setup_teardown(test_empty_and_largest_body, setup, teardown),
		cmocka_unit_test_setup_teardown(test_queue_is_bounded_and_in_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_waiting_costs_no_turns, setup, teardown),
		cmocka_unit_test_setup_teardown(test_destroy_inside_message_callback, setup, teardown),
		cmocka_unit_test_setup_teardown(test_destroy_inside_closed_callback, setup, teardown),
		cmocka_unit_test_setup_teardown(test_end_comes_after_the_last_message, setup, teardown),
		cmocka_unit_test_setup_teardown(test_broken_rules_close, setup, teardown),
		cmocka_unit_test_setup_teardown(test_I79_no_room_for_descriptors, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
