/*
 * viewer.h: a connection as a viewer or a browser has it, blocking, on each of the ways that are compared. Whoever cannot go on ends the program.
 *
 * Ways to a screen, and their ADDRESS:
 *
 *   unix       path                      RFB alone
 *   tls        PORT:DIRECTORY            RFB in TLS, as behind haproxy; certificates of pkipath's names in DIRECTORY
 *   vencrypt   PORT:DIRECTORY            the gateway's port for viewers
 *   wss        PORT:DIRECTORY            RFB in a WebSocket in TLS, as behind websockify
 *   browser    PORT:DIRECTORY            the same at the gateway: with a log-in by certificate, and a ticket for each
 */
#ifndef TESTS_BENCH_VIEWER_H
#define TESTS_BENCH_VIEWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/ssl.h>

enum { WIDTH = 1920, HEIGHT = 1080 };	/* of the guest's screen */

/* The guest that is looked at, and what it says when everything before is over (ServerInit, RFC 6143 7.3.2). */
#define GUEST_NAME	"web-1"
#define GUEST_UUID	"11010000-0000-0000-0000-000000000000"
extern const uint8_t server_init[27];

struct viewer {
	int fd;
	SSL *ssl;		/* NULL: in the clear */
	bool framed;		/* in binary messages of a WebSocket */
	uint64_t left;		/* of the frame that is being read */
};

/* A log-in, and the connection that it was made on; it is kept alive. */
struct login {
	struct viewer connection;
	char cookie[128], token[64];
	unsigned port;
};

__attribute__((format(printf, 1, 2), noreturn)) void die(const char *format, ...);
double now(void);	/* seconds */

/* Up to ServerInit. */
struct viewer viewer_open(const char *way, const char *address);
/* Of at most 125 bytes in a WebSocket. */
void viewer_put(struct viewer *viewer, const void *data, size_t len);
void viewer_get(struct viewer *viewer, void *data, size_t len);
bool send_all(int fd, const void *data, size_t len);

/* TLS to an address "PORT:DIRECTORY" of this machine. `from`: the last byte of our own 127.0.0.x; `protocol` of ALPN, NULL: none. */
struct viewer tls_open(const char *address, const char *server_name, unsigned from, const char *protocol);
/* With the certificate of that directory. */
struct login login_open(const char *address);
/* One request on the connection of the log-in; `json` NULL is a GET. The body of the answer, at most `size` bytes with a NUL. */
void login_ask(struct login *login, const char *path, const char *json, char *answer, size_t size);

#endif
