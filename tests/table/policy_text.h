/*
 * policy_text.h: the files of tests/table/policy.
 */
#ifndef TESTS_POLICY_TEXT_H
#define TESTS_POLICY_TEXT_H

#include <stdio.h>
#include <stdlib.h>

#define DIR TOP_SRCDIR "/tests/table/policy/"

/* Of at most a MiB, terminated; freed by the caller. */
static inline char *
read_text(const char *file, size_t *len)
{
	FILE *in = fopen(file, "rb");
	char *text = calloc(1, 1 << 20);

	if (in == NULL || text == NULL)
		fail_msg("cannot read %s", file);
	*len = fread(text, 1, (1 << 20) - 1, in);
	fclose(in);
	return text;
}

#endif
