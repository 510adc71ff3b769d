/*
 * test_policy_random.c: random policies, asked random questions, against policy_reference.c. The seed is fixed; another is
 * an argument: test_policy_random SEED [POLICIES].
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "tests/table/policy_reference.h"

static uint64_t random_state = 20261123;
static unsigned num_policies = 400;

static unsigned
pick(unsigned below)
{
	random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (unsigned)(random_state >> 33) % below;
}

#define PICK(list) ((list)[pick((unsigned)(sizeof(list) / sizeof((list)[0])))])

static const char *const people[] = { "sasl:a", "sasl:b", "sasl:*", "sasl:a?", "x509:*CN=b,*", "x509:O=L,CN=a", "x509-cn:a",
	"x509-cn:?", "x509-san:dns:a", "x509-san:*:b", "unix:a", "unix:ab*", "unix-group:g*", "unix-group:h", "anyone",
	"group:g0", "group:g1", "group:g2" };
static const char *const texts[] = { "a", "b", "ab", "A", "abc" };
static const char *const places[] = { "*", "domain:a*", "domain:*", "domain:?b", "domain:*b*c", "set:s0", "set:s1", "set:s0",
	"storage_pool:a", "storage_pool:*", "storage_vol:a/b*", "storage_vol:*/*", "storage_vol:*", "storage_vol:*b/*a",
	"domain:uuid:00000000-0000-0000-0000-000000000001", "storage_pool:uuid:00000000-0000-0000-0000-000000000002",
	"network:a", "network_port:a/b", "network_port:uuid:00000000-0000-0000-0000-000000000001", "secret:a", "node_device:a*" };
static const char *const in_sets[] = { "a", "b*", "*", "*c", "uuid:00000000-0000-0000-0000-000000000003" };
static const char *const roles[] = { "viewer", "console-viewer", "operator", "vm-admin", "auditor", "admin", "r0", "r1", "r2",
	"r0", "r1", "r2" };
static const char *const permissions[] = { "domain:start", "domain:*", "*", "*:read", "domain:monitor", "domain:s*",
	"storage_vol:*", "connect:*", "session:kill", "network*", "*:delete", "domain:??op", "org.libvirt.api.domain.stop",
	"domain:write", "domain:write_cpu", "domain:write_*", "org.libvirt.api.domain.migrate-in" };
static const char *const networks[] = { "10.0.0.0/8", "10.1.0.0/16", "0.0.0.0/0", "::/0", "2001:db8::/33", "::ffff:10.0.0.0/105",
	"10.1.2.3", "10.1.2.0/29" };
static const char *const addresses[] = { "", "10.1.2.3", "10.1.2.9", "11.0.0.1", "::ffff:10.1.2.3", "2001:db8::1",
	"2001:db8:8000::1", "what", "10.200.0.1" };
static const char *const hours[] = { "08:00-18:00", "Mon-Fri 22:00-06:00", "Sat-Mon 00:00-24:00", "Wed 23:59-00:01, Sun 12:00-13:00",
	"Fri-Tue 18:00-02:30,Thu 00:00-00:01" };
static const char *const untils[] = { "2026-11-24T12:00:00Z", "2026-11-24T12:00:00+02:00", "2026-11-24T23:30:00-05:30",
	"2024-02-29T00:00:00Z", "2100-03-01T00:00:00.25Z" };
static const char *const asked[] = { "domain:start", "domain:stop", "domain:read", "domain:monitor", "domain:agent",
	"domain:write", "domain:write_cpu", "domain:rename", "domain:migrate", "domain:migrate_in", "storage_vol:clone",
	"domain:delete", "storage_vol:read", "storage_vol:delete", "storage_pool:read", "network_port:read", "connect:read",
	"connect:write", "session:kill", "audit:read", "secret:read", "network:delete", "node_device:read" };

/* Up to `most` different elements of a list, as a JSON array; at least one. */
static json_t *
some(const char *const *list, unsigned len, unsigned most)
{
	json_t *array = json_array();

	for (unsigned n = 1 + pick(most); n > 0; n--)
		json_array_append_new(array, json_string(list[pick(len)]));
	return array;
}

