/*
 * What does the gate answer to the web front about the trail, and about a draft of a policy? The reader is played by the test, but for the last one.
 */
#include <ftw.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "gateway/core/link.h"
#include "proto/virtgate.h"
#include "tests/bench/trail.h"
#include "tests/session/browser.h"

#define MAX_OPEN 8	/* directories, while one walks through them */

static void
run_reader(struct process *process)
{
	reader_main(process);
}

/* The question that reached the reader that the test plays. */
static json_t *
take_question(int reader, uint64_t *ticket)
{
	static uint8_t packet[4 + LINK_MAX_BODY];
	ssize_t len = recv(reader, packet, sizeof(packet), 0);
	uint32_t type;

	assert_true(len > 12);
	memcpy(&type, packet, sizeof(type));
	assert_int_equal(type, LINK_ASK);
	memcpy(ticket, packet + 4, sizeof(*ticket));
	return json_loadb((const char *)packet + 12, (size_t)len - 12, 0, NULL);
}

static void
send_answer(int reader, uint64_t ticket, enum link_answer_kind kind, const char *text)
{
	struct link_answer head = { .ticket = ticket, .kind = kind };
	const uint32_t type = LINK_ANSWER;
	uint8_t packet[1024];
	size_t len = 4 + sizeof(head) + strlen(text);

	memcpy(packet, &type, 4);
	memcpy(packet + 4, &head, sizeof(head));
	memcpy(packet + 4 + sizeof(head), text, strlen(text));
	assert_int_equal(send(reader, packet, len, MSG_NOSIGNAL), (ssize_t)len);
}

static void
test_the_trail_takes_audit_read(void **state)
{
	static const struct { const char *question, *code; } rows[] = { { "{\"verb\":\"audit.search\"}", "VG5006W" },
		{ "{\"verb\":\"audit.show\",\"id\":\"1\"}", "VG5007W" }, { "{\"verb\":\"audit.state\"}", "VG5008W" },
		{ "{\"verb\":\"audit.export\",\"format\":\"cef\"}", "VG5009W" } };
	int reader = harness_reader(), fd = browser_open("alice");
	struct pollfd wait = { .fd = reader, .events = POLLIN };

	(void)state;
	for (uint32_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		browser_expect_refused(fd, i + 2, rows[i].question, RPC_ERR_ACCESS_DENIED, "access denied: 'audit:read' on this host (decision ");
		harness_expect_record(rows[i].code, "audit:read");
	}
	assert_int_equal(poll(&wait, 1, 0), 0);		/* it was asked nothing */
	close(fd);
	close(reader);
}

static void
test_a_question_waits_and_others_do_not(void **state)
{
	static struct message answer;
	int reader = harness_reader(), fd = browser_open("carol");
	uint64_t ticket, second;
	json_t *question, *json;

	(void)state;
	web_send(fd, 2, "{\"verb\":\"audit.search\",\"user\":\"alice\",\"limit\":5}");
	question = take_question(reader, &ticket);
	assert_string_equal(browser_text(question, "user"), "alice");
	json_decref(question);
	web_send(fd, 3, "{\"verb\":\"audit.state\"}");
	json_decref(take_question(reader, &second));
	/* meanwhile everything else goes on, and answers come in any order */
	json_decref(web_ask(fd, 4, "{\"verb\":\"me\"}"));
	send_answer(reader, second, ANSWER_LAST, "{\"state\":\"whole\"}");
	assert_true(client_receive(fd, &answer));
	assert_int_equal(answer.header.serial, 3);
	send_answer(reader, ticket + 1000, ANSWER_LAST, "{}");		/* nobody's */
	send_answer(reader, ticket, ANSWER_PIECE, "{\"records\":[");
	send_answer(reader, ticket, ANSWER_PIECE, "");
	send_answer(reader, ticket, ANSWER_LAST, "7]}");
	assert_true(client_receive(fd, &answer));
	assert_int_equal(answer.header.serial, 2);
	json = web_json(&answer);
	assert_int_equal(json_integer_value(json_array_get(json_object_get(json, "records"), 0)), 7);
	json_decref(json);
	/* one that makes no sense */
	web_send(fd, 5, "{\"verb\":\"audit.search\",\"limit\":-1}");
	json_decref(take_question(reader, &ticket));
	send_answer(reader, ticket, ANSWER_REFUSED, "\"limit\" must be a number");
	assert_true(client_receive(fd, &answer));
	expect_error(&answer, RPC_ERR_INVALID_ARG, "invalid argument: \"limit\" must be a number");
	close(fd);
	close(reader);
}

