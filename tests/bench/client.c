/*
 * client.c: the load of the benchmarks: libvirt's own client library, doing what virsh does. One mode a run, one JSON
 * object on standard output. It does not know what it talks to: the URI says.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

enum { MAX_CLIENTS = 256, MAX_OPERATIONS = 10 * 1000 * 1000, MAX_IDLE = 20000, WARM_UP = 20 };

struct client;

struct load {
	const char *uri;
	int (*operation)(struct client *client);	/* 0, or -1 with libvirt's error set */
	virConnectPtr shared;			/* every client uses this one; NULL: each opens its own */
	size_t operations;			/* per client */
	pthread_barrier_t start;
};

struct client {
	struct load *load;
	size_t number;
	virConnectPtr connection;		/* its own or the shared one; NULL when each operation opens one */
	virDomainPtr domain;			/* its own, for changes */
	int autostart;				/* what the next change sets */
	char *xml;				/* of the guest, for definitions; how many there were */
	unsigned long edition;
	uint64_t *latencies;			/* ns; load->operations of them */
	pthread_t thread;
};

__attribute__((format(printf, 1, 2), noreturn)) static void
die(const char *format, ...)
{
	va_list args;

	fputs("client: ", stderr);
	va_start(args, format);
	(void)vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

static void
quiet(void *arg, virErrorPtr error)
{
	(void)arg;
	(void)error;
}

static uint64_t
now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void *
allocate(size_t count, size_t size)
{
	void *memory = calloc(count, size);

	if (memory == NULL)
		die("out of memory");
	return memory;
}

static virConnectPtr
open_connection(const char *uri)
{
	virConnectPtr connection = virConnectOpen(uri);

	if (connection == NULL)
		die("cannot open %s: %s", uri, virGetLastErrorMessage());
	return connection;
}

/* ---- operations that are repeated ---- */

/* The smallest call that the library does not answer from its own memory. */
static int
small_call(struct client *client)
{
	unsigned long version;

	return virConnectGetLibVersion(client->connection, &version);
}

static int
list_domains(struct client *client)
{
	virDomainPtr *domains;
	int count = virConnectListAllDomains(client->connection, &domains, 0);

	if (count < 0)
		return -1;
	for (int i = 0; i < count; i++)
		virDomainFree(domains[i]);
	free(domains);
	return 0;
}

static int
open_and_close(struct client *client)
{
	virConnectPtr fresh = virConnectOpen(client->load->uri);

	if (fresh == NULL)
		return -1;
	virConnectClose(fresh);
	return 0;
}

/* Every client has a guest of its own. */
static int
find_guest(struct client *client)
{
	char name[32];

	if (client->domain == NULL) {
		(void)snprintf(name, sizeof(name), "guest-%04zu", client->number);
		client->domain = virDomainLookupByName(client->connection, name);
	}
	return client->domain == NULL ? -1 : 0;
}

/* A change that costs libvirtd next to nothing. */
static int
change_guest(struct client *client)
{
	if (find_guest(client) < 0)
		return -1;
	client->autostart = !client->autostart;
	return virDomainSetAutostart(client->domain, client->autostart);
}

/* A definition with a description that it never had. */
static int
define_guest(struct client *client)
{
	static const char end_of_name[] = "</name>";
	virDomainPtr defined;
	size_t before, len;
	char *text;

	if (find_guest(client) < 0 || (client->xml == NULL && (client->xml = virDomainGetXMLDesc(client->domain, VIR_DOMAIN_XML_INACTIVE)) == NULL))
		return -1;
	before = (size_t)(strstr(client->xml, end_of_name) - client->xml) + sizeof(end_of_name) - 1;
	len = strlen(client->xml) + 128;
	text = allocate(len, 1);
	(void)snprintf(text, len, "%.*s<description>%" PRIu64 " %lu</description>%s", (int)before, client->xml, now_ns(), client->edition++, client->xml + before);
	defined = virDomainDefineXML(client->connection, text);
	free(text);
	if (defined == NULL)
		return -1;
	virDomainFree(defined);
	return 0;
}

static void
run_operation(struct client *client)
{
	if (client->load->operation(client) < 0)
		die("%s: %s", client->load->uri, virGetLastErrorMessage());
}

static void *
client_main(void *arg)
{
	struct client *client = arg;
	struct load *load = client->load;
	bool connects = load->operation == open_and_close;

	client->connection = load->shared;
	if (!connects && client->connection == NULL)
		client->connection = open_connection(load->uri);
	for (int i = 0; i < WARM_UP && !connects; i++)
		run_operation(client);
	(void)pthread_barrier_wait(&load->start);
	for (size_t i = 0; i < load->operations; i++) {
		uint64_t before = now_ns();

		run_operation(client);
		client->latencies[i] = now_ns() - before;
	}
	free(client->xml);
	if (client->domain != NULL)
		virDomainFree(client->domain);
	if (client->connection != NULL && client->connection != load->shared)
		virConnectClose(client->connection);
	return NULL;
}

static int
compare_latencies(const void *left, const void *right)
{
	uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

	return a < b ? -1 : a > b;
}

static void
print_latencies(uint64_t *latencies, size_t count, size_t warm_up, uint64_t elapsed)
{
	qsort(latencies, count, sizeof(*latencies), compare_latencies);
	printf("{\"per_second\": %.1f, \"p50_us\": %.2f, \"p99_us\": %.2f, \"max_us\": %.2f, \"operations\": %zu}\n",
	    (double)count * 1e9 / (double)elapsed, (double)latencies[count / 2] / 1e3,
	    (double)latencies[count * 99 / 100] / 1e3, (double)latencies[count - 1] / 1e3, count + warm_up);
}

static void
run_load(struct load *load, size_t num_clients)
{
	struct client clients[MAX_CLIENTS];
	uint64_t *latencies = allocate(num_clients * load->operations, sizeof(*latencies));
	uint64_t start;

	if (pthread_barrier_init(&load->start, NULL, (unsigned)num_clients + 1) != 0)
		die("no barrier");
	for (size_t i = 0; i < num_clients; i++) {
		clients[i] = (struct client){ .load = load, .number = i, .latencies = latencies + i * load->operations };
		if (pthread_create(&clients[i].thread, NULL, client_main, &clients[i]) != 0)
			die("no thread for client %zu", i);
	}
	(void)pthread_barrier_wait(&load->start);
	start = now_ns();
	for (size_t i = 0; i < num_clients; i++)
		(void)pthread_join(clients[i].thread, NULL);
	print_latencies(latencies, num_clients * load->operations,
	    load->operation == open_and_close ? 0 : num_clients * WARM_UP, now_ns() - start);
	(void)pthread_barrier_destroy(&load->start);
	free(latencies);
}

/* ---- volumes ---- */

struct transfer {
	uint64_t done;
	uint64_t size;
};

static int
discard(virStreamPtr stream, const char *data, size_t len, void *arg)
{
	struct transfer *transfer = arg;

	(void)stream;
	(void)data;
	transfer->done += len;
	return (int)len;
}

static int
generate(virStreamPtr stream, char *data, size_t len, void *arg)
{
	struct transfer *transfer = arg;
	uint64_t left = transfer->size - transfer->done;

	(void)stream;
	if (len > left)
		len = (size_t)left;
	memset(data, 0x5a, len);
	transfer->done += len;
	return (int)len;
}

static void *
event_loop(void *arg)
{
	(void)arg;
	for (;;) {
		if (virEventRunDefaultImpl() < 0)
			die("event loop: %s", virGetLastErrorMessage());
	}
	return NULL;
}

/*
 * As virsh does: an event loop in a thread of its own, and keepalive. A peer that puts two RPC messages into one TLS
 * record makes the library wait for bytes that it has already; the next keepalive message wakes it.
 */
static virConnectPtr
open_with_keepalive(const char *uri)
{
	virConnectPtr connection;
	pthread_t thread;

	if (virEventRegisterDefaultImpl() < 0 || pthread_create(&thread, NULL, event_loop, NULL) != 0)
		die("no event loop");
	(void)pthread_detach(thread);
	connection = open_connection(uri);
	if (virConnectSetKeepAlive(connection, 5, 6) < 0)
		die("%s: keepalive: %s", uri, virGetLastErrorMessage());
	return connection;
}

static void
transfer_volume(const char *uri, bool upload, const char *pool_name, const char *volume_name)
{
	virConnectPtr connection = open_with_keepalive(uri);
	virStoragePoolPtr pool = virStoragePoolLookupByName(connection, pool_name);
	virStorageVolPtr volume = pool != NULL ? virStorageVolLookupByName(pool, volume_name) : NULL;
	virStreamPtr stream = virStreamNew(connection, 0);
	virStorageVolInfo info;
	struct transfer transfer = { 0 };
	uint64_t start;
	double seconds;
	int rc;

	if (volume == NULL || stream == NULL || virStorageVolGetInfo(volume, &info) < 0)
		die("%s: %s", uri, virGetLastErrorMessage());
	transfer.size = info.capacity;
	start = now_ns();
	if (upload)
		rc = virStorageVolUpload(volume, stream, 0, transfer.size, 0);
	else
		rc = virStorageVolDownload(volume, stream, 0, 0, 0);
	if (rc == 0)
		rc = upload ? virStreamSendAll(stream, generate, &transfer) : virStreamRecvAll(stream, discard, &transfer);
	if (rc < 0 || virStreamFinish(stream) < 0)
		die("%s: %s", uri, virGetLastErrorMessage());
	seconds = (double)(now_ns() - start) / 1e9;
	if (transfer.done != transfer.size)
		die("%s: %" PRIu64 " of %" PRIu64 " bytes", uri, transfer.done, transfer.size);
	printf("{\"bytes\": %" PRIu64 ", \"seconds\": %.6f, \"mib_s\": %.2f}\n", transfer.done, seconds,
	    (double)transfer.done / 1048576.0 / seconds);
	virStreamFree(stream);
	virStorageVolFree(volume);
	virStoragePoolFree(pool);
	virConnectClose(connection);
}

/* ---- idle connections ---- */

static void
hold_idle(const char *uri, size_t count)
{
	virConnectPtr *connections = allocate(count, sizeof(virConnectPtr));
	uint64_t start = now_ns();
	char byte;

	for (size_t i = 0; i < count; i++)
		connections[i] = open_connection(uri);
	printf("{\"open\": %zu, \"seconds\": %.3f}\n", count, (double)(now_ns() - start) / 1e9);
	(void)fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) < 0 && errno == EINTR)
		continue;
	for (size_t i = 0; i < count; i++)
		virConnectClose(connections[i]);
	free(connections);
}

