#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/core/linediff.h"

#define MAX 4096u

static void
expect(const char *before, const char *after, const char *wanted)
{
	char *text = linediff(before, strlen(before), after, strlen(after), MAX);

	assert_non_null(text);
	assert_string_equal(text, wanted);
	free(text);
}

static void
test_by_hand(void **state)
{
	char *text;

	(void)state;
	expect("", "", "");
	expect("a\nb\n", "a\nb\n", "");
	expect("", "a\nb\n", "@@ -0,0 +1,2 @@\n+a\n+b\n");
	expect("a\n", "", "@@ -1,1 +0,0 @@\n-a\n");
	expect("a\nb\nc\n", "a\nx\nc\n", "@@ -1,3 +1,3 @@\n a\n-b\n+x\n c\n");
	/* what a change is inside of stands in the head; little between two changes keeps them together */
	expect("<d>\n  <os>\n    <t/>\n  </os>\n  <x>\n    <u>1</u>\n    <a/>\n    <b/>\n    <c/>\n    <e/>\n    <v>2</v>\n  </x>\n</d>\n",
	    "<d>\n  <os>\n    <t/>\n  </os>\n  <x>\n    <u>7</u>\n    <a/>\n    <b/>\n    <c/>\n    <e/>\n    <v>8</v>\n  </x>\n</d>\n",
	    "@@ -3,11 +3,11 @@ <x>\n     <t/>\n   </os>\n   <x>\n-    <u>1</u>\n+    <u>7</u>\n     <a/>\n     <b/>\n     <c/>\n     <e/>\n-    <v>2</v>\n+    <v>8</v>\n   </x>\n </d>\n");
	/* far from one another they are two */
	expect("1\na\nb\nc\nd\ne\nf\ng\n2\n", "x\na\nb\nc\nd\ne\nf\ng\ny\n",
	    "@@ -1,4 +1,4 @@\n-1\n+x\n a\n b\n c\n@@ -6,4 +6,4 @@\n e\n f\n g\n-2\n+y\n");
	/* a last line without its newline is a line */
	expect("a\nb", "a\nc", "@@ -1,2 +1,2 @@\n a\n-b\n+c\n");
	/* bounded: whole lines, and how many are missing */
	text = linediff("", 0, "aaaaaaaa\nbbbbbbbb\ncccccccc\n", 27, 30);
	assert_non_null(text);
	assert_string_equal(text, "@@ -0,0 +1,3 @@\n+aaaaaaaa\n(2 more lines)\n");
	free(text);
}

/* `len` bytes of `more` behind `text`, which has room for `size`. */
static void
append(char *text, size_t size, const char *more, size_t len)
{
	size_t at = strlen(text);

	assert_true(at < size && len < size - at);
	memcpy(text + at, more, len);
	text[at + len] = '\0';
}

/* Applies a diff to `before`, believing only its heads and marks. `after` has room for twice MAX. */
static void
apply(const char *before, const char *diff, char *after)
{
	size_t line = 0, at = 0;

	*after = '\0';
	while (*diff != '\0') {
		size_t from, taken, to, put;
		const char *end;

		assert_int_equal(sscanf(diff, "@@ -%zu,%zu +%zu,%zu @@", &from, &taken, &to, &put), 4);
		diff = strchr(diff, '\n') + 1;
		from -= taken > 0;
		for (; line < from; line++) {
			end = strchr(before + at, '\n') + 1;
			strncat(after, before + at, (size_t)(end - before - (ptrdiff_t)at));
			at = (size_t)(end - before);
		}
		while (taken > 0 || put > 0) {
			char mark = *diff++;

			end = strchr(diff, '\n') + 1;
			if (mark != '+') {
				assert_memory_equal(before + at, diff, (size_t)(end - diff));
				at += (size_t)(end - diff);
				line++;
				taken--;
			}
			if (mark != '-') {
				append(after, 2 * MAX, diff, (size_t)(end - diff));
				put--;
			}
			diff = end;
		}
	}
	append(after, 2 * MAX, before + at, strlen(before + at));
}

static uint32_t
next_random(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 16;
}

/* Of any two texts the difference makes the second out of the first. */
static void
test_it_applies(void **state)
{
	static char before[MAX], after[MAX], applied[2 * MAX];
	uint32_t seed = 20261127;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		unsigned lines = next_random(&seed) % 30;
		char *diff;

		before[0] = after[0] = '\0';
		for (unsigned k = 0; k < lines; k++) {
			char line[16];

			(void)snprintf(line, sizeof(line), "%*s%u\n", (int)(next_random(&seed) % 3), "", next_random(&seed) % 6);
			if (next_random(&seed) % 5 != 0)
				append(before, MAX, line, strlen(line));
			if (next_random(&seed) % 5 != 0)
				append(after, MAX, line, strlen(line));
		}
		diff = linediff(before, strlen(before), after, strlen(after), MAX);
		assert_non_null(diff);
		apply(before, diff, applied);
		assert_string_equal(applied, after);
		assert_true(strcmp(before, after) != 0 || diff[0] == '\0');
		free(diff);
	}
}

/* Two long texts without a common line cost no table. */
static void
test_large(void **state)
{
	size_t len = 4u * 20000u;
	char *a = malloc(len), *b = malloc(len), *diff;

	(void)state;
	assert_non_null(a);
	assert_non_null(b);
	for (size_t i = 0; i < 20000; i++) {
		memcpy(a + 4 * i, "aaa\n", 4);
		memcpy(b + 4 * i, "bbb\n", 4);
	}
	diff = linediff(a, len, b, len, MAX);
	assert_non_null(diff);
	assert_memory_equal(diff, "@@ -1,20000 +1,20000 @@\n-aaa\n", 29);
	assert_non_null(strstr(diff, " more lines)\n"));
	free(diff);
	free(a);
	free(b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_by_hand),
		cmocka_unit_test(test_it_applies),
		cmocka_unit_test(test_large),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
