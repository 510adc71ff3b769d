/*
 * chain.h: turns what a sender sent into the next line of the trail. Pure but for the clock.
 */
#ifndef AUDIT_CHAIN_H
#define AUDIT_CHAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/audit/scan.h"
#include "gateway/core/buf.h"

/* The end of the chain. Copied to go back when a group of records did not become durable. */
struct chain {
	uint64_t seq;				/* of the last record, 0 before the first */
	char hash[AUDIT_HASH_LEN + 1];		/* of the last record */
	char time[AUDIT_TIME_LEN + 1];		/* of the last record: the next has the same or a later one (I64); empty: it may have any (clock.h) */
};

void chain_init(struct chain *chain);

/* A record as it arrived; borrows from the message. */
struct record {
	unsigned stage;
	char op[ID_LEN + 1];
	const uint8_t *members, *end;
};

/*
 * Checks the body of LINK_RECORD: lengths, keys (sorted, [a-z0-9_], none of the writer's own), and that each value is
 * one value of printable ASCII. Nothing is interpreted (I65).
 */
bool record_get(struct record *record, const uint8_t *body, size_t len);

/* Adds the record's line with its newline to `out` and moves the chain on. -1 when memory is out; the chain stays. */
int chain_add(struct chain *chain, const struct record *record, struct buf *out);

#endif
