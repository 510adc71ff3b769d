/*
 * What does the gate let pass, hide, forward and refuse? Names carry the invariant that a test proves.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/session/office.h"

static void
test_allowed_call_passes(void **state)
{
	struct message answer;
	int fd = open_as("alice");

	(void)state;
	expect_info_works(fd, 2);
	domain_call(fd, "domain_create", 3, "web-2", uuid_web2, -1, &answer);
	expect_ok(&answer);
	harness_expect_record("intent ", "\"binding\":\"web\"");
	harness_expect_record("outcome ", "\"status\":\"ok\"");
	close(fd);
	harness_expect_record("session.logout", "client went away");
}

static bool
body_has(const struct message *answer, const char *text)
{
	return memmem(answer->body, answer->len, text, strlen(text)) != NULL;
}

static void
get_xml(int fd, uint32_t serial, uint32_t flags, struct message *answer)
{
	uint8_t body[1024];
	struct xdr_out out;
	size_t len = put_domain(body, "web-1", uuid_web1, 1);

	xdr_out_init(&out, body + len, sizeof(body) - len);
	xdr_put_u32(&out, flags);
	client_call(fd, "domain_get_xml_desc", serial, body, len + 4, answer);
}

/* The scripted libvirtd writes passwords into every document, as some versions did (CVE-2014-7823, CVE-2020-14301). */
static void
test_i29_passwords_reach_only_who_may_read_secure(void **state)
{
	struct message answer;
	int fd = open_as("alice");

	(void)state;
	get_xml(fd, 2, 0, &answer);
	expect_ok(&answer);
	assert_false(body_has(&answer, "secret-"));
	assert_true(body_has(&answer, "<graphics type=\"vnc\" port=\"5900\"/>"));
	assert_true(body_has(&answer, "of-the-app"));
	get_xml(fd, 3, 1, &answer);
	expect_error(&answer, RPC_ERR_ACCESS_DENIED, "'domain:read_secure'");
	close(fd);
	/* Who may, and did not ask for them, does not get them by accident either. */
	fd = open_as("root");
	get_xml(fd, 2, 0, &answer);
	assert_false(body_has(&answer, "secret-"));
	get_xml(fd, 3, 1, &answer);
	expect_ok(&answer);
	assert_true(body_has(&answer, "secret-vnc"));
	assert_true(body_has(&answer, "secret-cookie"));
	close(fd);
}

static void
test_stranger_is_told_so(void **state)
{
	struct message answer;
	int fd = client_connect("mallory");

	(void)state;
	client_open_uri(fd, "test:///default", &answer);
	expect_error(&answer, RPC_ERR_ACCESS_DENIED, "'connect:getattr'");
	close(fd);
}

static void
test_libvirtd_that_asks_for_polkit(void **state)
{
	int fd;

	(void)state;
	harness_mischief(ASK_POLKIT);
	/* the first session finds out, the second knows */
	for (int i = 0; i < 2; i++) {
		fd = open_as("alice");
		expect_info_works(fd, 2);
		close(fd);
	}
}

static void
test_features_are_asked_once(void **state)
{
	struct message answer;

	(void)state;
	for (int i = 0; i < 2; i++) {
		int fd = open_as("alice");

		client_call(fd, "connect_supports_feature", 2, "\0\0\0\16", 4, &answer);
		expect_ok(&answer);
		assert_memory_equal(answer.body, "\0\0\0\1", 4);
		close(fd);
	}
	assert_int_equal(harness_num_forwarded(), 1);
}

static void
test_denied_call_does_not_reach_libvirtd(void **state)
{
	struct message answer;
	int fd = open_as("bob");

	(void)state;
	domain_call(fd, "domain_create", 2, "web-2", uuid_web2, -1, &answer);
	expect_error(&answer, RPC_ERR_ACCESS_DENIED, "access denied: 'domain:start' on domain 'web-2' (decision ");
	assert_int_equal(harness_num_forwarded(), 0);
	harness_expect_record("\"verdict\":\"deny\"", "domain_create");
	close(fd);
}

