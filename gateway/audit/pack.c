/*
 * pack.c: files of packed documents.
 */
#include "gateway/audit/pack.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/audit/checkpoint.h"
#include "gateway/core/log.h"

#define ZEROS_AHEAD	(256u * 1024u)

void
pack_file_name(char name[AUDIT_NAME_MAX], unsigned segment)
{
	audit_file_name(name, segment, "documents");
}

/* 0 when the name is none. */
static unsigned
pack_file_number(const char *name)
{
	return audit_file_number(name, "documents");
}

/* ---- digests ---- */

static const uint8_t none[DOCUMENT_DIGEST];

/* Where it is, or the free place where it belongs. There is always a free one. */
static uint8_t *
place_of(const struct digests *digests, const uint8_t *digest)
{
	uint64_t at;

	memcpy(&at, digest, sizeof(at));	/* a digest is as random as anything */
	for (;; at++) {
		uint8_t *place = digests->all[at & (digests->size - 1)];

		if (memcmp(place, digest, DOCUMENT_DIGEST) == 0 || memcmp(place, none, DOCUMENT_DIGEST) == 0)
			return place;
	}
}

static bool
digests_have(const struct digests *digests, const uint8_t digest[DOCUMENT_DIGEST])
{
	return digests->size > 0 && memcmp(digest, none, DOCUMENT_DIGEST) != 0 && memcmp(place_of(digests, digest), digest, DOCUMENT_DIGEST) == 0;
}

static int
grow(struct digests *digests)
{
	struct digests more = { .size = digests->size == 0 ? 64 : digests->size * 2, .num = digests->num };

	more.all = calloc(more.size, sizeof(*more.all));
	if (more.all == NULL)
		return -1;
	for (size_t i = 0; i < digests->size; i++)
		if (memcmp(digests->all[i], none, DOCUMENT_DIGEST) != 0)
			memcpy(place_of(&more, digests->all[i]), digests->all[i], DOCUMENT_DIGEST);
	free(digests->all);
	*digests = more;
	return 0;
}

/* -1: out of memory. */
static int
digests_add(struct digests *digests, const uint8_t digest[DOCUMENT_DIGEST])
{
	if (digests->num >= digests->size / 2 && grow(digests) == -1)
		return -1;
	if (!digests_have(digests, digest)) {
		memcpy(place_of(digests, digest), digest, DOCUMENT_DIGEST);
		digests->num++;
	}
	return 0;
}

static void
digests_free(struct digests *digests)
{
	free(digests->all);
	*digests = (struct digests){ .num = 0 };
}

/* ---- reading one after another ---- */

/* The one that begins at `offset`, in `*packed` of `*room` bytes, which grows. Its length; 0: no whole one does; -1 with errno. */
static ssize_t
read_at(int fd, uint64_t offset, uint8_t **packed, size_t *room)
{
	uint8_t head[DOCUMENT_HEAD];
	ssize_t got = pread(fd, head, sizeof(head), (off_t)offset);
	size_t len = got < 0 ? 0 : document_packed_len(head, (size_t)got);

	if (len == 0)
		return got < 0 ? -1 : 0;
	if (*room < len) {
		uint8_t *more = realloc(*packed, len);

		if (more == NULL)
			return -1;
		*packed = more;
		*room = len;
	}
	got = pread(fd, *packed, len, (off_t)offset);
	return got < 0 ? -1 : (size_t)got == len && document_crc_right(*packed, len) ? got : 0;
}

/* Where one may begin, from `*offset` on. False: nowhere. */
static bool
find_magic(int fd, uint64_t *offset)
{
	uint8_t chunk[16384];
	ssize_t got;

	while ((got = pread(fd, chunk, sizeof(chunk), (off_t)*offset)) >= (ssize_t)DOCUMENT_MAGIC_LEN) {
		const uint8_t *at = memmem(chunk, (size_t)got, DOCUMENT_MAGIC, DOCUMENT_MAGIC_LEN);

		if (at != NULL) {
			*offset += (uint64_t)(at - chunk);
			return true;
		}
		*offset += (uint64_t)got - (DOCUMENT_MAGIC_LEN - 1);
	}
	return false;
}

/*
 * The next one from `*offset` on, which becomes where it begins; what a crash tore, or somebody changed, is passed over. 0: there is none
 * (yet), and `*offset` stays.
 */
