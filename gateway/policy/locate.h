/*
 * locate.h: on which line of a JSON text does a value stand? jansson keeps lines for syntax errors only.
 */
#ifndef POLICY_LOCATE_H
#define POLICY_LOCATE_H

#include <stddef.h>

/* A path into the document, innermost step first; each step lives on the stack of the function that reads that value. */
struct at {
	const struct at *up;	/* NULL: the document itself */
	const char *key;	/* member of an object, or NULL: */
	size_t index;		/* element of an array */
};

/* Line of the member's key or of the element; of the nearest value around it when the text does not have it. */
unsigned locate(const char *text, size_t len, const struct at *at);

#endif
