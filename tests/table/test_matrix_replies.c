/*
 * test_matrix_replies.c: what reaches a client of every reply and event that names objects: each list, count, look-up and
 * event of the table, with granted and hidden objects in it, through the gate's own code.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "gateway/gate/class.h"
#include "gateway/gate/filter.h"
#include "tests/table/matrix_world.h"

enum { VIEWER = 0, ADMIN = 5 };

/* A whole message of a procedure. */
struct wire {
	uint8_t data[RPC_HEADER_LEN + sizeof(((struct body *)0)->data)];
	size_t len;
};

static void
to_wire(struct wire *wire, const struct rpc_proc *proc, enum rpc_type type, struct body *body, const struct xdr_field *fields)
{
	struct rpc_header header = { .program = proc->program, .version = RPC_VERSION, .procedure = (int32_t)proc->number, .type = (int32_t)type,
		.serial = 7 };

	if (!body_build(body, fields) || xdr_check(fields, body->data, body->len) != VG_OK)
		fail_msg("no valid message of %s", proc->name);
	header.length = (uint32_t)(RPC_HEADER_LEN + body->len);
	rpc_header_put(wire->data, &header);
	memcpy(wire->data + RPC_HEADER_LEN, body->data, body->len);
	wire->len = header.length;
}

static void
expect_wire(const struct rpc_proc *proc, const char *what, const uint8_t *got, size_t len, const struct wire *wanted)
{
	if (len != wanted->len || memcmp(got, wanted->data, len) != 0)
		fail_msg("%s: %s: %zu bytes, and not the %zu that were expected", proc->name, what, len, wanted->len);
}

/* ---- lists ---- */

/* Lists of what cannot be told apart by what they hold: nothing of them is shown unless everything is granted. */
static bool
blind(const struct rpc_proc *proc)
{
	return strcmp(proc->name, "storage_pool_list_volumes") == 0 /* names without their pool */ ||
	    strcmp(proc->name, "connect_list_secrets") == 0 /* UUIDs without the usage that the binding goes by */ ||
	    strcmp(proc->name, "network_get_dhcp_leases") == 0 /* MACs and host names without their domain */;
}

/* A reply with these objects in this order, and the number that it says. */
static void
list_reply(struct wire *wire, const struct rpc_proc *proc, const enum variant *variants, size_t num, uint32_t count)
{
	struct body body = { .flag_arg = "ret", .flags = count, .num_items = num, .no_items = num == 0 };

	for (size_t i = 0; i < num; i++)
		body.variants[i] = variants[i];
	to_wire(wire, proc, RPC_REPLY, &body, proc->ret);
}

static void
check_list(const struct rpc_proc *proc, enum scope scope, bool counted_only)
{
	static const enum variant all[] = { THE_GRANTED, THE_HIDDEN, THE_GRANTED };
	static const enum variant seen[] = { THE_GRANTED, THE_GRANTED };
	struct call call = { .session = &world_session, .proc = proc, .need_results_was_0 = counted_only };
	size_t kept = scope == SCOPE_ALL ? 3 : scope == SCOPE_WEB && !blind(proc) ? 2 : 0;
	struct wire reply, wanted;
	uint8_t *out;
	size_t len;

	world_person(VIEWER, scope);
	list_reply(&reply, proc, all, 3, 3);
	list_reply(&wanted, proc, scope == SCOPE_ALL ? all : seen, counted_only ? 0 : kept, (uint32_t)kept);
	assert_int_equal(filter_reply(&call, reply.data, reply.len, &out, &len), 0);
	expect_wire(proc, scope_names[scope], out == NULL ? reply.data : out, out == NULL ? reply.len : len, &wanted);
	free(out);
}

