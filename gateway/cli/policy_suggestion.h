/*
 * policy_suggestion.h: from what people wanted to the least bindings that give it to them.
 */
#ifndef CLI_POLICY_SUGGESTION_H
#define CLI_POLICY_SUGGESTION_H

#include "gateway/cli/policy_wants.h"

struct suggestion {
	struct wants wants;
	bool exact;
	json_t *policy;		/* today's, as JSON; empty when it is not known */
	json_t *roles, *bindings;
	json_t *role_names;	/* by their permissions in one text */
	json_t *also;		/* what each binding opens beyond what was asked for */
	json_t *groups;		/* what the bindings are made of, by their ids */
	json_t *warnings, *notes;
	char prefix[32];	/* of every name: "suggested-20261123" */
	unsigned next_role, next_binding;
};

/* Roles and bindings out of the wants. `out_of_memory` of the wants may be set. */
void suggestion_make(struct suggestion *suggestion);
/* Puts them into today's policy: warns of what is not enough, and finds what they open beyond what was asked for. -1 with `error`. */
int suggestion_check(struct suggestion *suggestion, struct vg_error *error);
/* One more of its warnings or notes. */
void suggestion_tell(json_t *list, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