static void
test_I27_hidden_is_missing(void **state)
{
	struct message answer;
	uint8_t body[64];
	struct xdr_out out;
	int fd = open_as("alice");

	(void)state;
	domain_call(fd, "domain_get_info", 2, "db-1", uuid_db1, 3, &answer);
	expect_error(&answer, RPC_ERR_NO_DOMAIN, "no domain with matching uuid");
	assert_int_equal(harness_num_forwarded(), 0);
	xdr_out_init(&out, body, sizeof(body));
	xdr_put_string(&out, "db-1");
	client_call(fd, "domain_lookup_by_name", 3, body, out.len, &answer);
	expect_error(&answer, RPC_ERR_NO_DOMAIN, "Domain not found");
	close(fd);
}

static void
test_I51_lists_and_counts_agree(void **state)
{
	const struct rpc_proc *proc = rpc_proc_by_name("connect_list_all_domains");
	struct message answer;
	struct xdr_items items;
	int fd = open_as("alice");

	(void)state;
	client_call(fd, "connect_list_all_domains", 2, "\0\0\0\1\0\0\0\0", 8, &answer);
	expect_ok(&answer);
	assert_int_equal(xdr_check(proc->ret, answer.body, answer.len), VG_OK);
	assert_true(xdr_items(proc->ret, answer.body, answer.len, "domains", &items));
	assert_int_equal(items.count, 2);
	assert_memory_equal(answer.body + answer.len - 4, "\0\0\0\2", 4);
	assert_null(memmem(answer.body, answer.len, "db-1", 4));
	/* need_results = 0: an empty list and the same count */
	client_call(fd, "connect_list_all_domains", 3, "\0\0\0\0\0\0\0\0", 8, &answer);
	expect_ok(&answer);
	assert_int_equal(answer.len, 8);
	assert_memory_equal(answer.body, "\0\0\0\0\0\0\0\2", 8);
	close(fd);
}

static void
test_I25_name_uuid_and_id_of_one_object(void **state)
{
	struct message answer, unused;
	int fd = open_as("alice");

	(void)state;
	/* the name he may touch with the UUID he may not */
	domain_call(fd, "domain_create", 2, "web-1", uuid_db1, -1, &answer);
	expect_error(&answer, RPC_ERR_NO_DOMAIN, "");
	/* his own domain with another's id, and with one that nobody has: no difference tells which ids are in use */
	domain_call(fd, "domain_create", 3, "web-1", uuid_web1, 3, &answer);
	expect_error(&answer, RPC_ERR_NO_DOMAIN, "");
	domain_call(fd, "domain_create", 3, "web-1", uuid_web1, 4711, &unused);
	assert_int_equal(unused.len, answer.len);
	assert_memory_equal(unused.body, answer.body, answer.len);
	assert_int_equal(harness_num_forwarded(), 0);
	harness_expect_record("session.identity_conflict", "\"verdict\":\"deny\"");
	close(fd);
}

static void
test_I26_forwarded_object_is_the_gates_own(void **state)
{
	struct message answer, forwarded;
	uint8_t expected[1024];
	size_t len;
	int fd = open_as("alice");

	(void)state;
	/* a handle from before it was started: the id is old, not a lie */
	domain_call(fd, "domain_get_info", 2, "web-1", uuid_web1, -1, &answer);
	expect_ok(&answer);
	len = put_domain(expected, "web-1", uuid_web1, 1);
	harness_last_forwarded(&forwarded);
	assert_int_equal(forwarded.len, len);
	assert_memory_equal(forwarded.body, expected, len);
	assert_int_equal(forwarded.header.serial, 2);
	/* started again meanwhile, as an event tells: the handle's id was its own once */
	harness_event_id("web-1", uuid_web1, 9);
	assert_true(client_receive(fd, &answer));
	assert_int_equal(answer.header.type, RPC_EVENT);
	domain_call(fd, "domain_get_info", 3, "web-1", uuid_web1, 1, &answer);
	expect_ok(&answer);
	close(fd);
}