/* ---- events ---- */

struct subscriber {
	virConnectPtr connection;
	size_t seen;
};

static size_t events_seen;	/* by all; of the event loop's thread alone */
static const char *visible_name;

static int
on_event(virConnectPtr connection, virDomainPtr domain, int event, int detail, void *arg)
{
	struct subscriber *subscriber = arg;

	(void)connection;
	(void)event;
	(void)detail;
	if (strcmp(virDomainGetName(domain), visible_name) == 0) {
		subscriber->seen++;
		events_seen++;
	}
	return 0;
}

struct stir {
	const char *uri, *names[2];
	size_t events;
};

/* Definitions that change nothing make an event each: of the one domain and of the other, in turn. */
static void *
stir(void *arg)
{
	const struct stir *stir = arg;
	virConnectPtr connection = open_connection(stir->uri);

	for (size_t i = 0; i < stir->events; i++) {
		virDomainPtr domain = virDomainLookupByName(connection, stir->names[i % 2]), defined;
		char *xml = domain == NULL ? NULL : virDomainGetXMLDesc(domain, VIR_DOMAIN_XML_INACTIVE);

		defined = xml == NULL ? NULL : virDomainDefineXML(connection, xml);
		if (defined == NULL)
			die("%s: %s", stir->uri, virGetLastErrorMessage());
		virDomainFree(defined);
		virDomainFree(domain);
		free(xml);
	}
	virConnectClose(connection);
	return NULL;
}

