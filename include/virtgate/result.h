/*
 * result.h: the two ways a function of virtgate reports how it went.
 *
 * A parser fed from a cursor answers OK, MORE or BAD. Everything else returns 0 or -1, and where a
 * person will read why, fills a struct vg_error: what happened, where, and what to do about it.
 */
#ifndef VIRTGATE_RESULT_H
#define VIRTGATE_RESULT_H

#include <stdarg.h>
#include <stdio.h>

enum vg_parse {
	VG_OK,		/* parsed; the cursor stands behind what was eaten */
	VG_MORE,	/* not enough bytes yet; the cursor has not moved */
	VG_BAD		/* never valid, whatever follows: close the connection */
};

struct vg_error {
	char what[512];		/* "policy.json:12: unknown permission 'domain:strat'" */
	char hint[256];		/* "did you mean 'domain:start'?"; empty when there is none */
};

/* Fills `error` (may be NULL) and returns -1, so that a failing branch is one line. */
__attribute__((format(printf, 2, 3)))
static inline int
vg_fail(struct vg_error *error, const char *format, ...)
{
	va_list args;

	if (error == NULL)
		return -1;
	va_start(args, format);
	(void)vsnprintf(error->what, sizeof(error->what), format, args);
	va_end(args);
	error->hint[0] = '\0';
	return -1;
}

/* Adds the advice to an error that was just filled. Always returns -1. */
__attribute__((format(printf, 2, 3)))
static inline int
vg_hint(struct vg_error *error, const char *format, ...)
{
	va_list args;

	if (error == NULL)
		return -1;
	va_start(args, format);
	(void)vsnprintf(error->hint, sizeof(error->hint), format, args);
	va_end(args);
	return -1;
}

#endif
