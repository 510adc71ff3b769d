/*
 * transport_tls.c: TLS by OpenSSL over our own BIO. The BIO reads ahead as much as has arrived in one system call and
 * writes into the stage, so that OpenSSL never waits for room and several records leave in one send().
 */
#include "gateway/front/transport.h"

#include <errno.h>
#include <limits.h>

#include <openssl/bio.h>
#include <openssl/err.h>

/* Records of an upload taken by one recv(); OpenSSL gives the buffer back when it is empty. */
#define READ_AHEAD (128u * 1024u)

static int
bio_read(BIO *bio, char *buf, int size)
{
	struct transport *transport = BIO_get_data(bio);
	ssize_t n = transport_recv(transport, buf, (size_t)size);

	BIO_clear_retry_flags(bio);
	if (n == TRANSPORT_AGAIN)
		BIO_set_retry_read(bio);
	return n >= 0 ? (int)n : -1;
}

static int
bio_write(BIO *bio, const char *data, int len)
{
	struct transport *transport = BIO_get_data(bio);

	BIO_clear_retry_flags(bio);
	return transport_stage(transport, data, (size_t)len) == 0 ? len : -1;
}

static long
bio_ctrl(BIO *bio, int command, long num, void *pointer)
{
	const struct transport *transport = BIO_get_data(bio);

	(void)num;
	(void)pointer;
	if (command == BIO_CTRL_EOF)
		return transport->ended;
	return command == BIO_CTRL_FLUSH || command == BIO_CTRL_DUP;
}

static int
bio_create(BIO *bio)
{
	BIO_set_init(bio, 1);
	return 1;
}

static BIO_METHOD *
bio_method(void)
{
	static BIO_METHOD *method;

	if (method != NULL)
		return method;
	method = BIO_meth_new(BIO_TYPE_SOURCE_SINK | BIO_get_new_index(), "virtgate transport");
	if (method == NULL)
		return NULL;
	BIO_meth_set_read(method, bio_read);
	BIO_meth_set_write(method, bio_write);
	BIO_meth_set_ctrl(method, bio_ctrl);
	BIO_meth_set_create(method, bio_create);
	return method;
}

int
transport_init_tls(struct transport *transport, int fd, SSL_CTX *ctx)
{
	BIO *bio = NULL;
	SSL *ssl = SSL_new(ctx);

	if (ssl == NULL || bio_method() == NULL || (bio = BIO_new(bio_method())) == NULL) {
		SSL_free(ssl);
		return -1;
	}
	*transport = (struct transport){ .ops = &transport_tls_ops, .fd = fd, .ssl = ssl };
	BIO_set_data(bio, transport);
	SSL_set_bio(ssl, bio, bio);
	SSL_set_accept_state(ssl);
	return 0;
}

int
transport_handshake(struct transport *transport)
{
	int done, why;

	ERR_clear_error();
	done = SSL_do_handshake(transport->ssl);
	why = SSL_get_error(transport->ssl, done);
	if (transport_flush(transport) < 0)
		return -1;
	if (done == 1)
		return 1;
	return why == SSL_ERROR_WANT_READ ? 0 : -1;
}

void
transport_trust(struct transport *transport)
{
	if (transport->ssl != NULL)
		SSL_set_default_read_buffer_len(transport->ssl, READ_AHEAD);
}

static ssize_t
tls_read(struct transport *transport, uint8_t *buf, size_t size)
{
	size_t len = 0, n;

	while (len < size) {
		ERR_clear_error();
		if (SSL_read_ex(transport->ssl, buf + len, size - len, &n) == 1) {
			len += n;
			continue;
		}
		if (len > 0)
			break;		/* whatever is the matter comes again with the next call */
		switch (SSL_get_error(transport->ssl, 0)) {
		case SSL_ERROR_WANT_READ:
			return TRANSPORT_AGAIN;
		case SSL_ERROR_ZERO_RETURN:
			return TRANSPORT_EOF;
		default:
			if (transport->problem == NULL)
				transport->problem = ERR_reason_error_string(ERR_peek_error());
			return TRANSPORT_FAILED;
		}
	}
	return (ssize_t)len;
}

static int
tls_put(struct transport *transport, const uint8_t *data, size_t len)
{
	size_t written;

	ERR_clear_error();
	return SSL_write_ex(transport->ssl, data, len, &written) == 1 && written == len ? 0 : -1;
}

static void
tls_goodbye(struct transport *transport)
{
	ERR_clear_error();
	if (SSL_is_init_finished(transport->ssl))
		(void)SSL_shutdown(transport->ssl);
	ERR_clear_error();
}

static void
tls_finish(struct transport *transport)
{
	SSL_free(transport->ssl);
	transport->ssl = NULL;
}

const struct transport_ops transport_tls_ops = { "tls", tls_read, tls_put, tls_goodbye, tls_finish };
