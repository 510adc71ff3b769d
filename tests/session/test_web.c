/*
 * What does the gate answer to the web front, beyond libvirt's protocol? The program VIRTGATE, against a real gate process: who may ask, what he may, and sessions.
 */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "proto/virtgate.h"
#include "tests/session/browser.h"

static void
test_only_the_web_front_may_ask(void **state)
{
	int fd = client_connect("root");

	(void)state;
	client_open(fd);
	browser_expect_refused(fd, 2, "{\"verb\":\"me\"}", RPC_ERR_RPC, "unknown procedure: 1");
	harness_expect_record("session.refused_program", "0x56475447");
	close(fd);
	assert_int_equal(harness_num_forwarded(), 0);
}

static void
test_other_procedures_and_versions_are_unknown(void **state)
{
	const struct { uint32_t version; int32_t procedure; } rows[] = { { 1, 2 }, { 1, 0 }, { 2, 1 } };
	static struct message answer;
	int fd = browser_open("root");

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct rpc_header header = { .program = RPC_PROGRAM_VIRTGATE, .version = rows[i].version, .procedure = rows[i].procedure,
			.type = RPC_CALL, .serial = 2 };
		size_t len;
		uint8_t *message = virtgate_put(&header, "{\"verb\":\"me\"}", 13, &len);

		client_send_raw(fd, message, len);
		free(message);
		assert_true(client_receive(fd, &answer));
		expect_error(&answer, RPC_ERR_RPC, "unknown procedure");
	}
	close(fd);
}

