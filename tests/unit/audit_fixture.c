#include "tests/unit/audit_fixture.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "gateway/core/ids.h"

/* Setting up a test failed: nothing can be said about what it tests. */
static void
must(bool ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	abort();
}

char *
fixture_dir(void)
{
	const char *tmp = getenv("TMPDIR");
	char *dir = malloc(256);

	must(dir != NULL, "malloc");
	(void)snprintf(dir, 256, "%s/virtgate-audit-XXXXXX", tmp != NULL ? tmp : "/tmp");
	must(mkdtemp(dir) != NULL, dir);
	return dir;
}

void
fixture_remove(char *dir)
{
	DIR *stream = opendir(dir);
	struct dirent *entry;

	while (stream != NULL && (entry = readdir(stream)) != NULL)
		if (entry->d_name[0] != '.')
			(void)unlinkat(dirfd(stream), entry->d_name, 0);
	if (stream != NULL)
		closedir(stream);
	(void)rmdir(dir);
	free(dir);
}

const char *
fixture_path(const char *dir, const char *name)
{
	static char path[512];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

char *
fixture_read(const char *dir, const char *name, size_t *len)
{
	int fd = open(fixture_path(dir, name), O_RDONLY);
	struct stat st;
	char *text;

	must(fd != -1 && fstat(fd, &st) == 0, name);
	text = malloc((size_t)st.st_size + 1);
	must(text != NULL && read(fd, text, (size_t)st.st_size) == st.st_size, name);
	text[st.st_size] = '\0';
	if (len != NULL)
		*len = (size_t)st.st_size;
	close(fd);
	return text;
}

void
fixture_write(const char *dir, const char *name, const char *text, size_t len)
{
	int fd = open(fixture_path(dir, name), O_WRONLY | O_CREAT | O_TRUNC, 0600);

	must(fd != -1 && write(fd, text, len) == (ssize_t)len, name);
	close(fd);
}

bool
fixture_fd_is(int fd, const char *name)
{
	char link[64], path[512];
	ssize_t len;

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	len = readlink(link, path, sizeof(path) - 1);
	path[len > 0 ? len : 0] = '\0';
	return strstr(path, name) != NULL;
}

struct event_base *
fixture_base(void)
{
	struct event_base *base = event_base_new();

	must(base != NULL && event_base_priority_init(base, WRITER_PRIORITIES) == 0, "event_base");
	return base;
}

struct reached {
	const unsigned *number;
	unsigned want;
};

static bool
has_reached(void *arg)
{
	const struct reached *reached = arg;

	return *reached->number >= reached->want;
}

bool
fixture_until(struct event_base *base, const unsigned *number, unsigned want)
{
	struct reached reached = { number, want };

	return fixture_until_true(base, has_reached, &reached);
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
}

/* The tick only lets the condition be looked at again. */
bool
fixture_until_true(struct event_base *base, bool (*condition)(void *arg), void *arg)
{
	struct event *tick = event_new(base, -1, EV_PERSIST, on_tick, NULL);
	struct timeval often = { 0, 2000 };
	time_t deadline = time(NULL) + 60;
	bool ok;

	must(tick != NULL && event_add(tick, &often) == 0, "event_add");
	while (!(ok = condition(arg)) && time(NULL) < deadline)
		(void)event_base_loop(base, EVLOOP_ONCE);
	event_free(tick);
	return ok;
}

void
fixture_op(char op[27], char kind, unsigned number)
{
	(void)snprintf(op, 27, "01TEST%c0000000000%09u", kind, number % 1000000000u);
}

json_t *
fixture_record(const char *stage, const char *op)
{
	json_t *record = audit_record_call(stage, op, "VG2350I", "domain.define");

	must(record != NULL, "record");
	(void)json_object_set_new(record, "call", json_string("domain_define_xml_flags"));
	(void)json_object_set_new(record, "object", json_pack("{s:s, s:s}", "class", "domain", "name", "web-1"));
	(void)json_object_set_new(record, "args", json_pack("{s:i}", "flags", 0));
	return record;
}

json_t *
fixture_records(const char *dir)
{
	struct vg_error error;
	struct audit_reader *reader = audit_reader_open(dir, 0, &error);
	struct audit_line line;
	json_t *records = json_array();

	must(reader != NULL, error.what);
	while (audit_reader_next(reader, &line, &error) == 1) {
		json_t *record = json_loadb(line.text, line.len, 0, NULL);

		if (record != NULL)
			(void)json_array_append_new(records, record);
	}
	audit_reader_close(reader);
	return records;
}

struct audit_verdict
fixture_verify(const char *dir)
{
	struct audit_verdict verdict;
	struct vg_error error;

	must(audit_verify(dir, NULL, &verdict, NULL, NULL, &error) == 0, error.what);
	return verdict;
}

unsigned
fixture_count(json_t *records, const char *op, const char *stage)
{
	json_t *record;
	size_t i;
	unsigned num = 0;

	json_array_foreach(records, i, record) {
		const char *its_op = json_string_value(json_object_get(record, "op"));
		const char *its_stage = json_string_value(json_object_get(record, "stage"));

		if ((op == NULL || strcmp(op, its_op) == 0) && (stage == NULL || strcmp(stage, its_stage) == 0))
			num++;
	}
	return num;
}
