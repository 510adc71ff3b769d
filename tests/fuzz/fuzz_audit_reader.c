/*
 * fuzz_audit_reader.c: anything at all in the files of the trail, or on the link to the audit process. Input that begins
 * with 'R' is the body of LINK_RECORD: what is accepted must become a line that reads back. Everything else is files:
 * segments parted by byte 1e, then after byte 1d the note of the end. Reading, verifying, and starting a writer on them
 * must end; where verify finds them whole, one more record must leave them whole.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/audit/chain.h"
#include "gateway/audit/reader.h"
#include "gateway/audit/store.h"
#include "gateway/core/audit_wire.h"
#include "gateway/core/log.h"
#include "tests/fuzz/fuzz.h"

#define MAX_SEGMENTS 4

static char dir[64];

static void
remove_dir(void)
{
	(void)rmdir(dir);
}

/* In memory: every input means some files. */
static void
make_dir(void)
{
	static const char *const quiet[] = { "1:file:/dev/null" };

	(void)log_setup(LOG_LEVEL_ERROR, quiet, 1);
	(void)snprintf(dir, sizeof(dir), "%s/fuzz-audit-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	FUZZ_ASSERT(mkdtemp(dir) != NULL);
	(void)atexit(remove_dir);
}

static const char *
path_of(const char *name)
{
	static char path[192];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static void
put_file(const char *name, const uint8_t *data, size_t len)
{
	int fd = open(path_of(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);

	FUZZ_ASSERT(fd != -1 && write(fd, data, len) == (ssize_t)len);
	close(fd);
}

static void
take_record(const struct scan_line *facts, const char *line, size_t len, void *arg)
{
	FUZZ_ASSERT(facts->hash_at < facts->hash_end && facts->hash_end < len && strlen(facts->op) == ID_LEN);
	FUZZ_ASSERT(memchr(line, '\n', len) == NULL);
	(void)arg;
}

static void
remove_files(const struct store_found *found)
{
	char name[AUDIT_NAME_MAX];

	for (unsigned i = 1; i <= MAX_SEGMENTS + 1; i++) {
		audit_segment_name(name, i);
		(void)unlink(path_of(name));
	}
	(void)unlink(path_of(AUDIT_HEAD_FILE));
	(void)unlink(path_of(AUDIT_LOCK_FILE));
	if (found->torn)
		(void)unlink(path_of(found->torn_file));
}

static bool
accept_record(struct chain *chain, const uint8_t *body, size_t len, struct buf *lines)
{
	struct record record;
	struct scan_line facts;

	if (!record_get(&record, body, len))
		return false;
	FUZZ_ASSERT(chain_add(chain, &record, lines) == 0);
	len = buf_len(lines) - 1;
	FUZZ_ASSERT(scan_line((char *)buf_head(lines), len, &facts) && scan_hash_right((char *)buf_head(lines), len, &facts));
	FUZZ_ASSERT(memchr(buf_head(lines), '\n', len) == NULL && strcmp(facts.op, record.op) == 0);
	return true;
}

static void
append_one(struct store *store, struct chain *chain)
{
	static const uint8_t body[] = "R\003" "01ABCDEFGHJKMNPQRSTVWXYZ01";
	struct buf lines = { 0 };

	FUZZ_ASSERT(accept_record(chain, body, sizeof(body) - 1, &lines));
	FUZZ_ASSERT(store_append(store, buf_head(&lines), buf_len(&lines), chain) == 0);
	buf_free(&lines);
}

static uint64_t
read_all(void)
{
	struct audit_reader *reader = audit_reader_open(dir, 0, NULL);
	struct audit_line line;
	uint64_t bytes = 0;

	FUZZ_ASSERT(reader != NULL);
	while (audit_reader_next(reader, &line, NULL) == 1)
		bytes += line.len;
	audit_reader_close(reader);
	return bytes;
}

static void
files(const uint8_t *data, size_t len)
{
	const uint8_t *head = memchr(data, 0x1d, len), *end = head != NULL ? head : data + len, *at = data;
	struct store_found found;
	struct audit_verdict before, after;
	struct chain chain;
	struct store *store;
	char name[AUDIT_NAME_MAX];

	for (unsigned i = 1; i <= MAX_SEGMENTS && at < end; i++) {
		const uint8_t *part = memchr(at, 0x1e, (size_t)(end - at));

		if (part == NULL || i == MAX_SEGMENTS)
			part = end;
		audit_segment_name(name, i);
		put_file(name, at, (size_t)(part - at));
		at = part < end ? part + 1 : end;
	}
	if (head != NULL)
		put_file(AUDIT_HEAD_FILE, head + 1, (size_t)(data + len - head - 1));
	FUZZ_ASSERT(read_all() <= len);
	FUZZ_ASSERT(audit_verify(dir, NULL, &before, NULL, NULL, NULL) == 0);
	store = store_open(dir, &store_real_calls, STORE_SEGMENT_BYTES, &chain, take_record, NULL, &found, NULL);
	FUZZ_ASSERT(store != NULL);
	append_one(store, &chain);
	store_close(store);
	FUZZ_ASSERT(audit_verify(dir, NULL, &after, NULL, NULL, NULL) == 0);
	FUZZ_ASSERT(!before.whole || (after.whole && after.records == before.records + 1));
	remove_files(&found);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct chain chain;
	struct buf lines = { 0 };

	if (dir[0] == '\0')
		make_dir();
	if (len > 0 && data[0] == AUDIT_WIRE_RECORD) {
		chain_init(&chain);
		(void)accept_record(&chain, data, len, &lines);
		buf_free(&lines);
	} else {
		files(data, len);
	}
	return 0;
}
