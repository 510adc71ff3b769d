/*
 * document.h: documents (XML) that records of the trail name, packed as they travel to the audit process and as they lie on the disk:
 *
 *	"VGD1"
 *	crc (4 bytes)	CRC-32 of all that follows
 *	len (4)		bytes that follow this field
 *	raw (4)		length of the document
 *	digest (32)	SHA-256 of the document: its name
 *	…		the document, deflated (RFC 1950)
 *
 * Numbers are little endian. Packed documents follow one another without anything between. zlib, because a definition becomes a fifth of
 * its size, and what unpacks it in ten years is everywhere. Pure.
 */
#ifndef CORE_DOCUMENT_H
#define CORE_DOCUMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/core/buf.h"

#define DOCUMENT_MAX		(4u * 1024u * 1024u)	/* the longest string of libvirt's protocol: REMOTE_STRING_MAX */
#define DOCUMENT_DIGEST		32u
#define DOCUMENT_NAME_LEN	64u			/* the digest as hex digits in lower case */
#define DOCUMENT_HEAD		48u
#define DOCUMENT_MAGIC		"VGD1"
#define DOCUMENT_MAGIC_LEN	4u
#define DOCUMENT_PACKED_MAX	(DOCUMENT_HEAD + DOCUMENT_MAX + DOCUMENT_MAX / 1024u + 64u)	/* deflate makes noise a little longer */

/* Adds it to `out` and tells its name. -1: longer than DOCUMENT_MAX, or out of memory; `out` is what it was. */
int document_pack(struct buf *out, const char *text, size_t len, char name[DOCUMENT_NAME_LEN + 1]);

/* How long the packed document is that begins here; 0: none does, or DOCUMENT_HEAD bytes are not there yet. */
size_t document_packed_len(const uint8_t *packed, size_t len);
const uint8_t *document_digest(const uint8_t *packed);
void document_name(const uint8_t digest[DOCUMENT_DIGEST], char name[DOCUMENT_NAME_LEN + 1]);
/* Of a whole packed document: is it as it was written? Says nothing of who wrote it. */
bool document_crc_right(const uint8_t *packed, size_t len);
/* The document with a terminator, in a new allocation. NULL: it is not what its digest says, or out of memory. */
char *document_unpack(const uint8_t *packed, size_t len, size_t *text_len);

#endif
