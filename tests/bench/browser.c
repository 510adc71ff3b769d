/*
 * browser.c: the load of browsers.
 *
 *   browser requests ADDRESS WHO CONNECTIONS RATE PATH   asks for PATH over HTTP/2, RATE times a second in all (0: as fast as answers come). Says when its
 *       connections are open, begins with a line on its standard input and ends with the next:
 *       {"per_second": …, "p50_us": …, "p99_us": …, "kib": … of an answer, "seconds": …, "cpu_us": … of this program for one}
 *   browser idle ADDRESS CONNECTIONS                     opens so many, asks something on each, says so, and keeps them until its standard input ends
 *   browser logins ADDRESS LOGINS PATH                   logs in so often, asks for PATH with each, says so, and keeps them
 *
 * ADDRESS: PORT:DIRECTORY (viewer.h). WHO: "login" (by certificate), or "nobody".
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/viewer.h"

enum { MAX_CONNECTIONS = 64, MAX_RATE = 1000000, MAX_IDLE = 10000, MAX_LOGINS = 1000, PER_ADDRESS = 400, MAX_TIMES = 1 << 20, MAX_LIST = 16 << 20 };

/* RFC 9113, 6 and 7541. */
enum { DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE };
enum { END_STREAM = 1, ACK = 1, END_HEADERS = 4, FRAME_HEAD = 9, INITIAL_WINDOW_SIZE = 4, INDEXED_GET = 0x82, INDEXED_HTTPS = 0x87, MAX_BLOCK = 1024 };

#define WINDOW	(1u << 30)

/* One connection of HTTP/2 with one request at a time. */
struct connection {
	struct viewer viewer;
	uint8_t block[MAX_BLOCK];	/* of headers; the same for each request */
	size_t block_len;
	uint32_t stream, taken;		/* `taken`: of the connection's window, not yet given back */
	size_t shortest;		/* that an answer may be: half of the first; what is shorter is an error */
	uint64_t bytes;
	double interval;		/* between two requests; 0: none */
	uint32_t num;
	float *times;			/* MAX_TIMES of them */
	pthread_t thread;
};

static atomic_bool over;

/* ---- HTTP/2 ---- */

