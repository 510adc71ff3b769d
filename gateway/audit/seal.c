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
#include "gateway/core/log.h"

/* ---- the list of keys ---- */

/*
 * Ends the epoch of one that is not listed yet? Then it is added; the trail has it too, until its segment is removed. What
 * fails is tried again before there is another checkpoint, on a line of its own.
 */
static bool
list_key(struct seal *seal, const struct checkpoint *checkpoint)
{
	char line[CHECKPOINT_TEXT_MAX + 2];
	size_t len;

	if (checkpoint->next[0] == '\0' || checkpoint->seq <= seal->listed.seq)
		return true;
	line[0] = '\n';		/* an empty line is no harm, half a line before this one would be */
	len = 1 + checkpoint_print(checkpoint, line + 1);
	line[len++] = '\n';
	if (write(seal->keys_fd, line, len) != (ssize_t)len || fdatasync(seal->keys_fd) == -1) {
		if (!seal->has_unlisted)
			log_error("audit: %s cannot be written: %s; there are no checkpoints until it can", AUDIT_KEYS_FILE, strerror(errno));
		seal->unlisted = *checkpoint;
		seal->has_unlisted = true;
		return false;
	}
	seal->listed = *checkpoint;
	seal->has_unlisted = false;
	return true;
}

/* Finds the last one. */
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
	(void)list_key(seal, &checkpoint);
	seal->last = checkpoint;
	seal->has_last = true;
	seal->covered = facts->seq;
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
	return (!seal->has_unlisted || list_key(seal, &seal->unlisted)) && signer_ready(seal->signer);
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
		(void)list_key(seal, &seal->last);
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
