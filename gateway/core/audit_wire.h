/*
 * audit_wire.h: how a record travels to the audit process, and its canonical text.
 *
 * The body of LINK_RECORD is either
 *	'H' again first[ID_LEN]		hello, first on every link; `again`: 1 when this sender had a link before; `first`: no id of its own is lower
 *	'R' stage op[ID_LEN] member…	one record
 *	'D' first bytes			documents that the next record names (document.h), in pieces; `first`: 1 begins them anew
 * and a member is: length of its key (1 byte), key, length of its value (4 bytes, little endian), value. Members come
 * sorted by key; the value is canonical JSON. So the audit process joins them with its own members (seq, time, op,
 * stage, prev, hash) and never parses what a client sent.
 *
 * Canonical JSON is what Python's json.dumps(record, sort_keys=True, separators=(',', ':')) prints: keys sorted, no
 * spaces, ASCII only, \b \f \n \r \t and otherwise \uXXXX in lower case. Numbers are integers; others are strings.
 */
#ifndef CORE_AUDIT_WIRE_H
#define CORE_AUDIT_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "gateway/core/buf.h"
#include "gateway/core/ids.h"

#define AUDIT_WIRE_HELLO	'H'
#define AUDIT_WIRE_RECORD	'R'
#define AUDIT_WIRE_DOCUMENTS	'D'
#define AUDIT_WIRE_HELLO_LEN	(2u + ID_LEN)
#define AUDIT_WIRE_HEAD		(2u + ID_LEN)	/* kind, stage, op */
#define AUDIT_KEY_MAX		32u
#define AUDIT_DOCUMENTS_MAX	(16u * 1024u * 1024u)	/* of one record; a sender has less room (audit_client_room) */

enum audit_stage { AUDIT_STAGE_INTENT = 1, AUDIT_STAGE_OUTCOME, AUDIT_STAGE_EVENT };

/* "intent", "outcome", "event"; NULL for anything else. */
const char *audit_stage_name(unsigned stage);
/* 0 when the name is none of them. */
unsigned audit_stage_find(const char *name);

/* Body of LINK_ACK: of the records sent on this link, counted from 1, those up to `upto` that had no answer yet. */
enum audit_answer {
	AUDIT_DURABLE = 1,
	AUDIT_FAILED,		/* not durable; the trail is away until AUDIT_BACK */
	AUDIT_REJECTED,		/* the last one was malformed; do not send it again */
	AUDIT_BACK		/* says nothing of records: the trail takes them again */
};

struct audit_ack {
	uint64_t upto;
	uint32_t answer;
	uint32_t reserved;
};

bool audit_utf8_valid(const char *text, size_t len);

/*
 * Adds the canonical text of `value`. Numbers with a fraction, and keys and strings that are no UTF-8 (made by jansson's
 * _nocheck functions), are replaced in `value` first: no record is lost because of them. -1 when memory is out, or the
 * value is nested deeper than any record.
 */
int audit_canonical(struct buf *out, json_t *value);

/*
 * Makes `out` the whole body of LINK_RECORD. Values that would make it longer than LINK_MAX_BODY are replaced, longest
 * first, by { "cut_bytes": N, "cut_sha256": HEX } of their canonical text. -1: no memory, or a record without
 * stage and op.
 */
int audit_wire_record(struct buf *out, json_t *record);

/* Adds one member as it travels. */
int audit_wire_member(struct buf *out, const char *key, const void *value, size_t len);

struct audit_member {
	const char *key, *value;	/* not terminated; borrowed */
	size_t key_len, value_len;
};
/* Walks the members behind the head; false at the end, or with `*bad` set when the lengths do not add up. */
bool audit_wire_next(const uint8_t **at, const uint8_t *end, struct audit_member *member, bool *bad);

#endif