#define SOME(list, most) some(list, (unsigned)(sizeof(list) / sizeof((list)[0])), most)

static json_t *
random_when(void)
{
	json_t *when = json_object();
	static const char *const proofs[] = { "x509", "sasl", "unix" };

	if (pick(2) == 0)
		json_object_set_new(when, "from", SOME(networks, 2));
	if (pick(4) == 0)
		json_object_set_new(when, "proof", SOME(proofs, 2));
	if (pick(2) == 0)
		json_object_set_new(when, "hours", json_string(PICK(hours)));
	if (pick(3) == 0)
		json_object_set_new(when, "until", json_string(PICK(untils)));
	return when;
}

static json_t *
random_role(unsigned number)
{
	json_t *role = json_object();

	if (pick(2) == 0)	/* only of roles before it, so that there is no circle */
		json_object_set_new(role, "include", some(roles, 6 + number, 2));
	if (pick(4) != 0)
		json_object_set_new(role, "allow", SOME(permissions, 3));
	if (pick(2) == 0)
		json_object_set_new(role, "deny", SOME(permissions, 2));
	return role;
}

static json_t *
random_policy(void)
{
	json_t *groups = json_object(), *sets = json_object(), *made = json_object(), *bindings = json_array();

	for (unsigned i = 0; i < 3; i++) {
		char name[8];

		(void)snprintf(name, sizeof(name), "g%u", i);
		json_object_set_new(groups, name, SOME(people, 3));
		(void)snprintf(name, sizeof(name), "r%u", i);
		json_object_set_new(made, name, random_role(i));
		(void)snprintf(name, sizeof(name), "s%u", i);
		json_object_set_new(sets, name, json_pack("{s:o, s:o}", "domain", SOME(in_sets, 2), "storage_pool", SOME(in_sets, 2)));
	}
	for (unsigned i = 1 + pick(6); i > 0; i--) {
		json_t *binding = json_pack("{s:o, s:o, s:s, s:o}", "id", json_sprintf("b%u", i), "who", SOME(people, 2), "role",
		    PICK(roles), "on", SOME(places, 2));

		if (pick(3) == 0)
			json_object_set_new(binding, "when", random_when());
		if (pick(3) == 0)
			json_object_set_new(binding, "mode", json_string("permissive"));
		json_array_append_new(bindings, binding);
	}
	return json_pack("{s:i, s:s, s:o, s:o, s:o, s:o}", "version", 1, "mode", pick(4) == 0 ? "permissive" : "enforce", "groups",
	    groups, "sets", sets, "roles", made, "bindings", bindings);
}

/* Texts are literals; nobody writes to them. */
static char *
text_or_null(void)
{
	return pick(2) == 0 ? NULL : (char *)(uintptr_t)PICK(texts);
}

static struct vg_identity
random_identity(void)
{
	static char dns[][16] = { "CN=b,O=L", "O=L,CN=a", "X=1,CN=b,O=L", "CN=b" }, groups[][4] = { "g1", "h", "x" }, sans[][8] = { "dns:a", "uri:b", "ip:c" };
	struct vg_identity identity = { .proofs = pick(8), .sasl_name = text_or_null(), .x509_cn = text_or_null(),
		.unix_user = text_or_null() };

	if (pick(2) == 0)
		identity.x509_dn = PICK(dns);
	for (unsigned i = pick(3); i > 0; i--)
		identity.unix_groups[identity.num_unix_groups++] = PICK(groups);
	for (unsigned i = pick(3); i > 0; i--)
		identity.x509_sans[identity.num_x509_sans++] = PICK(sans);
	(void)snprintf(identity.address, sizeof(identity.address), "%s", PICK(addresses));
	return identity;
}

