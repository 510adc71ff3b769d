/*
 * pack.h: the documents that records name, beside the trail: audit-000007.documents holds those of audit-000007.jsonl, packed
 * (core/document.h), in the order in which they were first named there.
 *
 * A document is in the file of every segment that names it, once of each writer: so it goes when the last record that names it goes, files are few, and
 * a look-up reads one. It is durable before the record is written. Documents are only added behind one another; what a crash tore stays where it is,
 * and who reads goes on with the next document behind it.
 *
 * A file is filled with zeros ahead of the documents: a sync that makes no file longer does not wait for the file system's journal, which takes half of
 * its time, and much more where others write too. The zeros are cut off when the file is closed; what a crash leaves of them stays as well.
 */
#ifndef AUDIT_PACK_H
#define AUDIT_PACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/audit/store.h"
#include "gateway/core/document.h"

/* "audit-000007.documents" */
void pack_file_name(char name[AUDIT_NAME_MAX], unsigned segment);

struct digests {
	uint8_t (*all)[DOCUMENT_DIGEST];	/* a table that is searched from where a digest belongs; all bytes 0: free */
	size_t size, num;			/* size: a power of 2, or 0 */
};

/* ---- writing ---- */

struct pack {
	int fd;				/* -1: not open */
	uint64_t len;			/* of its documents; behind them are zeros up to: */
	uint64_t zeroed;
	struct digests digests;
};

void pack_init(struct pack *pack);
/*
 * Of a segment that is gone on with. -1 with errno. What is there is not counted on: of the last documents nobody knows whether they are
 * durable, so that those that are named again are written again.
 */
int pack_open(struct pack *pack, int dir_fd, unsigned segment);
/* Packed documents, for which pack_are_whole() holds; those that are there are left out. Durable when it returns 0; -1 with errno. */
int pack_add(struct pack *pack, int dir_fd, unsigned segment, const struct store_calls *calls, const uint8_t *packed, size_t len);
void pack_close(struct pack *pack);
/* Is it a row of whole packed documents? What they hold is not looked at. */
bool pack_are_whole(const uint8_t *packed, size_t len);

/* ---- reading ---- */

/* The document of that name, with a terminator. NULL with `error`. Freed by the caller. */
char *pack_read(const char *dir, unsigned segment, const char *name, size_t *len, struct vg_error *error);

/* Which documents are there and are what their names say; for verify. Also while the writer is at work. */
struct pack_check {
	unsigned segment;
	int fd;				/* -1: no such file */
	uint64_t offset;		/* how far it was read */
	struct digests good;
};
void pack_check_init(struct pack_check *check);
bool pack_check_has(struct pack_check *check, const char *dir, unsigned segment, const char *name);
void pack_check_end(struct pack_check *check);

/* Bytes of all such files in `dir`, up to the one of segment `last`. */
uint64_t pack_bytes(const char *dir, unsigned last);
/* Removes those of all segments up to `last`. -1 with `error`. */
int pack_remove(const char *dir, unsigned last, struct vg_error *error);

#endif
