/*
 * needs.h: can an XPath find anything in this document at all? Most rules are about elements that most documents do not have: then they
 * need not be asked. Only a plain location path, or a union of such, is understood; of anything else the answer is yes. Private to this
 * folder.
 */
#ifndef ADMISSION_NEEDS_H
#define ADMISSION_NEEDS_H

#include <stdbool.h>
#include <stdint.h>

#define NEEDS_WORDS	4u
#define NEEDS_MAX	8u	/* paths of a union; one with more is always asked */

/* Names of elements, as a Bloom filter: what is not in it is not there. */
struct needs_names {
	uint64_t bits[NEEDS_WORDS];
};

struct needs {
	bool always;
	unsigned num;
	struct needs_names paths[NEEDS_MAX];	/* what each needs */
};

void needs_add(struct needs_names *names, const char *name);
void needs_of(const char *xpath, struct needs *needs);
bool needs_are_there(const struct needs *needs, const struct needs_names *there);

#endif
