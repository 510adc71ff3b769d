/*
 * audit_open.h: the trail that a verb reads.
 */
#ifndef CLI_AUDIT_OPEN_H
#define CLI_AUDIT_OPEN_H

#include "gateway/audit/reader.h"
#include "gateway/cli/cli.h"

/* --dir, else audit_dir of the settings, else where it is by default. Freed by the caller; NULL with `error`. */
char *audit_open_dir(const struct cli *cli, struct vg_error *error);
/* All of it; with `back`, only the last segment and so many before it. NULL with `error`. */
struct audit_reader *audit_open(const char *dir, unsigned back, struct vg_error *error);

#endif
