/*
 * bench_audit.c: changes per second through sender, link and audit process to the disk, with 1, 8, 64 and 256 changes
 * waiting at a time, how many fdatasyncs each took, and how long one took. A change is an intent and, once that is durable, an outcome; the
 * end of the trail is signed as in a gateway. Once without documents (start, destroy) and once with (define): what was and what was asked
 * with the intent, what is with the outcome, 200 lines each, another one each time.
 *
 * bench_audit [DIR [SYNC_US]]: DIR should be on a disk; /var/tmp unless told otherwise. SYNC_US: each sync takes so much longer, to see what a
 * slower disk would do (with /dev/shm: one that takes exactly so long). Prints one JSON object; `disk` is what the
 * disk itself does: appends of one record with an fdatasync each. `of_ceiling`: changes against waiting / (2 fdatasync), what a
 * disk could do that syncs all that wait at once; `added_us`: p99 of one change without its 2 fdatasync.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "gateway/audit/writer.h"
#include "gateway/audit/pack.h"
#include "gateway/core/audit_client.h"
#include "gateway/core/document.h"
#include "gateway/core/ids.h"
#include "gateway/core/link.h"

#define SECONDS 2.0

static unsigned long *num_syncs;	/* shared with the writer's process */
static long slower_us;

static int
slow_sync(int fd)
{
	const struct timespec wait = { slower_us / 1000000, slower_us % 1000000 * 1000 };

	if (slower_us > 0)
		(void)nanosleep(&wait, NULL);
	return fdatasync(fd);
}

static int
counted_sync(int fd)
{
	++*num_syncs;
	return slow_sync(fd);
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
	options.key_fd = memfd_create("key", MFD_CLOEXEC);
	if (base == NULL || event_base_priority_init(base, WRITER_PRIORITIES) == -1)
		die("event_base");
	writer = writer_create(base, &options, &error);
	if (writer == NULL || writer_add(writer, fd, PROCESS_GATE) == -1) {
		fprintf(stderr, "bench_audit: %s\n", error.what);
		_exit(1);
	}
	(void)event_base_dispatch(base);
	_exit(1);
}

/* ---- changes ---- */

struct bench {
	struct event_base *base;
	struct audit_client *client;
	unsigned long done, refused;
	double end;
	unsigned running;
	bool documents;
	double *took;			/* of each change that is done, seconds */
};

struct change {
	struct bench *bench;
	char op[ID_LEN + 1];
	double began;
};

#define MAX_TOOK 1000000u

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

/* A definition as libvirt writes one, that differs in one line from all others. */
static void
add_document(json_t *record, const char *member, const char *op, struct buf *packed)
{
	char text[16384], name[DOCUMENT_NAME_LEN + 1];
	size_t len = (size_t)snprintf(text, sizeof(text), "<domain type='kvm'>\n  <name>web-1</name>\n  <description>%s %s</description>\n", op, member);

	for (int i = 0; i < 50; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "    <disk type='file' device='disk'>\n      <source file='/srv/images/%d.img'/>\n"
		    "      <target dev='vd%d' bus='virtio'/>\n    </disk>\n", i, i);
	if (document_pack(packed, text, len, name) == -1)
		die("document");
	(void)json_object_set_new(json_object_get(record, "documents"), member, json_string(name));
}

static uint64_t
submit(struct change *change, json_t *record, enum audit_need need, audit_done_cb *done)
{
	struct buf packed = { 0 };

	if (change->bench->documents) {
		(void)json_object_set_new(record, "documents", json_object());
		add_document(record, "before", change->op, &packed);
		add_document(record, need == AUDIT_KEEP ? "after" : "asked", change->op, &packed);
	}
	return audit_submit_with(change->bench->client, record, &packed, need, done, change);
}

static void begin_change(struct change *change);

