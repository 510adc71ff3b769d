/*
 * policy_wants.h: what people wanted and were refused, or would have been, by the audit trail. Nothing in a record is
 * believed but as text: names that a policy would read as a glob are not taken up.
 */
#ifndef CLI_POLICY_WANTS_H
#define CLI_POLICY_WANTS_H

#include <jansson.h>

#include "gateway/policy/policy.h"

/* A permission that somebody lacked on something. */
struct want {
	char *who;			/* as a policy writes it: "sasl:alice" */
	unsigned proofs;		/* that came with it, when there were several; else 0 */
	enum vg_permission permission;
	char *on;			/* "domain:web-1", "storage_vol:POOL/NAME", "CLASS:*"; "*" for the host's permissions */
	size_t name;			/* where the name begins in `on`; 0: it is no name (a uuid, or all) */
	bool whole;			/* all of the class was needed */
	unsigned long count;
	char last[28];			/* time of the last record */
	json_t *record;			/* the first */
	json_t *object;			/* that the permission was asked on; borrowed from the record */
	json_t *calls;			/* that it was wanted for, as keys */
};

struct wants {
	const struct policy *policy;	/* today's, to leave out what it allows already; NULL: not known */
	struct want *list;
	size_t num, room;
	json_t *index;			/* where in the list, by who, permission and on */
	/* records that were looked at, and why nothing came of them */
	unsigned long denied, would_deny, no_records, allowed_now, unclear, lists;
	json_t *on_purpose;		/* how many were refused by a binding that denies, by its id */
	json_t *rules;			/* how many were refused by a rule on what the call says, by its name */
	json_t *no_names;		/* people and objects that no policy can name exactly */
	bool out_of_memory;
};

int wants_init(struct wants *wants);
void wants_clear(struct wants *wants);
/* Takes what there is in a record. */
void wants_add(struct wants *wants, json_t *record);

/*
 * policy_wants_groups.c: one group a person and set of permissions, with all objects that it was wanted on: "who", "proofs", "permissions", "key" (the
 * permissions as one text), "on" (objects, each with where its name begins), "count", "last" (the newest time), "calls", "first" (which want is its
 * first). The wants are put in order. New reference; `out_of_memory` may be set.
 */
json_t *wants_groups(struct wants *wants);

/* Asks `policy` again what the want's record asked. */
struct decision wants_decide(const struct policy *policy, const struct want *want);

#endif
