/*
 * stream.c: what a stream had in it: bytes and SHA-256 of what passes between the ends, without a copy. See gate.h.
 */
#include <openssl/evp.h>

#include "gateway/core/document.h"
#include "gateway/gate/gate.h"

int
stream_begin_digest(struct call *call)
{
	if (call->proc->stream != RPC_STREAM_READ && call->proc->stream != RPC_STREAM_WRITE)
		return 0;
	call->stream_digest = EVP_MD_CTX_new();
	return call->stream_digest != NULL && EVP_DigestInit_ex(call->stream_digest, EVP_sha256(), NULL) == 1 ? 0 : -1;
}

void
stream_pass(struct end *from, struct call *call, size_t len)
{
	from->pass = len;
	from->pass_serial = call->header.serial;
	from->pass_header = RPC_HEADER_LEN;
	call->stream_bytes += len - RPC_HEADER_LEN;
	if (from == &from->session->client)
		call->stream_from_client += len - RPC_HEADER_LEN;
}

void
stream_passed(struct end *from, const uint8_t *data, size_t len)
{
	size_t header = from->pass_header < len ? from->pass_header : len;
	struct call *call;

	from->pass -= len;
	from->pass_header -= header;
	if (header == len)
		return;
	call = call_find(from->session, from->pass_serial);
	if (call != NULL && call->stream_digest != NULL)
		(void)EVP_DigestUpdate(call->stream_digest, data + header, len - header);
}

void
stream_add(struct call *call, json_t *record)
{
	uint8_t digest[EVP_MAX_MD_SIZE];
	char hex[DOCUMENT_NAME_LEN + 1];

	(void)json_object_set_new(record, "stream_bytes", json_integer((json_int_t)call->stream_bytes));
	if (call->stream_digest == NULL || EVP_DigestFinal_ex(call->stream_digest, digest, NULL) != 1)
		return;
	document_name(digest, hex);
	(void)json_object_set_new(record, "stream_sha256", json_string(hex));
}
