/*
 * What does the gate answer to the web front, beyond libvirt's protocol? The program VIRTGATE, against a real gate process.
 */
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
#include "tests/session/harness.h"

static const char policy[] = "{ \"version\": 1, \"sets\": { \"web\": { \"domain\": [\"web-*\"] } }, \"bindings\": ["
	"{ \"id\": \"web\", \"who\": [\"sasl:alice\"], \"role\": \"operator\", \"on\": [\"set:web\"],"
	"  \"when\": { \"until\": \"2199-01-01T00:00:00Z\" } },"
	"{ \"id\": \"never\", \"who\": [\"sasl:alice\"], \"role\": \"admin\", \"on\": [\"*\"], \"when\": { \"proof\": [\"x509\"] } },"
	"{ \"id\": \"all\", \"who\": [\"sasl:root\"], \"role\": \"admin\", \"on\": [\"*\"] },"
	"{ \"id\": \"look\", \"who\": [\"sasl:bob\"], \"role\": \"viewer\", \"on\": [\"*\"] },"
	"{ \"id\": \"reads-trail\", \"who\": [\"sasl:carol\"], \"role\": \"auditor\", \"on\": [\"domain:web-1\"] } ] }";

static int
setup(void **state)
{
	(void)state;
	harness_start(policy);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	harness_stop();
	return 0;
}

static int
open_web(const char *user)
{
	int fd = web_connect(user);

	client_open(fd);
	return fd;
}

static void
expect_refused(int fd, uint32_t serial, const char *question, int code, const char *text)
{
	static struct message answer;

	web_send(fd, serial, question);
	assert_true(client_receive(fd, &answer));
	assert_int_equal(answer.header.serial, serial);
	expect_error(&answer, code, text);
}

/* The next message that is no event: a reload tells browsers that rights may have changed. */
static bool
receive_answer(int fd, struct message *answer)
{
	do {
		if (!client_receive(fd, answer))
			return false;
	} while (answer->header.type == RPC_EVENT);
	return true;
}

static const char *
text_of(const json_t *json, const char *key)
{
	const char *text = json_string_value(json_object_get(json, key));

	return text == NULL ? "(none)" : text;
}

static void
test_only_the_web_front_may_ask(void **state)
{
	int fd = client_connect("root");

	(void)state;
	client_open(fd);
	expect_refused(fd, 2, "{\"verb\":\"me\"}", RPC_ERR_RPC, "unknown procedure: 1");
	harness_expect_record("session.refused_program", "0x56475447");
	close(fd);
	assert_int_equal(harness_num_forwarded(), 0);
}

