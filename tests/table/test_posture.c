/*
 * Each check of `virtgate posture` on made-up hosts: posture_rows.h says which files a host has and what must be said of it. A check without a
 * host that passes and one that does not fails this test.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "gateway/posture/host.h"
#include "gateway/posture/posture.h"
#include "tests/table/posture_rows.h"

static char base[] = "/tmp/virtgate-posture-XXXXXX";

static void
make_above(const char *path)
{
	char dir[512];

	assert_true(snprintf(dir, sizeof(dir), "%s", path) < (int)sizeof(dir));
	for (char *slash = strchr(dir + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		assert_true(mkdir(dir, 0755) == 0 || errno == EEXIST);
		*slash = '/';
	}
}

/* PATH[ MODE]: a file; a path that ends in '/' is a directory; a text that begins with "->" a link. */
static void
make_file(const struct posture_file *file)
{
	char path[512], *mode;
	FILE *out;

	assert_true(snprintf(path, sizeof(path), "%s%s", base, file->path) < (int)sizeof(path));
	mode = strchr(path, ' ');
	if (mode != NULL)
		*mode++ = '\0';
	make_above(path);
	if (file->text != NULL && strncmp(file->text, "->", 2) == 0) {
		assert_int_equal(symlink(file->text + 2, path), 0);
		return;
	}
	if (path[strlen(path) - 1] != '/') {
		out = fopen(path, "w");
		assert_non_null(out);
		for (const char *c = file->text; c != NULL && *c != '\0'; c++)
			assert_true(fputc(*c == '\001' ? '\0' : *c, out) != EOF);
		assert_int_equal(fclose(out), 0);
	}
	assert_int_equal(chmod(path, mode == NULL ? 0755 : (mode_t)strtoul(mode, NULL, 8)), 0);
}

static int
remove_one(const char *path, const struct stat *st, int kind, struct FTW *walk)
{
	(void)st;
	(void)kind;
	return walk->level == 0 ? 0 : remove(path);
}

static const struct posture_check *
find_check(const char *id)
{
	const struct posture_check *check;

	for (size_t i = 0; (check = posture_check(i)) != NULL; i++)
		if (strcmp(check->id, id) == 0)
			return check;
	return NULL;
}

static bool
mentions(const struct posture_result *result, const char *wanted)
{
	bool found = strstr(result->what, wanted) != NULL;

	for (size_t i = 0; i < result->num_names && i < POSTURE_MAX_NAMES; i++)
		found = found || strstr(result->names[i], wanted) != NULL;
	return found;
}

static void
test_rows(void **state)
{
	int wrong = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(posture_rows) / sizeof(posture_rows[0]); i++) {
		const struct posture_row *row = &posture_rows[i];
		const struct posture_check *check = find_check(row->id);
		static struct posture_host host;
		static struct posture_result result;
		struct vg_error error = { 0 };

		assert_non_null(check);
		assert_int_equal(nftw(base, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
		for (size_t file = 0; file < sizeof(posture_every_host) / sizeof(posture_every_host[0]); file++)
			make_file(&posture_every_host[file]);
		for (size_t file = 0; file < POSTURE_ROW_FILES && row->files[file].path != NULL; file++)
			make_file(&row->files[file]);
		assert_int_equal(posture_host_open(&host, base, "/etc/virtgate/virtgated.conf", &error), 0);
		posture_look(&host, check, &result);
		if (result.level != row->level || !mentions(&result, row->says)) {
			print_error("row %zu, %s: %s: %s", i, row->id, posture_level_name(result.level), result.what);
			for (size_t name = 0; name < result.num_names && name < POSTURE_MAX_NAMES; name++)
				print_error(" [%s]", result.names[name]);
			print_error(" (expected %s, '%s')\n", posture_level_name(row->level), row->says);
			wrong++;
		}
		posture_host_close(&host);
	}
	assert_int_equal(wrong, 0);
}

static void
test_each_check_has_both(void **state)
{
	const struct posture_check *check;
	int missing = 0;

	(void)state;
	for (size_t i = 0; (check = posture_check(i)) != NULL; i++) {
		bool good = false, bad = false;

		for (size_t row = 0; row < sizeof(posture_rows) / sizeof(posture_rows[0]); row++) {
			if (strcmp(posture_rows[row].id, check->id) != 0)
				continue;
			good = good || posture_rows[row].level == POSTURE_PASS;
			bad = bad || posture_rows[row].level >= POSTURE_WARN;
		}
		if (!good || !bad) {
			print_error("%s: no host that %s\n", check->id, !good ? "passes" : "does not pass");
			missing++;
		}
		for (size_t other = 0; other < i; other++)
			assert_string_not_equal(posture_check(other)->id, check->id);
		assert_true(check->hint[0] != '\0' && check->title[0] != '\0');
	}
	assert_int_equal(missing, 0);
}

/* What virconf takes and what not: a wrong reading of a file would be a wrong verdict. */
static void
test_conf(void **state)
{
	static const struct { const char *text, *value; bool good; } files[] = {
		{ "a = 1\n", "1", true }, { "a=-1", "-1", true }, { "a = \"x # y\"  # z\n", "x # y", true }, { "a = 'q\"q'\n", "q\"q", true },
		{ "a = \"\"\"one\ntwo\"\"\"\n", "one\ntwo", true }, { "# only\n\n", NULL, true }, { "a = [ \"1\",\n \"2\", ]\n", "1", true },
		{ "a = []\n", NULL, true }, { "a = 1\na = 2\n", "1", true }, { "b = 2; a = 1\r\n", "1", true }, { "a = 1;", "1", true }, { "#a = 1\n", NULL, true },
		{ "a = \"x\n", NULL, false }, { "a =\n", NULL, false }, { "a 1\n", NULL, false }, { "a = 1 2\n", NULL, false }, { "a = [ \"1\"\n", NULL, false },
		{ "= 1\n", NULL, false }, { "a = yes\n", NULL, false }, { "a = [ \"1\", # first\n \"2\" ]\n", NULL, false }, { "1a = 1\n", NULL, false }, { "a-b = 1\n", NULL, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		struct posture_conf conf = { .path = "t.conf" };
		const char *value;

		assert_int_equal(posture_conf_parse(&conf, files[i].text), files[i].good ? 0 : -1);
		assert_int_equal(conf.state, files[i].good ? CONF_READ : CONF_UNSEEN);
		value = posture_conf_text(&conf, "a", NULL);
		if (files[i].value == NULL)
			assert_null(value);
		else
			assert_string_equal(value, files[i].value);
		posture_conf_clear(&conf);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows), cmocka_unit_test(test_each_check_has_both), cmocka_unit_test(test_conf),
	};
	int failed;

	if (mkdtemp(base) == NULL)
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	(void)nftw(base, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	(void)rmdir(base);
	return failed;
}
