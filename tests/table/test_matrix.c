/*
 * test_matrix.c: every call x every built-in role x what the role is bound on x whom the call is about x each condition
 * on its flags, decided by the gate's own code and compared with what matrix_expect.c works out on its own. The gate
 * runs in this process, without libvirtd: its domains are told to its inventory, and what libvirtd would answer to
 * its look-ups stands in the call already.
 */
#include <setjmp.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/gate/argument.h"
#include "tests/table/matrix_world.h"

#define MAX_FLAG_VALUES 32

static size_t num_cases, num_pairs, num_wrong;
static const struct rpc_proc *last_wrong;

static const char *const variant_names[NUM_VARIANTS] = { "granted", "hidden", "absent", "forged", "forged and absent" };

/* ---- one case ---- */

struct one {
	const struct rpc_proc *proc;
	size_t role;		/* NUM_ROLES: the one below */
	const char *role_name;
	enum scope scope;
	struct body body;
	bool exists;		/* the hidden objects are there */
};

/* Told once for each procedure; the test fails in the end. */
static void __attribute__((format(printf, 2, 3)))
wrong(const struct one *one, const char *format, ...)
{
	char text[1024];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (one->proc == last_wrong)
		return;
	last_wrong = one->proc;
	num_wrong++;
	print_error("%s as %s on %s about a %s object (then %s, name %s), %s %#" PRIx64 ", optionals %d: %s\n", one->proc->name, one->role_name,
	    scope_names[one->scope], variant_names[one->body.variants[0]], variant_names[one->body.variants[1]],
	    variant_names[one->body.key], one->body.flag_arg == NULL ? "-" : one->body.flag_arg, one->body.flags, one->body.optionals, text);
}

static void
decide(struct one *one, struct judgement *judgement)
{
	struct call call = { .session = &world_session, .proc = one->proc, .lookups = one->body.lookups, .num_lookups = one->body.num_lookups };

	if (one->role < NUM_ROLES)
		world_person(one->role, one->scope);
	decide_call(&call, one->body.data, one->body.len, judgement);
	admit_forget(&call);
	num_cases++;
}

static bool
body_holds(const struct body *body, const void *data, size_t len)
{
	return memmem(body->data, body->len, data, len) != NULL;
}

/* I50: nothing that is hidden, unless the client said it himself. */
static void
check_text(const struct one *one, const char *message)
{
	uint8_t uuid[VG_UUID_LEN];
	char text[VG_UUID_TEXT_LEN + 1];

	if (one->scope == SCOPE_ALL)
		return;		/* nothing is hidden */
	if (strstr(message, HIDDEN_USAGE) != NULL || (strstr(message, HIDDEN_NAME) != NULL && !body_holds(&one->body, HIDDEN_NAME, 4)))
		wrong(one, "the refusal names a hidden object: %s", message);
	for (int class = VG_CLASS_connect; class < VG_NUM_CLASSES; class++) {
		object_uuid((enum vg_class)class, true, uuid);
		uuid_text(uuid, text);
		if (strstr(message, text) != NULL && !body_holds(&one->body, uuid, sizeof(uuid)))
			wrong(one, "the refusal tells a hidden UUID: %s", message);
	}
}

/* Roles that only read; what they may do besides reading is listed here with its reason. */
static bool
only_reads(const char *role)
{
	return strcmp(role, "viewer") == 0 || strcmp(role, "auditor") == 0;
}

static void
check_reader(const struct one *one)
{
	/* libvirt's read-only connections refuse these; the permission that libvirt's annotation asks for is one of reading. */
	static const char *const harmless[] = { "node_get_sev_info", "domain_get_launch_security_info",
		"connect_domain_monitor_event_deregister" };
	const struct rpc_proc *proc = one->proc;
	bool denied = proc->readonly == RPC_RO_DENIED;

	if (proc->kind == RPC_KIND_CHANGE)
		wrong(one, "I30: a role that only reads may change something");
	if (proc->readonly == RPC_RO_DENIED_IF && one->body.flag_arg != NULL && strcmp(one->body.flag_arg, proc->readonly_arg) == 0)
		denied = strcmp(proc->readonly_arg, "source") == 0 ? one->body.flags == proc->readonly_mask :
		    (one->body.flags & proc->readonly_mask) != 0;
	for (size_t i = 0; i < sizeof(harmless) / sizeof(harmless[0]); i++)
		denied = denied && strcmp(proc->name, harmless[i]) != 0;
	if (denied)
		wrong(one, "I30: libvirt does not allow this on a read-only connection");
}

