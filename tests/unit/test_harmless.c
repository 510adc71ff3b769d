/*
 * Text that somebody else chose, as a terminal gets it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "gateway/cli/harmless.h"
#include "gateway/core/log.h"

static const struct { const char *text, *shown; size_t width; } rows[] = {
	{ "", "", 0 },
	{ "web-1", "web-1", 5 },
	{ "Jürgen 日本", "Jürgen 日本", 9 },
	{ "a\nPASS  b\t", "a\\x0aPASS  b\\x09", 16 },
	{ "\033[2J\177", "\\x1b[2J\\x7f", 11 },
	{ "\302\23331m", "\\x9b31m", 7 },				/* CSI as one character */
	{ "\342\200\256gpj.exe", "\\u202egpj.exe", 13 },		/* right to left */
	{ "\342\201\246x\342\201\251", "\\u2066x\\u2069", 13 },
	{ "\364\217\271\272", "\\x7a", 4 },				/* U+10FE7A: a byte that was no UTF-8 */
	/* no UTF-8: nothing behind it is swallowed, nor anything behind the end */
	{ "cut \342\200", "cut \\xe2\\x80", 12 },
	{ "\303\nPASS", "\\xc3\\x0aPASS", 12 },
	{ "\342\033[2J", "\\xe2\\x1b[2J", 11 },
	{ "\233\n", "\\x9b\\x0a", 8 },
	{ "\300\233", "\\xc0\\x9b", 8 },
	{ "\355\240\200\377", "\\xed\\xa0\\x80\\xff", 16 },
};

/* What came out, as a text. */
static const char *
shown(struct buf *out)
{
	assert_int_equal(buf_add(out, "", 1), 0);
	return (const char *)buf_head(out);
}

static void
test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct buf out = { .data = NULL };

		assert_int_equal(harmless_add(&out, rows[i].text, false), rows[i].width);
		assert_string_equal(shown(&out), rows[i].shown);
		buf_free(&out);
	}
}

static void
test_columns_stay_aligned(void **state)
{
	struct buf out = { .data = NULL };

	(void)state;
	harmless_column(&out, "ü\033", 6);
	harmless_column(&out, "", 2);
	harmless_column(&out, "longer", 2);
	harmless_column(&out, "x", 39);
	assert_string_equal(shown(&out), "ü\\x1b  -  longer x                                       ");
	buf_free(&out);
}

static void
test_a_line_is_one_line(void **state)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	assert_non_null(out);
	harmless_line(out, "guest '%s': %d", "a\nb", 7);
	harmless_text(out, "two\nlines\r", true);
	assert_int_equal(fclose(out), 0);
	assert_string_equal(text, "guest 'a\\x0ab': 7\ntwo\nlines\\x0d");
	free(text);
}

/* What a log has is shown by whatever shows logs. */
static void
test_a_line_of_the_log(void **state)
{
	char path[] = "/tmp/virtgate-log-XXXXXX", output[64], line[512];
	const char *const outputs[] = { output };
	int fd = mkstemp(path);
	ssize_t len;

	(void)state;
	assert_true(fd >= 0);
	(void)snprintf(output, sizeof(output), "1:file:%s", path);
	assert_int_equal(log_setup(LOG_LEVEL_INFO, outputs, 1), 0);
	log_info("user 'a\n\233b\302\233c\342\200\256\303\274'");
	assert_int_equal(log_setup(LOG_LEVEL_ERROR, NULL, 0), 0);
	len = read(fd, line, sizeof(line) - 1);
	assert_true(len > 0);
	line[len] = '\0';
	assert_non_null(strstr(line, " info: user 'a\\x0a\\x9bb\\x9bc\\u202e\303\274'\n"));
	close(fd);
	assert_int_equal(unlink(path), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_columns_stay_aligned),
		cmocka_unit_test(test_a_line_is_one_line),
		cmocka_unit_test(test_a_line_of_the_log),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
