/*
 * screen.c: both ends of the console benchmarks. A guest's screen that draws as fast as it is asked (QEMU refreshes a few times a second), behind
 * a scripted libvirtd that gives out descriptors to it and on a UNIX socket of its own; and a viewer that reads it.
 *
 *   screen serve LIBVIRTD-SOCKET RFB-SOCKET        until its standard input ends
 *   screen pump WAY ADDRESS SECONDS                {"mib_s": …}: whole screens, back to back
 *   screen keys WAY ADDRESS COUNT                  {"p50_us": …, "p99_us": …}: a key, and what the guest draws for it
 *   screen idle WAY ADDRESS COUNT                  opens so many, says so, and keeps them until its standard input ends
 *
 * WAY: unix (ADDRESS: a path), tls (PORT:DIRECTORY of certificates; RFB inside, as behind haproxy), vencrypt (the same; the gateway).
 */
#include <errno.h>
#include <netinet/in.h>
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
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/ssl.h>

#include "proto/rfb.h"
#include "tests/session/libvirtd.h"

enum { WIDTH = 1920, HEIGHT = 1080, PIXELS = WIDTH * HEIGHT * 4, AHEAD = 2 /* requests on their way */, MAX_KEYS = 1000000, MAX_IDLE = 2000 };

static const uint8_t server_init[] = { WIDTH >> 8, WIDTH & 255, HEIGHT >> 8, HEIGHT & 255, 32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0, 0, 0, 0,
	0, 0, 0, 3, 'w', 'e', 'b' };

