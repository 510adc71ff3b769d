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

/* On a line of its own. */
static int
add_to_list(struct seal *seal, const struct checkpoint *checkpoint)
{
	char line[CHECKPOINT_TEXT_MAX + 2];
	size_t len;

	line[0] = '\n';		/* an empty line is no harm, half a line before this one would be */
	len = 1 + checkpoint_print(checkpoint, line + 1);
	line[len++] = '\n';
	if (store_write_all(seal->calls, seal->keys_fd, line, len) == -1 || seal->calls->fdatasync(seal->keys_fd) == -1)
		return -1;
	seal->listed = *checkpoint;
	return 0;
}

int
seal_list(struct seal *seal)
{
	int error;

	if (!seal->waits)
		return 0;
	if (add_to_list(seal, &seal->unlisted) == -1) {
		error = errno;
		if (!seal->told)
			log_error("audit: %s cannot be written: %s; until it can there are no checkpoints, and no new segment", AUDIT_KEYS_FILE, strerror(error));
		seal->told = true;
		errno = error;
		return -1;
	}
	seal->waits = seal->told = false;
	return 0;
}

/*
 * Ends this one an epoch, and is it not listed? Then it waits to be. Another that waits already is met only by a start whose list lacks several; it is
 * listed first, and is durable, since it was when this one was signed.
 */
static void
wait_for_list(struct seal *seal, const struct checkpoint *checkpoint)
{
	if (checkpoint->next[0] == '\0' || checkpoint->seq <= seal->listed.seq || (seal->waits && checkpoint->seq <= seal->unlisted.seq))
		return;
	if (seal_list(seal) == -1)
		seal->forgot = true;
	seal->unlisted = *checkpoint;
	seal->waits = true;
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
    const struct store_calls *calls, event_callback_fn due, void *arg, struct vg_error *error)
{
	seal->keys_fd = -1;
	seal->calls = calls;
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
	wait_for_list(seal, &checkpoint);
	seal->last = checkpoint;
	seal->has_last = true;
	seal->covered = facts->seq;
}

bool
seal_all_listed(const struct seal *seal)
{
	return !seal->forgot;
}

bool
seal_settle(struct seal *seal, const struct chain *chain, char *what, size_t size)
{
	const struct checkpoint *last = NULL;

	if (seal->signer == NULL)
		return true;
	(void)seal_list(seal);
	seal->due = chain->seq > seal->covered;
	if (seal->has_last)
		last = &seal->last;
	else if (chain->seq > 0 && seal->listed.seq > 0)
		last = &seal->listed;		/* the segments that were read have none */
	return signer_settle(seal->signer, last, chain->seq == 0, what, size);
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
	return seal_list(seal) == 0 && signer_ready(seal->signer);
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
		wait_for_list(seal, &seal->last);
		(void)seal_list(seal);
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
