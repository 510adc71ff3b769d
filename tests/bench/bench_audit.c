/*
 * bench_audit.c: changes per second through sender, link and audit process to the disk, with 1, 8, 64 and 512 changes
 * waiting at a time, and how many fdatasyncs each took. A change is an intent and, once that is durable, an outcome.
 *
 * bench_audit [DIR]: DIR should be on a disk; /var/tmp unless told otherwise. Prints one JSON object; `disk` is what the
 * disk itself does: appends of one record with an fdatasync each.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "gateway/audit/writer.h"
#include "gateway/core/audit_client.h"
#include "gateway/core/ids.h"
#include "gateway/core/link.h"

#define SECONDS 2.0

static unsigned long *num_syncs;	/* shared with the writer's process */

static int
counted_sync(int fd)
{
	++*num_syncs;
	return fdatasync(fd);
}

static const struct store_calls counted_calls = { write, counted_sync };

static double
now(void)
{
	struct timespec time;

	(void)clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

__attribute__((noreturn))
static void
die(const char *what)
{
	perror(what);
	exit(1);
}

/* ---- the audit process ---- */

__attribute__((noreturn))
static void
be_writer(const char *dir, int fd)
{
	struct writer_options options = WRITER_DEFAULTS(dir);
	struct event_base *base = event_base_new();
	struct vg_error error = { "", "" };
	struct writer *writer;

	options.calls = &counted_calls;
	if (base == NULL || event_base_priority_init(base, WRITER_PRIORITIES) == -1)
		die("event_base");
	writer = writer_create(base, &options, &error);
	if (writer == NULL || writer_add(writer, fd, PROCESS_GATE) == -1) {
		fprintf(stderr, "bench_audit: %s\n", error.what);
		_exit(1);
	}
	(void)event_base_dispatch(base);	/* ends when the sender's link is closed */
	writer_destroy(writer);
	_exit(0);
}

/* ---- changes ---- */

struct bench {
	struct event_base *base;
	struct audit_client *client;
	unsigned long done, refused;
	double end;
	unsigned running;
};

struct change {
	struct bench *bench;
	char op[ID_LEN + 1];
};

static json_t *
make_record(const char *stage, const char *op)
{
	json_t *record = audit_record_call(stage, op, "VG2350I", "domain.define");

	(void)json_object_set_new(record, "call", json_string("domain_define_xml_flags"));
	(void)json_object_set_new(record, "user", json_pack("{s:s, s:s, s:s}", "name", "alice@EXAMPLE.COM", "sasl",
	    "alice@EXAMPLE.COM", "x509", "C=DE,O=Example,CN=alice"));
	(void)json_object_set_new(record, "source", json_pack("{s:s, s:i, s:s}", "address", "10.0.0.7", "port", 41022, "via",
	    "rpc-tls"));
	(void)json_object_set_new(record, "object", json_pack("{s:s, s:s, s:s}", "class", "domain", "name", "web-1", "uuid",
	    "6695eb01-f6a4-8304-79aa-97f2502e193f"));
	(void)json_object_set_new(record, "args", json_pack("{s:i, s:s}", "flags", 0, "xml_sha256",
	    "6d1cf22d7cc09b085dfc25ee1a1f3ae0265804c607bc2074ad253bcc82fd81ee"));
	return record;
}

static void begin_change(struct change *change);

static void
on_outcome(bool durable, void *arg)
{
	struct change *change = arg;

	change->bench->done += durable;
	begin_change(change);
}

static void
on_intent(bool durable, void *arg)
{
	struct change *change = arg;
	json_t *record = make_record("outcome", change->op);

	if (!durable)
		change->bench->refused++;
	audit_add_result(record, "ok", 0, "");
	if (audit_submit(change->bench->client, record, AUDIT_KEEP, on_outcome, change) == 0)
		die("outcome not taken");
}

static void
begin_change(struct change *change)
{
	if (now() >= change->bench->end) {
		if (--change->bench->running == 0)
			(void)event_base_loopbreak(change->bench->base);
		return;
	}
	id_make(change->op);
	if (audit_submit(change->bench->client, make_record("intent", change->op), AUDIT_OR_REFUSE, on_intent, change) == 0)
		die("intent not taken");
}

static void
remove_trail(const char *dir)
{
	static const char *const names[] = { "audit-head", "audit-lock" };
	char path[512];

	for (unsigned i = 1; i < 1000; i++) {
		(void)snprintf(path, sizeof(path), "%s/audit-%06u.jsonl", dir, i);
		if (unlink(path) == -1)
			break;
	}
	for (size_t i = 0; i < 2; i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		(void)unlink(path);
	}
}

static void
measure(const char *dir, unsigned waiting, bool last)
{
	struct bench bench = { .base = event_base_new(), .running = waiting };
	struct change *changes = calloc(waiting, sizeof(*changes));
	double start;
	pid_t pid;
	int fds[2];

	*num_syncs = 0;
	if (changes == NULL || link_pair(fds) == -1 || (pid = fork()) == -1)
		die("fork");
	if (pid == 0) {
		close(fds[1]);
		be_writer(dir, fds[0]);
	}
	close(fds[0]);
	bench.client = audit_client_create(bench.base);
	audit_client_connect(bench.client, fds[1]);
	start = now();
	bench.end = start + SECONDS;
	for (unsigned i = 0; i < waiting; i++) {
		changes[i].bench = &bench;
		begin_change(&changes[i]);
	}
	(void)event_base_dispatch(bench.base);
	printf("\"%u\": { \"changes_s\": %.0f, \"fdatasync_per_change\": %.3f, \"refused\": %lu }%s", waiting,
	    (double)bench.done / (now() - start), (double)*num_syncs / (double)bench.done, bench.refused, last ? "" : ", ");
	fflush(stdout);
	audit_client_destroy(bench.client);
	event_base_free(bench.base);
	free(changes);
	(void)waitpid(pid, NULL, 0);
	remove_trail(dir);
}

static double
measure_disk(const char *dir)
{
	char path[512], record[900];
	unsigned long num = 0;
	double start = now();
	int fd;

	memset(record, 'x', sizeof(record));
	(void)snprintf(path, sizeof(path), "%s/disk", dir);
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
	if (fd == -1)
		die(path);
	while (now() < start + SECONDS) {
		if (write(fd, record, sizeof(record)) != (ssize_t)sizeof(record) || fdatasync(fd) == -1)
			die(path);
		num++;
	}
	close(fd);
	(void)unlink(path);
	return (double)num / (now() - start);
}

int
main(int argc, char **argv)
{
	static const unsigned waiting[] = { 1, 8, 64, 512 };
	char dir[256];

	(void)snprintf(dir, sizeof(dir), "%s/virtgate-bench-XXXXXX", argc > 1 ? argv[1] : "/var/tmp");
	num_syncs = mmap(NULL, sizeof(*num_syncs), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (num_syncs == MAP_FAILED || mkdtemp(dir) == NULL)
		die(dir);
	printf("{ \"disk\": { \"fdatasync_s\": %.0f }, ", measure_disk(dir));
	for (size_t i = 0; i < 4; i++)
		measure(dir, waiting[i], i == 3);
	printf(" }\n");
	(void)rmdir(dir);
	return 0;
}
