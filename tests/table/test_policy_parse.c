/*
 * test_policy_parse.c: what is no policy is refused, with the line, the reason and a hint: policy/broken.table, and what cannot stand in a table.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/policy/policy.h"
#include "tests/table/policy_text.h"

#define MAX_EXPECTED 40

struct mistake {
	char *line, *what, *hint;
};

struct expected {
	const char *title;
	struct mistake mistakes[MAX_EXPECTED];
	size_t num, seen;
};

static void
compare_problem(const struct vg_error *error, void *arg)
{
	struct expected *expected = arg;
	struct mistake *mistake = &expected->mistakes[expected->seen];
	char prefix[64];

	if (expected->seen++ >= expected->num)
		fail_msg("'%s': not expected: %s", expected->title, error->what);
	(void)snprintf(prefix, sizeof(prefix), "p.json:%s: ", mistake->line);
	if (strncmp(error->what, prefix, strlen(prefix)) != 0 || strstr(error->what, mistake->what) == NULL)
		fail_msg("'%s': expected line %s: %s; got: %s", expected->title, mistake->line, mistake->what, error->what);
	if (mistake->hint != NULL && strstr(error->hint, mistake->hint) == NULL)
		fail_msg("'%s': %s: expected the hint %s; got: %s", expected->title, error->what, mistake->hint, error->hint);
}

/* A case is the policy, then lines that begin with a digit and a colon, and indented hints. */
static void
check_broken(const char *title, char *body)
{
	struct expected expected = { .title = title };
	char *lines = body, *end = NULL, *line;

	/* The mistakes begin behind the first line of the form "N: ". */
	for (char *at = body; *at != '\0'; at = strchr(at, '\n') + 1) {
		size_t digits = strspn(at, "0123456789");

		if (digits > 0 && at[digits] == ':') {
			end = at;
			break;
		}
	}
	assert_non_null(end);
	end[-1] = '\0';
	lines = end;
	while ((line = strsep(&lines, "\n")) != NULL) {
		if (*line == '\0' || *line == '#')
			continue;
		if (*line == ' ') {
			expected.mistakes[expected.num - 1].hint = line + strspn(line, " ");
			continue;
		}
		assert_true(expected.num < MAX_EXPECTED);
		expected.mistakes[expected.num++] = (struct mistake){ strsep(&line, ":"), line + strspn(line, " "), NULL };
	}
	assert_null(policy_parse(body, strlen(body), "p.json", compare_problem, &expected));
	if (expected.seen != expected.num)
		fail_msg("'%s': told %zu of %zu mistakes", title, expected.seen, expected.num);
}

static void
test_broken(void **state)
{
	size_t len;
	char *text = read_text(DIR "broken.table", &len), *next = strstr(text, "\n---- ");
	unsigned num = 0;

	(void)state;
	while (next != NULL) {
		char *title = next + strlen("\n---- "), *body = strchr(title, '\n') + 1;

		next = strstr(body, "\n---- ");
		if (next != NULL)
			*next = '\0';
		body[-1] = '\0';
		check_broken(title, body);
		num++;
	}
	assert_true(num > 30);
	free(text);
}

static void
count_problem(const struct vg_error *error, void *arg)
{
	(void)error;
	++*(unsigned *)arg;
}

/* Fed cut off at every byte: each piece is refused with a word, none crashes. */
static void
test_cut_everywhere(void **state)
{
	size_t len;
	char *text = read_text(DIR "office.json", &len);

	(void)state;
	while (len > 0 && text[len - 1] != '}')
		len--;
	for (size_t cut = 0; cut < len; cut++) {
		unsigned problems = 0;

		assert_null(policy_parse(text, cut, "cut", count_problem, &problems));
		assert_true(problems > 0);
	}
	free(text);
}

/* A NUL byte, bytes that are not UTF-8, and depth are refused by the parser. */
static void
test_bytes_that_are_not_text(void **state)
{
	static const char nul[] = "{\"version\":1,\"bindings\":[],\"description\":\"a\0b\"}";
	static const char latin[] = "{\"version\":1,\"bindings\":[],\"description\":\"\xe9\"}";
	static char deep[200001];
	unsigned problems = 0;

	(void)state;
	memset(deep, '[', sizeof(deep) - 1);
	assert_null(policy_parse(nul, sizeof(nul) - 1, "p", count_problem, &problems));
	assert_null(policy_parse(latin, sizeof(latin) - 1, "p", count_problem, &problems));
	assert_null(policy_parse(deep, sizeof(deep) - 1, "p", count_problem, &problems));
	assert_int_equal(problems, 3);
}

struct last {
	unsigned num;
	struct vg_error error;
};

static void
take_last(const struct vg_error *error, void *arg)
{
	struct last *last = arg;

	last->num++;
	last->error = *error;
}

/* A small file that would come to a huge policy is refused; so is one with more mistakes than anybody reads. */
static void
test_limits(void **state)
{
	size_t size = 4 << 20, len = 0;
	char *text = calloc(1, size);
	struct last last = { 0 };

	(void)state;
	assert_non_null(text);
	len += (size_t)snprintf(text, size, "{\"version\":1,\"groups\":{\"g\":[\"anyone\"");
	for (int i = 0; i < 4000; i++)
		len += (size_t)snprintf(text + len, size - len, ",\"sasl:%d\"", i);
	len += (size_t)snprintf(text + len, size - len, "]},\"bindings\":[");
	for (int i = 0; i < 300; i++)
		len += (size_t)snprintf(text + len, size - len, "%s\n{\"id\":\"%d\",\"who\":[\"group:g\"],\"role\":\"viewer\",\"on\":[\"*\"]}",
		    i > 0 ? "," : "", i);
	len += (size_t)snprintf(text + len, size - len, "]}");
	assert_null(policy_parse(text, len, "p", take_last, &last));
	assert_non_null(strstr(last.error.what, "more than 1000000 elements"));

	last.num = 0;
	len = (size_t)snprintf(text, size, "{\"version\":1,\"bindings\":[");
	for (int i = 0; i < 1500; i++)
		len += (size_t)snprintf(text + len, size - len, "%s1", i > 0 ? ",\n" : "");
	len += (size_t)snprintf(text + len, size - len, "]}");
	assert_null(policy_parse(text, len, "p", take_last, &last));
	assert_int_equal(last.num, 1001);
	assert_non_null(strstr(last.error.what, "p:1001: too many mistakes"));

	last.num = 0;
	len = (size_t)snprintf(text, size, "{\"version\":1,\"bindings\":[");
	for (int i = 0; i < 4097; i++)
		len += (size_t)snprintf(text + len, size - len, "%s{}", i > 0 ? "," : "");
	len += (size_t)snprintf(text + len, size - len, "]}");
	assert_null(policy_parse(text, len, "p", take_last, &last));
	assert_int_equal(last.num, 1);
	assert_non_null(strstr(last.error.what, "more than 4096 elements"));
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_broken),
		cmocka_unit_test(test_cut_everywhere),
		cmocka_unit_test(test_bytes_that_are_not_text),
		cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
