/*
 * test_policy.c: policies, questions and verdicts from tables that can be read without reading this: policy/NAME.json
 * with policy/NAME.table, policy/builtin.table.
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

#include "gateway/policy/policy.h"
#include "tests/table/policy_text.h"

static void
no_problem(const struct vg_error *error, void *arg)
{
	(void)arg;
	fail_msg("%s (%s)", error->what, error->hint);
}

static struct policy *
load(const char *file)
{
	size_t len;
	char *text = read_text(file, &len);
	struct policy *policy = policy_parse(text, len, file, no_problem, NULL);

	assert_non_null(policy);
	free(text);
	return policy;
}

/* The next column of a row, trimmed; *row moves on. "" at the end. */
static char *
column(char **row)
{
	static char nothing[1];
	char *text = strsep(row, "|"), *end;

	if (text == NULL)
		return nothing;
	text += strspn(text, " \t");
	for (end = text + strlen(text); end > text && strchr(" \t\n", end[-1]) != NULL; end--)
		;
	*end = '\0';
	return text;
}

/* "sasl:alice+x509-cn:bob"; the texts stay in `text`. */
static struct vg_identity
read_identity(char *text)
{
	static const struct {
		const char *kind;
		unsigned proof;
	} kinds[] = {
		{ "sasl", VG_PROOF_SASL }, { "x509", VG_PROOF_X509 }, { "x509-cn", VG_PROOF_X509 }, { "x509-san", VG_PROOF_X509 },
		{ "x509-sha256", VG_PROOF_X509 }, { "unix", VG_PROOF_UNIX }, { "unix-group", VG_PROOF_UNIX },
	};
	struct vg_identity identity = { 0 };
	char **fields[] = { &identity.sasl_name, &identity.x509_dn, &identity.x509_cn, NULL, &identity.x509_sha256,
		&identity.unix_user, NULL };

	if (strcmp(text, "nobody") == 0)
		return identity;
	for (char *part; (part = strsep(&text, "+")) != NULL;) {
		char *kind = strsep(&part, ":");
		size_t i = 0;

		while (i < 7 && strcmp(kinds[i].kind, kind) != 0)
			i++;
		if (i == 7 || part == NULL)
			fail_msg("no identity: '%s'", kind);
		identity.proofs |= kinds[i].proof;
		if (fields[i] != NULL)
			*fields[i] = part;
		else if (kinds[i].proof == VG_PROOF_UNIX)
			identity.unix_groups[identity.num_unix_groups++] = part;
		else
			identity.x509_sans[identity.num_x509_sans++] = part;
	}
	return identity;
}

/* A whole UUID, or the digit it ends in. */
static void
read_uuid(const char *text, uint8_t uuid[VG_UUID_LEN])
{
	char whole[VG_UUID_TEXT_LEN + 1];

	(void)snprintf(whole, sizeof(whole), strlen(text) == 1 ? "00000000-0000-0000-0000-00000000000%s" : "%s", text);
	assert_true(policy_parse_uuid(whole, uuid));
}

/* "storage_vol:pool/disk uuid=1 puuid=2"; the texts stay in `text`. */
static struct vg_object
read_object(char *text)
{
	struct vg_object object = { 0 };
	char *words = text, *name = strsep(&words, " ");
	const char *class = strsep(&name, ":");
	bool child;

	object.class = class_find(class);
	if (object.class == VG_CLASS_none || name == NULL)
		fail_msg("no object: '%s'", class);
	child = object.class == VG_CLASS_storage_vol || object.class == VG_CLASS_network_port;
	object.any = strcmp(name, "*") == 0;
	if (child && strchr(name, '/') != NULL)
		object.parent = strsep(&name, "/");
	object.name = object.any || strcmp(name, "-") == 0 ? NULL : name;
	if (object.parent != NULL && strcmp(object.parent, "-") == 0)
		object.parent = NULL;
	for (char *word; (word = strsep(&words, " ")) != NULL;) {
		if (strncmp(word, "uuid=", 5) == 0) {
			object.has_uuid = true;
			read_uuid(word + 5, object.uuid);
		} else if (strncmp(word, "puuid=", 6) == 0) {
			object.has_parent_uuid = true;
			read_uuid(word + 6, object.parent_uuid);
		} else {
			fail_msg("no attribute of an object: '%s'", word);
		}
	}
	return object;
}