static void
test_I31_only_allowed_uris_open(void **state)
{
	static const char *const uris[] = { "test:///other", "qemu:///system", "test+tcp://localhost/default", "test:///default?x", "",
		"TEST:///default", "test:///default/", NULL };

	(void)state;
	for (size_t i = 0; i < sizeof(uris) / sizeof(uris[0]); i++) {
		struct message answer;
		int fd = client_connect("root");

		client_open_uri(fd, uris[i], &answer);
		expect_error(&answer, RPC_ERR_ACCESS_DENIED, "access denied");
		close(fd);
	}
}

static void
test_I31_readonly_is_forced(void **state)
{
	int fd = open_as("bob");

	(void)state;
	expect_info_works(fd, 2);
	close(fd);
	harness_expect_record("session.logout", "\"readonly\":true");
}

static void
test_I32_B9_never_passed_on(void **state)
{
	static const struct { uint32_t program, version; int32_t procedure; } calls[] = { { RPC_PROGRAM_REMOTE, 1, 419 },
		{ RPC_PROGRAM_REMOTE, 1, 9999 }, { RPC_PROGRAM_REMOTE, 1, 107 }, { RPC_PROGRAM_REMOTE, 2, 4 }, { RPC_PROGRAM_LXC, 1, 1 },
		{ 0x06900690, 1, 1 }, { 0xEA7BEEF, 1, 1 }, { 0x87539319, 1, 1 }, { RPC_PROGRAM_QEMU, 1, 99 } };
	int fd = open_as("root");

	(void)state;
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		struct rpc_header header = { .length = RPC_HEADER_LEN, .program = calls[i].program, .version = calls[i].version,
			.procedure = calls[i].procedure, .type = RPC_CALL, .serial = (uint32_t)(10 + i) };
		uint8_t head[RPC_HEADER_LEN];
		struct message answer;

		rpc_header_put(head, &header);
		client_send_raw(fd, head, sizeof(head));
		assert_true(client_receive(fd, &answer));
		expect_error(&answer, RPC_ERR_RPC, "unknown procedure");
		assert_int_equal(answer.header.program, calls[i].program);
	}
	assert_int_equal(harness_num_forwarded(), 0);
	harness_expect_record("session.refused_program", "root");
	close(fd);
}

static void
test_I56_no_change_without_the_trail(void **state)
{
	struct message answer;
	int fd = open_as("alice");

	(void)state;
	harness_expect_record("session.login", "alice");
	harness_audit(false);
	domain_call(fd, "domain_create", 2, "web-2", uuid_web2, -1, &answer);
	expect_error(&answer, RPC_ERR_SYSTEM, "the audit trail cannot be written");
	assert_int_equal(harness_num_forwarded(), 0);
	/* reads go on */
	expect_info_works(fd, 3);
	close(fd);
}

static void
test_I52_events_of_hidden_domains_are_dropped(void **state)
{
	struct message message;
	int fd = open_as("alice");

	(void)state;
	harness_event("db-1", uuid_db1);
	harness_event("web-1", uuid_web1);
	assert_true(client_receive(fd, &message));
	assert_int_equal(message.header.type, RPC_EVENT);
	assert_non_null(memmem(message.body, message.len, "web-1", 5));
	close(fd);
}

static void
test_I11_revoked_user_is_cut(void **state)
{
	int alice = open_as("alice"), root = open_as("root");
	char *text = harness_reload("{ \"version\": 1, \"bindings\": [ { \"id\": \"all\", \"who\": [\"sasl:root\"], \"role\": \"admin\","
	    " \"on\": [\"*\"] } ] }");

	(void)state;
	assert_string_equal(text, "");
	free(text);
	client_expect_end(alice);
	expect_info_works(root, 2);
	close(root);
}

