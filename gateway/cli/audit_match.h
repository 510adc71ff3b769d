/*
 * audit_match.h: the options by which the audit verbs say which records are meant.
 */
#ifndef CLI_AUDIT_MATCH_H
#define CLI_AUDIT_MATCH_H

#include "gateway/audit/match.h"
#include "gateway/cli/cli.h"

/* From the options of that name. -1 with `error`. */
int audit_match_read(struct audit_match *match, const struct cli *cli, struct vg_error *error);

#endif
