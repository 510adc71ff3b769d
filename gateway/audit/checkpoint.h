/*
 * checkpoint.h: a signed statement about the trail: "the record SEQ has the hash HASH". One line of text, which stands
 * in a record of its own and goes to every place that copies of the trail go to; whoever holds one can later show that
 * the trail was cut or written anew, also by root.
 *
 *	virtgate-checkpoint 1 EPOCH SEQ HASH KEY NEXT SIGNATURE
 *
 * The signature is Ed25519 (RFC 8032) by KEY over all that stands before its blank. NEXT is the key of the epoch after
 * this one, "-" when this epoch goes on: so each key is vouched for by the one before, back to the root, whose secret
 * half is as gone as those of all past epochs (signer.h). Keys, hash and signature are hex digits in lower case.
 */
#ifndef AUDIT_CHECKPOINT_H
#define AUDIT_CHECKPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/audit/scan.h"
#include "virtgate/result.h"

#define CHECKPOINT_KEY_LEN	64	/* hex digits of an Ed25519 public key, or of a seed */
#define CHECKPOINT_SIGNATURE_LEN 128
#define CHECKPOINT_WORD		"virtgate-checkpoint"
#define CHECKPOINT_TEXT_MAX	512u
#define CHECKPOINT_CODE		"VG1011I"
#define CHECKPOINT_MEMBER	"checkpoint"
/* So many records, so many bytes, or so long after the last one there is another. */
#define CHECKPOINT_RECORDS	10000u
#define CHECKPOINT_BYTES	(16u * 1024u * 1024u)
#define CHECKPOINT_SECONDS	60

struct checkpoint {
	uint64_t epoch;			/* of KEY, from 0 */
	uint64_t seq;			/* of the record that it is about: the one before the checkpoint's own */
	char hash[AUDIT_HASH_LEN + 1];
	char key[CHECKPOINT_KEY_LEN + 1];
	char next[CHECKPOINT_KEY_LEN + 1];	/* empty: the epoch goes on */
	char signature[CHECKPOINT_SIGNATURE_LEN + 1];
};

/* The text, with its signature when there is one; returns its length. */
size_t checkpoint_print(const struct checkpoint *checkpoint, char text[CHECKPOINT_TEXT_MAX]);
/* Exactly such a text. */
bool checkpoint_parse(const char *text, size_t len, struct checkpoint *checkpoint);
/* That of a record whose code is CHECKPOINT_CODE. */
bool checkpoint_in_line(const char *line, size_t len, struct checkpoint *checkpoint);
/* Did its key sign it? Says nothing of whose key that is. */
bool checkpoint_right(const struct checkpoint *checkpoint);

/* Hex digits of `len` bytes and back; false when they are not exactly so many. */
void checkpoint_hex(const unsigned char *bytes, size_t len, char *hex);
bool checkpoint_unhex(const char *hex, unsigned char *bytes, size_t len);

/* Those that somebody kept in another place, by rising `seq`. */
struct checkpoints {
	struct checkpoint *items;
	size_t num;
};
/*
 * `what` is a checkpoint's text, or the name of a file that has some: one a line, whatever stands around it (a syslog
 * file, a journal's export). -1 with `error`, also when one was not signed by its key.
 */
int checkpoints_read(struct checkpoints *checkpoints, const char *what, struct vg_error *error);
void checkpoints_free(struct checkpoints *checkpoints);

#endif
