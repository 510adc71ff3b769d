/*
 * witness.h: whom and what to ask about, to hear all that two policies differ in: everybody and every pattern of objects that either names, each by
 * somebody or something that it matches and hardly a narrower one does. Private to this folder.
 */
#ifndef POLICY_WITNESS_H
#define POLICY_WITNESS_H

#include "gateway/policy/compiled.h"
#include "gateway/policy/diff.h"

/* One object that a pattern matches. */
struct thing {
	struct pattern pattern;
	struct vg_object object;
	char *label;
	char *was, *now;	/* while one permission is looked at: texts of what changed, NULL: nothing did */
	enum policy_direction direction;
};

struct witnesses {
	struct who *subjects;		/* texts are the policies' */
	size_t num_subjects;
	struct thing *things;		/* by class; every class as a whole, and what is narrower */
	size_t num_things;
	struct arena arena;		/* labels and names */
	bool out_of_memory;
};

/* Begins with zeroes; ends with witnesses_free(), whatever it answers. -1: out of memory. */
int witnesses_collect(struct witnesses *all, const struct policy *const policies[2]);
void witnesses_free(struct witnesses *all);
/* Somebody whom this text means, who has proven that and nothing else; his texts are in the arena. -1: out of memory. */
int witness_identity(struct witnesses *all, const struct who *who, struct vg_identity *identity);

#endif