/* A question that waits does not stand in the way of CONNECT_OPEN, which comes after it. */
static void
test_a_question_waits_while_the_connection_opens(void **state)
{
	static struct message answer;
	int reader = harness_reader(), fd = web_connect("carol");
	uint64_t ticket;

	(void)state;
	web_send(fd, 7, "{\"verb\":\"audit.search\"}");
	json_decref(take_question(reader, &ticket));
	client_open(fd);
	assert_true(browser_may(fd, 8, "web-1", NULL, "domain:read"));
	send_answer(reader, ticket, ANSWER_LAST, "{}");
	assert_true(client_receive(fd, &answer));
	assert_int_equal(answer.header.serial, 7);
	json_decref(web_json(&answer));
	close(fd);
	close(reader);
}

static void
test_who_leaves_is_forgotten(void **state)
{
	int reader = harness_reader(), fd = browser_open("carol");
	uint64_t ticket;

	(void)state;
	web_send(fd, 2, "{\"verb\":\"audit.search\"}");
	json_decref(take_question(reader, &ticket));
	close(fd);
	harness_expect_record("session.logout", "carol");
	send_answer(reader, ticket, ANSWER_PIECE, "{");
	send_answer(reader, ticket, ANSWER_LAST, "}");
	fd = browser_open("carol");
	json_decref(web_ask(fd, 2, "{\"verb\":\"me\"}"));
	close(fd);
	close(reader);
}

static void
test_a_reader_that_is_away(void **state)
{
	static struct message answer;
	int fd = browser_open("carol"), reader;
	uint64_t ticket;

	(void)state;
	browser_expect_refused(fd, 2, "{\"verb\":\"audit.search\"}", RPC_ERR_INTERNAL, "the audit reader is away");
	reader = harness_reader();
	web_send(fd, 3, "{\"verb\":\"audit.search\"}");
	for (;;) {	/* the gate may not have heard of it yet */
		struct pollfd both[] = { { .fd = reader, .events = POLLIN }, { .fd = fd, .events = POLLIN } };

		assert_true(poll(both, 2, 60000) > 0);
		if (both[0].revents != 0)
			break;
		assert_true(client_receive(fd, &answer));
		web_send(fd, 3, "{\"verb\":\"audit.search\"}");
	}
	json_decref(take_question(reader, &ticket));
	close(reader);
	assert_true(client_receive(fd, &answer));
	expect_error(&answer, RPC_ERR_INTERNAL, "the audit reader ended before it answered");
	browser_expect_refused(fd, 4, "{\"verb\":\"audit.search\"}", RPC_ERR_INTERNAL, "the audit reader is away");
	close(fd);
}

static void
test_I11_right_that_ends_before_the_answer(void **state)
{
	static const char less[] = "{ \"version\": 1, \"bindings\": ["
	    "{ \"id\": \"look\", \"who\": [\"sasl:carol\"], \"role\": \"viewer\", \"on\": [\"*\"] } ] }";
	static struct message answer;
	int reader = harness_reader(), fd = browser_open("carol");
	uint64_t ticket;
	char *told;

	(void)state;
	web_send(fd, 2, "{\"verb\":\"audit.search\"}");
	json_decref(take_question(reader, &ticket));
	told = harness_reload(less);
	assert_string_equal(told, "");
	free(told);
	assert_true(client_receive(fd, &answer));
	assert_non_null(virtgate_event(&answer.header));	/* its page is told */
	send_answer(reader, ticket, ANSWER_LAST, "{\"records\":[\"secret\"]}");
	assert_true(browser_receive(fd, &answer));
	expect_error(&answer, RPC_ERR_ACCESS_DENIED, "'audit:read'");
	close(fd);
	close(reader);
}

static void
test_an_export_is_on_record_once(void **state)
{
	static struct message answer;
	int reader = harness_reader(), fd = browser_open("carol");
	uint64_t ticket;

	(void)state;
	web_send(fd, 2, "{\"verb\":\"audit.export\",\"format\":\"jsonl\",\"after\":7}");
	json_decref(take_question(reader, &ticket));
	send_answer(reader, ticket, ANSWER_LAST, "{}");
	assert_true(client_receive(fd, &answer));
	assert_false(harness_has_record("VG5009I", "audit"));
	web_send(fd, 3, "{\"verb\":\"audit.export\",\"format\":\"jsonl\",\"user\":\"alice\"}");
	json_decref(take_question(reader, &ticket));
	send_answer(reader, ticket, ANSWER_LAST, "{}");
	assert_true(client_receive(fd, &answer));
	harness_expect_record("VG5009I", "args={\"format\":\"jsonl\",\"user\":\"alice\"}");
	close(fd);
	close(reader);
}

/* ---- the policy ---- */

