/*
 * seal.c: the times of checkpoints.
 */
#include "gateway/audit/seal.h"

#include <string.h>

#include "gateway/core/log.h"

int
seal_open(struct seal *seal, struct event_base *base, int key_fd, event_callback_fn due, void *arg,
    struct vg_error *error)
{
	if (key_fd == -1)
		return 0;
	seal->signer = signer_open(key_fd, error);
	if (seal->signer == NULL)
		return -1;
	seal->timer = evtimer_new(base, due, arg);
	return seal->timer != NULL ? 0 : vg_fail(error, "out of memory");
}

void
seal_close(struct seal *seal)
{
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
seal_wanted(struct seal *seal, const struct chain *chain)
{
	if (seal->signer == NULL || chain->seq <= seal->covered)
		return false;
	if (!seal->due && chain->seq - seal->covered < CHECKPOINT_RECORDS && seal->bytes < CHECKPOINT_BYTES)
		return false;
	return signer_ready(seal->signer);
}

int
seal_make(struct seal *seal, const struct chain *chain, char text[CHECKPOINT_TEXT_MAX])
{
	if (signer_sign(seal->signer, chain->seq, chain->hash, text) == -1) {
		log_error("audit: the end of the trail cannot be signed");
		return -1;
	}
	seal->pending = true;
	return 0;
}

void
seal_group_done(struct seal *seal, const struct chain *chain, size_t bytes, bool durable)
{
	static const struct timeval wait = { CHECKPOINT_SECONDS, 0 };

	if (seal->signer == NULL)
		return;
	if (seal->pending && durable) {
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