static void
test_I48_right_that_is_taken_while_the_intent_is_written(void **state)
{
	struct message answer;
	uint8_t body[1024];
	size_t len = put_domain(body, "web-2", uuid_web2, -1);
	int fd = open_as("alice");
	char *text;

	(void)state;
	expect_info_works(fd, 2);
	harness_expect_record("session.login", "alice");
	harness_audit_hold(true);
	client_send(fd, "domain_create", 3, body, len);
	harness_expect_record("intent ", "domain.create");
	/* he may look only, from now on */
	text = harness_reload("{ \"version\": 1, \"bindings\": [ { \"id\": \"look\", \"who\": [\"sasl:alice\"], \"role\": \"viewer\","
	    " \"on\": [\"domain:web-*\"] } ] }");
	assert_string_equal(text, "");
	free(text);
	harness_audit_hold(false);
	assert_true(client_receive(fd, &answer));
	expect_error(&answer, RPC_ERR_ACCESS_DENIED, "access denied: the policy has changed meanwhile (decision ");
	assert_int_equal(harness_num_forwarded(), 1);
	harness_expect_record("outcome ", "\"status\":\"denied\"");
	/* and where it still allows him, nothing is lost */
	text = harness_reload(office_policy);
	assert_string_equal(text, "");
	free(text);
	harness_audit_hold(true);
	client_send(fd, "domain_create", 4, body, put_domain(body, "web-1", uuid_web1, 1));
	harness_expect_record("intent args={\"dom.id\":1,\"dom.name\":\"web-1\"", "domain.create");
	text = harness_reload(office_policy);
	assert_string_equal(text, "");
	free(text);
	harness_audit_hold(false);
	assert_true(client_receive(fd, &answer));
	expect_ok(&answer);
	close(fd);
}

static void
test_I82_broken_policy_leaves_the_old_one(void **state)
{
	int fd = open_as("alice");
	char *text = harness_reload("{ \"version\": 1, \"bindngs\": [] }");

	(void)state;
	assert_non_null(strstr(text, ":1:"));
	free(text);
	expect_info_works(fd, 2);
	close(fd);
}

static void
test_I82_reload_tells_who_gains_and_loses(void **state)
{
	char *text = harness_reload("{ \"version\": 1, \"bindings\": [ { \"id\": \"a\", \"who\": [\"sasl:newcomer\"], \"role\": \"viewer\", \"on\": [\"domain:web-1\"] },"
	    " { \"id\": \"b\", \"who\": [\"unix-group:ops\"], \"role\": \"admin\", \"on\": [\"*\"] } ] }");

	(void)state;
	assert_string_equal(text, "");
	free(text);
	harness_expect_record("\"gateway.policy\"", "sasl:newcomer gains domain:getattr");
	/* The next one while that is compared, or after it: either way both are told. */
	text = harness_reload("{ \"version\": 1, \"bindings\": [ { \"id\": \"b\", \"who\": [\"unix-group:ops\"], \"role\": \"viewer\", \"on\": [\"*\"] } ] }");
	assert_string_equal(text, "");
	free(text);
	text = harness_reload("{ \"version\": 1, \"bindings\": [ { \"id\": \"b\", \"who\": [\"unix-group:last\"], \"role\": \"viewer\", \"on\": [\"*\"] } ] }");
	assert_string_equal(text, "");
	free(text);
	harness_expect_record("\"gateway.policy\"", "unix-group:last gains");
}

