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
/* The value of an option that is a number from 1 to 10000000; `otherwise` when it was not given. -1 with `error`. */
int audit_open_number(const struct cli *cli, const char *option, size_t otherwise, size_t *number, struct vg_error *error);

#endif