static void
check_case(struct one *one)
{
	struct expectation expectation;
	struct judgement judgement;
	const struct rpc_error *error = &judgement.error;

	expect(one->proc, one->role_name, one->scope, &one->body, &expectation);
	decide(one, &judgement);
	if ((judgement.verdict == DECIDE_INVALID) != (expectation.verdict == EXPECT_INVALID)) {
		wrong(one, "verdict %d: are these flags unknown? %s", judgement.verdict, error->message);
		return;
	}
	switch (judgement.verdict) {
	case DECIDE_ALLOW:
		if (expectation.verdict != EXPECT_ALLOW)
			wrong(one, "allowed, and should be %s", expectation.verdict == EXPECT_DENY ? "denied" : "missing");
		if (only_reads(one->role_name))
			check_reader(one);
		return;
	case DECIDE_DENY:
		if (expectation.verdict != EXPECT_DENY)
			wrong(one, "%s, and should be %s", error->message, expectation.verdict == EXPECT_ALLOW ? "allowed" : "missing");
		break;
	case DECIDE_MISSING:
	case DECIDE_CONFLICT:
		if (expectation.verdict != EXPECT_MISSING)
			wrong(one, "%s, and should be %s", error->message, expectation.verdict == EXPECT_ALLOW ? "allowed" : "denied");
		if ((expectation.codes & code_bit(error->code)) == 0)
			wrong(one, "code %d is of something else: %s", error->code, error->message);
		break;
	case DECIDE_INVALID:
		if (error->code != RPC_ERR_INVALID_ARG || strncmp(error->message, "invalid argument: unsupported flags (0x", 39) != 0)
			wrong(one, "code %d: %s", error->code, error->message);
		break;
	default:
		wrong(one, "neither yes nor no: %d %s", judgement.verdict, error->message);
		return;
	}
	check_text(one, error->message);
}

static void
build(struct one *one)
{
	one->body.xml = xml_of(one->proc->name);
	if (!body_build(&one->body, one->proc->args) || xdr_check(one->proc->args, one->body.data, one->body.len) != VG_OK)
		wrong(one, "no valid body");
}

/* Whom the call is about: each kind of object in each place. */
static void
each_variant(struct one *one, void (*check)(struct one *one))
{
	for (int first = 0; first < NUM_VARIANTS; first++) {
		for (int second = 0; second < NUM_VARIANTS; second++) {
			/* In one world the hidden objects are all there or all not. */
			if (first != THE_GRANTED && second != THE_GRANTED &&
			    variant_exists((enum variant)first) != variant_exists((enum variant)second))
				continue;
			one->body.variants[0] = (enum variant)first;
			one->body.variants[1] = one->body.variants[2] = (enum variant)second;
			one->body.key = (enum variant)first;
			one->exists = variant_exists((enum variant)first) && variant_exists((enum variant)second);
			build(one);
			if (one->body.num_objects < 2 && second != THE_GRANTED)
				break;
			world_hidden_domain(one->exists);
			check(one);
		}
	}
	world_hidden_domain(true);
}

static void
each_case(void (*check)(struct one *one))
{
	uint32_t values[MAX_FLAG_VALUES];
	struct one one = { 0 };

	for (size_t i = 0; (one.proc = rpc_proc_at(i)) != NULL; i++) {
		size_t num_values;

		if (one.proc->kind == RPC_KIND_EVENT)
			continue;
		switch (shape_of(one.proc)) {
		case SHAPE_UNKNOWN:
			fail_msg("%s is not classified: say in matrix_expect.c what it is about", one.proc->name);
			break;
		case SHAPE_OWN:
			continue;
		default:
			break;
		}
		num_values = flag_values(one.proc, &one.body.flag_arg, values, MAX_FLAG_VALUES);
		for (one.role = 0; one.role < NUM_ROLES; one.role++) {
			one.role_name = role_names[one.role];
			for (int scope = 0; scope < NUM_SCOPES; scope++) {
				one.scope = (enum scope)scope;
				for (size_t value = 0; value < num_values; value++) {
					one.body.flags = values[value];
					one.body.optionals = false;
					each_variant(&one, check);
					one.body.optionals = true;
					each_variant(&one, check);
				}
			}
		}
	}
}

static void
test_I23_I24_I25_I28_I30_I50_every_call_of_every_role(void **state)
{
	(void)state;
	num_cases = num_wrong = 0;
	last_wrong = NULL;
	each_case(check_case);
	assert_int_equal(num_wrong, 0);
	print_message("%zu decisions as expected\n", num_cases);
	assert_true(num_cases > 40000);
}

