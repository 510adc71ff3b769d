/*
 * audit_source.h: the trail that a verb reads, and its index where there is one that fits. Without one, and with --no-index, all of the trail is
 * read; what is found is the same.
 */
#ifndef CLI_AUDIT_SOURCE_H
#define CLI_AUDIT_SOURCE_H

#include "gateway/audit/query.h"
#include "gateway/cli/cli.h"

struct audit_source {
	char *dir;
	struct audit_index *index;	/* NULL: none, or none that can be used */
	struct audit_lines *lines;
	struct audit_index_state state;	/* how far it goes */
	size_t no_records;		/* lines that were none */
	unsigned segment;		/* of the record that audit_source_id() gives */
	struct audit_fields *record;	/* the one at hand */
};

/* The options --dir, --index and --no-index. -1 with `error`. */
int audit_source_open(struct audit_source *source, const struct cli *cli, struct vg_error *error);
void audit_source_close(struct audit_source *source);
/* From here on all of the trail is read. */
void audit_source_forget_index(struct audit_source *source);
/* Says on standard error that lines were no records. */
void audit_source_tell(const struct audit_source *source);

/*
 * The places of the records that may match, oldest first, as far as the index goes; with `most` only the newest so many. The caller frees. -1 with
 * `error`.
 */
int audit_source_find(struct audit_source *source, const struct audit_match *match, size_t most, struct audit_place **places, size_t *num,
    struct vg_error *error);
/* The line at a place; NULL: it is gone, or not there, and then `error` says so. */
const char *audit_source_line(struct audit_source *source, const struct audit_place *place, struct vg_error *error);
/* A reader of what the index does not have yet; without an index of all. NULL with `error`. */
struct audit_reader *audit_source_rest(struct audit_source *source, struct vg_error *error);

/* Every record that matches, oldest first. -1 with `error`, also when `each` does not return 0. */
typedef int audit_each_cb(const char *line, size_t len, const struct audit_fields *record, void *arg);
int audit_source_each(struct audit_source *source, const struct audit_match *match, audit_each_cb *each, void *arg, struct vg_error *error);
/* Every record with this operation id or number, oldest first. How many; -1 with `error`, also when `each` does not return 0. */
int audit_source_id(struct audit_source *source, const char *id, audit_each_cb *each, void *arg, struct vg_error *error);

#endif