static time_t
read_circumstances(char *text, struct vg_identity *identity)
{
	time_t now = 1795428000;	/* 2026-11-23T10:00:00Z */

	for (char *word; (word = strsep(&text, " ")) != NULL;) {
		if (strncmp(word, "at=", 3) == 0)
			assert_true(policy_parse_time(word + 3, &now));
		else if (strncmp(word, "from=", 5) == 0)
			(void)snprintf(identity->address, sizeof(identity->address), "%s", word + 5);
		else if (*word != '\0')
			fail_msg("no circumstance: '%s'", word);
	}
	return now;
}

static const char *
verdict_text(enum verdict verdict)
{
	return verdict == VERDICT_ALLOW ? "allow" : verdict == VERDICT_WOULD_DENY ? "would-deny" : "deny";
}

struct told {
	unsigned num_bindings, num_applying;
	bool winner;
	const char *binding;
	enum verdict verdict;
};

static void
take_told(const char *binding, bool applies, enum verdict verdict, const char *why, void *arg)
{
	struct told *told = arg;

	assert_true(strlen(why) > 5);
	told->num_bindings++;
	told->num_applying += applies ? 1 : 0;
	if (applies && told->binding != NULL && strcmp(binding, told->binding) == 0 && verdict == told->verdict)
		told->winner = true;
}

/* What explains must come to what decides, and must have told the binding that decided; may_ever must not say no to a yes. */
static void
check_agreement(const char *where, const struct policy *policy, const struct vg_identity *identity,
    enum vg_permission permission, const struct vg_object *object, time_t now, struct decision decision)
{
	struct told told = { .binding = decision.binding, .verdict = decision.verdict };
	struct decision explained = policy_explain(policy, identity, permission, object, now, take_told, &told);

	if (explained.verdict != decision.verdict || explained.binding != decision.binding)
		fail_msg("%s: explain says %s by %s", where, verdict_text(explained.verdict), explained.binding);
	if (decision.binding != NULL && !told.winner)
		fail_msg("%s: explain did not tell '%s'", where, decision.binding);
	if (decision.verdict != VERDICT_DENY && !policy_may_ever(policy, identity, permission, now))
		fail_msg("%s: may_ever says no", where);
	if (decision.verdict != VERDICT_DENY && !policy_knows(policy, identity, now))
		fail_msg("%s: knows says no", where);
}

static void
check_question(const char *where, const struct policy *policy, const struct vg_identity *identity, const char *question,
    time_t now, const char *expected)
{
	bool answer;

	if (strcmp(question, "knows") == 0)
		answer = policy_knows(policy, identity, now);
	else if (strcmp(question, "only-reads") == 0)
		answer = policy_only_reads(policy, identity, now);
	else
		answer = policy_may_ever(policy, identity, permission_find(question + strlen("may-ever ")), now);
	if (strcmp(expected, answer ? "yes" : "no") != 0)
		fail_msg("%s: %s: expected %s", where, question, expected);
}

