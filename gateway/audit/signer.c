/*
 * signer.c: the key of the trail, its file and its epochs.
 */
#include "gateway/audit/signer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "gateway/core/log.h"

#define SEED_BYTES	32
#define FILE_WORD	"virtgate-audit-key 1"
#define LINE_MAX_	512
#define COPY_OFFSET	4096

struct key {
	unsigned char seed[SEED_BYTES];
	char public[CHECKPOINT_KEY_LEN + 1];
};

struct signer {
	int fd;
	uint64_t epoch;
	int64_t began;
	int64_t began_here;		/* by a clock that nobody sets: … or the start, if that came later */
	unsigned epoch_seconds;
	char root[CHECKPOINT_KEY_LEN + 1];
	struct key key, next;
	bool is_new;
	bool evolves;			/* what was signed last vouches for the next key */
	bool unsaved;			/* the file does not hold what is here */
};

static int64_t
boot_seconds(void)
{
	struct timespec now = { 0 };

	(void)clock_gettime(CLOCK_BOOTTIME, &now);
	return now.tv_sec;
}

/* ---- keys ---- */

static EVP_PKEY *
open_key(const struct key *key)
{
	return EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, key->seed, SEED_BYTES);
}

static int
find_public(struct key *key)
{
	EVP_PKEY *pkey = open_key(key);
	unsigned char public[SEED_BYTES];
	size_t len = sizeof(public);
	int result = -1;

	if (pkey != NULL && EVP_PKEY_get_raw_public_key(pkey, public, &len) == 1 && len == sizeof(public)) {
		checkpoint_hex(public, len, key->public);
		result = 0;
	}
	EVP_PKEY_free(pkey);
	return result;
}

static int
make_key(struct key *key)
{
	if (getrandom(key->seed, SEED_BYTES, 0) != SEED_BYTES)
		return -1;
	return find_public(key);
}

static int
make_root(struct signer *signer)
{
	if (make_key(&signer->key) == -1 || make_key(&signer->next) == -1)
		return -1;
	signer->epoch = 0;
	signer->began = (int64_t)time(NULL);
	signer->began_here = boot_seconds();
	signer->is_new = signer->unsaved = true;
	memcpy(signer->root, signer->key.public, sizeof(signer->root));
	return 0;
}

/* ---- the file ---- */

static int
write_copy(const struct signer *signer, const char line[LINE_MAX_], off_t at)
{
	ssize_t put;

	do {
		put = pwrite(signer->fd, line, LINE_MAX_, at);
	} while (put == -1 && errno == EINTR);
	if (put >= 0 && put != LINE_MAX_)
		errno = EIO;
	return put == LINE_MAX_ && fdatasync(signer->fd) == 0 ? 0 : -1;
}

static void
save(struct signer *signer)
{
	char line[LINE_MAX_] = "", seed[CHECKPOINT_KEY_LEN + 1], next[CHECKPOINT_KEY_LEN + 1], sum[AUDIT_HASH_LEN + 1];
	int len;

	checkpoint_hex(signer->key.seed, SEED_BYTES, seed);
	checkpoint_hex(signer->next.seed, SEED_BYTES, next);
	len = snprintf(line, sizeof(line), FILE_WORD " %llu %lld %s %s %s", (unsigned long long)signer->epoch,
	    (long long)signer->began, signer->root, seed, next);
	scan_hash(line, (size_t)len, NULL, 0, sum);
	(void)snprintf(line + len, sizeof(line) - (size_t)len, " %s\n", sum);
	if (write_copy(signer, line, 0) == -1 || write_copy(signer, line, COPY_OFFSET) == -1) {
		if (!signer->unsaved)
			log_error("audit: the signing key cannot be saved: %s; there are no checkpoints until it can", strerror(errno));
		signer->unsaved = true;
	} else {
		signer->unsaved = false;
	}
	OPENSSL_cleanse(line, sizeof(line));
	OPENSSL_cleanse(seed, sizeof(seed));
	OPENSSL_cleanse(next, sizeof(next));
}

static int
take_key(const char *hex, struct key *key)
{
	return checkpoint_unhex(hex, key->seed, SEED_BYTES) ? find_public(key) : -1;
}

