#include "web/guard.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "gateway/core/log.h"
#include "web/web.h"
#include "web/wire.h"

#define MAX_SETTINGS	128u	/* of the server's first write, which is cut off there */

struct guard {
	struct wire wire;
	bool begun, offered;
	const char *wrong;		/* the connection is over */
};

static int guard_index = -1;

static void
on_ssl_free(void *parent, void *data, CRYPTO_EX_DATA *ad, int index, long argl, void *argp)
{
	(void)parent;
	(void)ad;
	(void)index;
	(void)argl;
	(void)argp;
	free(data);
}

static struct guard *
guard_of(const SSL *ssl)
{
	return guard_index < 0 || ssl == NULL ? NULL : SSL_get_ex_data(ssl, guard_index);
}

int
guard_start(struct vg_error *error)
{
	int (*called)(SSL *, void *, int) = NULL;
	void *found = dlsym(RTLD_DEFAULT, "SSL_read");

	memcpy(&called, &found, sizeof(called));
	guard_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, on_ssl_free);
	if (called != SSL_read || guard_index < 0)
		return vg_fail(error, "what browsers send cannot be looked at before libwebsockets has it: this program was linked in another way than it was made for");
	return 0;
}

int
guard_watch(SSL *ssl)
{
	struct guard *guard = guard_of(ssl);

	if (guard != NULL)
		return 0;	/* the client's second hello */
	guard = calloc(1, sizeof(*guard));
	if (guard == NULL || SSL_set_ex_data(ssl, guard_index, guard) != 1) {
		free(guard);
		return -1;
	}
	return 0;
}

bool
guard_upgrade(SSL *ssl)
{
	struct guard *guard = guard_of(ssl);

	return guard != NULL && wire_upgrade(&guard->wire);
}

void
guard_end(SSL *ssl, const char *why)
{
	struct guard *guard = guard_of(ssl);

	if (guard != NULL)
		guard->wrong = why;
	log_info("a browser's connection is ended: %s", why);
	(void)shutdown(SSL_get_fd(ssl), SHUT_RDWR);
}

/* ---- in the place of libssl's ---- */

/* As their manual says: 0 when the other end closed, else negative; SSL_get_error() knows why. */
static int
failure(const SSL *ssl)
{
	return (SSL_get_shutdown(ssl) & SSL_RECEIVED_SHUTDOWN) != 0 ? 0 : -1;
}

static void
begin(struct guard *guard, const SSL *ssl)
{
	const unsigned char *name;
	unsigned len;

	SSL_get0_alpn_selected(ssl, &name, &len);
	wire_init(&guard->wire, len == 2 && memcmp(name, "h2", 2) == 0);
	guard->begun = true;
}

int
SSL_read(SSL *ssl, void *buf, int num)
{
	struct guard *guard = guard_of(ssl);
	const char *wrong;
	size_t got = 0;

	if (guard != NULL && guard->wrong != NULL)
		return -1;
	if (SSL_read_ex(ssl, buf, num < 0 ? 0 : (size_t)num, &got) != 1)
		return failure(ssl);
	if (guard == NULL)
		return (int)got;
	if (!guard->begun)
		begin(guard, ssl);
	wrong = wire_take(&guard->wire, buf, got, web_now());
	if (wrong == NULL)
		return (int)got;
	guard_end(ssl, wrong);
	return -1;
}

int
SSL_write(SSL *ssl, const void *buf, int num)
{
	struct guard *guard = guard_of(ssl);
	uint8_t first[MAX_SETTINGS];
	size_t len = num < 0 ? 0 : (size_t)num, written = 0;

	if (guard != NULL && !guard->begun)
		begin(guard, ssl);
	/* libwebsockets always offers WebSockets over HTTP/2, in the first frame that it sends. */
	if (guard != NULL && guard->wire.language == WIRE_HTTP2 && !guard->offered) {
		len = len < sizeof(first) ? len : sizeof(first);
		memcpy(first, buf, len);
		wire_offer_no_connect(first, len);
		guard->offered = true;
		buf = first;
	}
	return SSL_write_ex(ssl, buf, len, &written) == 1 ? (int)written : failure(ssl);
}
