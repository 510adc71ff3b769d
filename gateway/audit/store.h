/*
 * store.h: the files of the trail as the writer sees them. Segments are only appended to; a file that could not be
 * written or synced once is closed for good (I57).
 */
#ifndef AUDIT_STORE_H
#define AUDIT_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "gateway/audit/chain.h"
#include "gateway/audit/reader.h"
#include "virtgate/result.h"

/* What tests replace to see a disk fail. */
struct store_calls {
	ssize_t (*write)(int fd, const void *buf, size_t len);
	int (*fdatasync)(int fd);
};
extern const struct store_calls store_real_calls;

#define STORE_SEGMENT_BYTES (64u * 1024u * 1024u)

/* What was wrong with the trail when it was opened. */
struct store_found {
	bool torn;			/* bytes at the end that no answer was given for were put aside */
	char torn_segment[AUDIT_NAME_MAX], torn_file[64];
	uint64_t torn_offset, torn_bytes;
	bool failed;			/* the last segment cannot be gone on with: see store_failure */
	bool damaged;			/* what had been durable is not there, or not as it was */
	char damage[320];
};

/* Every record of the last segments, oldest first, while the store is opened. */
typedef void store_record_cb(const struct scan_line *facts, const char *line, size_t len, void *arg);

struct store;

/*
 * Makes `dir` when it is missing, locks it against a second writer, and finds the end of the chain. NULL with `error`.
 */
struct store *store_open(const char *dir, const struct store_calls *calls, uint64_t segment_bytes, struct chain *chain,
    store_record_cb *record, void *arg, struct store_found *found, struct vg_error *error);
void store_close(struct store *store);

/*
 * Whole lines, durable when it returns 0; `chain` is the end of the chain then. -1 with errno: the segment is cut back
 * to what was durable and closed for good, and the next call begins a new one, once the cut is durable.
 */
int store_append(struct store *store, const void *lines, size_t len, const struct chain *chain);
/* The same with the packed documents that the lines name: these are durable first (pack.h). */
int store_append_with(struct store *store, const void *lines, size_t len, const void *documents, size_t documents_len, const struct chain *chain);
/* All of it; -1 with errno. */
int store_write_all(const struct store_calls *calls, int fd, const void *data, size_t len);
/*
 * Makes what stands at [from, to) of a file durable, whoever wrote it. A process that was killed between write and sync left bytes of which
 * nobody knows whether they are: a sync that fails makes the kernel forget that they are not, so that the next one says nothing. Writing
 * them again makes it know. -1 with errno.
 */
int store_write_again(int dir_fd, const char *name, uint64_t from, uint64_t to);

/* Is asked before a segment is begun. -1 with errno: not now, and the append fails as if it could not be. */
typedef int store_begin_cb(void *arg);
void store_before_segment(struct store *store, store_begin_cb *begin, void *arg);

/* The segment that was begun last, 0 when there is none yet. */
unsigned store_segment(const struct store *store);

/*
 * The segment that failed last: its name, how much of it holds, why. Where the next one could not be begun either, it is still the one that
 * holds the end of the trail. For the record that begins the next one.
 */
struct store_failure {
	char segment[AUDIT_NAME_MAX];
	uint64_t durable_bytes;
	int error;
	const char *call;		/* "write", "fdatasync", "open", … */
};
const struct store_failure *store_failure(const struct store *store);

#endif
