/*
 * seal.c: the times of checkpoints.
 */
#include "gateway/audit/seal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/audit/reader.h"
#include "gateway/audit/store.h"
#include "gateway/core/log.h"

/* ---- the list of keys ---- */

/* On a line of its own. */
static bool
add_to_list(struct seal *seal, const struct checkpoint *checkpoint)
{
	char line[CHECKPOINT_TEXT_MAX + 2];
	size_t len;

	line[0] = '\n';		/* an empty line is no harm, half a line before this one would be */
	len = 1 + checkpoint_print(checkpoint, line + 1);
	line[len++] = '\n';
	if (write(seal->keys_fd, line, len) != (ssize_t)len || fdatasync(seal->keys_fd) == -1)
		return false;
	seal->listed = *checkpoint;
	return true;
}

/* In their order. What fails is tried again before there is another checkpoint. */
static bool
add_unlisted(struct seal *seal)
{
	while (seal->num_unlisted > 0) {
		if (!add_to_list(seal, &seal->unlisted[0])) {
			if (!seal->told)
				log_error("audit: %s cannot be written: %s; there are no checkpoints until it can", AUDIT_KEYS_FILE, strerror(errno));
			seal->told = true;
			return false;
		}
		memmove(&seal->unlisted[0], &seal->unlisted[1], --seal->num_unlisted * sizeof(seal->unlisted[0]));
	}
	seal->told = false;
	return true;
}

/* Ends the epoch of one that is not listed yet? Then it is added; the trail has it too, until its segment is removed. */
static void
list_key(struct seal *seal, const struct checkpoint *checkpoint)
{
	uint64_t last = seal->num_unlisted > 0 ? seal->unlisted[seal->num_unlisted - 1].seq : seal->listed.seq;

	if (checkpoint->next[0] == '\0' || checkpoint->seq <= last)
		return;
	if (seal->num_unlisted == UNLISTED_MAX) {
		seal->forgot = true;
		return;
	}
	seal->unlisted[seal->num_unlisted++] = *checkpoint;
	(void)add_unlisted(seal);
}

/* Finds the last one. What an earlier writer added last may not be durable. */
static int
open_list(struct seal *seal, const char *dir, struct vg_error *error)
{
	char path[4096], tail[8 * CHECKPOINT_TEXT_MAX + 1], *rest = tail, *line;
	struct checkpoint checkpoint;
	off_t from;
	struct stat st;
	ssize_t got;

	if (snprintf(path, sizeof(path), "%s/%s", dir, AUDIT_KEYS_FILE) >= (int)sizeof(path))
		return vg_fail(error, "audit_dir is too long");
	seal->keys_fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (seal->keys_fd == -1 || fstat(seal->keys_fd, &st) == -1)
		return vg_fail(error, "%s: %s", path, strerror(errno));
	from = st.st_size > (off_t)sizeof(tail) - 1 ? st.st_size - (off_t)sizeof(tail) + 1 : 0;
	got = pread(seal->keys_fd, tail, sizeof(tail) - 1, from);
	for (ssize_t i = 0; i < got; i++)
		if (tail[i] == '\0')		/* what a crash left; such a line is none */
			tail[i] = '?';
	tail[got > 0 ? got : 0] = '\0';
	while ((line = strsep(&rest, "\n")) != NULL)
		if (checkpoint_parse(line, strlen(line), &checkpoint) && checkpoint.seq > seal->listed.seq)
			seal->listed = checkpoint;
	if (store_write_again(AT_FDCWD, path, (uint64_t)from, (uint64_t)st.st_size) == -1) {
		vg_fail(error, "%s: cannot be made durable: %s", path, strerror(errno));
		return vg_hint(error, "the kernel's log says what is wrong with the disk");
	}
	return 0;
}

/* ---- life ---- */

int
seal_open(struct seal *seal, struct event_base *base, int key_fd, unsigned epoch_seconds, const char *dir,
    event_callback_fn due, void *arg, struct vg_error *error)
{
	seal->keys_fd = -1;
	if (key_fd == -1)
		return 0;
	seal->signer = signer_open(key_fd, epoch_seconds, error);
	if (seal->signer == NULL)
		return -1;
	seal->timer = evtimer_new(base, due, arg);
	return seal->timer != NULL ? open_list(seal, dir, error) : vg_fail(error, "out of memory");
}

void
seal_close(struct seal *seal)
{
	if (seal->signer != NULL && seal->keys_fd != -1)
		close(seal->keys_fd);
	signer_close(seal->signer);
	if (seal->timer != NULL)
		event_free(seal->timer);
	memset(seal, 0, sizeof(*seal));
}

void
seal_take_line(struct seal *seal, const struct scan_line *facts, const char *line, size_t len)
{
	struct checkpoint checkpoint;

	if (seal->signer == NULL || strcmp(facts->code, CHECKPOINT_CODE) != 0 || !checkpoint_in_line(line, len, &checkpoint))
		return;
	list_key(seal, &checkpoint);
	seal->last = checkpoint;
	seal->has_last = true;
	seal->covered = facts->seq;
}

bool
seal_list(struct seal *seal)
{
	return seal->signer == NULL || add_unlisted(seal);
}

bool
seal_all_listed(const struct seal *seal)
{
	return !seal->forgot;
}

bool
seal_settle(struct seal *seal, const struct chain *chain, char *what, size_t size)
{
	if (seal->signer == NULL)
		return true;
	seal->due = chain->seq > seal->covered;
	return signer_settle(seal->signer, seal->has_last ? &seal->last : NULL, chain->seq == 0, what, size);
}

bool
seal_root_untold(const struct seal *seal)
{
	return seal->signer != NULL && (signer_is_new(seal->signer) || (signer_is_root(seal->signer) && !seal->has_last));
}

bool
seal_wanted(struct seal *seal, const struct chain *chain)
{
	if (seal->signer == NULL || chain->seq <= seal->covered)
		return false;
	if (!seal->due && chain->seq - seal->covered < CHECKPOINT_RECORDS && seal->bytes < CHECKPOINT_BYTES)
		return false;
	return add_unlisted(seal) && signer_ready(seal->signer);
}

int
seal_make(struct seal *seal, const struct chain *chain, char text[CHECKPOINT_TEXT_MAX])
{
	if (signer_sign(seal->signer, chain->seq, chain->hash, text) == -1) {
		log_error("audit: the end of the trail cannot be signed");
		return -1;
	}
	(void)checkpoint_parse(text, strlen(text), &seal->last);
	seal->pending = true;
	return 0;
}

void
seal_forget(struct seal *seal)
{
	signer_undo(seal->signer);
	seal->pending = false;
}

void
seal_group_done(struct seal *seal, const struct chain *chain, size_t bytes, bool durable)
{
	static const struct timeval wait = { CHECKPOINT_SECONDS, 0 };

	if (seal->signer == NULL)
		return;
	if (seal->pending && durable) {
		list_key(seal, &seal->last);
		signer_done(seal->signer);
		seal->covered = chain->seq;
		seal->bytes = 0;
		seal->due = false;
		(void)event_del(seal->timer);
	} else if (seal->pending) {
		signer_undo(seal->signer);
	} else if (durable) {
		seal->bytes += bytes;
	}
	seal->pending = false;
	if (chain->seq > seal->covered && !evtimer_pending(seal->timer, NULL))
		(void)event_add(seal->timer, &wait);
}
