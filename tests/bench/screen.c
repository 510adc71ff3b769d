/*
 * screen.c: both ends of the console benchmarks. A guest's screen that draws as fast as it is asked (QEMU refreshes a few times a second), behind
 * a scripted libvirtd that gives out descriptors to it and on a UNIX socket of its own; and viewers that read it.
 *
 *   screen serve LIBVIRTD-SOCKET RFB-SOCKET        until its standard input ends
 *   screen keys WAY ADDRESS COUNT                  {"p50_us": …, "p99_us": …}: a key, and what the guest draws for it
 *   screen idle WAY ADDRESS COUNT                  opens so many, says so, and keeps them until its standard input ends
 *   screen pump WAY ADDRESS CONSOLES SECONDS WIDTH HEIGHT AHEAD
 *       {"mib_s": …, "updates_s": …, "mib": …, "updates": …}: updates of that size back to back, so many asked for beforehand, at so many screens at
 *       once. Says when they are open, begins with a line on its standard input, and keeps them until that ends: the servers' CPU can be read in between.
 *
 * WAY and ADDRESS: viewer.h.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "proto/rfb.h"
#include "tests/bench/viewer.h"
#include "tests/session/libvirtd.h"

enum { PIXELS = WIDTH * HEIGHT * 4, MAX_KEYS = 1000000, MAX_IDLE = 2000, MAX_CONSOLES = 256, MAX_SECONDS = 60, MAX_AHEAD = 64 };

/* ---- the guest ---- */

static bool
receive_all(int fd, void *data, size_t len)
{
	return recv(fd, data, len, MSG_WAITALL) == (ssize_t)len;
}

/* FramebufferUpdate with one raw rectangle of this size (RFC 6143 7.6.1). */
static bool
send_update(int fd, unsigned width, unsigned height)
{
	static uint8_t pixels[PIXELS];
	const uint8_t head[] = { 0, 0, 0, 1, 0, 0, 0, 0, (uint8_t)(width >> 8), (uint8_t)width, (uint8_t)(height >> 8), (uint8_t)height, 0, 0, 0, 0 };

	return send_all(fd, head, sizeof(head)) && send_all(fd, pixels, 4 * (size_t)width * height);
}

/* The viewer's messages: a request is answered with as much as it asks for, a key that goes down with one pixel. */
static bool
serve_message(int fd)
{
	uint8_t message[20];
	uint32_t rest;

	if (!receive_all(fd, message, 1))
		return false;
	switch (message[0]) {
	case 0:
		return receive_all(fd, message, 19);
	case 2:
		if (!receive_all(fd, message, 3))
			return false;
		for (rest = rfb_load_u16(message + 1); rest > 0; rest--)
			if (!receive_all(fd, message, 4))
				return false;
		return true;
	case 3:
		return receive_all(fd, message, 9) && rfb_load_u16(message + 5) <= WIDTH && rfb_load_u16(message + 7) <= HEIGHT &&
		    send_update(fd, rfb_load_u16(message + 5), rfb_load_u16(message + 7));
	case 4:
		return receive_all(fd, message, 7) && (message[0] == 0 || send_update(fd, 1, 1));
	default:
		return false;
	}
}

static void *
serve_console(void *arg)
{
	int fd = (int)(intptr_t)arg;
	uint8_t bytes[12];

	if (send_all(fd, RFB_VERSION_TEXT, 12) && receive_all(fd, bytes, 12) && send_all(fd, "\1\1", 2) && receive_all(fd, bytes, 1) &&
	    send_all(fd, "\0\0\0\0", 4) && receive_all(fd, bytes, 1) && send_all(fd, server_init, sizeof(server_init)))
		while (serve_message(fd))
			;
	close(fd);
	return NULL;
}

static void
start_console(int fd)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, serve_console, (void *)(intptr_t)fd) != 0)
		die("out of threads");
	pthread_detach(thread);
}

static int
serve(const char *libvirtd, const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), fd;
	struct pollfd waits[2] = { { .fd = listener, .events = POLLIN }, { .fd = STDIN_FILENO, .events = POLLIN } };

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(listener, 128) < 0)
		die("%s: %s", path, strerror(errno));
	libvirtd_start(libvirtd);
	puts("READY");
	(void)fflush(stdout);
	while ((waits[1].revents & (POLLIN | POLLHUP)) == 0) {
		(void)poll(waits, 2, 1);
		if ((waits[0].revents & POLLIN) != 0 && (fd = accept(listener, NULL, NULL)) >= 0)
			start_console(fd);
		if ((fd = libvirtd_take_console()) >= 0)
			start_console(fd);
	}
	return 0;
}

/* ---- the viewers ---- */

