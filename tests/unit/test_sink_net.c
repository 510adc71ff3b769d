/*
 * What a collector has of a stream that ended: of one that it closed in order exactly what it read, of one that broke nothing is known.
 */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "gateway/audit/sink_net.h"
#include "gateway/core/accepting.h"

#define MUCH	(800u * 1024u)	/* more than the kernel keeps of it */
#define KEPT	32768

/* How the collector ends. */
enum ending { READS_ALL, LEAVES_SOME, CLOSES_BEFORE };

static struct room {
	struct sink_net net;
	struct sink_target target;
	int collector;			/* its end; -1: closed */
	enum ending ending;
	uint64_t has_read;
} room;

/* All that the sink has written so far, in the end. */
static void
read_all(void)
{
	static char bytes[65536];

	while (room.has_read < room.net.written) {
		ssize_t got = recv(room.collector, bytes, sizeof(bytes), 0);

		assert_true(got > 0);
		room.has_read += (uint64_t)got;
	}
}

static void
end_collector(void)
{
	if (room.collector == -1)
		return;
	if (room.ending == READS_ALL)
		read_all();
	close(room.collector);
	room.collector = -1;
}

/* The sink cannot write on, or waits for what is acknowledged: the moment for the collector to end. */
static int
on_wait(int fd, short events, int ms, void *arg)
{
	struct pollfd poller = { fd, events, 0 };

	(void)arg;
	end_collector();
	return poll(&poller, fd == -1 ? 0 : 1, fd == -1 ? ms : 20000) == 1 ? poller.revents : 0;
}

static int
begin(void **state)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct settings settings = { 0 };
	struct vg_error error;
	const int kept = KEPT;
	char text[64];

	memset(&room, 0, sizeof(room));
	room.collector = -1;
	assert_int_equal(setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &kept, sizeof(kept)), 0);
	assert_true(listener >= 0 && bind(listener, (const struct sockaddr *)&address, sizeof(address)) == 0 && listen(listener, 1) == 0);
	(void)snprintf(text, sizeof(text), "syslog+tcp://127.0.0.1:%u", accepting_port(listener));
	assert_true(sink_parse(text, &room.target));
	assert_int_equal(sink_net_prepare(&room.net, &room.target, &settings, &error), 0);
	room.net.wait = on_wait;
	assert_int_equal(sink_net_open(&room.net, &error), 0);
	assert_int_equal(setsockopt(room.net.fd, SOL_SOCKET, SO_SNDBUF, &kept, sizeof(kept)), 0);
	room.collector = accept(listener, NULL, NULL);
	assert_true(room.collector >= 0);
	close(listener);
	*state = NULL;
	return 0;
}

static int
finish(void **state)
{
	(void)state;
	sink_net_close(&room.net);
	if (room.collector != -1)
		close(room.collector);
	return 0;
}

/* Until it fails, there or when it is to be confirmed. How much of it the collector has. */
static size_t
send_much(void)
{
	char *data = calloc(1, MUCH);
	struct vg_error error;

	assert_non_null(data);
	assert_true(sink_net_send(&room.net, data, MUCH, &error) == -1 || sink_net_confirm(&room.net, &error) == -1);
	free(data);
	return sink_net_delivered(&room.net);
}

static void
test_closed_in_the_middle(void **state)
{
	size_t delivered;

	(void)state;
	room.ending = READS_ALL;
	delivered = send_much();
	assert_int_equal(room.collector, -1);
	assert_true(room.has_read > 0 && room.has_read < MUCH);
	assert_int_equal(delivered, room.has_read);
}

static void
test_closed_between_two(void **state)
{
	static const char first[] = "the first";
	struct vg_error error;

	(void)state;
	room.ending = CLOSES_BEFORE;
	assert_int_equal(sink_net_send(&room.net, first, sizeof(first), &error), 0);
	read_all();
	assert_int_equal(sink_net_confirm(&room.net, &error), 0);
	end_collector();
	assert_false(sink_net_stands(&room.net));
	assert_int_equal(send_much(), 0);
}

static void
test_closed_with_some_of_it_unread(void **state)
{
	(void)state;
	room.ending = LEAVES_SOME;
	assert_int_equal(send_much(), 0);
	assert_int_equal(room.collector, -1);
	assert_true(room.net.error != 0 && room.net.error != EPIPE);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, begin, finish)

int
main(void)
{
	const struct CMUnitTest tests[] = { TEST(test_closed_in_the_middle), TEST(test_closed_between_two), TEST(test_closed_with_some_of_it_unread) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