static void
put_frame(struct connection *connection, uint8_t type, uint8_t flags, uint32_t stream, const void *payload, size_t len)
{
	uint8_t frame[FRAME_HEAD + MAX_BLOCK] = { (uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len, type, flags, (uint8_t)(stream >> 24),
		(uint8_t)(stream >> 16), (uint8_t)(stream >> 8), (uint8_t)stream };

	if (len > MAX_BLOCK)
		die("a frame of %zu bytes", len);
	memcpy(frame + FRAME_HEAD, payload, len);
	viewer_put(&connection->viewer, frame, FRAME_HEAD + len);
}

static void
open_window(struct connection *connection, uint32_t more)
{
	const uint8_t payload[4] = { (uint8_t)(more >> 24), (uint8_t)(more >> 16), (uint8_t)(more >> 8), (uint8_t)more };

	put_frame(connection, WINDOW_UPDATE, 0, 0, payload, sizeof(payload));
}

/* A literal without indexing (RFC 7541, 6.2.2). */
static void
add_field(struct connection *connection, const char *name, const char *value)
{
	size_t name_len = strlen(name), value_len = strlen(value), at = connection->block_len;

	if (name_len > 126 || value_len > 126 || at + 3 + name_len + value_len > MAX_BLOCK)
		die("the header %s is too long", name);
	connection->block[at++] = 0;
	connection->block[at++] = (uint8_t)name_len;
	memcpy(connection->block + at, name, name_len);
	at += name_len;
	connection->block[at++] = (uint8_t)value_len;
	memcpy(connection->block + at, value, value_len);
	connection->block_len = at + value_len;
}

static void
connection_open(struct connection *connection, const char *address, unsigned from, const struct login *login, const char *path)
{
	static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
	static const uint8_t settings[] = { 0, INITIAL_WINDOW_SIZE, WINDOW >> 24, 0, 0, 0 };
	const unsigned char *protocol;
	char host[32];
	unsigned len;

	connection->viewer = tls_open(address, "localhost", from, "h2");
	SSL_get0_alpn_selected(connection->viewer.ssl, &protocol, &len);
	if (len != 2)
		die("no HTTP/2 at %s", address);
	connection->stream = 1;
	connection->block[0] = INDEXED_GET;
	connection->block[1] = INDEXED_HTTPS;
	connection->block_len = 2;
	(void)snprintf(host, sizeof(host), "localhost:%lu", strtoul(address, NULL, 10));
	add_field(connection, ":authority", host);
	add_field(connection, ":path", path);
	add_field(connection, "accept", "application/json");
	add_field(connection, "accept-encoding", "gzip, deflate, br");
	if (login != NULL) {
		add_field(connection, "cookie", login->cookie);
		add_field(connection, "x-auth-token", login->token);
	}
	viewer_put(&connection->viewer, preface, sizeof(preface) - 1);
	put_frame(connection, SETTINGS, 0, 0, settings, sizeof(settings));
	open_window(connection, WINDOW);
}

/* True: the answer to our request is whole. */
static bool
take_frame(struct connection *connection, size_t *bytes)
{
	static _Thread_local uint8_t payload[1 << 14];
	uint8_t head[FRAME_HEAD];
	size_t len;

	viewer_get(&connection->viewer, head, sizeof(head));
	len = (size_t)head[0] << 16 | (size_t)head[1] << 8 | head[2];
	if (len > sizeof(payload))
		die("a frame of %zu bytes", len);
	viewer_get(&connection->viewer, payload, len);
	switch (head[3]) {
	case DATA:
		*bytes += len;
		connection->taken += (uint32_t)len;
		break;
	case SETTINGS:
		if ((head[4] & ACK) == 0)
			put_frame(connection, SETTINGS, ACK, 0, NULL, 0);
		return false;
	case PING:
		put_frame(connection, PING, ACK, 0, payload, len);
		return false;
	case RST_STREAM:
	case GOAWAY:
		die("the server ended the connection");
	default:
		break;
	}
	if (connection->taken > WINDOW / 2) {
		open_window(connection, connection->taken);
		connection->taken = 0;
	}
	return (head[3] == DATA || head[3] == HEADERS) && (head[4] & END_STREAM) != 0;
}

static void
ask(struct connection *connection)
{
	size_t bytes = 0;

	put_frame(connection, HEADERS, END_STREAM | END_HEADERS, connection->stream, connection->block, connection->block_len);
	connection->stream += 2;
	while (!take_frame(connection, &bytes))
		;
	if (connection->shortest == 0)
		connection->shortest = 1 + bytes / 2;
	if (bytes < connection->shortest)
		die("an answer of %zu bytes: an error?", bytes);
	connection->bytes += bytes;
}

/* ---- load ---- */

static void
sleep_until(double when)
{
	const struct timespec time = { (time_t)when, (long)((when - (double)(time_t)when) * 1e9) };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL) == EINTR)
		;
}

static void *
ask_all(void *arg)
{
	struct connection *connection = arg;

	connection->bytes = 0;
	connection->times = calloc(MAX_TIMES, sizeof(*connection->times));
	if (connection->times == NULL)
		die("out of memory");
	for (double next = now(), begin; !over && connection->num < MAX_TIMES; next += connection->interval) {
		if (connection->interval > 0)
			sleep_until(next);
		begin = now();
		ask(connection);
		connection->times[connection->num++] = (float)(now() - begin);
	}
	return NULL;
}

static int
compare_times(const void *a, const void *b)
{
	const float *left = a, *right = b;

	return (*left > *right) - (*left < *right);
}