static void
get_update(struct viewer *viewer)
{
	uint8_t pixels[65536], head[16];
	size_t left;

	viewer_get(viewer, head, sizeof(head));
	left = 4 * (size_t)rfb_load_u16(head + 8) * rfb_load_u16(head + 10);
	while (left > 0) {
		size_t n = left < sizeof(pixels) ? left : sizeof(pixels);

		viewer_get(viewer, pixels, n);
		left -= n;
	}
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

/* One of the screens that are pumped. */
struct screen {
	struct viewer viewer;
	uint8_t request[10];	/* RFC 6143 7.5.3 */
	int ahead;
	double until;
	unsigned updates;
};

static void *
pump_one(void *arg)
{
	struct screen *screen = arg;

	for (int i = 0; i < screen->ahead; i++)
		viewer_put(&screen->viewer, screen->request, sizeof(screen->request));
	for (; now() < screen->until; screen->updates++) {
		get_update(&screen->viewer);
		viewer_put(&screen->viewer, screen->request, sizeof(screen->request));
	}
	return NULL;
}

static int
pump(const char *way, const char *address, size_t consoles, double seconds, unsigned width, unsigned height, int ahead)
{
	static struct screen screens[MAX_CONSOLES];
	static pthread_t threads[MAX_CONSOLES];
	const struct screen idle = { .request = { 3, 0, 0, 0, 0, 0, (uint8_t)(width >> 8), (uint8_t)width, (uint8_t)(height >> 8), (uint8_t)height }, .ahead = ahead };
	unsigned updates = 0;
	double begin, mib;

	for (size_t i = 0; i < consoles; i++) {
		screens[i] = idle;
		screens[i].viewer = viewer_open(way, address);
	}
	puts("open");
	(void)fflush(stdout);
	if (!line_comes())
		return 1;
	begin = now();
	for (size_t i = 0; i < consoles; i++) {
		screens[i].until = begin + seconds;
		if (pthread_create(&threads[i], NULL, pump_one, &screens[i]) != 0)
			die("out of threads");
	}
	for (size_t i = 0; i < consoles; i++) {
		(void)pthread_join(threads[i], NULL);
		updates += screens[i].updates;
	}
	seconds = now() - begin;
	mib = (double)updates * (16 + 4 * (double)width * height) / (1024 * 1024);
	printf("{\"mib_s\": %.1f, \"updates_s\": %.1f, \"mib\": %.3f, \"updates\": %u}\n", mib / seconds, updates / seconds, mib, updates);
	(void)fflush(stdout);
	return line_comes();
}

static int
compare_doubles(const void *a, const void *b)
{
	const double *left = a, *right = b;

	return (*left > *right) - (*left < *right);
}

static int
keys(const char *way, const char *address, size_t count)
{
	static const uint8_t down[] = { 4, 1, 0, 0, 0, 0, 0, 'a' };
	struct viewer viewer = viewer_open(way, address);
	double *times = calloc(count, sizeof(*times));

	if (times == NULL || count < 100)
		die("a number of keys from 100 on");
	for (size_t i = 0; i < count; i++) {
		double begin = now();

		viewer_put(&viewer, down, sizeof(down));
		get_update(&viewer);
		times[i] = now() - begin;
	}
	qsort(times, count, sizeof(*times), compare_doubles);
	printf("{\"p50_us\": %.1f, \"p99_us\": %.1f}\n", times[count / 2] * 1e6, times[count * 99 / 100] * 1e6);
	free(times);
	return 0;
}

static int
idle(const char *way, const char *address, size_t count)
{
	char byte;

	for (size_t i = 0; i < count; i++)
		(void)viewer_open(way, address);
	puts("open");
	(void)fflush(stdout);
	return read(STDIN_FILENO, &byte, 1) < 0;
}

static unsigned
number(const char *text, unsigned max)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (end == text || *end != '\0' || value == 0 || value > max)
		die("'%s' is not a number from 1 to %u", text, max);
	return (unsigned)value;
}

int
main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";

	if (argc == 4 && strcmp(mode, "serve") == 0)
		return serve(argv[2], argv[3]);
	if (argc == 9 && strcmp(mode, "pump") == 0)
		return pump(argv[2], argv[3], number(argv[4], MAX_CONSOLES), number(argv[5], MAX_SECONDS), number(argv[6], WIDTH), number(argv[7], HEIGHT),
		    (int)number(argv[8], MAX_AHEAD));
	if (argc == 5 && strcmp(mode, "keys") == 0)
		return keys(argv[2], argv[3], number(argv[4], MAX_KEYS));
	if (argc == 5 && strcmp(mode, "idle") == 0)
		return idle(argv[2], argv[3], number(argv[4], MAX_IDLE));
	die("usage: screen serve LIBVIRTD-SOCKET RFB-SOCKET | screen keys|idle WAY ADDRESS NUMBER |\n"
	    "screen pump WAY ADDRESS CONSOLES SECONDS WIDTH HEIGHT AHEAD");
}