static void
check_count(const struct rpc_proc *proc, enum scope scope)
{
	struct call call = { .session = &world_session, .proc = proc };
	/* Both domains run; of the other classes nothing is counted for those who do not see everything. */
	uint32_t number = scope == SCOPE_ALL ? 77 : scope == SCOPE_WEB && strcmp(proc->name, "connect_num_of_domains") == 0;
	struct body body = { .flag_arg = "num", .flags = 77 }, other = { .flag_arg = "num", .flags = number };
	struct wire reply, wanted;
	uint8_t *out;
	size_t len;
	int r;

	world_person(VIEWER, scope);
	to_wire(&reply, proc, RPC_REPLY, &body, proc->ret);
	to_wire(&wanted, proc, RPC_REPLY, &other, proc->ret);
	r = filter_reply(&call, reply.data, reply.len, &out, &len);
	if (scope != SCOPE_ALL && strstr(proc->name, "_domains") == NULL) {
		assert_int_equal(r, -1);	/* never relayed; the decision refuses it before */
		return;
	}
	assert_int_equal(r, 0);
	expect_wire(proc, scope_names[scope], out == NULL ? reply.data : out, out == NULL ? reply.len : len, &wanted);
	free(out);
}

/* By its name: the table does not say which replies are lists here. */
static bool
names_a_list(const struct rpc_proc *proc)
{
	static const char *const of_one_object[] = { "node_device_list_caps", "domain_snapshot_list_names", "domain_list_all_snapshots",
		"domain_snapshot_list_children_names", "domain_snapshot_list_all_children", "domain_list_all_checkpoints",
		"domain_checkpoint_list_all_children" };

	for (size_t i = 0; i < sizeof(of_one_object) / sizeof(of_one_object[0]); i++)
		if (strcmp(proc->name, of_one_object[i]) == 0)
			return false;
	return (strstr(proc->name, "_list_") != NULL && strstr(proc->name, "label_list") == NULL) ||
	    strcmp(proc->name, "network_get_dhcp_leases") == 0 || strcmp(proc->name, "connect_get_all_domain_stats") == 0;
}

static void
test_I51_lists_and_counts(void **state)
{
	const struct rpc_proc *proc;
	size_t lists = 0, counts = 0;

	(void)state;
	for (size_t i = 0; (proc = rpc_proc_at(i)) != NULL; i++) {
		bool count = strstr(proc->name, "num_of_") != NULL && strcmp(proc->name, "node_device_num_of_caps") != 0;

		if (proc->kind == RPC_KIND_EVENT || (!count && !names_a_list(proc)))
			continue;
		for (int scope = 0; scope < NUM_SCOPES; scope++) {
			if (count) {
				check_count(proc, (enum scope)scope);
				continue;
			}
			check_list(proc, (enum scope)scope, false);
			if (strstr(proc->name, "list_all") != NULL || strstr(proc->name, "leases") != NULL)
				check_list(proc, (enum scope)scope, true);
		}
		lists += !count;
		counts += count;
	}
	print_message("%zu lists and %zu counts\n", lists, counts);
	assert_true(lists >= 24 && counts >= 12);
}

/* ---- look-ups ---- */

/* What the client gets: of a found object, or of the error that there is none. */
static void
answer_of(const struct rpc_proc *proc, enum variant key, enum variant found, bool failed, struct wire *answer)
{
	struct body request = { .key = key, .variants = { key, key, key } }, reply = { .variants = { found, found, found } };
	struct call call = { .session = &world_session, .proc = proc };
	/* In the words of no driver, with fields that the gate's own errors do not have. */
	struct rpc_error error = { .origin = 10, .message = "there is none" };
	struct rpc_header header;
	struct wire asked;
	uint8_t *out;
	size_t len;

	to_wire(&asked, proc, RPC_CALL, &request, proc->args);
	call.message = asked.data;
	call.message_len = asked.len;
	to_wire(answer, proc, RPC_REPLY, &reply, proc->ret);
	if (failed) {
		class_missing(&error, proc->returns.class, "name", "");
		(void)snprintf(error.message, sizeof(error.message), "there is none");
		(void)rpc_header_get(answer->data, answer->len, &header);
		answer->len = rpc_put_error(answer->data, sizeof(answer->data), &header, &error);
		assert_int_equal(filter_error(&call, &error, answer->data, answer->len, &out, &len), 0);
	} else {
		assert_int_equal(filter_reply(&call, answer->data, answer->len, &out, &len), 0);
	}
	if (out == NULL)
		return;
	memcpy(answer->data, out, len);
	answer->len = len;
	free(out);
}

