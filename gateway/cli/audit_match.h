/*
 * audit_match.h: which records an `audit` verb shows.
 */
#ifndef CLI_AUDIT_MATCH_H
#define CLI_AUDIT_MATCH_H

#include <stdbool.h>

#include <jansson.h>

#include "gateway/cli/cli.h"
#include "virtgate/result.h"

#define AUDIT_MATCH_TIME 32

struct audit_match {
	const char *user, *object, *code, *event, *call, *result, *stage;	/* globs; NULL: any */
	char since[AUDIT_MATCH_TIME], until[AUDIT_MATCH_TIME];			/* beginnings of record times; empty: any */
};

/* From the options of that name. -1 with `error`. */
int audit_match_read(struct audit_match *match, const struct cli *cli, struct vg_error *error);
bool audit_match(const struct audit_match *match, json_t *record);

/* Is it what an ID means: an operation, or a record's number? */
bool audit_has_id(json_t *record, const char *id);
/* The string at record.first.second (second may be NULL), "" when there is none. Borrowed. */
const char *audit_member(json_t *record, const char *first, const char *second);

#endif
