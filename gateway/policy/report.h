/*
 * report.h: what `policy diff` tells, for people and programs: persons with the very same changes together, and as their group where all of its
 * members are among them.
 */
#ifndef POLICY_REPORT_H
#define POLICY_REPORT_H

#include <jansson.h>

#include "gateway/policy/diff.h"

struct policy_report {
	size_t most;		/* rows that are kept; 0: all */
	size_t left_out;	/* changes that had no room */
	json_t *people;		/* by the text of their changes: { "who": [], "groups": [], "changes": [] } */
	/* its own */
	char *who;		/* whose changes come now */
	json_t *changes;	/* his */
	size_t num;		/* rows so far */
	bool out_of_memory;
};

/* False: out of memory. */
bool policy_report_init(struct policy_report *report, size_t most);
/* A policy_change_cb; `arg` is the report. */
void policy_report_take(const struct policy_change *change, void *arg);
/* Of a row about documents, behind all of the rights: "row" stands in place of "permissions", "object" and "except". */
void policy_report_take_row(struct policy_report *report, const char *who, const char *row, enum policy_direction direction, const char *was,
    const char *now);
/* The same of what the trail is told of reads, which is everybody's. */
void policy_report_take_reads(struct policy_report *report, const struct policy *before, const struct policy *after);
/* All changes are there. `before` and `after` are the files, for the names of their groups. False: memory was out somewhere. */
bool policy_report_end(struct policy_report *report, const json_t *before, const json_t *after);
/*
 * The caller's: [ { "who": ["sasl:ann"], "groups": ["team"], "changes": [ { "change": gains, loses or changes, "permissions": [], "object": "domain:web-*"
 * or "the host", "except": "", "was": "no", "now": "allow" } ] } ].
 */
json_t *policy_report_people(const struct policy_report *report);
/* A "permissions" with each class of which it has all (but for those that must be granted by name) as CLASS:*. The caller's. */
json_t *policy_report_fold(const json_t *permissions);
void policy_report_clear(struct policy_report *report);

#endif