static ssize_t
read_next(int fd, uint64_t *offset, uint8_t **packed, size_t *room)
{
	uint64_t at = *offset;
	ssize_t got = 0;

	for (; find_magic(fd, &at); at++) {
		got = read_at(fd, at, packed, room);
		if (got != 0)
			break;
	}
	if (got > 0)
		*offset = at;
	return got;
}

/* ---- writing ---- */

void
pack_init(struct pack *pack)
{
	*pack = (struct pack){ .fd = -1 };
}

void
pack_close(struct pack *pack)
{
	if (pack->zeroed > pack->len && ftruncate(pack->fd, (off_t)pack->len) == -1)
		log_warn("audit trail: cutting the zeros behind documents: %s", strerror(errno));
	if (pack->fd != -1)
		close(pack->fd);
	digests_free(&pack->digests);
	pack_init(pack);
}

int
pack_open(struct pack *pack, int dir_fd, unsigned segment)
{
	char name[AUDIT_NAME_MAX];
	struct stat st;

	pack_file_name(name, segment);
	pack->fd = openat(dir_fd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (pack->fd == -1)
		return errno == ENOENT ? 0 : -1;
	if (fstat(pack->fd, &st) == -1)
		return -1;
	pack->len = pack->zeroed = (uint64_t)st.st_size;
	return 0;
}

bool
pack_are_whole(const uint8_t *packed, size_t len)
{
	while (len > 0) {
		size_t one = document_packed_len(packed, len);

		if (one == 0 || one > len)
			return false;
		packed += one;
		len -= one;
	}
	return true;
}

/* Those that are not there yet, each once. -1: out of memory. */
static int
choose(const struct pack *pack, const uint8_t *packed, size_t len, struct buf *fresh, struct digests *added)
{
	for (size_t at = 0, one; at < len; at += one) {
		const uint8_t *digest = document_digest(packed + at);

		one = document_packed_len(packed + at, len - at);
		if (digests_have(&pack->digests, digest) || digests_have(added, digest))
			continue;
		if (buf_add(fresh, packed + at, one) == -1 || digests_add(added, digest) == -1)
			return -1;
	}
	return 0;
}

/* The name must be as durable as what is written under it. */
static int
create(struct pack *pack, int dir_fd, unsigned segment, const struct store_calls *calls)
{
	char name[AUDIT_NAME_MAX];

	pack_file_name(name, segment);
	pack->fd = openat(dir_fd, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	return pack->fd == -1 ? -1 : calls->fdatasync(dir_fd);
}

/* Room for `len` bytes, if the disk has it; else the write tells. */
static void
fill_ahead(struct pack *pack, size_t len)
{
	static const uint8_t zeros[65536];
	uint64_t want = pack->len + len + ZEROS_AHEAD;
	ssize_t put = 1;

	if (pack->len + len <= pack->zeroed)
		return;
	while (put > 0 && pack->zeroed < want) {
		put = pwrite(pack->fd, zeros, want - pack->zeroed < sizeof(zeros) ? (size_t)(want - pack->zeroed) : sizeof(zeros), (off_t)pack->zeroed);
		if (put > 0)
			pack->zeroed += (uint64_t)put;
	}
}

static int
add_bytes(struct pack *pack, const struct store_calls *calls, const struct buf *fresh)
{
	fill_ahead(pack, buf_len(fresh));
	if (lseek(pack->fd, (off_t)pack->len, SEEK_SET) == -1 || store_write_all(calls, pack->fd, buf_head(fresh), buf_len(fresh)) == -1 ||
	    calls->fdatasync(pack->fd) == -1)
		return -1;
	pack->len += buf_len(fresh);
	if (pack->zeroed < pack->len)
		pack->zeroed = pack->len;
	return 0;
}

int
pack_add(struct pack *pack, int dir_fd, unsigned segment, const struct store_calls *calls, const uint8_t *packed, size_t len)
{
	struct digests added = { .num = 0 };
	struct buf fresh = { 0 };
	int result = -1;

	if (choose(pack, packed, len, &fresh, &added) == -1) {
		errno = ENOMEM;
		goto out;
	}
	if (buf_len(&fresh) == 0) {
		result = 0;
		goto out;
	}
	if ((pack->fd == -1 && create(pack, dir_fd, segment, calls) == -1) || add_bytes(pack, calls, &fresh) == -1)
		goto out;
	result = 0;
	/* One that is not remembered is only written again. */
	for (size_t i = 0; i < added.size; i++)
		if (memcmp(added.all[i], none, DOCUMENT_DIGEST) != 0 && digests_add(&pack->digests, added.all[i]) == -1)
			break;
out:
	digests_free(&added);
	buf_free(&fresh);
	return result;
}

/* ---- reading ---- */

static int
open_file(const char *dir, unsigned segment)
{
	char path[4096], name[AUDIT_NAME_MAX];

	pack_file_name(name, segment);
	if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	return open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
}

char *
pack_read(const char *dir, unsigned segment, const char *name, size_t *len, struct vg_error *error)
{
	uint8_t digest[DOCUMENT_DIGEST], *packed = NULL;
	size_t room = 0;
	uint64_t offset = 0;
	ssize_t got = 0;
	char *text = NULL;
	int fd = open_file(dir, segment);

	if (fd == -1) {
		vg_fail(error, "%s/audit-%06u.documents: %s", dir, segment, strerror(errno));
		return NULL;
	}
	if (checkpoint_unhex(name, digest, sizeof(digest)))
		while ((got = read_next(fd, &offset, &packed, &room)) > 0 && memcmp(document_digest(packed), digest, sizeof(digest)) != 0)
			offset += (uint64_t)got;
	if (got > 0)
		text = document_unpack(packed, (size_t)got, len);
	if (text == NULL) {
		vg_fail(error, "%s/audit-%06u.documents does not hold the document %s as it was", dir, segment, name);
		vg_hint(error, "`virtgate audit verify` tells what else was changed");
	}
	free(packed);
	close(fd);
	return text;
}

void
pack_check_init(struct pack_check *check)
{
	*check = (struct pack_check){ .fd = -1 };
}

void
pack_check_end(struct pack_check *check)
{
	if (check->fd != -1)
		close(check->fd);
	digests_free(&check->good);
	pack_check_init(check);
}

/* What was added since. A document that is not what its name says is not among the good ones. */
static void
check_more(struct pack_check *check)
{
	uint8_t *packed = NULL;
	size_t room = 0, len;
	ssize_t got;

	while (check->fd != -1 && (got = read_next(check->fd, &check->offset, &packed, &room)) > 0) {
		char *text = document_unpack(packed, (size_t)got, &len);

		if (text != NULL)
			(void)digests_add(&check->good, document_digest(packed));
		free(text);
		check->offset += (uint64_t)got;
	}
	free(packed);
}

bool
pack_check_has(struct pack_check *check, const char *dir, unsigned segment, const char *name)
{
	uint8_t digest[DOCUMENT_DIGEST];

	if (!checkpoint_unhex(name, digest, sizeof(digest)))
		return false;
	if (check->segment != segment) {
		pack_check_end(check);
		check->segment = segment;
	}
	if (digests_have(&check->good, digest))
		return true;
	if (check->fd == -1)
		check->fd = open_file(dir, segment);
	check_more(check);
	return digests_have(&check->good, digest);
}

/* ---- retention ---- */

uint64_t
pack_bytes(const char *dir, unsigned last)
{
	DIR *stream = opendir(dir);
	struct dirent *entry;
	uint64_t bytes = 0;
	struct stat st;

	while (stream != NULL && (entry = readdir(stream)) != NULL) {
		unsigned segment = pack_file_number(entry->d_name);

		if (segment != 0 && segment <= last && fstatat(dirfd(stream), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0)
			bytes += (uint64_t)st.st_size;
	}
	if (stream != NULL)
		closedir(stream);
	return bytes;
}

int
pack_remove(const char *dir, unsigned last, struct vg_error *error)
{
	DIR *stream = opendir(dir);
	struct dirent *entry;
	int result = 0;

	if (stream == NULL)
		return vg_fail(error, "%s: %s", dir, strerror(errno));
	while (result == 0 && (entry = readdir(stream)) != NULL) {
		unsigned segment = pack_file_number(entry->d_name);

		if (segment != 0 && segment <= last && unlinkat(dirfd(stream), entry->d_name, 0) == -1 && errno != ENOENT)
			result = vg_fail(error, "%s/%s cannot be removed: %s", dir, entry->d_name, strerror(errno));
	}
	closedir(stream);
	return result;
}
