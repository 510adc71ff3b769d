/*
 * What does the gate do between a client that may be hostile and a libvirtd that may have gone mad? Messages that break the rules, come in pieces or too many
 * at a time, or not at all. Names carry the invariant that a test proves.
 */
#include <linux/sockios.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/session/office.h"

static void
test_client_that_stays_silent_is_ended(void **state)
{
	uint8_t pong[RPC_HEADER_LEN];
	struct message message;
	int fd = open_as("alice");

	(void)state;
	/* only one that said it can answer is asked */
	client_call(fd, "connect_supports_feature", 2, "\0\0\0\12", 4, &message);
	expect_ok(&message);
	assert_memory_equal(message.body, "\0\0\0\1", 4);
	assert_true(client_receive(fd, &message));
	assert_int_equal(message.header.program, RPC_PROGRAM_KEEPALIVE);
	assert_int_equal(message.header.procedure, RPC_KEEPALIVE_PING);
	rpc_put_keepalive(pong, RPC_KEEPALIVE_PONG);
	client_send_raw(fd, pong, sizeof(pong));
	expect_info_works(fd, 3);
	assert_true(client_receive(fd, &message));
	assert_int_equal(message.header.procedure, RPC_KEEPALIVE_PING);
	client_expect_end(fd);
	harness_expect_record("session.logout", "did not answer keepalive");
}

static void
test_I20_libvirtd_that_breaks_the_protocol(void **state)
{
	static const enum mischief kinds[] = { TRAILING_BYTES, SHORT_REPLY, WRONG_SERIAL, WRONG_PROCEDURE, REPLY_TWICE, CALL_TO_CLIENT };

	(void)state;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct message answer;
		int fd = open_as("alice");

		harness_mischief(kinds[i]);
		domain_call(fd, "domain_get_info", 2, "web-1", uuid_web1, 1, &answer);
		if (kinds[i] == REPLY_TWICE)
			expect_ok(&answer);
		else
			expect_error(&answer, RPC_ERR_SYSTEM, "does not decode");
		client_expect_end(fd);
		harness_mischief(BEHAVE);
	}
}

static void
test_I84_libvirtd_goes_away_during_a_call(void **state)
{
	struct message answer;
	int fd = open_as("alice");

	(void)state;
	harness_mischief(HANG_UP);
	domain_call(fd, "domain_get_info", 2, "web-1", uuid_web1, 1, &answer);
	expect_error(&answer, RPC_ERR_SYSTEM, "libvirtd closed the connection while 'domain_get_info' was under way");
	client_expect_end(fd);
	harness_expect_record("backend.lost", "alice");
}

static void
test_I15_client_messages_that_close(void **state)
{
	static const struct { int32_t type; uint32_t serial; int32_t status; } bad[] = { { RPC_REPLY, 2, 0 }, { RPC_EVENT, 2, 0 },
		{ RPC_CALL_WITH_FDS, 2, 0 }, { RPC_REPLY_WITH_FDS, 2, 0 }, { RPC_CALL, 0, 0 }, { RPC_CALL, 2, 1 }, { 9, 2, 0 } };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct rpc_header header = { .length = RPC_HEADER_LEN, .program = RPC_PROGRAM_REMOTE, .version = 1, .procedure = 4,
			.type = bad[i].type, .serial = bad[i].serial, .status = bad[i].status };
		uint8_t head[RPC_HEADER_LEN];
		int fd = open_as("alice");

		rpc_header_put(head, &header);
		client_send_raw(fd, head, sizeof(head));
		client_expect_end(fd);
	}
	assert_int_equal(harness_num_forwarded(), 0);
	harness_expect_record("session.protocol", "alice");
}

static void
test_I15_serial_in_flight_is_not_reused(void **state)
{
	uint8_t body[1024];
	size_t len = put_domain(body, "web-1", uuid_web1, 1);
	int fd = open_as("alice");

	(void)state;
	harness_mischief(STAY_SILENT);
	client_send(fd, "domain_get_info", 2, body, len);
	client_send(fd, "domain_get_info", 2, body, len);
	client_expect_end(fd);
}

static void
test_I19_arguments_that_do_not_decode(void **state)
{
	uint8_t body[1024];
	size_t len = put_domain(body, "web-1", uuid_web1, 1);
	int fd = open_as("alice");

	(void)state;
	memset(body + len, 0, 4);
	client_send(fd, "domain_get_info", 2, body, len + 4);
	client_expect_end(fd);
	fd = open_as("alice");
	body[4 + 5] = 'x';		/* padding behind "web-1" */
	client_send(fd, "domain_get_info", 2, body, len);
	client_expect_end(fd);
	assert_int_equal(harness_num_forwarded(), 0);
}

static void
test_I16_stream_packets_without_a_stream(void **state)
{
	struct rpc_header header = { .length = RPC_HEADER_LEN + 4, .program = RPC_PROGRAM_REMOTE, .version = 1,
		.procedure = (int32_t)rpc_proc_by_name("storage_vol_upload")->number, .type = RPC_STREAM, .serial = 77,
		.status = RPC_STATUS_CONTINUE };
	uint8_t packet[RPC_HEADER_LEN + 4] = { 0 };
	int fd = open_as("alice");

	(void)state;
	rpc_header_put(packet, &header);
	client_send_raw(fd, packet, sizeof(packet));
	expect_info_works(fd, 2);
	assert_int_equal(harness_num_forwarded(), 1);
	close(fd);
}

