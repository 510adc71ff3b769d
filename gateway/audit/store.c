/*
 * store.c: appending to segments, and finding the end of the trail at the start.
 */
#include "gateway/audit/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/audit/pack.h"
#include "gateway/core/log.h"

/*
 * Space is asked for ahead, in steps: a full disk shows before a record is there, and a sync has no blocks to find. Not
 * the whole segment: most gateways write little, and a file system in memory would take it all at once.
 */
#define ALLOCATE_AHEAD	(1024u * 1024u)
#define ALLOCATE_STEP	(4u * 1024u * 1024u)

const struct store_calls store_real_calls = { write, fdatasync };

struct store {
	const struct store_calls *calls;
	int dir_fd, lock_fd, head_fd;
	bool head_is_new;		/* it was not there: its first content is synced */
	uint64_t segment_bytes;
	unsigned segment;		/* the number used last, 0: none yet */
	int fd;				/* of that segment; -1: the next append begins a new one */
	uint64_t len;			/* durable bytes in it */
	uint64_t len_before;		/* … in the one before */
	uint64_t allocated;		/* bytes that the disk has put aside for it */
	struct pack pack;		/* its documents */
	struct store_failure failure;
	bool uncut;			/* of a failed segment more may be there after a crash than was durable: */
	char uncut_name[AUDIT_NAME_MAX];
	uint64_t uncut_len;
	store_begin_cb *begin;		/* NULL: nobody is asked */
	void *begin_arg;
};

/* ---- segments ---- */

static int
new_segment(struct store *store)
{
	char name[AUDIT_NAME_MAX];
	int fd;

	audit_segment_name(name, store->segment + 1);
	fd = openat(store->dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd == -1)
		return -1;
	store->segment++;
	store->fd = fd;
	store->len_before = store->len;
	store->len = store->allocated = 0;
	/* The name must be as durable as what is written under it. */
	return store->calls->fdatasync(store->dir_fd);
}

/* The length stays what was written. A file system that cannot, or has no room, is told by the write. */
static void
allocate(struct store *store, size_t len)
{
	uint64_t want = store->len + len + ALLOCATE_AHEAD;

	if (want <= store->allocated || store->segment_bytes < ALLOCATE_STEP)
		return;
	want = (want + ALLOCATE_STEP - 1) / ALLOCATE_STEP * ALLOCATE_STEP;
	if (want > store->segment_bytes)
		want = store->segment_bytes;
	if (want > store->len)
		(void)fallocate(store->fd, FALLOC_FL_KEEP_SIZE, (off_t)store->len, (off_t)(want - store->len));
	store->allocated = want;
}

/* Gives back what was put aside. */
static void
finish_segment(struct store *store)
{
	if (store->allocated > store->len)
		(void)ftruncate(store->fd, (off_t)store->len);
	close(store->fd);
	store->fd = -1;
	pack_close(&store->pack);
}

/* Of a segment without a record: nothing names what is in it. */
static void
remove_pack(struct store *store, unsigned segment)
{
	char name[AUDIT_NAME_MAX];

	pack_file_name(name, segment);
	(void)unlinkat(store->dir_fd, name, 0);
}