static void
test_I27_lookups(void **state)
{
	const struct rpc_proc *proc;
	struct wire hidden, absent, granted, seen;
	size_t lookups = 0;

	(void)state;
	for (size_t i = 0; (proc = rpc_proc_at(i)) != NULL; i++) {
		struct body reply = { .variants = { THE_GRANTED } };

		if (proc->kind == RPC_KIND_EVENT || shape_of(proc) != SHAPE_LOOKUP)
			continue;
		lookups++;
		to_wire(&granted, proc, RPC_REPLY, &reply, proc->ret);
		for (int scope = 0; scope < NUM_SCOPES; scope++) {
			world_person(VIEWER, (enum scope)scope);
			answer_of(proc, THE_HIDDEN, THE_HIDDEN, false, &hidden);
			answer_of(proc, THE_HIDDEN, THE_HIDDEN, true, &absent);
			answer_of(proc, THE_GRANTED, THE_GRANTED, false, &seen);
			if (scope != SCOPE_ALL)
				expect_wire(proc, "hidden, and not as missing", hidden.data, hidden.len, &absent);
			else if (hidden.len == absent.len && memcmp(hidden.data, absent.data, hidden.len) == 0)
				fail_msg("%s: not found, and granted", proc->name);
			if (scope != SCOPE_NONE)
				expect_wire(proc, "granted", seen.data, seen.len, &granted);
		}
	}
	print_message("%zu look-ups\n", lookups);
	assert_true(lookups >= 20);
}

/* ---- events ---- */

static bool
delivered(const struct wire *event, int peer)
{
	uint8_t got[sizeof(event->data)];
	ssize_t n;

	assert_int_equal(reply_consume(&world_session, event->data, event->len), event->len);
	n = recv(peer, got, sizeof(got), MSG_DONTWAIT);
	if (n > 0)
		assert_int_equal(n, event->len);
	return n > 0;
}

static void
test_I52_events(void **state)
{
	const struct rpc_proc *proc;
	size_t events = 0;
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	world_session.client.fd = fds[0];
	world_session.client.session = &world_session;
	world_session.backend.session = &world_session;
	world_session.state = SESSION_OPEN;
	for (size_t i = 0; (proc = rpc_proc_at(i)) != NULL; i++) {
		bool monitor = strcmp(proc->name, "domain_monitor_event") == 0;
		struct body granted = { .variants = { THE_GRANTED } }, hidden = { .variants = { THE_HIDDEN } };
		struct wire one, other;

		if (proc->kind != RPC_KIND_EVENT)
			continue;
		events++;
		to_wire(&one, proc, RPC_EVENT, &granted, proc->args);
		to_wire(&other, proc, RPC_EVENT, &hidden, proc->args);
		for (int scope = 0; scope < NUM_SCOPES; scope++) {
			/* Only one event is about no object: that libvirtd's own connection closed. */
			bool any = strcmp(proc->name, "connect_event_connection_closed") == 0;

			world_person(monitor ? ADMIN : VIEWER, (enum scope)scope);
			if (delivered(&one, fds[1]) != (any || (scope != SCOPE_NONE && !monitor)))
				fail_msg("%s of a granted object, on %s", proc->name, scope_names[scope]);
			if (delivered(&other, fds[1]) != (any || (scope == SCOPE_ALL && !monitor)))
				fail_msg("%s of a hidden object, on %s", proc->name, scope_names[scope]);
		}
	}
	print_message("%zu events\n", events);
	assert_int_equal(events, 54);
	close(fds[0]);
	close(fds[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_I51_lists_and_counts),
		cmocka_unit_test(test_I27_lookups),
		cmocka_unit_test(test_I52_events),
	};

	return cmocka_run_group_tests(tests, world_setup, world_teardown);
}
