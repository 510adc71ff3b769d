/*
 * transport_sasl.c: the SASL security layer over a plain socket. The exchange itself was in the clear; from the message
 * behind its last on, both directions are packets of the mechanism.
 */
#include "gateway/front/transport.h"

#include <string.h>

#include "gateway/auth/sasl.h"

/* Read at a time: what decodes from it and from a packet begun earlier fits the caller's chunk. */
#define READ_SIZE (2u * SASL_MAX_PACKET)

static uint8_t encoded[READ_SIZE];

static ssize_t
sasl_layer_read(struct transport *transport, uint8_t *buf, size_t size)
{
	const uint8_t *plain;
	size_t len;
	ssize_t n;

	do {
		n = transport_recv(transport, encoded, sizeof(encoded));
		if (n <= 0)
			return n;
		if (sasl_session_decode(transport->sasl, encoded, (size_t)n, &plain, &len) < 0 || len > size) {
			transport->problem = "the SASL security layer does not decode";
			return TRANSPORT_FAILED;
		}
	} while (len == 0);		/* a piece of a packet only */
	memcpy(buf, plain, len);
	return (ssize_t)len;
}

static int
sasl_layer_put(struct transport *transport, const uint8_t *data, size_t len)
{
	size_t max = sasl_session_max_encode(transport->sasl), piece, packet_len;
	const uint8_t *packet;

	if (max == 0)
		return -1;
	for (; len > 0; data += piece, len -= piece) {
		piece = len < max ? len : max;
		if (sasl_session_encode(transport->sasl, data, piece, &packet, &packet_len) < 0 ||
		    transport_stage(transport, packet, packet_len) < 0)
			return -1;
	}
	return 0;
}

static void
sasl_layer_goodbye(struct transport *transport)
{
	(void)transport;
}

static void
sasl_layer_finish(struct transport *transport)
{
	transport->sasl = NULL;
}

const struct transport_ops transport_sasl_ops = {
	"sasl", sasl_layer_read, sasl_layer_put, sasl_layer_goodbye, sasl_layer_finish
};

void
transport_push_sasl(struct transport *transport, struct sasl_session *sasl)
{
	transport->ops = &transport_sasl_ops;
	transport->sasl = sasl;
}
