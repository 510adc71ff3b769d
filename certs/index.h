/*
 * index.h: what a CA has issued and revoked: one JSON object a line, oldest first. Changed under the lock of the
 * tree, and always replaced as a whole, so that readers need no lock.
 */
#ifndef CERTS_INDEX_H
#define CERTS_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "certs/files.h"
#include "virtgate/result.h"

#define SERIAL_HEX_MAX 40	/* 20 bytes: the most that RFC 5280 allows */

enum cert_kind { CERT_CA, CERT_SERVER, CERT_CLIENT, CERT_NUM_KINDS };

enum cert_state { CERT_VALID, CERT_NOT_YET, CERT_EXPIRED, CERT_REVOKED };

struct index_record {
	char serial[SERIAL_HEX_MAX + 1];	/* upper-case hex, as `openssl x509 -serial` prints it */
	enum cert_kind kind;
	char *name;		/* client name, or first host of a server */
	char *dn;		/* as virt-pki-query-dn prints it */
	time_t not_before, not_after;
	char sha256[65];	/* fingerprint, for x509-sha256: of a policy */
	time_t revoked;		/* 0: not */
	char reason[32];	/* RFC 5280's name of it, when revoked */
};

struct index {
	struct index_record *records;
	size_t num, size;
};

/* A file that does not exist is an empty index; a damaged line is an error with its number. */
int index_load(struct index *index, const char *path, struct vg_error *error);

/* Copies the record to the end. */
int index_add(struct index *index, const struct index_record *record, struct vg_error *error);

/* The record, or NULL. Serials are compared without regard to case and leading zeros. */
struct index_record *index_find_serial(struct index *index, const char *serial);

/* Stages the index file; it takes effect with file_set_publish. */
int index_stage(const struct index *index, const char *path, struct file_set *set, struct vg_error *error);

enum cert_state index_state(const struct index_record *record, time_t now);
const char *cert_state_name(enum cert_state state);
const char *cert_kind_name(enum cert_kind kind);

/* "2026-11-23T19:50:12Z"; `text` has 21 bytes. */
void time_text(time_t when, char text[21]);

void index_record_clear(struct index_record *record);
void index_clear(struct index *index);

#endif