/* Before the next segment: then nobody looks any more for where the failed one ends, and what was cut off must not come back. */
static int
finish_cut(struct store *store)
{
	int fd, error;

	if (!store->uncut)
		return 0;
	fd = openat(store->dir_fd, store->uncut_name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	store->uncut = fd == -1 || ftruncate(fd, (off_t)store->uncut_len) == -1 || store->calls->fdatasync(fd) == -1;
	error = errno;
	if (fd != -1)
		close(fd);
	errno = error;
	return store->uncut ? -1 : 0;
}

static void
name_failure(struct store *store)
{
	audit_segment_name(store->failure.segment, store->segment);
	store->failure.durable_bytes = store->len;
}

/* An empty file goes, as if it had never been begun: the trail ends in the segment before. */
static bool
undo_segment(struct store *store)
{
	if (store->len > 0 || unlinkat(store->dir_fd, store->failure.segment, 0) == -1)
		return false;
	remove_pack(store, store->segment);
	if (--store->segment > 0) {
		store->len = store->len_before;
		name_failure(store);
	}
	return true;
}

/* Closes the segment for good. What is left of the failed write is cut off. */
static void
retire(struct store *store, const char *call, int error)
{
	name_failure(store);
	store->failure.error = error;
	store->failure.call = call;
	log_error("audit trail: %s %s: %s; the file is closed for good", call, store->failure.segment, strerror(error));
	if (store->fd == -1)
		return;
	if (ftruncate(store->fd, (off_t)store->len) == -1)
		log_error("audit trail: cutting %s back: %s", store->failure.segment, strerror(errno));
	close(store->fd);
	store->fd = -1;
	pack_close(&store->pack);
	if (undo_segment(store))
		return;
	store->uncut = true;
	store->uncut_len = store->len;
	memcpy(store->uncut_name, store->failure.segment, sizeof(store->uncut_name));
}

int
store_write_all(const struct store_calls *calls, int fd, const void *data, size_t len)
{
	const char *at = data;

	while (len > 0) {
		ssize_t put = calls->write(fd, at, len);

		if (put == -1 && errno == EINTR)
			continue;
		if (put <= 0) {
			if (put == 0)
				errno = ENOSPC;
			return -1;
		}
		at += put;
		len -= (size_t)put;
	}
	return 0;
}

/* What is appended to cannot be written over: a descriptor of its own. */
int
store_write_again(int dir_fd, const char *name, uint64_t from, uint64_t to)
{
	char chunk[65536];
	int fd = openat(dir_fd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW), result = -1;

	if (fd == -1)
		return -1;
	while (from < to) {
		size_t want = to - from < sizeof(chunk) ? (size_t)(to - from) : sizeof(chunk);
		ssize_t got = pread(fd, chunk, want, (off_t)from);

		if (got <= 0 || pwrite(fd, chunk, (size_t)got, (off_t)from) != got)
			goto out;
		from += (uint64_t)got;
	}
	result = fsync(fd);
out:
	close(fd);
	return result;
}

/* Beside the trail, without a sync of its own but the first: it is only ever behind. What was cut from the end shows by it. */
static void
note_head(struct store *store, const struct chain *chain)
{
	char text[20 + 1 + AUDIT_HASH_LEN + 2];
	int len = snprintf(text, sizeof(text), "%020llu %s\n", (unsigned long long)chain->seq, chain->hash);

	if (pwrite(store->head_fd, text, (size_t)len, 0) != len ||
	    (store->head_is_new && (fsync(store->head_fd) == -1 || fsync(store->dir_fd) == -1)))
		log_warn("audit trail: %s: %s", AUDIT_HEAD_FILE, strerror(errno));
	else
		store->head_is_new = false;
}

int
store_append(struct store *store, const void *lines, size_t len, const struct chain *chain)
{
	return store_append_with(store, lines, len, NULL, 0, chain);
}

int
store_append_with(struct store *store, const void *lines, size_t len, const void *documents, size_t documents_len, const struct chain *chain)
{
	const char *call = "cut";
	int error;

	if (store->fd != -1 && store->len > 0 && (store->len + len > store->segment_bytes ||
	    (store->pack.len > 0 && store->pack.len + documents_len > store->segment_bytes)))
		finish_segment(store);
	if (store->fd == -1 && finish_cut(store) == -1)
		goto fail;
	call = "list the keys of";
	if (store->fd == -1 && store->begin != NULL && store->begin(store->begin_arg) == -1)
		goto fail;
	call = "open";
	if (store->fd == -1 && new_segment(store) == -1)
		goto fail;
	allocate(store, len);
	call = "write documents of";
	if (documents_len > 0 && pack_add(&store->pack, store->dir_fd, store->segment, store->calls, documents, documents_len) == -1)
		goto fail;
	call = "write";
	if (store_write_all(store->calls, store->fd, lines, len) == -1)
		goto fail;
	call = "fdatasync";
	if (store->calls->fdatasync(store->fd) == -1)
		goto fail;
	store->len += len;
	note_head(store, chain);
	return 0;
fail:
	error = errno;
	retire(store, call, error);
	errno = error;
	return -1;
}

void
store_before_segment(struct store *store, store_begin_cb *begin, void *arg)
{
	store->begin = begin;
	store->begin_arg = arg;
}

unsigned
store_segment(const struct store *store)
{
	return store->segment;
}

const struct store_failure *
store_failure(const struct store *store)
{
	return &store->failure;
}

void
store_close(struct store *store)
{
	int *const fds[] = { &store->head_fd, &store->lock_fd, &store->dir_fd };

	if (store->fd != -1)
		finish_segment(store);
	pack_close(&store->pack);
	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (*fds[i] != -1)
			close(*fds[i]);
	free(store);
}

/* ---- opening ---- */

static int
open_files(struct store *store, const char *dir, struct vg_error *error)
{
	if (mkdir(dir, 0700) == -1 && errno != EEXIST) {
		vg_fail(error, "audit_dir %s: cannot be made: %s", dir, strerror(errno));
		return vg_hint(error, "make it for the user that virtgated runs as: install -d -m 0700 -o USER %s", dir);
	}
	store->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (store->dir_fd == -1)
		return vg_fail(error, "audit_dir %s: %s", dir, strerror(errno));
	store->lock_fd = openat(store->dir_fd, AUDIT_LOCK_FILE, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (store->lock_fd == -1) {
		vg_fail(error, "audit_dir %s: cannot be written to: %s", dir, strerror(errno));
		return vg_hint(error, "it must belong to the user that virtgated runs as");
	}
	if (flock(store->lock_fd, LOCK_EX | LOCK_NB) == -1) {
		vg_fail(error, "audit_dir %s: another virtgated writes there", dir);
		return vg_hint(error, "give this one an audit_dir of its own, or end the other");
	}
	return 0;
}

/* What walking the last segments has found. */
struct tail {
	struct chain chain;
	struct chain durable;		/* as noted beside the trail; hash empty when there is no note */
	unsigned last;			/* segment */
	unsigned segment;		/* that the last line was in */
	bool linked;			/* the next line must follow `chain` */
	uint64_t good_end;		/* in the last segment: behind its last good line */
	uint64_t durable_end;		/* … and behind the last that was noted as durable */
};

/* Is it a good record that follows the last one? In the segments before the last only the form is looked at. */
static bool
follows(const struct tail *tail, const struct audit_line *line, struct scan_line *facts)
{
	if (!line->whole || !scan_line(line->text, line->len, facts))
		return false;
	if (line->segment != tail->last)
		return true;
	if (!scan_hash_right(line->text, line->len, facts))
		return false;
	return !tail->linked || (facts->seq == tail->chain.seq + 1 && strcmp(facts->prev, tail->chain.hash) == 0);
}

static void
damaged(struct store_found *found, const char *file, uint64_t line, const char *what)
{
	if (found->damaged)
		return;
	found->damaged = true;
	(void)snprintf(found->damage, sizeof(found->damage), "%s line %llu: %s", file, (unsigned long long)line, what);
}

/* Takes one line. False: the rest of the last segment is what no answer was given for. */
static bool
take_line(struct tail *tail, const struct audit_line *line, store_record_cb *record, void *arg,
    struct store_found *found)
{
	struct scan_line facts;

	if (line->segment != tail->segment) {
		tail->segment = line->segment;
		tail->linked = false;
		tail->good_end = tail->durable_end = 0;
	}
	if (!follows(tail, line, &facts)) {
		if (line->segment != tail->last)
			return true;			/* verify's business */
		if (tail->chain.seq >= tail->durable.seq)
			return false;
		damaged(found, line->file, line->number, "is not the record that was written there");
		if (!line->whole || !scan_line(line->text, line->len, &facts))
			return true;
		/* The chain goes on from what the line says, so that verify goes on naming it. */
	}
	tail->chain.seq = facts.seq;
	memcpy(tail->chain.hash, facts.hash, sizeof(tail->chain.hash));
	memcpy(tail->chain.time, facts.time, sizeof(tail->chain.time));
	tail->linked = true;
	tail->good_end = line->offset + line->len + 1;
	if (facts.seq <= tail->durable.seq)
		tail->durable_end = tail->good_end;
	record(&facts, line->text, line->len, arg);
	return true;
}

/* Two segments are enough to know which intents are open and which records may come again. */
static int
walk_tail(const char *dir, struct tail *tail, store_record_cb *record, void *arg, struct store_found *found,
    struct vg_error *error)
{
	unsigned first;
	struct audit_reader *reader;
	struct audit_line line;
	int result;

	if (audit_reader_range(dir, &first, &tail->last, NULL, error) == -1)
		return -1;
	if (tail->last == 0)
		return 0;
	reader = audit_reader_open(dir, tail->last > first ? tail->last - 1 : first, error);
	if (reader == NULL)
		return -1;
	while ((result = audit_reader_next(reader, &line, error)) == 1)
		if (!take_line(tail, &line, record, arg, found))
			break;
	audit_reader_close(reader);
	return result == -1 ? -1 : 0;
}

/* Copies [from, to) of the segment to a file of its own. */
static int
copy_aside(struct store *store, int fd, uint64_t from, uint64_t to, const char *name)
{
	char chunk[65536];
	int out = openat(store->dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (out == -1)
		return -1;
	while (from < to) {
		size_t want = to - from < sizeof(chunk) ? (size_t)(to - from) : sizeof(chunk);
		ssize_t got = pread(fd, chunk, want, (off_t)from);

		if (got <= 0 || write(out, chunk, (size_t)got) != got) {
			close(out);
			return -1;
		}
		from += (uint64_t)got;
	}
	if (fsync(out) == -1 || close(out) == -1)
		return -1;
	return 0;
}

/* What is behind the last good record is kept in a file beside, and cut off for good: the next record may begin a segment. */
static int
put_aside(struct store *store, uint64_t size, struct store_found *found)
{
	found->torn_offset = store->len;
	found->torn_bytes = size - store->len;
	audit_segment_name(found->torn_segment, store->segment);
	(void)snprintf(found->torn_file, sizeof(found->torn_file), "audit-%06u.torn-%llu", store->segment,
	    (unsigned long long)store->len);
	if (copy_aside(store, store->fd, store->len, size, found->torn_file) == -1 ||
	    ftruncate(store->fd, (off_t)store->len) == -1 || fsync(store->fd) == -1)
		return -1;
	found->torn = true;
	return 0;
}

/* Opens the last segment to go on with it. When that is not safe (a full disk), the next append begins a new one. */
static int
open_last(struct store *store, const struct tail *tail, struct store_found *found, struct vg_error *error)
{
	char name[AUDIT_NAME_MAX];
	struct stat st;

	if (tail->last == 0)
		return 0;
	store->segment = tail->last;
	store->len = tail->segment == tail->last ? tail->good_end : 0;
	audit_segment_name(name, tail->last);
	store->fd = openat(store->dir_fd, name, O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
	if (store->fd == -1 || fstat(store->fd, &st) == -1)
		return vg_fail(error, "audit trail %s: %s", name, strerror(errno));
	/* What follows in the chain must not be more durable than they are. */
	if (store_write_again(store->dir_fd, name, tail->segment == tail->last ? tail->durable_end : 0, store->len) == -1 ||
	    fsync(store->dir_fd) == -1) {	/* its name, too, may be one that was never synced */
		vg_fail(error, "audit trail %s: its last records cannot be made durable: %s", name, strerror(errno));
		return vg_hint(error, "the kernel's log says what is wrong with the disk");
	}
	if (((uint64_t)st.st_size > store->len && put_aside(store, (uint64_t)st.st_size, found) == -1) ||
	    pack_open(&store->pack, store->dir_fd, store->segment) == -1) {
		found->failed = true;
		retire(store, "open", errno);
	}
	return 0;
}

struct store *
store_open(const char *dir, const struct store_calls *calls, uint64_t segment_bytes, struct chain *chain,
    store_record_cb *record, void *arg, struct store_found *found, struct vg_error *error)
{
	struct store *store = calloc(1, sizeof(*store));
	struct tail tail = { .last = 0 };

	memset(found, 0, sizeof(*found));
	if (store == NULL) {
		vg_fail(error, "out of memory");
		return NULL;
	}
	store->calls = calls;
	store->segment_bytes = segment_bytes;
	store->dir_fd = store->lock_fd = store->head_fd = store->fd = -1;
	pack_init(&store->pack);
	chain_init(&tail.chain);
	chain_init(&tail.durable);
	if (open_files(store, dir, error) == -1)
		goto fail;
	if (!audit_head_read(dir, &tail.durable.seq, tail.durable.hash)) {
		tail.durable.seq = 0;
		store->head_is_new = true;
	}
	if (walk_tail(dir, &tail, record, arg, found, error) == -1 || open_last(store, &tail, found, error) == -1)
		goto fail;
	if (tail.durable.seq > tail.chain.seq) {
		/* The chain goes on from the note, so that the gap stays to be seen. */
		damaged(found, AUDIT_HEAD_FILE, 1, "notes records as durable that are not there any more");
		tail.chain.seq = tail.durable.seq;
		memcpy(tail.chain.hash, tail.durable.hash, sizeof(tail.chain.hash));
	}
	store->head_fd = openat(store->dir_fd, AUDIT_HEAD_FILE, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (store->head_fd == -1) {
		vg_fail(error, "%s/%s: %s", dir, AUDIT_HEAD_FILE, strerror(errno));
		goto fail;
	}
	*chain = tail.chain;
	if (store->head_is_new && chain->seq > 0)
		note_head(store, chain);
	return store;
fail:
	store_close(store);
	return NULL;
}