static void
check_row(const char *where, const struct policy *policy, char *row)
{
	char *identity_text = column(&row), *asked = column(&row), *object_text = column(&row), *circumstances = column(&row);
	const char *verdict = column(&row), *binding = column(&row);
	struct vg_identity identity = read_identity(identity_text);
	time_t now = read_circumstances(circumstances, &identity);
	enum vg_permission permission = permission_find(asked);
	struct vg_object object;
	struct decision decision;

	if (strcmp(verdict, "yes") == 0 || strcmp(verdict, "no") == 0) {
		check_question(where, policy, &identity, asked, now, verdict);
		return;
	}
	if (permission == VG_PERM_NONE)
		fail_msg("%s: no permission: '%s'", where, asked);
	if (*object_text != '\0')
		object = read_object(object_text);
	decision = policy_decide(policy, &identity, permission, *object_text != '\0' ? &object : NULL, now);
	if (strcmp(verdict_text(decision.verdict), verdict) != 0 ||
	    strcmp(decision.binding != NULL ? decision.binding : "-", binding) != 0)
		fail_msg("%s: expected %s by %s, got %s by %s", where, verdict, binding, verdict_text(decision.verdict),
		    decision.binding != NULL ? decision.binding : "-");
	check_agreement(where, policy, &identity, permission, *object_text != '\0' ? &object : NULL, now, decision);
}

static void
check_table(const char *name, unsigned least)
{
	char file[512], where[600], *text, *rest, *row;
	struct policy *policy;
	unsigned line = 0, rows = 0;
	size_t len;

	(void)snprintf(file, sizeof(file), DIR "%s.json", name);
	policy = load(file);
	(void)snprintf(file, sizeof(file), DIR "%s.table", name);
	rest = text = read_text(file, &len);
	while ((row = strsep(&rest, "\n")) != NULL) {
		line++;
		if (*row == '#' || *row == '\0')
			continue;
		(void)snprintf(where, sizeof(where), "%s:%u", file, line);
		check_row(where, policy, row);
		rows++;
	}
	assert_true(rows >= least);
	free(text);
	policy_destroy(policy);
}

static void
test_office_I4_I9_I33(void **state)
{
	(void)state;
	check_table("office", 150);
}

static void
test_when(void **state)
{
	(void)state;
	check_table("when", 80);
}

static void
test_permissive(void **state)
{
	(void)state;
	check_table("trial", 50);
}

static void
test_whole_policy_permissive(void **state)
{
	(void)state;
	check_table("watch", 45);
}

static void
test_volumes_ports_uuids(void **state)
{
	(void)state;
	check_table("places", 45);
}

/* One line of builtin.table: the permissions of `role`, by those of the roles above it. */
static void
check_builtin(char *line, bool may[][VG_NUM_PERMISSIONS], char names[][32], unsigned num)
{
	const char *role = strsep(&line, ":");
	char text[256];
	struct policy *policy;
	struct vg_identity identity = { .proofs = VG_PROOF_SASL, .sasl_name = (char[]){ "a" } };

	(void)snprintf(names[num], 32, "%s", role);
	for (char *word; (word = strsep(&line, " ")) != NULL;) {
		bool without = *word == '!', include = *word == '+';

		for (unsigned i = 0; i < num; i++) {
			for (unsigned p = 0; include && strcmp(names[i], word + 1) == 0 && p < VG_NUM_PERMISSIONS; p++)
				may[num][p] = may[num][p] || may[i][p];
		}
		for (unsigned p = 1; strcmp(word, "*") == 0 && p < VG_NUM_PERMISSIONS; p++)
			may[num][p] = true;
		if (include || strcmp(word, "*") == 0 || *word == '\0')
			continue;
		assert_int_not_equal(permission_find(word + (without ? 1 : 0)), VG_PERM_NONE);
		may[num][permission_find(word + (without ? 1 : 0))] = !without;
	}
	(void)snprintf(text, sizeof(text), "{\"version\":1,\"bindings\":[{\"id\":\"b\",\"who\":[\"sasl:a\"],\"role\":\"%s\",\"on\":"
	    "[\"*\"]}]}", role);
	policy = policy_parse(text, strlen(text), "builtin", no_problem, NULL);
	for (unsigned p = 1; p < VG_NUM_PERMISSIONS; p++) {
		struct vg_object object = { .class = permission_class((enum vg_permission)p), .name = "x", .parent = "p" };
		struct decision decision = policy_decide(policy, &identity, (enum vg_permission)p, &object, 0);

		if ((decision.verdict == VERDICT_ALLOW) != may[num][p])
			fail_msg("%s: %s: expected %s", role, permission_name((enum vg_permission)p), may[num][p] ? "allow" : "deny");
	}
	policy_destroy(policy);
}