static void
set_answers(struct one *one, const struct body *answers)
{
	memcpy(one->body.lookups, answers->lookups, sizeof(one->body.lookups));
	one->body.num_lookups = answers->num_lookups;
}

static void
check_same(struct one *one, const struct body *answers_with, const struct body *answers_without)
{
	struct judgement with, without;

	set_answers(one, answers_with);
	decide(one, &with);
	set_answers(one, answers_without);
	world_hidden_domain(false);
	decide(one, &without);
	world_hidden_domain(true);
	num_pairs++;
	if (with.verdict == DECIDE_CONFLICT)
		with.verdict = DECIDE_MISSING;		/* recorded, but the client is not told */
	if (without.verdict == DECIDE_CONFLICT)
		without.verdict = DECIDE_MISSING;
	if (with.verdict != without.verdict || with.error.code != without.error.code || with.error.origin != without.error.origin ||
	    strcmp(with.error.message, without.error.message) != 0)
		wrong(one, "tells whether a hidden object is there: %d %d '%s', without it %d %d '%s'", with.error.code, with.error.origin,
		    with.error.message, without.error.code, without.error.origin, without.error.message);
}

/*
 * The same bytes in a world with the hidden objects, and in one without: the same answer, to the letter. Also when libvirtd
 * cannot be asked: the gate asks in both, so that the time is that of an answer too (I85).
 */
static void
check_pair(struct one *one)
{
	static const struct body nothing;
	struct body with = one->body, without = one->body;

	if (one->scope == SCOPE_ALL || !one->exists ||
	    (with.variants[0] == THE_GRANTED && with.variants[1] == THE_GRANTED && with.key == THE_GRANTED))
		return;
	for (size_t i = 0; i < BODY_MAX_OBJECTS; i++)
		without.variants[i] = with.variants[i] == THE_HIDDEN ? THE_ABSENT : with.variants[i] == THE_FORGED ? THE_FORGED_ABSENT :
		    with.variants[i];
	assert_true(body_build(&without, one->proc->args));
	assert_int_equal(without.len, with.len);
	assert_memory_equal(without.data, with.data, with.len);
	check_same(one, &with, &without);
	check_same(one, &nothing, &nothing);
}

static void
test_I27_I85_hidden_is_as_missing(void **state)
{
	(void)state;
	num_pairs = num_wrong = 0;
	last_wrong = NULL;
	each_case(check_pair);
	assert_int_equal(num_wrong, 0);
	print_message("%zu answers about hidden objects are those about missing ones\n", num_pairs);
	assert_true(num_pairs > 10000);
}

static void
check_every_call(struct one *one)
{
	uint32_t values[MAX_FLAG_VALUES];

	for (size_t i = 0; (one->proc = rpc_proc_at(i)) != NULL; i++) {
		size_t num_values;

		if (one->proc->kind == RPC_KIND_EVENT || shape_of(one->proc) == SHAPE_OWN)
			continue;
		one->body.optionals = true;
		num_values = flag_values(one->proc, &one->body.flag_arg, values, MAX_FLAG_VALUES);
		for (size_t value = 0; value < num_values; value++) {
			one->body.flags = values[value];
			build(one);
			check_case(one);
		}
	}
}

/* Everybody's role but one permission: each call is refused for exactly those that it needs, under each flag. */
static void
test_I28_each_permission_is_needed(void **state)
{
	struct one one = { .role = NUM_ROLES, .scope = SCOPE_ALL };
	char name[80];

	(void)state;
	num_cases = num_wrong = 0;
	last_wrong = NULL;
	for (unsigned permission = VG_PERM_NONE + 1; permission < VG_NUM_PERMISSIONS; permission++) {
		(void)snprintf(name, sizeof(name), ROLE_BUT "%s", permission_name((enum vg_permission)permission));
		one.role_name = name;
		world_person_but(permission_name((enum vg_permission)permission), NULL);
		check_every_call(&one);
	}
	assert_int_equal(num_wrong, 0);
	print_message("%zu decisions as expected\n", num_cases);
	assert_true(num_cases > 50000);
}