/* The gate's own word to a client comes behind the message that is on its way to him, however slowly that comes. */
static void
test_I16_nothing_comes_into_the_middle_of_a_packet(void **state)
{
	static struct message answer;
	uint8_t body[64], half[RPC_HEADER_LEN + 4];
	struct xdr_out out;
	int fd = open_as("alice");

	(void)state;
	xdr_out_init(&out, body, sizeof(body));
	xdr_put_raw(&out, body, put_domain(body, "web-1", uuid_web1, 1));
	xdr_put_u32(&out, 0);		/* screen */
	xdr_put_u32(&out, 0);		/* flags */
	client_send(fd, "domain_screenshot", 2, body, out.len);
	assert_true(client_receive(fd, &answer));
	expect_ok(&answer);
	assert_int_equal(recv(fd, half, sizeof(half), MSG_PEEK | MSG_WAITALL), sizeof(half));
	/* refused, and answered by the gate alone */
	client_send(fd, "domain_undefine", 3, body, put_domain(body, "web-1", uuid_web1, 1));
	harness_expect_record("domain.undefine", "denied");
	client_send(fd, "domain_get_info", 4, body, put_domain(body, "web-1", uuid_web1, 1));
	assert_true(client_receive(fd, &answer));
	assert_int_equal(answer.header.type, RPC_STREAM);
	assert_int_equal(answer.header.serial, 2);
	assert_memory_equal(answer.body, "halfrest", 8);
	assert_true(client_receive(fd, &answer));
	assert_int_equal(answer.header.serial, 3);
	expect_error(&answer, RPC_ERR_ACCESS_DENIED, "access denied");
	assert_true(client_receive(fd, &answer));
	assert_int_equal(answer.header.serial, 4);
	expect_ok(&answer);
	close(fd);
}

static void
test_I10_no_second_authentication(void **state)
{
	struct message answer;
	int fd = open_as("alice");

	(void)state;
	client_call(fd, "auth_list", 2, NULL, 0, &answer);
	expect_ok(&answer);
	assert_memory_equal(answer.body, "\0\0\0\1\0\0\0\0", 8);
	client_call(fd, "auth_sasl_init", 3, NULL, 0, &answer);
	expect_error(&answer, RPC_ERR_AUTH_FAILED, "authentication failed");
	client_expect_end(fd);
}

/* Returns when the gate has read everything that was sent. */
static void
wait_taken(int fd)
{
	int waiting = 1;

	for (int i = 0; i < 60000 && waiting != 0; i++) {
		assert_int_equal(ioctl(fd, SIOCOUTQ, &waiting), 0);
		if (waiting != 0)
			poll(NULL, 0, 1);
	}
	assert_int_equal(waiting, 0);
}

static void
test_messages_split_at_every_byte(void **state)
{
	const struct rpc_proc *proc = rpc_proc_by_name("domain_get_info");
	uint8_t message[RPC_HEADER_LEN + 1024];
	size_t len = RPC_HEADER_LEN + put_domain(message + RPC_HEADER_LEN, "web-1", uuid_web1, 1);
	struct rpc_header header = { .length = (uint32_t)len, .program = proc->program, .version = 1, .procedure = (int32_t)proc->number,
		.type = RPC_CALL };
	struct message answer;
	int fd = open_as("alice");

	(void)state;
	for (size_t split = 1; split < len; split++) {
		header.serial = (uint32_t)(100 + split);
		rpc_header_put(message, &header);
		client_send_raw(fd, message, split);
		wait_taken(fd);
		client_send_raw(fd, message + split, len - split);
		assert_true(client_receive(fd, &answer));
		expect_ok(&answer);
		assert_int_equal(answer.header.serial, header.serial);
	}
	close(fd);
}

static void
test_I21_more_calls_than_slots(void **state)
{
	uint8_t body[1024];
	size_t len = put_domain(body, "web-1", uuid_web1, 1);
	struct message answer;
	int fd = open_as("alice");

	(void)state;
	for (uint32_t serial = 2; serial < 42; serial++)
		client_send(fd, "domain_get_info", serial, body, len);
	for (uint32_t serial = 2; serial < 42; serial++) {
		assert_true(client_receive(fd, &answer));
		expect_ok(&answer);
	}
	close(fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_client_that_stays_silent_is_ended),
		TEST(test_I20_libvirtd_that_breaks_the_protocol),
		TEST(test_I84_libvirtd_goes_away_during_a_call),
		TEST(test_I15_client_messages_that_close),
		TEST(test_I15_serial_in_flight_is_not_reused),
		TEST(test_I19_arguments_that_do_not_decode),
		TEST(test_I16_stream_packets_without_a_stream),
		TEST(test_I16_nothing_comes_into_the_middle_of_a_packet),
		TEST(test_I10_no_second_authentication),
		TEST(test_messages_split_at_every_byte),
		TEST(test_I21_more_calls_than_slots),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