static void
test_builtin_roles(void **state)
{
	static bool may[16][VG_NUM_PERMISSIONS];
	static char names[16][32];
	size_t len;
	char *text = read_text(DIR "builtin.table", &len), *rest = text, *line;
	unsigned num = 0;

	(void)state;
	while ((line = strsep(&rest, "\n")) != NULL) {
		if (*line != '#' && *line != '\0')
			check_builtin(line, may, names, num++);
	}
	assert_int_equal(num, 6);
	free(text);
}

static void
test_example_is_good(void **state)
{
	struct vg_identity alice = { .proofs = VG_PROOF_SASL, .sasl_name = (char[]){ "alice" } };
	struct vg_identity bob = { .proofs = VG_PROOF_SASL, .sasl_name = (char[]){ "bob" } };
	struct vg_object web = { .class = VG_CLASS_domain, .name = "web-1" }, db = { .class = VG_CLASS_domain, .name = "db-1" };
	struct policy *policy = load(TOP_SRCDIR "/gateway/policy.json.example");

	(void)state;
	assert_int_equal(policy_decide(policy, &alice, VG_PERM_domain_start, &web, 0).verdict, VERDICT_ALLOW);
	assert_int_equal(policy_decide(policy, &alice, VG_PERM_domain_start, &db, 0).verdict, VERDICT_DENY);
	assert_int_equal(policy_decide(policy, &bob, VG_PERM_domain_read, &db, 0).verdict, VERDICT_ALLOW);
	assert_int_equal(policy_decide(policy, &bob, VG_PERM_domain_start, &db, 0).verdict, VERDICT_DENY);
	assert_true(policy_only_reads(policy, &bob, 0));
	assert_false(policy_only_reads(policy, &alice, 0));
	policy_destroy(policy);
}

static void
test_names_of_the_vocabulary(void **state)
{
	(void)state;
	for (unsigned i = VG_PERM_NONE + 1; i < VG_NUM_PERMISSIONS; i++) {
		enum vg_permission permission = (enum vg_permission)i;
		const char *name = permission_name(permission), *class = class_name(permission_class(permission));
		char polkit[128];

		assert_int_equal(permission_find(name), permission);
		assert_int_equal(strncmp(name, class, strlen(class)), 0);
		assert_int_equal(name[strlen(class)], ':');
		assert_true(strlen(permission_meaning(permission)) > 3);
		assert_int_equal(class_find(class), permission_class(permission));
		(void)snprintf(polkit, sizeof(polkit), "org.libvirt.api.%s", name);
		*strchr(polkit, ':') = '.';
		for (char *c = polkit; *c != '\0'; c++)
			*c = *c == '_' ? '-' : *c;
		assert_int_equal(permission_find(polkit), permission);
	}
	assert_int_equal(permission_find("domain:*"), VG_PERM_NONE);
	assert_int_equal(permission_find(""), VG_PERM_NONE);
	assert_int_equal(permission_find("none"), VG_PERM_NONE);
	assert_int_equal(permission_find("org.libvirt.api.domain"), VG_PERM_NONE);
	assert_int_equal(permission_find("org.libvirt.api.domain.start.x"), VG_PERM_NONE);
	assert_int_equal(class_find("none"), VG_CLASS_none);
}

static void
take_person(const char *who, const char *binding, enum verdict verdict, const char *condition, void *arg)
{
	char *text = arg;
	size_t len = strlen(text);

	(void)snprintf(text + len, 4096 - len, "%s %s %s [%s]\n", who, binding, verdict_text(verdict), condition);
}