/* Of one of libvirt's permissions only one part: it opens the calls that ask for that part, and no others. */
static void
test_I28_a_part_opens_its_own_calls_only(void **state)
{
	struct one one = { .role = NUM_ROLES, .scope = SCOPE_ALL };
	size_t num_parts = 0;
	char name[80];

	(void)state;
	num_cases = num_wrong = 0;
	last_wrong = NULL;
	for (unsigned permission = VG_PERM_NONE + 1; permission < VG_NUM_PERMISSIONS; permission++) {
		const char *part = permission_name((enum vg_permission)permission);

		if (permission_whole((enum vg_permission)permission) == VG_PERM_NONE)
			continue;
		(void)snprintf(name, sizeof(name), ROLE_PART "%s", part);
		one.role_name = name;
		world_person_but(permission_name(permission_whole((enum vg_permission)permission)), part);
		check_every_call(&one);
		num_parts++;
	}
	assert_int_equal(num_wrong, 0);
	assert_int_equal(num_parts, 13);
}

/* Which part attaching a device asks for is told by its document; in doubt it asks for each. */
static void
test_I28_devices_by_their_kind(void **state)
{
	static const char *const calls[] = { "domain_attach_device", "domain_detach_device", "domain_attach_device_flags", "domain_detach_device_flags",
		"domain_update_device_flags" };
	static const char *const names[] = { "domain:write_disk", "domain:write_interface", "domain:write_hostdev", "domain:write_device" };
	static const struct { const char *xml; unsigned needs; } documents[] = { { "<disk/>", 1 }, { "<interface/>", 2 }, { "<hostdev/>", 4 },
		{ "<input/>", 8 }, { "<interface type='hostdev'/>", 6 }, { "<!DOCTYPE disk><disk/>", 15 }, { "", 15 } };
	struct one one = { .role = NUM_ROLES, .role_name = "a part", .scope = SCOPE_ALL };

	(void)state;
	for (size_t part = 0; part < 4; part++) {
		world_person_but("domain:write", names[part]);
		for (size_t call = 0; call < sizeof(calls) / sizeof(calls[0]); call++) {
			for (size_t i = 0; i < sizeof(documents) / sizeof(documents[0]); i++) {
				struct judgement judgement;

				one.proc = rpc_proc_by_name(calls[call]);
				one.body.xml = documents[i].xml;
				assert_true(body_build(&one.body, one.proc->args));
				decide(&one, &judgement);
				if ((judgement.verdict == DECIDE_DENY && strstr(judgement.error.message, "'domain:write_") != NULL) !=
				    (documents[i].needs != 1u << part))
					fail_msg("%s of %s with %s: %d %s", calls[call], documents[i].xml, names[part], judgement.verdict, judgement.error.message);
			}
		}
	}
}

/* One bit of one argument, for every role: refused where libvirt's enums have no such bit; otherwise as the permissions say. */
static void
check_bit(struct one *one)
{
	for (one->role = 0; one->role < NUM_ROLES; one->role++) {
		one->role_name = role_names[one->role];
		build(one);
		check_case(one);
	}
}

static void
test_I28_each_flag_alone_and_unknown_ones_refused(void **state)
{
	struct one one = { .scope = SCOPE_WEB };
	size_t num_args = 0;

	(void)state;
	num_cases = num_wrong = 0;
	last_wrong = NULL;
	for (size_t i = 0; (one.proc = rpc_proc_at(i)) != NULL; i++) {
		if (one.proc->kind == RPC_KIND_EVENT || shape_of(one.proc) == SHAPE_OWN)
			continue;
		for (const struct xdr_field *field = one.proc->args; field->name != NULL; field++) {
			int64_t known = known_flags(one.proc, field->name);
			unsigned bits = field->type != NULL && field->type->kind == XDR_UINT64 ? 64 : 32;

			if (known < 0) {
				assert_null(strstr(field->name, "flags"));
				continue;
			}
			num_args++;
			one.body.flag_arg = field->name;
			for (unsigned bit = 0; bit < bits; bit++) {
				one.body.flags = UINT64_C(1) << bit;
				check_bit(&one);
			}
		}
	}
	assert_int_equal(num_wrong, 0);
	assert_true(num_args > 200);
}

struct parameter {
	const char *name, *text;	/* NULL: a number */
};

static void
put_save_params(struct body *body, const struct parameter *parameters)
{
	struct xdr_out out;
	uint8_t uuid[VG_UUID_LEN];
	uint32_t num = 0;

	while (parameters[num].name != NULL)
		num++;
	object_uuid(VG_CLASS_domain, false, uuid);
	xdr_out_init(&out, body->data, sizeof(body->data));
	xdr_put_string(&out, GRANTED_NAME);
	xdr_put_raw(&out, uuid, sizeof(uuid));
	xdr_put_i32(&out, -1);
	xdr_put_u32(&out, num);
	for (uint32_t i = 0; i < num; i++) {
		xdr_put_string(&out, parameters[i].name);
		xdr_put_u32(&out, parameters[i].text != NULL ? 7 : 1);
		if (parameters[i].text != NULL)
			xdr_put_string(&out, parameters[i].text);
		else
			xdr_put_i32(&out, 1);
	}
	xdr_put_u32(&out, 0);
	assert_false(out.failed);
	body->len = out.len;
}