static struct vg_object
random_object(enum vg_class class)
{
	struct vg_object object = { .class = pick(20) == 0 ? VG_CLASS_domain : class, .any = pick(6) == 0,
		.name = pick(8) == 0 ? NULL : PICK(texts), .parent = pick(3) == 0 ? NULL : PICK(texts),
		.has_uuid = pick(2) == 0, .has_parent_uuid = pick(2) == 0 };

	object.uuid[VG_UUID_LEN - 1] = (uint8_t)pick(5);
	object.parent_uuid[VG_UUID_LEN - 1] = (uint8_t)pick(5);
	return object;
}

static void
ignore_finding(const char *binding, bool applies, enum verdict verdict, const char *why, void *arg)
{
	(void)binding;
	(void)applies;
	(void)verdict;
	(void)why;
	(void)arg;
}

static void
no_problem(const struct vg_error *error, void *arg)
{
	fail_msg("%s (%s) in\n%s", error->what, error->hint, (const char *)arg);
}

static void
ask(const struct policy *policy, const json_t *json, const char *text, unsigned *verdicts)
{
	struct vg_identity identity = random_identity();
	enum vg_permission permission = permission_find(PICK(asked));
	struct vg_object object = random_object(permission_class(permission));
	const struct vg_object *given = pick(10) == 0 ? NULL : &object;
	time_t now = 1795428000 + (time_t)pick(14 * 24 * 60) * 60 - 7 * 24 * 3600 + (time_t)pick(2) * 59;
	struct decision ours = policy_decide(policy, &identity, permission, given, now);
	struct decision theirs = reference_decide(json, &identity, permission_name(permission), given, now);
	struct decision explained = policy_explain(policy, &identity, permission, given, now, ignore_finding, NULL);
	struct policy_view *view = policy_view_create(policy, &identity);
	struct decision viewed;

	assert_non_null(view);
	viewed = policy_view_decide(view, permission, given, now);
	policy_view_destroy(view);
	if (viewed.verdict != ours.verdict || viewed.binding != ours.binding)
		fail_msg("the bindings about one person decide otherwise than all of them, in\n%s", text);
	verdicts[ours.verdict]++;
	if (ours.verdict != theirs.verdict || (ours.binding == NULL) != (theirs.binding == NULL) ||
	    (ours.binding != NULL && strcmp(ours.binding, theirs.binding) != 0))
		fail_msg("%s on %s '%s': %d by %s, the reference says %d by %s, in\n%s", permission_name(permission),
		    given == NULL || given->any ? "any" : class_name(given->class), object.name != NULL ? object.name : "-",
		    ours.verdict, ours.binding, theirs.verdict, theirs.binding, text);
	if (explained.verdict != ours.verdict || explained.binding != ours.binding)
		fail_msg("explain differs from decide in\n%s", text);
	if (ours.verdict != VERDICT_DENY) {
		assert_true(policy_may_ever(policy, &identity, permission, now));
		assert_true(policy_knows(policy, &identity, now));
	}
	/* Somebody who only reads gets nothing that changes. */
	if (ours.verdict != VERDICT_DENY && policy_only_reads(policy, &identity, now))
		assert_non_null(strstr(permission_name(permission), ":read"));
}

static void
test_decisions_agree_with_reference_I54(void **state)
{
	unsigned verdicts[3] = { 0 };

	(void)state;
	for (unsigned i = 0; i < num_policies; i++) {
		json_t *json = random_policy();
		char *text = json_dumps(json, JSON_INDENT(1));
		struct policy *policy = policy_parse(text, strlen(text), "random", no_problem, text);

		for (unsigned j = 0; j < 250; j++)
			ask(policy, json, text, verdicts);
		policy_destroy(policy);
		free(text);
		json_decref(json);
	}
	/* All three verdicts were really met. */
	for (unsigned i = 0; i < 3; i++)
		assert_true(verdicts[i] > num_policies * 250 / 100);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_decisions_agree_with_reference_I54) };

	setenv("TZ", "UTC", 1);
	tzset();
	if (argc > 1)
		random_state = strtoull(argv[1], NULL, 10);
	if (argc > 2)
		num_policies = (unsigned)strtoul(argv[2], NULL, 10);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