static void
test_who_can(void **state)
{
	struct policy *policy = load(DIR "office.json");
	struct vg_object object = { .class = VG_CLASS_domain, .name = "core-1", .has_uuid = true };
	char text[4096] = "";

	(void)state;
	policy_who_can(policy, VG_PERM_domain_stop, &object, 0, take_person, text);
	assert_string_equal(text,
	    "sasl:carol carol-no-stop-on-core deny []\n"
	    "sasl:carol carol-operates allow []\n"
	    "sasl:dave dave-operates allow []\n"
	    "sasl:frank frank-everything allow []\n"
	    "sasl:kim kim-inherits deny []\n"
	    "sasl:pat*@CORP pat-admin allow []\n");
	policy_destroy(policy);
	policy = load(DIR "when.json");
	text[0] = '\0';
	object.name = "z";
	policy_who_can(policy, VG_PERM_domain_stop, &object, 1795428000, take_person, text);
	assert_non_null(strstr(text, "sasl:z all-of-it allow [from 10.0.0.0/8; proof sasl; hours Mon 08:00-09:00; until 2026-12"));
	text[0] = '\0';
	policy_who_can(policy, VG_PERM_domain_stop, &object, 4000000000, take_person, text);
	assert_null(strstr(text, "sasl:z"));
	policy_destroy(policy);
}

/* Hours are the host's local time: the same moment is inside in Berlin and outside in UTC. */
static void
test_hours_are_local(void **state)
{
	struct policy *policy = load(DIR "when.json");
	struct vg_identity identity = { .proofs = VG_PROOF_SASL, .sasl_name = (char[]){ "h" } };
	struct vg_object object = { .class = VG_CLASS_domain, .name = "x" };
	time_t now;

	(void)state;
	assert_true(policy_parse_time("2026-11-23T07:30:00Z", &now));
	assert_int_equal(policy_decide(policy, &identity, VG_PERM_domain_start, &object, now).verdict, VERDICT_DENY);
	setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
	tzset();
	assert_int_equal(policy_decide(policy, &identity, VG_PERM_domain_start, &object, now).verdict, VERDICT_ALLOW);
	setenv("TZ", "UTC", 1);
	tzset();
	policy_destroy(policy);
}

/* A matcher that tries every way for every star would not come back in this life. */
static void
test_I81_globs_do_not_explode(void **state)
{
	static char name[65536], glob[256];
	char text[1024];
	struct vg_identity identity = { .proofs = VG_PROOF_SASL, .sasl_name = (char[]){ "a" } };
	struct vg_object object = { .class = VG_CLASS_domain, .name = name };
	struct policy *policy;

	(void)state;
	memset(name, 'a', sizeof(name) - 1);
	for (size_t i = 0; i + 2 < sizeof(glob); i += 2)
		memcpy(glob + i, "*a", 2);
	glob[sizeof(glob) - 2] = 'b';
	(void)snprintf(text, sizeof(text), "{ \"version\": 1, \"bindings\": [ { \"id\": \"x\", \"who\": [\"anyone\"], \"role\": \"viewer\", "
	    "\"on\": [\"domain:%s\"] } ] }", glob);
	policy = policy_parse(text, strlen(text), "glob", NULL, NULL);
	assert_non_null(policy);
	for (int i = 0; i < 10; i++)
		assert_int_equal(policy_decide(policy, &identity, VG_PERM_domain_read, &object, 0).verdict, VERDICT_DENY);
	name[sizeof(name) - 2] = 'b';
	assert_int_equal(policy_decide(policy, &identity, VG_PERM_domain_read, &object, 0).verdict, VERDICT_ALLOW);
	policy_destroy(policy);
}

/* ---- rows of admission ---- */

static void
add_row(const struct policy_row *row, void *arg)
{
	char *text = arg;
	size_t len = strlen(text);

	(void)snprintf(text + len, 200 - len, "%s%s", len == 0 ? "" : " ", row->id);
}