static double
own_cpu(void)
{
	struct rusage usage;

	(void)getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) + (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void
print_figures(struct connection *connections, size_t count, double seconds, double cpu)
{
	size_t num = 0;
	uint64_t bytes = 0;
	float *times;

	for (size_t i = 0; i < count; i++)
		num += connections[i].num;
	times = calloc(num + 1, sizeof(*times));
	if (times == NULL || num == 0)
		die("nothing was asked");
	num = 0;
	for (size_t i = 0; i < count; i++) {
		memcpy(times + num, connections[i].times, connections[i].num * sizeof(*times));
		num += connections[i].num;
		bytes += connections[i].bytes;
	}
	qsort(times, num, sizeof(*times), compare_times);
	printf("{\"seconds\": %.3f, \"per_second\": %.1f, \"p50_us\": %.1f, \"p99_us\": %.1f, \"kib\": %.1f, \"cpu_us\": %.1f}\n", seconds, (double)num / seconds,
	    (double)times[num / 2] * 1e6, (double)times[num * 99 / 100] * 1e6, (double)bytes / 1024 / (double)num, cpu / (double)num * 1e6);
	(void)fflush(stdout);
	free(times);
}

static bool
line_comes(void)
{
	int byte;

	do
		byte = getchar();
	while (byte != EOF && byte != '\n');
	return byte == '\n';
}

static int
requests(const char *address, bool logs_in, size_t count, unsigned rate, const char *path)
{
	static struct connection connections[MAX_CONNECTIONS];
	struct login login;
	double begin, cpu, seconds;

	if (logs_in)
		login = login_open(address);
	for (size_t i = 0; i < count; i++) {
		connection_open(&connections[i], address, 1, logs_in ? &login : NULL, path);
		connections[i].interval = rate == 0 ? 0 : (double)count / rate;
		ask(&connections[i]);
	}
	puts("open");
	(void)fflush(stdout);
	if (!line_comes())
		return 1;
	begin = now();
	cpu = own_cpu();
	for (size_t i = 0; i < count; i++) {
		/* Evenly, not all at once. */
		if (rate > 0)
			sleep_until(now() + 1.0 / rate);
		if (pthread_create(&connections[i].thread, NULL, ask_all, &connections[i]) != 0)
			die("out of threads");
	}
	(void)line_comes();
	over = true;
	for (size_t i = 0; i < count; i++)
		(void)pthread_join(connections[i].thread, NULL);
	seconds = now() - begin;
	print_figures(connections, count, seconds, own_cpu() - cpu);
	return 0;
}

/* ---- memory ---- */

static int
keep(void)
{
	puts("open");
	(void)fflush(stdout);
	(void)line_comes();
	return 0;
}

/* A browser's connection between two requests: the first was answered. From as many addresses as that takes. */
static int
idle(const char *address, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct connection connection = { .block_len = 0 };

		connection_open(&connection, address, 1 + (unsigned)(i / PER_ADDRESS), NULL, "/");
		ask(&connection);
	}
	return keep();
}

static int
logins(const char *address, size_t count, const char *path)
{
	char *answer = malloc(MAX_LIST);

	if (answer == NULL)
		die("out of memory");
	for (size_t i = 0; i < count; i++) {
		struct login login = login_open(address);

		login_ask(&login, path, NULL, answer, MAX_LIST);
	}
	free(answer);
	return keep();
}

static unsigned
number(const char *text, unsigned max)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (end == text || *end != '\0' || value > max)
		die("'%s' is not a number up to %u", text, max);
	return (unsigned)value;
}

int
main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";

	if (argc == 7 && strcmp(mode, "requests") == 0)
		return requests(argv[2], strcmp(argv[3], "login") == 0, number(argv[4], MAX_CONNECTIONS), number(argv[5], MAX_RATE), argv[6]);
	if (argc == 4 && strcmp(mode, "idle") == 0)
		return idle(argv[2], number(argv[3], MAX_IDLE));
	if (argc == 5 && strcmp(mode, "logins") == 0)
		return logins(argv[2], number(argv[3], MAX_LOGINS), argv[4]);
	die("usage: browser requests ADDRESS login|nobody CONNECTIONS RATE PATH | browser idle ADDRESS CONNECTIONS | browser logins ADDRESS LOGINS PATH");
}