static void
on_outcome(bool durable, void *arg)
{
	struct change *change = arg;

	if (durable && change->bench->done < MAX_TOOK)
		change->bench->took[change->bench->done] = now() - change->began;
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
	if (submit(change, record, AUDIT_KEEP, on_outcome) == 0)
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
	change->began = now();
	if (submit(change, make_record("intent", change->op), AUDIT_OR_REFUSE, on_intent) == 0)
		die("intent not taken");
}

static void
remove_trail(const char *dir)
{
	static const char *const names[] = { "audit-head", "audit-lock", "audit-keys" };
	char path[512], documents[AUDIT_NAME_MAX];

	for (unsigned i = 1; i < 1000; i++) {
		(void)snprintf(path, sizeof(path), "%s/audit-%06u.jsonl", dir, i);
		if (unlink(path) == -1)
			break;
		pack_file_name(documents, i);
		(void)snprintf(path, sizeof(path), "%s/%s", dir, documents);
		(void)unlink(path);
	}
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		(void)unlink(path);
	}
}

static int
compare_times(const void *a, const void *b)
{
	const double *left = a, *right = b;

	return *left < *right ? -1 : *left > *right;
}

static void
print_figures(struct bench *bench, unsigned waiting, double seconds, double sync_s, bool last)
{
	size_t num = bench->done < MAX_TOOK ? bench->done : MAX_TOOK;
	double p50, p99;

	if (num == 0)
		die("no change was done");
	qsort(bench->took, num, sizeof(*bench->took), compare_times);
	p50 = bench->took[num / 2];
	p99 = bench->took[num - 1 - num / 100];
	printf("\"%u\": { \"changes_s\": %.0f, \"of_ceiling\": %.2f, \"fdatasync_per_change\": %.3f, \"p50_us\": %.0f, \"p99_us\": %.0f, "
	    "\"added_us\": %.0f, \"refused\": %lu }%s", waiting, (double)bench->done / seconds, (double)bench->done / seconds / (waiting / (2 * sync_s)),
	    (double)*num_syncs / (double)bench->done, p50 * 1e6, p99 * 1e6, (p99 - 2 * sync_s) * 1e6, bench->refused, last ? "" : ", ");
	fflush(stdout);
}

static void
measure(const char *dir, unsigned waiting, bool documents, double sync_s, bool last)
{
	struct bench bench = { .base = event_base_new(), .running = waiting, .documents = documents, .took = calloc(MAX_TOOK, sizeof(double)) };
	struct change *changes = calloc(waiting, sizeof(*changes));
	double start;
	pid_t pid;
	int fds[2];

	*num_syncs = 0;
	if (changes == NULL || bench.took == NULL || link_pair(fds) == -1 || (pid = fork()) == -1)
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
	print_figures(&bench, waiting, now() - start, sync_s, last);
	free(bench.took);
	audit_client_destroy(bench.client);
	event_base_free(bench.base);
	free(changes);
	(void)kill(pid, SIGKILL);	/* its timers go on for ever */
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
		if (write(fd, record, sizeof(record)) != (ssize_t)sizeof(record) || slow_sync(fd) == -1)
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
	static const unsigned waiting[] = { 1, 8, 64, 256 };
	char dir[256];
	double disk;

	(void)snprintf(dir, sizeof(dir), "%s/virtgate-bench-XXXXXX", argc > 1 ? argv[1] : "/var/tmp");
	slower_us = argc > 2 ? atol(argv[2]) : 0;
	num_syncs = mmap(NULL, sizeof(*num_syncs), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (num_syncs == MAP_FAILED || mkdtemp(dir) == NULL)
		die(dir);
	disk = measure_disk(dir);
	printf("{ \"disk\": { \"fdatasync_s\": %.0f }, ", disk);
	for (int documents = 0; documents < 2; documents++) {
		printf("\"%s\": { ", documents == 1 ? "with_documents" : "without");
		for (size_t i = 0; i < 4; i++)
			measure(dir, waiting[i], documents == 1, 1 / disk, i == 3);
		printf(" }%s", documents == 1 ? "" : ", ");
	}
	printf(" }\n");
	(void)rmdir(dir);
	return 0;
}