static void
test_the_policy_takes_policy_read(void **state)
{
	static const struct { const char *question, *code; } rows[] = { { "{\"verb\":\"policy.show\"}", "VG5010W" },
		{ "{\"verb\":\"policy.check\",\"draft\":\"{}\"}", "VG5011W" }, { "{\"verb\":\"policy.diff\",\"draft\":\"{}\"}", "VG5012W" },
		{ "{\"verb\":\"policy.replay\",\"draft\":\"{}\"}", "VG5013W" } };
	int reader = harness_reader(), fd = browser_open("alice");
	struct pollfd wait = { .fd = reader, .events = POLLIN };
	json_t *answer;

	(void)state;
	for (uint32_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		browser_expect_refused(fd, i + 2, rows[i].question, RPC_ERR_ACCESS_DENIED, "access denied: 'policy:read' on this host (decision ");
		harness_expect_record(rows[i].code, "policy:read");
	}
	assert_int_equal(poll(&wait, 1, 0), 0);		/* it was asked nothing */
	close(fd);
	fd = browser_open("carol");
	answer = web_ask(fd, 2, "{\"verb\":\"policy.show\"}");
	assert_string_equal(browser_text(answer, "text"), browser_policy);
	assert_string_equal(json_string_value(json_array_get(json_object_get(answer, "roles"), 0)), "viewer");
	json_decref(answer);
	close(fd);
	close(reader);
}

/* The whole of a question that came in pieces. */
static json_t *
take_pieces(int reader, uint64_t *ticket, unsigned *num)
{
	static uint8_t packet[4 + LINK_MAX_BODY];
	static char all[LINK_ASK_MAX];
	size_t used = 0;

	*num = 0;
	do {
		ssize_t len = recv(reader, packet, sizeof(packet), 0);

		assert_true(len > 12);
		memcpy(ticket, packet + 4, sizeof(*ticket));
		memcpy(all + used, packet + 12, (size_t)len - 12);
		used += (size_t)len - 12;
		++*num;
	} while (*ticket == LINK_ASK_PIECE);
	return json_loadb(all, used, 0, NULL);
}

static void
test_a_draft_goes_to_the_reader(void **state)
{
	static char text[80u * 1024u];
	static struct message reply;
	int reader = harness_reader(), fd = browser_open("carol");
	json_t *question, *answer, *sent;
	uint64_t ticket;
	unsigned num;
	char *asked;

	(void)state;
	/* with the policy in force, and what is long in pieces */
	memset(text, '"', 63u * 1024u);	/* twice as long in JSON */
	text[63u * 1024u] = '\0';
	sent = json_pack("{s:s, s:s, s:i, s:s}", "verb", "policy.replay", "draft", text, "days", 3, "policy", "a lie");
	asked = json_dumps(sent, JSON_COMPACT);
	web_send(fd, 2, asked);
	question = take_pieces(reader, &ticket, &num);
	assert_int_equal(num, 2);
	assert_string_equal(browser_text(question, "draft"), text);
	assert_string_equal(browser_text(question, "policy"), browser_policy);
	assert_int_equal(json_integer_value(json_object_get(question, "days")), 3);
	json_decref(question);
	send_answer(reader, ticket, ANSWER_LAST, "{\"decisions\":5}");
	assert_true(client_receive(fd, &reply));
	answer = web_json(&reply);
	assert_int_equal(json_integer_value(json_object_get(answer, "decisions")), 5);
	json_decref(answer);
	json_decref(sent);
	free(asked);
	/* what only the gate can say of it goes along */
	web_send(fd, 3, "{\"verb\":\"policy.check\",\"draft\":\"{\\\"version\\\":1,\\\"bindings\\\":[],\\n\\\"rules\\\":[{\\\"id\\\":\\\"r\\\",\\\"class\\\":"
	    "\\\"domain\\\",\\\"must\\\":\\\"not(]\\\",\\\"message\\\":\\\"m\\\"}]}\"}");
	question = take_pieces(reader, &ticket, &num);
	assert_non_null(strstr(browser_text(json_object_get(question, "also"), "what"), "draft:2: "));
	json_decref(question);
	send_answer(reader, ticket, ANSWER_REFUSED, "no");
	assert_true(client_receive(fd, &reply));
	expect_error(&reply, RPC_ERR_INVALID_ARG, "invalid argument: no");
	/* too long, and none */
	memset(text, ' ', 65u * 1024u);
	text[65u * 1024u] = '\0';
	sent = json_pack("{s:s, s:s}", "verb", "policy.diff", "draft", text);
	asked = json_dumps(sent, JSON_COMPACT);
	browser_expect_refused(fd, 4, asked, RPC_ERR_INVALID_ARG, "at most 65536 bytes");
	browser_expect_refused(fd, 5, "{\"verb\":\"policy.diff\"}", RPC_ERR_INVALID_ARG, "needs \"draft\"");
	json_decref(sent);
	free(asked);
	close(reader);
	close(fd);
}