/* Each of `count` connections is registered; half of the events are of a domain that they may see. Done when all have come. */
static void
deliver_events(const char *uri, const struct stir *what, size_t count)
{
	struct subscriber *subscribers = allocate(count, sizeof(*subscribers));
	size_t wanted = count * (what->events / 2);
	pthread_t thread;
	uint64_t start;
	double seconds;

	if (virEventRegisterDefaultImpl() < 0)
		die("no event loop");
	visible_name = what->names[1];
	for (size_t i = 0; i < count; i++) {
		subscribers[i].connection = open_connection(uri);
		if (virConnectDomainEventRegisterAny(subscribers[i].connection, NULL, VIR_DOMAIN_EVENT_ID_LIFECYCLE,
		    VIR_DOMAIN_EVENT_CALLBACK(on_event), &subscribers[i], NULL) < 0)
			die("%s: %s", uri, virGetLastErrorMessage());
	}
	start = now_ns();
	if (pthread_create(&thread, NULL, stir, (void *)(uintptr_t)what) != 0)
		die("no thread");
	while (events_seen < wanted)
		if (virEventRunDefaultImpl() < 0)
			die("event loop: %s", virGetLastErrorMessage());
	seconds = (double)(now_ns() - start) / 1e9;
	(void)pthread_join(thread, NULL);
	for (size_t i = 0; i < count; i++)
		if (subscribers[i].seen != what->events / 2)
			die("%s: subscriber %zu saw %zu events instead of %zu", uri, i, subscribers[i].seen, what->events / 2);
	printf("{\"events\": %zu, \"subscribers\": %zu, \"seconds\": %.4f, \"per_second\": %.1f}\n", what->events, count, seconds,
	    (double)count * (double)what->events / seconds);
	exit(0);	/* closing a thousand connections is not what was asked */
}