static void
test_I37_large_document_of_somebody_who_may_not(void **state)
{
	struct rpc_header header = { .length = 1024 * 1024, .program = RPC_PROGRAM_REMOTE, .version = 1,
		.procedure = (int32_t)rpc_proc_by_name("domain_define_xml_flags")->number, .type = RPC_CALL, .serial = 2 };
	uint8_t head[RPC_HEADER_LEN], *rest = calloc(1, 1024 * 1024);
	struct message answer;
	int fd = open_as("bob");

	(void)state;
	/* refused by its header, before the document was sent at all */
	rpc_header_put(head, &header);
	client_send_raw(fd, head, sizeof(head));
	assert_true(client_receive(fd, &answer));
	expect_error(&answer, RPC_ERR_ACCESS_DENIED, "access denied");
	harness_expect_record("\"verdict\":\"deny\"", "domain_define_xml_flags");
	client_send_raw(fd, rest, 1024 * 1024 - RPC_HEADER_LEN);
	expect_info_works(fd, 3);
	free(rest);
	close(fd);
}

/* A policy that only watches: refused and hidden is let through, with a record that names what failed; raw ways in are not. */
static void
test_watching_lets_through_and_records(void **state)
{
	const struct rpc_proc *proc = rpc_proc_by_name("connect_list_all_domains");
	char *watching = NULL, *text;
	struct message answer;
	struct xdr_items items;
	uint8_t body[1024];
	struct xdr_out out;
	int fd;

	(void)state;
	assert_true(asprintf(&watching, "{ \"mode\": \"permissive\", %s", strchr(office_policy, '{') + 1) > 0);
	text = harness_reload(watching);
	assert_string_equal(text, "");
	free(text);
	free(watching);
	fd = open_as("alice");
	client_call(fd, "connect_list_all_domains", 2, "\0\0\0\1\0\0\0\0", 8, &answer);
	expect_ok(&answer);
	assert_true(xdr_items(proc->ret, answer.body, answer.len, "domains", &items));
	assert_int_equal(items.count, 3);
	harness_expect_record("connect_list_all_domains", "\"would_hide\":1");
	domain_call(fd, "domain_create", 3, "db-1", uuid_db1, 3, &answer);
	expect_ok(&answer);
	harness_expect_record("\"failed\":\"domain:getattr\",\"lacked\":[{\"permission\":\"domain:getattr\"},{\"permission\":\"domain:start\"}]",
	    "\"verdict\":\"would-deny\"");
	close(fd);
	/* of whom the policy says nothing */
	fd = open_as("stranger");
	harness_expect_record("connect_open", "\"failed\":\"connect:getattr\"");
	xdr_out_init(&out, body, sizeof(body));
	out.len = put_domain(body, "web-1", uuid_web1, 1);
	xdr_put_string(&out, "info status");
	xdr_put_u32(&out, 0);
	client_call(fd, "domain_monitor_command", 4, body, out.len, &answer);
	expect_error(&answer, RPC_ERR_ACCESS_DENIED, "access denied: 'domain:monitor' on domain 'web-1'");
	harness_expect_record("\"failed\":\"domain:monitor\"", "\"verdict\":\"deny\"");
	close(fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_allowed_call_passes),
		TEST(test_i29_passwords_reach_only_who_may_read_secure),
		TEST(test_stranger_is_told_so),
		TEST(test_libvirtd_that_asks_for_polkit),
		TEST(test_features_are_asked_once),
		TEST(test_denied_call_does_not_reach_libvirtd),
		TEST(test_I27_hidden_is_missing),
		TEST(test_I51_lists_and_counts_agree),
		TEST(test_I25_name_uuid_and_id_of_one_object),
		TEST(test_I26_forwarded_object_is_the_gates_own),
		TEST(test_I31_only_allowed_uris_open),
		TEST(test_I31_readonly_is_forced),
		TEST(test_I32_B9_never_passed_on),
		TEST(test_I56_no_change_without_the_trail),
		TEST(test_I52_events_of_hidden_domains_are_dropped),
		TEST(test_I11_revoked_user_is_cut),
		TEST(test_I48_right_that_is_taken_while_the_intent_is_written),
		TEST(test_I82_broken_policy_leaves_the_old_one),
		TEST(test_I82_reload_tells_who_gains_and_loses),
		TEST(test_I37_large_document_of_somebody_who_may_not),
		TEST(test_watching_lets_through_and_records),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