static void
test_a_replay_takes_audit_read_too(void **state)
{
	static const char only[] = "{ \"version\": 1, \"roles\": { \"r\": { \"include\": [\"viewer\"], \"allow\": [\"policy:read\"] } }, \"bindings\": ["
	    "{ \"id\": \"c\", \"who\": [\"sasl:carol\"], \"role\": \"r\", \"on\": [\"*\"] } ] }";
	static struct message reply;
	int reader = harness_reader(), fd = browser_open("carol");
	uint64_t ticket;
	unsigned num;

	(void)state;
	free(harness_reload(only));
	web_send(fd, 2, "{\"verb\":\"policy.replay\",\"draft\":\"{}\"}");
	assert_true(browser_receive(fd, &reply));
	expect_error(&reply, RPC_ERR_ACCESS_DENIED, "access denied: 'audit:read' on this host");
	/* and what had begun is not shown any more */
	free(harness_reload(browser_policy));
	web_send(fd, 3, "{\"verb\":\"policy.replay\",\"draft\":\"{}\"}");
	json_decref(take_pieces(reader, &ticket, &num));
	free(harness_reload(only));
	send_answer(reader, ticket, ANSWER_LAST, "{\"changes\":[\"secret\"]}");
	assert_true(browser_receive(fd, &reply));
	expect_error(&reply, RPC_ERR_ACCESS_DENIED, "'audit:read'");
	close(fd);
	close(reader);
}

/* As root the reader becomes somebody else. */
static int
let_everybody(const char *path, const struct stat *status, int kind, struct FTW *place)
{
	(void)place;
	return chmod(path, status->st_mode | (kind == FTW_D ? 0777 : 0666));
}

static int
remove_one(const char *path, const struct stat *status, int kind, struct FTW *place)
{
	(void)status;
	(void)kind;
	(void)place;
	return remove(path);
}

static void
test_the_real_reader_answers(void **state)
{
	const struct trail_plan plan = { .records = 300, .users = 10, .objects = 30, .per_day = 100, .segment_bytes = 100000 };
	char dir[] = "/tmp/virtgate-trail-XXXXXX", path[64];
	int fd = browser_open("carol");
	json_t *answer;

	(void)state;
	assert_non_null(mkdtemp(dir));
	trail_make(dir, &plan);
	(void)snprintf(path, sizeof(path), "%s/audit-index", dir);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(nftw(dir, let_everybody, MAX_OPEN, FTW_PHYS), 0);
	harness_start_reader(run_reader, dir, dir);
	answer = web_ask(fd, 2, "{\"verb\":\"audit.search\",\"limit\":3,\"result\":\"denied\"}");
	assert_int_equal(json_array_size(json_object_get(answer, "records")), 3);
	assert_int_equal(json_integer_value(json_object_get(json_array_get(json_object_get(answer, "records"), 0), "seq")), 276);
	json_decref(answer);
	answer = web_ask(fd, 3, "{\"verb\":\"audit.show\",\"id\":\"300\"}");
	assert_int_equal(json_array_size(json_object_get(answer, "records")), 1);
	json_decref(answer);
	answer = web_ask(fd, 4, "{\"verb\":\"audit.export\",\"format\":\"rfc5424\",\"after\":290}");
	assert_non_null(strstr(browser_text(answer, "text"), "[virtgate@32473 seq=\"291\""));
	assert_true(json_is_null(json_object_get(answer, "next")));
	json_decref(answer);
	for (uint32_t serial = 5;; serial++) {
		bool whole;

		answer = web_ask(fd, serial, "{\"verb\":\"audit.state\"}");
		whole = strcmp(browser_text(answer, "state"), "whole") == 0;
		if (!whole)
			assert_string_equal(browser_text(answer, "state"), "checking");
		else
			assert_int_equal(json_integer_value(json_object_get(answer, "records")), 300);
		json_decref(answer);
		if (whole)
			break;
		poll(NULL, 0, 20);
	}
	browser_expect_refused(fd, 1000, "{\"verb\":\"audit.search\",\"limit\":0}", RPC_ERR_INVALID_ARG, "\"limit\" must be");
	close(fd);
	assert_int_equal(nftw(dir, remove_one, MAX_OPEN, FTW_DEPTH | FTW_PHYS), 0);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, browser_setup, browser_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_the_trail_takes_audit_read), TEST(test_a_question_waits_and_others_do_not),
		TEST(test_a_question_waits_while_the_connection_opens), TEST(test_who_leaves_is_forgotten), TEST(test_a_reader_that_is_away),
		TEST(test_I11_right_that_ends_before_the_answer), TEST(test_an_export_is_on_record_once), TEST(test_the_policy_takes_policy_read),
		TEST(test_a_draft_goes_to_the_reader), TEST(test_a_replay_takes_audit_read_too), TEST(test_the_real_reader_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