/* ---- the disk below an audit trail ---- */

/* Each operation is so many records, one after another. */
static void
append_durably(const char *directory, size_t count, size_t records)
{
	uint64_t *latencies = allocate(count, sizeof(*latencies));
	uint64_t start = now_ns();
	char path[4096], record[1024];
	int fd;

	memset(record, 'x', sizeof(record));
	if ((size_t)snprintf(path, sizeof(path), "%s/appends", directory) >= sizeof(path))
		die("%s: the name is too long", directory);
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	for (size_t i = 0; i < count; i++) {
		uint64_t before = now_ns();

		for (size_t j = 0; j < records; j++)
			if (fd < 0 || write(fd, record, sizeof(record)) != (ssize_t)sizeof(record) || fdatasync(fd) < 0)
				die("%s: %s", path, strerror(errno));
		latencies[i] = now_ns() - before;
	}
	print_latencies(latencies, count, 0, now_ns() - start);
	free(latencies);
	(void)close(fd);
	(void)unlink(path);
}

static size_t
parse_count(const char *text, size_t max)
{
	char *end;
	unsigned long value;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || value == 0 || value > max)
		die("'%s' is not a number from 1 to %zu", text, max);
	return value;
}

__attribute__((noreturn)) static void
usage(void)
{
	fputs("usage: client calls|list|opens|changes|defines URI CLIENTS OPERATIONS    each client with its own connection\n"
	      "       client share URI CLIENTS OPERATIONS    small calls of all on one connection\n"
	      "       client download|upload URI POOL VOLUME\n"
	      "       client idle URI CONNECTIONS    held until standard input ends\n"
	      "       client events URI DIRECT-URI CONNECTIONS EVENTS HIDDEN-GUEST GUEST    each sent to every connection\n"
	      "       client disk DIRECTORY OPERATIONS RECORDS    each record made durable before the next\n", stderr);
	exit(2);
}

static bool
pick_operation(struct load *load, const char *mode)
{
	if (strcmp(mode, "calls") == 0 || strcmp(mode, "share") == 0)
		load->operation = small_call;
	else if (strcmp(mode, "list") == 0)
		load->operation = list_domains;
	else if (strcmp(mode, "opens") == 0)
		load->operation = open_and_close;
	else if (strcmp(mode, "changes") == 0)
		load->operation = change_guest;
	else if (strcmp(mode, "defines") == 0)
		load->operation = define_guest;
	else
		return false;
	if (strcmp(mode, "share") == 0)
		load->shared = open_connection(load->uri);
	return true;
}

int
main(int argc, char **argv)
{
	struct load load = { 0 };

	if (argc < 4)
		usage();
	virSetErrorFunc(NULL, quiet);
	if (virInitialize() < 0)
		die("cannot initialise libvirt's client library");
	load.uri = argv[2];
	if (strcmp(argv[1], "idle") == 0 && argc == 4) {
		hold_idle(load.uri, parse_count(argv[3], MAX_IDLE));
	} else if (strcmp(argv[1], "events") == 0 && argc == 8) {
		const struct stir what = { .uri = argv[3], .names = { argv[6], argv[7] }, .events = parse_count(argv[5], MAX_OPERATIONS) };

		deliver_events(argv[2], &what, parse_count(argv[4], MAX_IDLE));
	} else if (strcmp(argv[1], "disk") == 0 && argc == 5) {
		append_durably(argv[2], parse_count(argv[3], MAX_OPERATIONS), parse_count(argv[4], 100));
	} else if (strcmp(argv[1], "download") == 0 && argc == 5) {
		transfer_volume(load.uri, false, argv[3], argv[4]);
	} else if (strcmp(argv[1], "upload") == 0 && argc == 5) {
		transfer_volume(load.uri, true, argv[3], argv[4]);
	} else if (argc == 5 && pick_operation(&load, argv[1])) {
		load.operations = parse_count(argv[4], MAX_OPERATIONS);
		run_load(&load, parse_count(argv[3], MAX_CLIENTS));
		if (load.shared != NULL)
			virConnectClose(load.shared);
	} else {
		usage();
	}
	return 0;
}