static void
test_bad_questions(void **state)
{
	static const char *const bad[] = { "", "[]", "7", "{", "{}", "{\"verb\":7}", "{\"verb\":\"me\",\"verb\":\"me\"}", "{\"verb\":\"\xff\"}",
		"{\"verb\":\"reload\"}", "{\"verb\":\"may\"}", "{\"verb\":\"may\",\"objects\":[7],\"permissions\":[]}",
		"{\"verb\":\"may\",\"objects\":[{\"class\":\"domain\"}],\"permissions\":[]}",
		"{\"verb\":\"may\",\"objects\":[{\"class\":\"audit\",\"name\":\"x\"}],\"permissions\":[]}",
		"{\"verb\":\"may\",\"objects\":[{\"class\":\"domain\",\"uuid\":\"x\"}],\"permissions\":[]}",
		"{\"verb\":\"may\",\"objects\":[{\"class\":\"storage_vol\",\"name\":\"x\"}],\"permissions\":[]}",
		"{\"verb\":\"may\",\"objects\":[],\"permissions\":[\"domain:strat\"]}", "{\"verb\":\"may\",\"objects\":[],\"permissions\":[7]}",
		"{\"verb\":\"can\"}", "{\"verb\":\"can\",\"permission\":\"domain:start\",\"object\":\"web-1\"}", "{\"verb\":\"kill\"}",
		"{\"verb\":\"kill\",\"id\":7}" };
	int fd = browser_open("root");

	(void)state;
	for (uint32_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		browser_expect_refused(fd, i + 2, bad[i], RPC_ERR_INVALID_ARG, "invalid argument: ");
	json_decref(web_ask(fd, 100, "{\"verb\":\"me\"}"));
	close(fd);
}

static void
test_more_objects_than_may_be_asked_for(void **state)
{
	json_t *objects = json_array(), *question, *answer;
	int fd = browser_open("root");
	char *text;

	(void)state;
	for (int i = 0; i < 1000; i++)
		json_array_append_new(objects, json_pack("{s:s, s:s}", "class", "domain", "name", i % 2 == 0 ? "web-1" : "gone"));
	question = json_pack("{s:s, s:o, s:[s]}", "verb", "may", "objects", objects, "permissions", "domain:start");
	text = json_dumps(question, 0);
	answer = web_ask(fd, 2, text);
	assert_int_equal(json_array_size(json_object_get(answer, "may")), 1000);
	for (size_t i = 0; i < 1000; i++)
		assert_int_equal(json_is_true(json_object_get(json_array_get(json_object_get(answer, "may"), i), "domain:start")), i % 2 == 0);
	json_decref(answer);
	free(text);
	json_array_append_new(objects, json_pack("{s:s, s:s}", "class", "domain", "name", "web-1"));
	text = json_dumps(question, 0);
	browser_expect_refused(fd, 3, text, RPC_ERR_INVALID_ARG, "at most 1000");
	free(text);
	json_decref(question);
	close(fd);
}

static void
test_a_question_that_is_no_string_ends_the_session(void **state)
{
	const struct rpc_header header = { .length = RPC_HEADER_LEN + 4, .program = RPC_PROGRAM_VIRTGATE, .version = 1, .procedure = 1,
		.type = RPC_CALL, .serial = 2 };
	uint8_t message[RPC_HEADER_LEN + 4] = { 0 };
	int fd = browser_open("root");

	(void)state;
	rpc_header_put(message, &header);
	message[RPC_HEADER_LEN + 3] = 200;
	client_send_raw(fd, message, sizeof(message));
	client_expect_end(fd);
	harness_expect_record("session.protocol", "does not decode");
}

static void
test_me(void **state)
{
	int fd = web_connect("alice");
	json_t *me = web_ask(fd, 1, "{\"verb\":\"me\"}"), *bindings = json_object_get(me, "bindings"), *web = json_array_get(bindings, 0);

	(void)state;
	/* also before CONNECT_OPEN: who he is does not hang on libvirtd */
	assert_string_equal(browser_text(me, "name"), "alice");
	assert_string_equal(browser_text(me, "sasl"), "alice");
	assert_true(json_is_null(json_object_get(me, "x509")));
	assert_string_equal(browser_text(me, "address"), "192.0.2.8");
	assert_string_equal(browser_text(me, "mode"), "enforce");
	assert_int_equal(json_array_size(json_object_get(me, "proofs")), 1);
	assert_string_equal(json_string_value(json_array_get(json_object_get(me, "proofs"), 0)), "sasl");
	assert_int_equal(json_array_size(bindings), 2);
	assert_string_equal(browser_text(web, "id"), "web");
	assert_string_equal(browser_text(web, "role"), "operator");
	assert_string_equal(browser_text(web, "until"), "2199-01-01T00:00:00Z");
	assert_string_equal(browser_text(web, "mode"), "enforce");
	assert_string_equal(json_string_value(json_array_get(json_object_get(web, "on"), 0)), "domain:web-*");
	assert_true(json_is_true(json_object_get(web, "now")));
	assert_true(json_is_false(json_object_get(json_array_get(bindings, 1), "now")));
	assert_int_equal(json_object_size(json_object_get(me, "permissions")), 5);
	assert_true(json_is_false(json_object_get(json_object_get(me, "permissions"), "audit:read")));
	json_decref(me);
	close(fd);
	fd = web_connect("carol");
	me = web_ask(fd, 1, "{\"verb\":\"me\"}");
	assert_true(json_is_true(json_object_get(json_object_get(me, "permissions"), "audit:read")));
	assert_true(json_is_false(json_object_get(json_object_get(me, "permissions"), "session:kill")));
	json_decref(me);
	close(fd);
}

static void
test_may_is_what_the_call_would_say(void **state)
{
	static const struct { const char *call, *permission; } calls[] = { { "domain_get_info", "domain:read" }, { "domain_is_active", "domain:read" },
		{ "domain_create", "domain:start" }, { "domain_suspend", "domain:suspend" }, { "domain_resume", "domain:suspend" },
		{ "domain_destroy", "domain:stop" }, { "domain_undefine", "domain:delete" } };
	static const char *const users[] = { "alice", "root", "bob", "carol" };
	const struct { const char *name; const uint8_t *uuid; int32_t id; } guests[] = { { "web-1", uuid_web1, 1 }, { "web-2", uuid_web2, -1 },
		{ "db-1", uuid_db1, 3 } };
	size_t yes = 0, no = 0;
	uint8_t body[1024];

	(void)state;
	for (size_t u = 0; u < sizeof(users) / sizeof(users[0]); u++) {
		int fd = browser_open(users[u]);
		uint32_t serial = 2;

		for (size_t g = 0; g < sizeof(guests) / sizeof(guests[0]); g++) {
			for (size_t c = 0; c < sizeof(calls) / sizeof(calls[0]); c++) {
				static struct message answer;
				struct rpc_error error = { .code = 0 };
				bool by_uuid = browser_may(fd, serial++, NULL, guests[g].uuid, calls[c].permission);

				assert_int_equal(browser_may(fd, serial++, guests[g].name, NULL, calls[c].permission), by_uuid);
				assert_int_equal(browser_may(fd, serial++, guests[g].name, guests[g].uuid, calls[c].permission), by_uuid);
				client_call(fd, calls[c].call, serial++, body, put_domain(body, guests[g].name, guests[g].uuid, guests[g].id), &answer);
				if (answer.header.status != RPC_STATUS_OK)
					rpc_get_error(answer.body, answer.len, &error);
				if (by_uuid != (error.code != RPC_ERR_ACCESS_DENIED && error.code != RPC_ERR_NO_DOMAIN))
					fail_msg("%s: %s on %s: may says %d, the call answers %d '%s'", users[u], calls[c].permission,
					    guests[g].name, by_uuid, error.code, error.message);
				yes += by_uuid;
				no += !by_uuid;
			}
		}
		close(fd);
	}
	assert_true(yes > 10 && no > 10);
}

static void
test_I66_may_of_what_does_not_belong_together(void **state)
{
	static const uint8_t nobody[16] = { 9 };
	int fd = browser_open("root");

	(void)state;
	assert_true(browser_may(fd, 2, "web-1", uuid_web1, "domain:start"));
	assert_false(browser_may(fd, 3, "web-2", uuid_web1, "domain:start"));
	assert_false(browser_may(fd, 4, "web-1", nobody, "domain:start"));
	assert_false(browser_may(fd, 5, NULL, nobody, "domain:start"));
	assert_false(browser_may(fd, 6, "gone", NULL, "domain:start"));
	/* renamed: the old name is nobody's any more */
	harness_event("web-9", uuid_web1);
	for (uint32_t serial = 7; !browser_may(fd, serial, "web-9", uuid_web1, "domain:start"); serial++)
		poll(NULL, 0, 10);
	assert_false(browser_may(fd, 1000, "web-1", uuid_web1, "domain:start"));
	assert_false(browser_may(fd, 1001, "web-1", NULL, "domain:start"));
	close(fd);
}

static void
test_may_needs_an_open_connection(void **state)
{
	int fd = web_connect("root");

	(void)state;
	browser_expect_refused(fd, 1, "{\"verb\":\"may\",\"objects\":[],\"permissions\":[]}", RPC_ERR_INTERNAL, "connection not open");
	close(fd);
}

static void
test_can_says_what_the_command_line_says(void **state)
{
	int fd = browser_open("alice");
	json_t *answer = web_ask(fd, 2, "{\"verb\":\"can\",\"permission\":\"domain:start\",\"object\":\"domain:web-1\",\"explain\":true}"), *bindings;

	(void)state;
	assert_string_equal(browser_text(answer, "verdict"), "allow");
	assert_string_equal(browser_text(answer, "binding"), "web");
	assert_string_equal(browser_text(answer, "text"), "yes: binding 'web'");
	bindings = json_object_get(answer, "bindings");
	/* of the five only those about her: who else is in the policy is not hers to know */
	assert_int_equal(json_array_size(bindings), 2);
	assert_string_equal(browser_text(json_array_get(bindings, 0), "why"), "its role 'operator' allows domain:start");
	assert_string_equal(browser_text(json_array_get(bindings, 1), "why"), "it asks for proof by certificate");
	json_decref(answer);
	answer = web_ask(fd, 3, "{\"verb\":\"can\",\"permission\":\"domain:delete\",\"object\":\"domain:web-1\"}");
	assert_string_equal(browser_text(answer, "text"), "no: no binding allows it");
	assert_null(json_object_get(answer, "bindings"));
	json_decref(answer);
	/* a UUID that she does not see is not told by which name it goes */
	answer = web_ask(fd, 4, "{\"verb\":\"can\",\"permission\":\"domain:start\",\"object\":\"domain:uuid:33030000-0000-0000-0000-000000000000\",\"explain\":true}");
	assert_string_equal(browser_text(json_array_get(json_object_get(answer, "bindings"), 0), "why"), "it is not on domain '(name not known)'");
	json_decref(answer);
	close(fd);
}

static void
test_can_about_others_takes_policy_read(void **state)
{
	static const char question[] = "{\"verb\":\"can\",\"user\":\"sasl:alice\",\"permission\":\"domain:start\",\"object\":\"domain:web-1\",\"explain\":true}";
	int fd = browser_open("alice");
	json_t *answer;

	(void)state;
	browser_expect_refused(fd, 2, question, RPC_ERR_ACCESS_DENIED, "access denied: 'policy:read' on this host (decision ");
	harness_expect_record("VG5003W", "policy:read");
	close(fd);
	fd = browser_open("carol");
	answer = web_ask(fd, 2, question);
	assert_string_equal(browser_text(answer, "text"), "yes: binding 'web'");
	assert_int_equal(json_array_size(json_object_get(answer, "bindings")), 5);
	json_decref(answer);
	close(fd);
}

static void
test_who_can_is_everybody_of_every_binding(void **state)
{
	static const char question[] = "{\"verb\":\"who-can\",\"permission\":\"domain:start\",\"object\":\"domain:web-1\"}";
	static const char *const expected[][4] = {	/* bob and carol only look */
		{ "sasl:alice", "web", "allow", "until 2199-01-01T00:00:00Z" }, { "sasl:alice", "never", "allow", "proof x509" },
		{ "sasl:root", "all", "allow", "" } };
	int fd = browser_open("alice");
	json_t *answer, *people;

	(void)state;
	browser_expect_refused(fd, 2, question, RPC_ERR_ACCESS_DENIED, "access denied: 'policy:read' on this host (decision ");
	close(fd);
	fd = browser_open("carol");
	answer = web_ask(fd, 2, question);
	people = json_object_get(answer, "people");
	assert_int_equal(json_array_size(people), sizeof(expected) / sizeof(expected[0]));
	for (size_t i = 0; i < json_array_size(people); i++) {
		const json_t *one = json_array_get(people, i);

		assert_string_equal(browser_text(one, "who"), expected[i][0]);
		assert_string_equal(browser_text(one, "binding"), expected[i][1]);
		assert_string_equal(browser_text(one, "verdict"), expected[i][2]);
		assert_string_equal(browser_text(one, "when"), expected[i][3]);
	}
	assert_string_equal(browser_text(answer, "mode"), "enforce");
	json_decref(answer);
	browser_expect_refused(fd, 3, "{\"verb\":\"who-can\",\"permission\":\"domain:start\"}", RPC_ERR_INVALID_ARG, "are needed");
	browser_expect_refused(fd, 4, "{\"verb\":\"who-can\",\"permission\":\"domain:strat\",\"object\":\"*\"}", RPC_ERR_INVALID_ARG, "domain:strat");
	close(fd);
}

static size_t
num_sessions(int fd, uint32_t serial, const char *other, char *id, size_t size)
{
	json_t *answer = web_ask(fd, serial, "{\"verb\":\"sessions\"}"), *item;
	size_t num = json_array_size(json_object_get(answer, "sessions")), i;

	json_array_foreach(json_object_get(answer, "sessions"), i, item)
		if (strcmp(browser_text(item, "user"), other) == 0)
			(void)snprintf(id, size, "%s", browser_text(item, "id"));
	json_decref(answer);
	return num;
}

static void
test_sessions_and_kill(void **state)
{
	int bob = browser_open("bob"), root = browser_open("root"), alice = client_connect("alice"), bob2 = browser_open("bob");
	char id[64] = "", own[64] = "", question[128];
	json_t *answer;

	(void)state;
	client_open(alice);
	assert_int_equal(num_sessions(root, 2, "alice", id, sizeof(id)), 4);
	assert_true(strlen(id) > 10);
	assert_int_equal(num_sessions(bob, 2, "bob", own, sizeof(own)), 2);

	/* somebody else's and nobody's are denied alike */
	(void)snprintf(question, sizeof(question), "{\"verb\":\"kill\",\"id\":\"%s\"}", id);
	browser_expect_refused(bob, 3, question, RPC_ERR_ACCESS_DENIED, "access denied: 'session:kill' on this host (decision ");
	browser_expect_refused(bob, 4, "{\"verb\":\"kill\",\"id\":\"01ZZZZZZZZZZZZZZZZZZZZZZZZ\"}", RPC_ERR_ACCESS_DENIED, "'session:kill' on this host");
	harness_expect_record("session.kill", "\"failed\":\"session:kill\"");
	answer = web_ask(root, 3, question);
	assert_int_equal(json_integer_value(json_object_get(answer, "killed")), 1);
	json_decref(answer);
	client_expect_end(alice);
	harness_expect_record("VG1104I", "by={\"address\":\"192.0.2.8\",\"name\":\"root\"");
	answer = web_ask(root, 4, question);
	assert_int_equal(json_integer_value(json_object_get(answer, "killed")), 0);
	json_decref(answer);

	/* his own he may end without any permission: the other one, and the one that asks */
	(void)snprintf(question, sizeof(question), "{\"verb\":\"kill\",\"id\":\"%s\"}", own);
	answer = web_ask(bob, 5, question);
	assert_int_equal(json_integer_value(json_object_get(answer, "killed")), 1);
	json_decref(answer);
	client_expect_end(bob2);
	assert_int_equal(num_sessions(bob, 6, "bob", own, sizeof(own)), 1);
	(void)snprintf(question, sizeof(question), "{\"verb\":\"kill\",\"id\":\"%s\"}", own);
	answer = web_ask(bob, 7, question);
	assert_int_equal(json_integer_value(json_object_get(answer, "killed")), 1);
	json_decref(answer);
	client_expect_end(bob);
	harness_expect_record("VG1104I", "\"name\":\"bob\",\"session\"");
	close(root);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, browser_setup, browser_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_only_the_web_front_may_ask), TEST(test_other_procedures_and_versions_are_unknown), TEST(test_bad_questions),
		TEST(test_more_objects_than_may_be_asked_for), TEST(test_a_question_that_is_no_string_ends_the_session), TEST(test_me),
		TEST(test_may_is_what_the_call_would_say), TEST(test_I66_may_of_what_does_not_belong_together),
		TEST(test_may_needs_an_open_connection), TEST(test_can_says_what_the_command_line_says),
		TEST(test_can_about_others_takes_policy_read), TEST(test_who_can_is_everybody_of_every_binding), TEST(test_sessions_and_kill),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
