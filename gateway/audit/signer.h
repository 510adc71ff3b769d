/*
 * signer.h: the key that signs checkpoints. It changes every quarter of an hour (as systemd's sealing of journals does):
 * the last checkpoint of an epoch vouches for the key of the next, and once it is durable the secret half of the old key
 * is overwritten. So who takes over the host gets a key that signs from now on, and none that signs the past.
 *
 * The file (state_dir/audit-key, opened by the parent, 0600 of root when the gateway is started by root: no other room
 * can read it) holds two copies of one line, at 0 and at 4096:
 *
 *	virtgate-audit-key 1 EPOCH BEGAN ROOT SEED NEXT_SEED SHA256
 *
 * BEGAN: seconds since 1970; ROOT: the public key of epoch 0; SHA256 of what stands before it. A new line is written
 * over the one copy, synced, and then over the other, so that one of them is always whole and no old seed is left in
 * the file. What a disk keeps of overwritten blocks below the file system is not in our hands.
 *
 * The seed of the next epoch is there before it is told to anybody: a crash between the checkpoint and the new line is
 * found by signer_settle, and nothing is signed twice.
 */
#ifndef AUDIT_SIGNER_H
#define AUDIT_SIGNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/audit/checkpoint.h"

#define SIGNER_EPOCH_SECONDS (15u * 60u)

struct signer;

/* Takes `fd`, which may be of an empty file: then a root is made. NULL with `error`. */
struct signer *signer_open(int fd, unsigned epoch_seconds, struct vg_error *error);
void signer_close(struct signer *signer);

/*
 * Compares with the last checkpoint that the trail shows (NULL: none in its last segments; `empty`: it has no record at
 * all). False with `what` when they do not belong together. Where the chain of keys cannot be gone on with there is a
 * new root then.
 */
bool signer_settle(struct signer *signer, const struct checkpoint *last, bool empty, char *what, size_t size);

const char *signer_root(const struct signer *signer);
/* Was the root made since the program started, or is it still its turn? Before the first checkpoint it must be told. */
bool signer_is_new(const struct signer *signer);
bool signer_is_root(const struct signer *signer);

/* May it sign? Not while the key of the epoch that was begun last is not safe on disk; tries again to make it so. */
bool signer_ready(struct signer *signer);
/* Signs (seq, hash). -1: OpenSSL fails. Then one of: */
int signer_sign(struct signer *signer, uint64_t seq, const char *hash, char text[CHECKPOINT_TEXT_MAX]);
/* … it is durable: a new epoch begins if the text said so, and the old key goes; */
void signer_done(struct signer *signer);
/* … it was not written: forget it. */
void signer_undo(struct signer *signer);

#endif