static void
expect_rows(const struct policy *policy, const char *name, const char *domain, const char *rows)
{
	char copy[32], found[200] = "";
	struct vg_identity identity = { .proofs = VG_PROOF_SASL, .sasl_name = copy };
	struct vg_object object = { .class = VG_CLASS_domain, .name = domain };

	(void)snprintf(copy, sizeof(copy), "%s", name);
	policy_admission(policy, &identity, &object, 1000000, add_row, found);
	assert_string_equal(found, rows);
}

static void
keep_limits(const struct policy_row *row, void *arg)
{
	*(struct vg_limits *)arg = row->limits;
}

static void
test_rows_of_admission(void **state)
{
	static const char text[] = "{ \"version\": 1, \"groups\": { \"web\": [\"sasl:ann\"] }, \"bindings\": ["
	    "{ \"id\": \"a\", \"who\": [\"sasl:op\"], \"role\": \"operator\", \"on\": [\"domain:web-*\"] },"
	    "{ \"id\": \"b\", \"who\": [\"sasl:trial\"], \"role\": \"operator\", \"on\": [\"*\"], \"mode\": \"permissive\" } ],"
	    "\"admission\": ["
	    "{ \"id\": \"all\", \"profile\": \"baseline\", \"except\": [\"role:operator\", \"sasl:boss\"] },"
	    "{ \"id\": \"web\", \"profile\": \"restricted\", \"mode\": \"warn\", \"who\": [\"group:web\"], \"macs\": [\"52:54:00:AB:*\"], "
	    "\"vlans\": [\"7\"], \"max_memory_mib\": 2 },"
	    "{ \"id\": \"free\", \"profile\": \"privileged\", \"who\": [\"sasl:boss\"] } ] }";
	struct policy *policy = policy_parse(text, strlen(text), "rows", NULL, NULL);
	char name[] = "ann";
	const struct vg_identity ann = { .proofs = VG_PROOF_SASL, .sasl_name = name }, nobody = { .sasl_name = name };
	const struct vg_object object = { .class = VG_CLASS_domain, .name = "x" };
	struct vg_limits limits;
	char rows[200] = "";

	(void)state;
	assert_non_null(policy);
	expect_rows(policy, "ann", "web-1", "all web");
	expect_rows(policy, "boss", "web-1", "free");
	/* a role excepts where it is bound, and only when it is no trial */
	expect_rows(policy, "op", "web-1", "");
	expect_rows(policy, "op", "db-1", "all");
	expect_rows(policy, "trial", "web-1", "all");
	/* a name that is not proven is in no row but those about everybody */
	policy_admission(policy, &nobody, &object, 0, add_row, rows);
	assert_string_equal(rows, "all");
	policy_admission(policy, &ann, &object, 0, keep_limits, &limits);
	assert_string_equal(limits.macs.texts[0], "52:54:00:ab:*");
	assert_string_equal(limits.filters.texts[0], "clean-traffic");
	assert_string_equal(limits.vlans.texts[0], "7");
	assert_int_equal(limits.max_memory_kib, 2048);
	assert_int_equal(limits.max_vcpus, 0);
	policy_destroy(policy);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_of_the_vocabulary),
		cmocka_unit_test(test_builtin_roles),
		cmocka_unit_test(test_office_I4_I9_I33),
		cmocka_unit_test(test_when),
		cmocka_unit_test(test_permissive),
		cmocka_unit_test(test_whole_policy_permissive),
		cmocka_unit_test(test_volumes_ports_uuids),
		cmocka_unit_test(test_hours_are_local),
		cmocka_unit_test(test_who_can),
		cmocka_unit_test(test_example_is_good),
		cmocka_unit_test(test_rows_of_admission),
		cmocka_unit_test(test_I81_globs_do_not_explode),
	};

	setenv("TZ", "UTC", 1);
	tzset();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