__attribute__((format(printf, 1, 2), noreturn)) static void
die(const char *format, ...)
{
	va_list args;

	fputs("screen: ", stderr);
	va_start(args, format);
	(void)vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

/* ---- the guest ---- */

static bool
receive_all(int fd, void *data, size_t len)
{
	return recv(fd, data, len, MSG_WAITALL) == (ssize_t)len;
}

static bool
send_all(int fd, const void *data, size_t len)
{
	for (size_t at = 0; at < len;) {
		ssize_t n = send(fd, (const uint8_t *)data + at, len - at, MSG_NOSIGNAL);

		if (n <= 0)
			return false;
		at += (size_t)n;
	}
	return true;
}

/* FramebufferUpdate with one raw rectangle of this size (RFC 6143 7.6.1). */
static bool
send_update(int fd, unsigned width, unsigned height)
{
	static uint8_t pixels[PIXELS];
	const uint8_t head[] = { 0, 0, 0, 1, 0, 0, 0, 0, (uint8_t)(width >> 8), (uint8_t)width, (uint8_t)(height >> 8), (uint8_t)height, 0, 0, 0, 0 };

	return send_all(fd, head, sizeof(head)) && send_all(fd, pixels, 4 * (size_t)width * height);
}

/* The viewer's messages: a request is answered with the whole screen, a key that goes down with one pixel. */
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
		return receive_all(fd, message, 9) && send_update(fd, WIDTH, HEIGHT);
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

/* ---- the viewer ---- */

struct viewer {
	int fd;
	SSL *ssl;	/* NULL: in the clear */
};

static void
put(struct viewer *viewer, const void *data, size_t len)
{
	size_t n;

	if (viewer->ssl != NULL ? SSL_write_ex(viewer->ssl, data, len, &n) != 1 : !send_all(viewer->fd, data, len))
		die("the connection ended while writing");
}

static void
get(struct viewer *viewer, void *data, size_t len)
{
	size_t n;

	for (size_t at = 0; at < len; at += n) {
		ssize_t got = viewer->ssl == NULL ? recv(viewer->fd, (uint8_t *)data + at, len - at, 0) : 0;

		n = (size_t)got;
		if (viewer->ssl != NULL ? SSL_read_ex(viewer->ssl, (uint8_t *)data + at, len - at, &n) != 1 : got <= 0)
			die("the connection ended while reading");
	}
}

static void
expect(struct viewer *viewer, const void *wanted, size_t len, const char *what)
{
	uint8_t got[64];

	get(viewer, got, len);
	if (memcmp(got, wanted, len) != 0)
		die("unexpected %s", what);
}

static void
start_tls(struct viewer *viewer, const char *directory)
{
	static SSL_CTX *context;
	char path[512];

	if (context == NULL) {
		context = SSL_CTX_new(TLS_client_method());
		(void)snprintf(path, sizeof(path), "%s/clientcert.pem", directory);
		if (context == NULL || SSL_CTX_use_certificate_chain_file(context, path) != 1)
			die("%s: no certificate", path);
		(void)snprintf(path, sizeof(path), "%s/clientkey.pem", directory);
		if (SSL_CTX_use_PrivateKey_file(context, path, SSL_FILETYPE_PEM) != 1)
			die("%s: no key", path);
	}
	viewer->ssl = SSL_new(context);
	/* The guest, to the gateway; nothing to anybody else. */
	if (viewer->ssl == NULL || SSL_set_fd(viewer->ssl, viewer->fd) != 1 || SSL_set_tlsext_host_name(viewer->ssl, "web-1.bench") != 1 ||
	    SSL_connect(viewer->ssl) != 1)
		die("TLS handshake failed");
}

static int
dial(const char *way, const char *address)
{
	struct sockaddr_un local = { .sun_family = AF_UNIX };
	struct sockaddr_in remote = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	bool unix_socket = strcmp(way, "unix") == 0;
	int fd = socket(unix_socket ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	(void)snprintf(local.sun_path, sizeof(local.sun_path), "%s", address);
	remote.sin_port = htons((uint16_t)strtoul(address, NULL, 10));
	if (unix_socket ? connect(fd, (struct sockaddr *)&local, sizeof(local)) < 0 : connect(fd, (struct sockaddr *)&remote, sizeof(remote)) < 0)
		die("%s: %s", address, strerror(errno));
	if (!unix_socket)
		(void)setsockopt(fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, &one, sizeof(one));
	return fd;
}

static struct viewer
open_screen(const char *way, const char *address)
{
	static const uint8_t x509_none[] = { 0, 0, 1, 4 }, none[4] = { 0 };
	const char *colon = strchr(address, ':'), *directory = colon == NULL ? "" : colon + 1;
	struct viewer viewer = { .fd = dial(way, address) };
	uint8_t num;

	if (strcmp(way, "tls") == 0)
		start_tls(&viewer, directory);
	expect(&viewer, RFB_VERSION_TEXT, 12, "version");
	put(&viewer, RFB_VERSION_TEXT, 12);
	if (strcmp(way, "vencrypt") == 0) {
		expect(&viewer, "\1\x13", 2, "security types");
		put(&viewer, "\x13", 1);
		expect(&viewer, "\0\2", 2, "version of VeNCrypt");
		put(&viewer, "\0\2", 2);
		expect(&viewer, "\0", 1, "answer");
		get(&viewer, &num, 1);
		for (unsigned i = 0; i < num; i++)
			get(&viewer, (uint8_t[4]){ 0 }, 4);
		put(&viewer, x509_none, 4);
		expect(&viewer, "\1", 1, "answer");
		start_tls(&viewer, directory);
	} else {
		expect(&viewer, "\1\1", 2, "security types");
		put(&viewer, "\1", 1);
	}
	expect(&viewer, none, 4, "SecurityResult");
	put(&viewer, "\1", 1);
	expect(&viewer, server_init, sizeof(server_init), "ServerInit");
	return viewer;
}

static double
now(void)
{
	struct timespec time;

	(void)clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void
get_update(struct viewer *viewer)
{
	static uint8_t pixels[65536];
	uint8_t head[16];
	size_t left;

	get(viewer, head, sizeof(head));
	left = 4 * (size_t)rfb_load_u16(head + 8) * rfb_load_u16(head + 10);
	while (left > 0) {
		size_t n = left < sizeof(pixels) ? left : sizeof(pixels);

		get(viewer, pixels, n);
		left -= n;
	}
}

static int
pump(const char *way, const char *address, double seconds)
{
	static const uint8_t request[] = { 3, 0, 0, 0, 0, 0, WIDTH >> 8, WIDTH & 255, HEIGHT >> 8, HEIGHT & 255 };
	struct viewer viewer = open_screen(way, address);
	double begin, end;
	unsigned updates = 0;

	for (int i = 0; i < AHEAD; i++)
		put(&viewer, request, sizeof(request));
	get_update(&viewer);
	for (begin = now(); (end = now()) - begin < seconds; updates++) {
		put(&viewer, request, sizeof(request));
		get_update(&viewer);
	}
	printf("{\"mib_s\": %.1f}\n", (double)updates * PIXELS / (1024 * 1024) / (end - begin));
	return 0;
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
	struct viewer viewer = open_screen(way, address);
	double *times = calloc(count, sizeof(*times));

	if (times == NULL || count < 100)
		die("a number of keys from 100 on");
	for (size_t i = 0; i < count; i++) {
		double begin = now();

		put(&viewer, down, sizeof(down));
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
		(void)open_screen(way, address);
	puts("open");
	(void)fflush(stdout);
	return read(STDIN_FILENO, &byte, 1) < 0;
}

int
main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";
	unsigned long number = argc == 5 ? strtoul(argv[4], NULL, 10) : 0;

	if (argc == 4 && strcmp(mode, "serve") == 0)
		return serve(argv[2], argv[3]);
	if (argc == 5 && strcmp(mode, "pump") == 0)
		return pump(argv[2], argv[3], (double)number);
	if (argc == 5 && strcmp(mode, "keys") == 0 && number <= MAX_KEYS)
		return keys(argv[2], argv[3], number);
	if (argc == 5 && strcmp(mode, "idle") == 0 && number <= MAX_IDLE)
		return idle(argv[2], argv[3], number);
	die("usage: screen serve LIBVIRTD-SOCKET RFB-SOCKET | screen pump|keys|idle WAY ADDRESS NUMBER");
}