/* One copy. False: it is not whole. */
static bool
parse(struct signer *signer, char line[LINE_MAX_])
{
	unsigned long long epoch;
	long long began;
	char root[CHECKPOINT_KEY_LEN + 1], seed[CHECKPOINT_KEY_LEN + 1], next[CHECKPOINT_KEY_LEN + 1];
	char sum[AUDIT_HASH_LEN + 1], right[AUDIT_HASH_LEN + 1];
	bool whole = false;
	char *newline = memchr(line, '\n', LINE_MAX_);

	if (newline == NULL || newline - line <= AUDIT_HASH_LEN + 1)
		return false;
	*newline = '\0';
	if (sscanf(line, FILE_WORD " %18llu %18lld %64s %64s %64s %64s", &epoch, &began, root, seed, next, sum) == 6) {
		scan_hash(line, (size_t)(newline - line) - AUDIT_HASH_LEN - 1, NULL, 0, right);
		whole = strcmp(sum, right) == 0 && strlen(root) == CHECKPOINT_KEY_LEN && take_key(seed, &signer->key) == 0 &&
		    take_key(next, &signer->next) == 0;
	}
	if (whole) {
		signer->epoch = epoch;
		signer->began = began;
		memcpy(signer->root, root, sizeof(root));
	}
	OPENSSL_cleanse(seed, sizeof(seed));
	OPENSSL_cleanse(next, sizeof(next));
	return whole;
}

/* The newer of two whole copies: the first is written first. 1, 0 when the file is empty, -1 when none is whole. */
static int
load(struct signer *signer)
{
	struct signer first = *signer, second = *signer;
	char line[LINE_MAX_];
	bool has_first, has_second;
	int result = -1;

	if (pread(signer->fd, line, sizeof(line), 0) == 0)
		return 0;
	memset(line, 0, sizeof(line));
	has_first = pread(signer->fd, line, sizeof(line), 0) > 0 && parse(&first, line);
	memset(line, 0, sizeof(line));
	has_second = pread(signer->fd, line, sizeof(line), COPY_OFFSET) > 0 && parse(&second, line);
	if (has_first || has_second) {
		*signer = has_first ? first : second;
		signer->unsaved = !has_first || !has_second || first.epoch != second.epoch;
		result = 1;
	}
	OPENSSL_cleanse(line, sizeof(line));
	OPENSSL_cleanse(&first, sizeof(first));
	OPENSSL_cleanse(&second, sizeof(second));
	return result;
}

struct signer *
signer_open(int fd, unsigned epoch_seconds, struct vg_error *error)
{
	struct signer *signer = calloc(1, sizeof(*signer));
	int found;

	if (signer == NULL) {
		close(fd);
		vg_fail(error, "out of memory");
		return NULL;
	}
	signer->fd = fd;
	signer->epoch_seconds = epoch_seconds;
	signer->began_here = boot_seconds();
	if (flock(fd, LOCK_EX | LOCK_NB) == -1) {
		vg_fail(error, "state_dir: another virtgated signs its trail with the key there");
		vg_hint(error, "give this one a state_dir of its own, or end the other");
		goto fail;
	}
	found = load(signer);
	if (found == -1)		/* told as what it is by signer_settle: the trail has another chain of keys then */
		log_error("audit: the signing key in state_dir is damaged; a new one is made");
	if (found != 1 && make_root(signer) == -1) {
		vg_fail(error, "no key to sign the audit trail with can be made");
		goto fail;
	}
	if (signer->unsaved)
		save(signer);
	if (signer->unsaved) {
		vg_fail(error, "state_dir: the key that signs the audit trail cannot be saved: %s", strerror(errno));
		goto fail;
	}
	return signer;
fail:
	signer_close(signer);
	return NULL;
}

void
signer_close(struct signer *signer)
{
	if (signer == NULL)
		return;
	close(signer->fd);
	OPENSSL_cleanse(signer, sizeof(*signer));
	free(signer);
}

const char *
signer_root(const struct signer *signer)
{
	return signer->root;
}

bool
signer_is_new(const struct signer *signer)
{
	return signer->is_new;
}

