/*
 * test_admission_fix.c: what a fix makes of definitions and fragments: admitted, or what remains is named; the rest stays as it was written.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <libxml/parser.h>

#include "gateway/admission/fix.h"
#include "tests/table/admission_places.h"

#define MAX_CHANGES 100

/* Judges again after each change. */
struct round {
	struct admission_fix *fix;
	const struct vg_limits *limits;
	char rest[1024];	/* rules of findings that no change takes away, each once */
	unsigned findings;
};

static void
note(const struct admission_finding *finding, void *arg)
{
	struct round *round = arg;
	size_t len = strlen(round->rest);

	round->findings++;
	if (!admission_fix_note(round->fix, finding, round->limits) && strstr(round->rest, finding->rule) == NULL)
		(void)snprintf(round->rest + len, sizeof(round->rest) - len, "%s%s", len == 0 ? "" : " ", finding->rule);
}

/* The fixed text, caller frees; `rest`: rules that still refuse it. NULL: it is not readable. */
static char *
fix_all(enum admission_kind kind, const char *xml, enum vg_profile profile, const struct vg_limits *bounds, char *rest, size_t size)
{
	char *text = strdup(xml);

	for (unsigned i = 0; i < MAX_CHANGES; i++) {
		struct vg_error error;
		struct admission_document *document = admission_parse(kind, text, strlen(text), &error);
		struct round round = { .fix = document == NULL ? NULL : admission_fix_create(text, strlen(text), &error), .limits = bounds };
		bool changed;

		if (round.fix == NULL) {
			free(text);
			return NULL;
		}
		assert_true(admission_judge(document, profile, bounds, note, &round) >= 0);
		admission_destroy(document);
		changed = admission_fix_apply(round.fix);
		if (changed || i == 0) {
			free(text);
			text = admission_fix_text(round.fix);
			assert_non_null(text);
		}
		admission_fix_destroy(round.fix);
		(void)snprintf(rest, size, "%s", round.rest);
		if (!changed) {
			if (rest[0] == '\0')
				assert_int_equal(round.findings, 0);
			return text;
		}
	}
	fail_msg("it goes on for ever: %s", text);
	return NULL;
}

static bool
leaves(const char *name, enum vg_profile profile, const char *wanted)
{
	static const char *const any[] = { "52:54:00:*" };
	static const struct vg_limits bounds = { .macs = { any, 1 }, .filters = { filters, 1 } };
	static char xml[64 * 1024];
	char path[512], rest[1024], again[1024], *text, *twice;
	size_t len;
	FILE *file;

	(void)snprintf(path, sizeof(path), TOP_SRCDIR "/tests/data/admission/%s.xml", name);
	file = fopen(path, "r");
	if (file == NULL)
		fail_msg("there is no %s", path);
	len = fread(xml, 1, sizeof(xml) - 1, file);
	xml[len] = '\0';
	fclose(file);
	text = fix_all(ADMISSION_DOMAIN, xml, profile, &bounds, rest, sizeof(rest));
	assert_non_null(text);
	twice = fix_all(ADMISSION_DOMAIN, text, profile, &bounds, again, sizeof(again));
	assert_string_equal(text, twice);
	free(text);
	free(twice);
	if (strcmp(rest[0] == '\0' ? "-" : rest, wanted) == 0)
		return true;
	print_error("fixes.table: %s: leaves '%s', not '%s'\n", name, rest, wanted);
	return false;
}

static void
test_whole_definitions(void **state)
{
	FILE *file = fopen(TOP_SRCDIR "/tests/data/admission/fixes.table", "r");
	char line[1024], name[64], baseline[400], restricted[400];
	unsigned num = 0, wrong = 0;

	(void)state;
	assert_non_null(file);
	while (fgets(line, sizeof(line), file) != NULL) {
		if (line[0] == '#')
			continue;
		assert_int_equal(sscanf(line, "%63s | %399[^|]| %399[^\n]", name, baseline, restricted), 3);
		baseline[strlen(baseline) - 1] = '\0';
		wrong += !leaves(name, VG_PROFILE_BASELINE, baseline);
		wrong += !leaves(name, VG_PROFILE_RESTRICTED, restricted);
		num++;
	}
	fclose(file);
	assert_int_equal(wrong, 0);
	assert_true(num >= 20);
}