/* A rule finds its parameter by name: it must not be possible to hide one by saying it twice, as a number, or under another name. */
static void
test_I39_I40_parameters_are_not_hidden_from_the_rules(void **state)
{
	static const struct { struct parameter parameters[4]; const char *why; } cases[] = {
		{ { { "parallel_channels", NULL } }, NULL }, { { { "image_format", "raw" } }, NULL },
		{ { { "file", "/etc/x" } }, "save_dirs" }, { { { "dxml", "<domain/>" } }, "must be those of domain" },
		{ { { "file", "/etc/x" }, { "file", "/etc/y" } }, "more than once" }, { { { "file", NULL } }, "more than once, or is no text" },
		{ { { "dxml", "<domain/>" }, { "dxml", "<domain/>" } }, "more than once" }, { { { "dxml", NULL } }, "no text" },
		{ { { "file", "/etc/x" }, { "file", NULL } }, "more than once" }, { { { "dxml2", "<domain/>" } }, "is not checked" },
		{ { { "", "x" } }, "is not checked" },
	};
	struct one one = { .proc = rpc_proc_by_name("domain_save_params"), .role_name = "vm-admin", .scope = SCOPE_WEB };
	struct judgement judgement;

	(void)state;
	while (strcmp(role_names[one.role], one.role_name) != 0)
		one.role++;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		build(&one);
		put_save_params(&one.body, cases[i].parameters);
		assert_int_equal(xdr_check(one.proc->args, one.body.data, one.body.len), VG_OK);
		decide(&one, &judgement);
		if (judgement.verdict != (cases[i].why == NULL ? DECIDE_ALLOW : DECIDE_DENY) ||
		    (cases[i].why != NULL && strstr(judgement.error.message, cases[i].why) == NULL))
			fail_msg("%s, …: %d %s", cases[i].parameters[0].name, judgement.verdict, judgement.error.message);
	}
}

/* What is called reading must be called so for a reason. */
static void
test_I30_kinds(void **state)
{
	static const char *const words[] = { "_get_", "list_", "_num", "lookup", "_is_", "_has_", "_stats", "_event_", "_info", "close_callback" };
	/* Not told by their names. */
	static const char *const reads[] = { "connect_open", "connect_close", "connect_supports_feature", "auth_list", "auth_sasl_init",
		"auth_sasl_start", "auth_sasl_step", "auth_polkit", "connect_compare_cpu", "connect_baseline_cpu", "domain_snapshot_current",
		"domain_interface_addresses" };
	const struct rpc_proc *proc;

	(void)state;
	for (size_t i = 0; (proc = rpc_proc_at(i)) != NULL; i++) {
		bool known = false;

		if (proc->kind != RPC_KIND_READ)
			continue;
		for (size_t k = 0; k < sizeof(words) / sizeof(words[0]); k++)
			known = known || strstr(proc->name, words[k]) != NULL;
		for (size_t k = 0; k < sizeof(reads) / sizeof(reads[0]); k++)
			known = known || strcmp(proc->name, reads[k]) == 0;
		if (!known)
			fail_msg("%s is of kind READ: is it?", proc->name);
		if (proc->readonly == RPC_RO_DENIED)
			fail_msg("%s is of kind READ, and libvirt does not allow it on a read-only connection", proc->name);
		if (strstr(proc->name, "_set_") != NULL)
			fail_msg("%s is of kind READ, and sets something", proc->name);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_I23_I24_I25_I28_I30_I50_every_call_of_every_role),
		cmocka_unit_test(test_I27_I85_hidden_is_as_missing),
		cmocka_unit_test(test_I28_each_permission_is_needed),
		cmocka_unit_test(test_I28_a_part_opens_its_own_calls_only),
		cmocka_unit_test(test_I28_devices_by_their_kind),
		cmocka_unit_test(test_I28_each_flag_alone_and_unknown_ones_refused),
		cmocka_unit_test(test_I39_I40_parameters_are_not_hidden_from_the_rules),
		cmocka_unit_test(test_I30_kinds),
	};

	return cmocka_run_group_tests(tests, world_setup, world_teardown);
}