bool
signer_is_root(const struct signer *signer)
{
	return signer->epoch == 0;
}

/* ---- epochs ---- */

static void
begin_next_epoch(struct signer *signer)
{
	struct key after;

	if (make_key(&after) == -1)
		log_fatal("no randomness from the system");
	signer->key = signer->next;
	signer->next = after;
	signer->epoch++;
	signer->began = (int64_t)time(NULL);
	signer->began_here = boot_seconds();
	OPENSSL_cleanse(&after, sizeof(after));
	save(signer);
}

static bool
new_root(struct signer *signer)
{
	if (make_root(signer) == -1)
		log_fatal("no key to sign the audit trail with can be made");
	save(signer);
	return false;
}

bool
signer_settle(struct signer *signer, const struct checkpoint *last, bool empty, char *what, size_t size)
{
	unsigned long long epoch = (unsigned long long)signer->epoch;

	if (last == NULL) {
		if (!empty || epoch == 0)
			return true;
		(void)snprintf(what, size, "the trail is empty, but the key that signs it is that of epoch %llu", epoch);
		return new_root(signer);
	}
	if (last->epoch == signer->epoch && strcmp(last->key, signer->key.public) == 0) {
		if (last->next[0] == '\0')
			return true;
		if (strcmp(last->next, signer->next.public) == 0) {
			begin_next_epoch(signer);	/* stopped between the two */
			return true;
		}
	} else if (last->epoch + 1 == signer->epoch && strcmp(last->next, signer->key.public) == 0) {
		return true;
	} else if (last->epoch < signer->epoch && !signer->is_new) {
		(void)snprintf(what, size, "the last checkpoint is of epoch %llu, but the key that signs is that of epoch %llu",
		    (unsigned long long)last->epoch, epoch);
		return false;			/* the gap stays to be seen */
	}
	(void)snprintf(what, size, "the key in state_dir is not the one that signed the checkpoint of record %llu, nor follows it",
	    (unsigned long long)last->seq);
	return signer->is_new ? false : new_root(signer);
}

bool
signer_ready(struct signer *signer)
{
	if (signer->unsaved)
		save(signer);
	return !signer->unsaved;
}

static int
sign(const struct key *key, const char *text, size_t len, char hex[CHECKPOINT_SIGNATURE_LEN + 1])
{
	unsigned char signature[CHECKPOINT_SIGNATURE_LEN / 2];
	size_t signature_len = sizeof(signature);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	EVP_PKEY *pkey = open_key(key);
	int result = -1;

	if (context != NULL && pkey != NULL && EVP_DigestSignInit(context, NULL, NULL, NULL, pkey) == 1 &&
	    EVP_DigestSign(context, signature, &signature_len, (const unsigned char *)text, len) == 1 &&
	    signature_len == sizeof(signature)) {
		checkpoint_hex(signature, signature_len, hex);
		result = 0;
	}
	EVP_PKEY_free(pkey);
	EVP_MD_CTX_free(context);
	return result;
}

int
signer_sign(struct signer *signer, uint64_t seq, const char *hash, char text[CHECKPOINT_TEXT_MAX])
{
	struct checkpoint checkpoint = { .epoch = signer->epoch, .seq = seq };
	int64_t age = (int64_t)time(NULL) - signer->began;

	memcpy(checkpoint.hash, hash, sizeof(checkpoint.hash));
	memcpy(checkpoint.key, signer->key.public, sizeof(checkpoint.key));
	/* A clock that is set back makes no epoch longer. */
	signer->evolves = age < 0 || age >= signer->epoch_seconds || boot_seconds() - signer->began_here >= signer->epoch_seconds;
	if (signer->evolves)
		memcpy(checkpoint.next, signer->next.public, sizeof(checkpoint.next));
	if (sign(&signer->key, text, checkpoint_print(&checkpoint, text), checkpoint.signature) == -1)
		return -1;
	(void)checkpoint_print(&checkpoint, text);
	return 0;
}

void
signer_done(struct signer *signer)
{
	if (signer->evolves)
		begin_next_epoch(signer);
	signer->evolves = false;
}

void
signer_undo(struct signer *signer)
{
	signer->evolves = false;
}
