/*
 * fuzz_audit_index.c: any bytes as a trail, indexed, searched and exported. Input: questions to the audit reader, one a line, then byte 1e and segments
 * parted by it. What the reader answers is JSON, whatever is in the trail; what the formats make of a record is one line.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "gateway/audit/answers.h"
#include "gateway/audit/export.h"
#include "gateway/audit/index.h"
#include "gateway/core/log.h"
#include "tests/fuzz/fuzz.h"

#define MAX_SEGMENTS 3
#define MAX_QUESTIONS 8

static char dir[64];

static const char *
path_of(const char *name)
{
	static char path[192];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

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
	(void)snprintf(dir, sizeof(dir), "%s/fuzz-index-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	FUZZ_ASSERT(mkdtemp(dir) != NULL);
	(void)atexit(remove_dir);
}

static unsigned
put_segments(const uint8_t *data, size_t size)
{
	unsigned segment = 0;

	while (size > 0 && segment < MAX_SEGMENTS) {
		const uint8_t *end = memchr(data, 0x1e, size);
		size_t len = end == NULL ? size : (size_t)(end - data);
		char name[AUDIT_NAME_MAX];
		int fd;

		audit_segment_name(name, ++segment);
		fd = open(path_of(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);
		FUZZ_ASSERT(fd != -1 && write(fd, data, len) == (ssize_t)len);
		close(fd);
		size -= end == NULL ? len : len + 1;
		data += end == NULL ? len : len + 1;
	}
	return segment;
}

static void
take_answer(uint64_t ticket, bool ok, const char *text, size_t len, void *arg)
{
	unsigned *num = arg;
	json_t *json = ok ? json_loadb(text, len, 0, NULL) : NULL;

	FUZZ_ASSERT(ticket < MAX_QUESTIONS && (!ok || json != NULL));
	json_decref(json);
	++*num;
}

static void
ask_all(const uint8_t *data, size_t size)
{
	struct answers *answers = answers_create(dir, path_of(AUDIT_INDEX_FILE));
	unsigned asked = 0, answered = 0;

	FUZZ_ASSERT(answers != NULL);
	while (size > 0 && asked < MAX_QUESTIONS) {
		const uint8_t *end = memchr(data, '\n', size);
		size_t len = end == NULL ? size : (size_t)(end - data);

		FUZZ_ASSERT(answers_ask(answers, asked++, (const char *)data, len, take_answer, &answered) == 0);
		size -= end == NULL ? len : len + 1;
		data += end == NULL ? len : len + 1;
	}
	for (int turn = 0; turn < 100000 && answers_work(answers, 1); turn++)
		;
	FUZZ_ASSERT(answered == asked);
	answers_destroy(answers);
}

/* Lines as records, and each format of them: one line. */
static void
export_all(const uint8_t *data, size_t size)
{
	static struct audit_fields record;
	bool is = audit_fields_read(&record, (const char *)data, size);
	json_t *json = is ? json_loadb((const char *)data, size, 0, NULL) : NULL;
	const struct audit_format *format;

	FUZZ_ASSERT(is == (json != NULL));	/* what is taken for a record is JSON */
	for (size_t i = 1; is && (format = audit_format_at(i)) != NULL; i++) {
		struct buf out = { .data = NULL };

		FUZZ_ASSERT(format->put(&out, &record, (const char *)data, size) == 0 && buf_len(&out) > 0);
		FUZZ_ASSERT((const uint8_t *)memchr(buf_head(&out), '\n', buf_len(&out)) == buf_head(&out) + buf_len(&out) - 1);
		for (size_t at = 0; at + 1 < buf_len(&out); at++)
			FUZZ_ASSERT(buf_head(&out)[at] >= 0x20 && buf_head(&out)[at] != 0x7f);
		buf_free(&out);
	}
	json_decref(json);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = memchr(data, 0x1e, size);
	size_t questions = end == NULL ? size : (size_t)(end - data), segments = end == NULL ? 0 : size - questions - 1;
	unsigned num;
	char name[AUDIT_NAME_MAX];

	if (dir[0] == '\0')
		make_dir();
	num = put_segments(end == NULL ? data : end + 1, segments);
	ask_all(data, questions);
	export_all(end == NULL ? data : end + 1, segments);
	for (unsigned segment = 1; segment <= num; segment++) {
		audit_segment_name(name, segment);
		(void)unlink(path_of(name));
	}
	(void)unlink(path_of(AUDIT_INDEX_FILE));
	(void)unlink(path_of(AUDIT_INDEX_FILE "-journal"));
	return 0;
}