static void
test_other_procedures_and_versions_are_unknown(void **state)
{
	const struct { uint32_t version; int32_t procedure; } rows[] = { { 1, 2 }, { 1, 0 }, { 2, 1 } };
	static struct message answer;
	int fd = open_web("root");

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
	int fd = open_web("root");

	(void)state;
	for (uint32_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		expect_refused(fd, i + 2, bad[i], RPC_ERR_INVALID_ARG, "invalid argument: ");
	json_decref(web_ask(fd, 100, "{\"verb\":\"me\"}"));
	close(fd);
}

static void
test_more_objects_than_may_be_asked_for(void **state)
{
	json_t *objects = json_array(), *question, *answer;
	int fd = open_web("root");
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
	expect_refused(fd, 3, text, RPC_ERR_INVALID_ARG, "at most 1000");
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
	int fd = open_web("root");

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
	assert_string_equal(text_of(me, "name"), "alice");
	assert_string_equal(text_of(me, "sasl"), "alice");
	assert_true(json_is_null(json_object_get(me, "x509")));
	assert_string_equal(text_of(me, "address"), "192.0.2.8");
	assert_string_equal(text_of(me, "mode"), "enforce");
	assert_int_equal(json_array_size(json_object_get(me, "proofs")), 1);
	assert_string_equal(json_string_value(json_array_get(json_object_get(me, "proofs"), 0)), "sasl");
	assert_int_equal(json_array_size(bindings), 2);
	assert_string_equal(text_of(web, "id"), "web");
	assert_string_equal(text_of(web, "role"), "operator");
	assert_string_equal(text_of(web, "until"), "2199-01-01T00:00:00Z");
	assert_string_equal(text_of(web, "mode"), "enforce");
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

/* One verdict of the verb `may`. */
static bool
may(int fd, uint32_t serial, const char *name, const uint8_t *uuid, const char *permission)
{
	char question[400], text[40] = "";
	json_t *answer;
	bool yes;

	for (size_t i = 0; uuid != NULL && i < 16; i++)
		(void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", uuid[i]);
	(void)snprintf(question, sizeof(question), "{\"verb\":\"may\",\"objects\":[{\"class\":\"domain\"%s%s%s%s%s%s}],\"permissions\":[\"%s\"]}",
	    uuid == NULL ? "" : ",\"uuid\":\"", text, uuid == NULL ? "" : "\"", name == NULL ? "" : ",\"name\":\"", name == NULL ? "" : name,
	    name == NULL ? "" : "\"", permission);
	answer = web_ask(fd, serial, question);
	yes = json_is_true(json_object_get(json_array_get(json_object_get(answer, "may"), 0), permission));
	json_decref(answer);
	return yes;
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
		int fd = open_web(users[u]);
		uint32_t serial = 2;

		for (size_t g = 0; g < sizeof(guests) / sizeof(guests[0]); g++) {
			for (size_t c = 0; c < sizeof(calls) / sizeof(calls[0]); c++) {
				static struct message answer;
				struct rpc_error error = { .code = 0 };
				bool by_uuid = may(fd, serial++, NULL, guests[g].uuid, calls[c].permission);

				assert_int_equal(may(fd, serial++, guests[g].name, NULL, calls[c].permission), by_uuid);
				assert_int_equal(may(fd, serial++, guests[g].name, guests[g].uuid, calls[c].permission), by_uuid);
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
	int fd = open_web("root");

	(void)state;
	assert_true(may(fd, 2, "web-1", uuid_web1, "domain:start"));
	assert_false(may(fd, 3, "web-2", uuid_web1, "domain:start"));
	assert_false(may(fd, 4, "web-1", nobody, "domain:start"));
	assert_false(may(fd, 5, NULL, nobody, "domain:start"));
	assert_false(may(fd, 6, "gone", NULL, "domain:start"));
	/* renamed: the old name is nobody's any more */
	harness_event("web-9", uuid_web1);
	for (uint32_t serial = 7; !may(fd, serial, "web-9", uuid_web1, "domain:start"); serial++)
		poll(NULL, 0, 10);
	assert_false(may(fd, 1000, "web-1", uuid_web1, "domain:start"));
	assert_false(may(fd, 1001, "web-1", NULL, "domain:start"));
	close(fd);
}

static void
test_may_needs_an_open_connection(void **state)
{
	int fd = web_connect("root");

	(void)state;
	expect_refused(fd, 1, "{\"verb\":\"may\",\"objects\":[],\"permissions\":[]}", RPC_ERR_INTERNAL, "connection not open");
	close(fd);
}

static void
test_can_says_what_the_command_line_says(void **state)
{
	int fd = open_web("alice");
	json_t *answer = web_ask(fd, 2, "{\"verb\":\"can\",\"permission\":\"domain:start\",\"object\":\"domain:web-1\",\"explain\":true}"), *bindings;

	(void)state;
	assert_string_equal(text_of(answer, "verdict"), "allow");
	assert_string_equal(text_of(answer, "binding"), "web");
	assert_string_equal(text_of(answer, "text"), "yes: binding 'web'");
	bindings = json_object_get(answer, "bindings");
	/* of the five only those about her: who else is in the policy is not hers to know */
	assert_int_equal(json_array_size(bindings), 2);
	assert_string_equal(text_of(json_array_get(bindings, 0), "why"), "its role 'operator' allows domain:start");
	assert_string_equal(text_of(json_array_get(bindings, 1), "why"), "it asks for proof by certificate");
	json_decref(answer);
	answer = web_ask(fd, 3, "{\"verb\":\"can\",\"permission\":\"domain:delete\",\"object\":\"domain:web-1\"}");
	assert_string_equal(text_of(answer, "text"), "no: no binding allows it");
	assert_null(json_object_get(answer, "bindings"));
	json_decref(answer);
	/* a UUID that she does not see is not told by which name it goes */
	answer = web_ask(fd, 4, "{\"verb\":\"can\",\"permission\":\"domain:start\",\"object\":\"domain:uuid:33030000-0000-0000-0000-000000000000\",\"explain\":true}");
	assert_string_equal(text_of(json_array_get(json_object_get(answer, "bindings"), 0), "why"), "it is not on domain '(name not known)'");
	json_decref(answer);
	close(fd);
}

static void
test_can_about_others_takes_policy_read(void **state)
{
	static const char question[] = "{\"verb\":\"can\",\"user\":\"sasl:alice\",\"permission\":\"domain:start\",\"object\":\"domain:web-1\",\"explain\":true}";
	int fd = open_web("alice");
	json_t *answer;

	(void)state;
	expect_refused(fd, 2, question, RPC_ERR_ACCESS_DENIED, "access denied: 'policy:read' on this host (decision ");
	harness_expect_record("VG5003W", "policy:read");
	close(fd);
	fd = open_web("carol");
	answer = web_ask(fd, 2, question);
	assert_string_equal(text_of(answer, "text"), "yes: binding 'web'");
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
	int fd = open_web("alice");
	json_t *answer, *people;

	(void)state;
	expect_refused(fd, 2, question, RPC_ERR_ACCESS_DENIED, "access denied: 'policy:read' on this host (decision ");
	close(fd);
	fd = open_web("carol");
	answer = web_ask(fd, 2, question);
	people = json_object_get(answer, "people");
	assert_int_equal(json_array_size(people), sizeof(expected) / sizeof(expected[0]));
	for (size_t i = 0; i < json_array_size(people); i++) {
		const json_t *one = json_array_get(people, i);

		assert_string_equal(text_of(one, "who"), expected[i][0]);
		assert_string_equal(text_of(one, "binding"), expected[i][1]);
		assert_string_equal(text_of(one, "verdict"), expected[i][2]);
		assert_string_equal(text_of(one, "when"), expected[i][3]);
	}
	assert_string_equal(text_of(answer, "mode"), "enforce");
	json_decref(answer);
	expect_refused(fd, 3, "{\"verb\":\"who-can\",\"permission\":\"domain:start\"}", RPC_ERR_INVALID_ARG, "are needed");
	expect_refused(fd, 4, "{\"verb\":\"who-can\",\"permission\":\"domain:strat\",\"object\":\"*\"}", RPC_ERR_INVALID_ARG, "domain:strat");
	close(fd);
}

static size_t
num_sessions(int fd, uint32_t serial, const char *other, char *id, size_t size)
{
	json_t *answer = web_ask(fd, serial, "{\"verb\":\"sessions\"}"), *item;
	size_t num = json_array_size(json_object_get(answer, "sessions")), i;

	json_array_foreach(json_object_get(answer, "sessions"), i, item)
		if (strcmp(text_of(item, "user"), other) == 0)
			(void)snprintf(id, size, "%s", text_of(item, "id"));
	json_decref(answer);
	return num;
}

static void
test_sessions_and_kill(void **state)
{
	int bob = open_web("bob"), root = open_web("root"), alice = client_connect("alice"), bob2 = open_web("bob");
	char id[64] = "", own[64] = "", question[128];
	json_t *answer;

	(void)state;
	client_open(alice);
	assert_int_equal(num_sessions(root, 2, "alice", id, sizeof(id)), 4);
	assert_true(strlen(id) > 10);
	assert_int_equal(num_sessions(bob, 2, "bob", own, sizeof(own)), 2);

	/* somebody else's and nobody's are denied alike */
	(void)snprintf(question, sizeof(question), "{\"verb\":\"kill\",\"id\":\"%s\"}", id);
	expect_refused(bob, 3, question, RPC_ERR_ACCESS_DENIED, "access denied: 'session:kill' on this host (decision ");
	expect_refused(bob, 4, "{\"verb\":\"kill\",\"id\":\"01ZZZZZZZZZZZZZZZZZZZZZZZZ\"}", RPC_ERR_ACCESS_DENIED, "'session:kill' on this host");
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

/* ---- the trail ---- */

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
	int reader = harness_reader(), fd = open_web("alice");
	struct pollfd wait = { .fd = reader, .events = POLLIN };

	(void)state;
	for (uint32_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		expect_refused(fd, i + 2, rows[i].question, RPC_ERR_ACCESS_DENIED, "access denied: 'audit:read' on this host (decision ");
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
	int reader = harness_reader(), fd = open_web("carol");
	uint64_t ticket, second;
	json_t *question, *json;

	(void)state;
	web_send(fd, 2, "{\"verb\":\"audit.search\",\"user\":\"alice\",\"limit\":5}");
	question = take_question(reader, &ticket);
	assert_string_equal(text_of(question, "user"), "alice");
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
	assert_true(may(fd, 8, "web-1", NULL, "domain:read"));
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
	int reader = harness_reader(), fd = open_web("carol");
	uint64_t ticket;

	(void)state;
	web_send(fd, 2, "{\"verb\":\"audit.search\"}");
	json_decref(take_question(reader, &ticket));
	close(fd);
	harness_expect_record("session.logout", "carol");
	send_answer(reader, ticket, ANSWER_PIECE, "{");
	send_answer(reader, ticket, ANSWER_LAST, "}");
	fd = open_web("carol");
	json_decref(web_ask(fd, 2, "{\"verb\":\"me\"}"));
	close(fd);
	close(reader);
}

static void
test_a_reader_that_is_away(void **state)
{
	static struct message answer;
	int fd = open_web("carol"), reader;
	uint64_t ticket;

	(void)state;
	expect_refused(fd, 2, "{\"verb\":\"audit.search\"}", RPC_ERR_INTERNAL, "the audit reader is away");
	reader = harness_reader();
	web_send(fd, 3, "{\"verb\":\"audit.search\"}");
	for (;;) {	/* the gate may not have heard of it yet */
		struct pollfd both[] = { { .fd = reader, .events = POLLIN }, { .fd = fd, .events = POLLIN } };

		assert_true(poll(both, 2, 5000) > 0);
		if (both[0].revents != 0)
			break;
		assert_true(client_receive(fd, &answer));
		web_send(fd, 3, "{\"verb\":\"audit.search\"}");
	}
	json_decref(take_question(reader, &ticket));
	close(reader);
	assert_true(client_receive(fd, &answer));
	expect_error(&answer, RPC_ERR_INTERNAL, "the audit reader ended before it answered");
	expect_refused(fd, 4, "{\"verb\":\"audit.search\"}", RPC_ERR_INTERNAL, "the audit reader is away");
	close(fd);
}

static void
test_I11_right_that_ends_before_the_answer(void **state)
{
	static const char less[] = "{ \"version\": 1, \"bindings\": ["
	    "{ \"id\": \"look\", \"who\": [\"sasl:carol\"], \"role\": \"viewer\", \"on\": [\"*\"] } ] }";
	static struct message answer;
	int reader = harness_reader(), fd = open_web("carol");
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
	assert_true(receive_answer(fd, &answer));
	expect_error(&answer, RPC_ERR_ACCESS_DENIED, "'audit:read'");
	close(fd);
	close(reader);
}

static void
test_an_export_is_on_record_once(void **state)
{
	static struct message answer;
	int reader = harness_reader(), fd = open_web("carol");
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
	int reader = harness_reader(), fd = open_web("alice");
	struct pollfd wait = { .fd = reader, .events = POLLIN };
	json_t *answer;

	(void)state;
	for (uint32_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		expect_refused(fd, i + 2, rows[i].question, RPC_ERR_ACCESS_DENIED, "access denied: 'policy:read' on this host (decision ");
		harness_expect_record(rows[i].code, "policy:read");
	}
	assert_int_equal(poll(&wait, 1, 0), 0);		/* it was asked nothing */
	close(fd);
	fd = open_web("carol");
	answer = web_ask(fd, 2, "{\"verb\":\"policy.show\"}");
	assert_string_equal(text_of(answer, "text"), policy);
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
	int reader = harness_reader(), fd = open_web("carol");
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
	assert_string_equal(text_of(question, "draft"), text);
	assert_string_equal(text_of(question, "policy"), policy);
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
	assert_non_null(strstr(text_of(json_object_get(question, "also"), "what"), "draft:2: "));
	json_decref(question);
	send_answer(reader, ticket, ANSWER_REFUSED, "no");
	assert_true(client_receive(fd, &reply));
	expect_error(&reply, RPC_ERR_INVALID_ARG, "invalid argument: no");
	/* too long, and none */
	memset(text, ' ', 65u * 1024u);
	text[65u * 1024u] = '\0';
	sent = json_pack("{s:s, s:s}", "verb", "policy.diff", "draft", text);
	asked = json_dumps(sent, JSON_COMPACT);
	expect_refused(fd, 4, asked, RPC_ERR_INVALID_ARG, "at most 65536 bytes");
	expect_refused(fd, 5, "{\"verb\":\"policy.diff\"}", RPC_ERR_INVALID_ARG, "needs \"draft\"");
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
	int reader = harness_reader(), fd = open_web("carol");
	uint64_t ticket;
	unsigned num;

	(void)state;
	free(harness_reload(only));
	web_send(fd, 2, "{\"verb\":\"policy.replay\",\"draft\":\"{}\"}");
	assert_true(receive_answer(fd, &reply));
	expect_error(&reply, RPC_ERR_ACCESS_DENIED, "access denied: 'audit:read' on this host");
	/* and what had begun is not shown any more */
	free(harness_reload(policy));
	web_send(fd, 3, "{\"verb\":\"policy.replay\",\"draft\":\"{}\"}");
	json_decref(take_pieces(reader, &ticket, &num));
	free(harness_reload(only));
	send_answer(reader, ticket, ANSWER_LAST, "{\"changes\":[\"secret\"]}");
	assert_true(receive_answer(fd, &reply));
	expect_error(&reply, RPC_ERR_ACCESS_DENIED, "'audit:read'");
	close(fd);
	close(reader);
}

static void
test_the_real_reader_answers(void **state)
{
	const struct trail_plan plan = { .records = 300, .users = 10, .objects = 30, .per_day = 100, .segment_bytes = 100000 };
	char dir[] = "/tmp/virtgate-trail-XXXXXX", path[64], command[128];
	int fd = open_web("carol");
	json_t *answer;

	(void)state;
	assert_non_null(mkdtemp(dir));
	trail_make(dir, &plan);
	(void)snprintf(path, sizeof(path), "%s/audit-index", dir);
	assert_int_equal(mkdir(path, 0700), 0);
	(void)snprintf(command, sizeof(command), "chmod -R a+rwX %s", dir);	/* as root the reader becomes somebody else */
	assert_int_equal(system(command), 0);
	harness_start_reader(run_reader, dir, dir);
	answer = web_ask(fd, 2, "{\"verb\":\"audit.search\",\"limit\":3,\"result\":\"denied\"}");
	assert_int_equal(json_array_size(json_object_get(answer, "records")), 3);
	assert_int_equal(json_integer_value(json_object_get(json_array_get(json_object_get(answer, "records"), 0), "seq")), 276);
	json_decref(answer);
	answer = web_ask(fd, 3, "{\"verb\":\"audit.show\",\"id\":\"300\"}");
	assert_int_equal(json_array_size(json_object_get(answer, "records")), 1);
	json_decref(answer);
	answer = web_ask(fd, 4, "{\"verb\":\"audit.export\",\"format\":\"rfc5424\",\"after\":290}");
	assert_non_null(strstr(text_of(answer, "text"), "[virtgate@32473 seq=\"291\""));
	assert_true(json_is_null(json_object_get(answer, "next")));
	json_decref(answer);
	for (uint32_t serial = 5;; serial++) {
		bool whole;

		answer = web_ask(fd, serial, "{\"verb\":\"audit.state\"}");
		whole = strcmp(text_of(answer, "state"), "whole") == 0;
		if (!whole)
			assert_string_equal(text_of(answer, "state"), "checking");
		else
			assert_int_equal(json_integer_value(json_object_get(answer, "records")), 300);
		json_decref(answer);
		if (whole)
			break;
		poll(NULL, 0, 20);
	}
	expect_refused(fd, 1000, "{\"verb\":\"audit.search\",\"limit\":0}", RPC_ERR_INVALID_ARG, "\"limit\" must be");
	close(fd);
	(void)snprintf(command, sizeof(command), "rm -r %s", dir);
	assert_int_equal(system(command), 0);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_only_the_web_front_may_ask), TEST(test_other_procedures_and_versions_are_unknown), TEST(test_bad_questions),
		TEST(test_more_objects_than_may_be_asked_for), TEST(test_a_question_that_is_no_string_ends_the_session), TEST(test_me),
		TEST(test_may_is_what_the_call_would_say), TEST(test_I66_may_of_what_does_not_belong_together),
		TEST(test_may_needs_an_open_connection), TEST(test_can_says_what_the_command_line_says),
		TEST(test_can_about_others_takes_policy_read), TEST(test_who_can_is_everybody_of_every_binding), TEST(test_sessions_and_kill),
		TEST(test_the_trail_takes_audit_read),
		TEST(test_a_question_waits_and_others_do_not), TEST(test_a_question_waits_while_the_connection_opens),
		TEST(test_who_leaves_is_forgotten), TEST(test_a_reader_that_is_away),
		TEST(test_I11_right_that_ends_before_the_answer), TEST(test_an_export_is_on_record_once), TEST(test_the_policy_takes_policy_read),
		TEST(test_a_draft_goes_to_the_reader), TEST(test_a_replay_takes_audit_read_too), TEST(test_the_real_reader_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