/* Every fragment that a rule refuses: admitted after its change, or named; and a second fix changes nothing. */
static void
test_every_fragment(void **state)
{
	FILE *file = fopen(TOP_SRCDIR "/tests/table/admission.table", "r");
	unsigned num = 0, admitted = 0;
	char *line = NULL;
	size_t size = 0;

	(void)state;
	assert_non_null(file);
	while (getline(&line, &size, file) > 0) {
		char rule[64], where[32], xml[4096], rest[1024], again[1024], *text, *twice;
		int at = 0;

		if (line[0] == '#' || sscanf(line, "%63s %31s %n", rule, where, &at) < 2 || strcmp(rule, "-") == 0)
			continue;
		line[strcspn(line, "\n")] = '\0';
		for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
			if (strcmp(places[i].name, where) != 0)
				continue;
			(void)snprintf(xml, sizeof(xml), "%s%s%s", places[i].before, line + at, places[i].after);
			text = fix_all(places[i].kind, xml, places[i].profile, &limits, rest, sizeof(rest));
			assert_non_null(text);
			twice = fix_all(places[i].kind, text, places[i].profile, &limits, again, sizeof(again));
			assert_string_equal(text, twice);
			assert_string_equal(rest, again);
			free(text);
			free(twice);
			num++;
			admitted += rest[0] == '\0';
		}
	}
	free(line);
	fclose(file);
	assert_true(num > 150);
	assert_true(admitted > 60);
	print_message("%u of %u fragments are admitted after a fix\n", admitted, num);
}

/* Where nothing is refused the text stays as it is, byte for byte; where something is, only there. */
static void
test_the_rest_is_as_written(void **state)
{
	static const char *const same[] = {
		"<?xml version='1.0'?>\n<!-- of ours -->\n<domain type='kvm'>\n  <name>a &amp; b</name>\n  <!-- here -->\n  <metadata>\n"
		    "    <x:y xmlns:x='u' x:z='1'><![CDATA[<>]]></x:y>\n  </metadata>\n</domain>\n\n",
		"<domain type=\"kvm\"><title>it's</title><description>&gt;\n\n</description></domain>",
	};
	static const char before[] = "<domain>\n  <name>n</name>\n  <devices>\n    <interface type='network'>\n      <source network='n'/>\n    </interface>\n"
	    "    <graphics type='vnc' port='5900' listen='0.0.0.0'/>\n    <rng model='virtio'>\n      <backend model='egd'/>\n    </rng>\n  </devices>\n"
	    "  <seclabel type='none'/>\n</domain>\n";
	static const char after[] = "<domain>\n  <name>n</name>\n  <devices>\n    <interface type='network'>\n      <source network='n'/>\n    </interface>\n"
	    "    <graphics type='vnc'>\n      <listen type='none'/>\n    </graphics>\n    <rng model='virtio'>\n      <backend model='random'>/dev/urandom</backend>\n"
	    "    </rng>\n  </devices>\n</domain>\n";
	char rest[1024], *text;

	(void)state;
	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
		text = fix_all(ADMISSION_DOMAIN, same[i], VG_PROFILE_BASELINE, NULL, rest, sizeof(rest));
		assert_string_equal(text, same[i]);
		free(text);
	}
	text = fix_all(ADMISSION_DOMAIN, before, VG_PROFILE_BASELINE, NULL, rest, sizeof(rest));
	assert_string_equal(text, after);
	assert_string_equal(rest, "");
	free(text);
}

static int
start(void **state)
{
	struct vg_error error;

	(void)state;
	xmlInitParser();
	return admission_start(&error);
}

static int
stop(void **state)
{
	(void)state;
	admission_stop();
	xmlCleanupParser();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole_definitions),
		cmocka_unit_test(test_every_fragment),
		cmocka_unit_test(test_the_rest_is_as_written),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
