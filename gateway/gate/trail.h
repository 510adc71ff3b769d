/*
 * trail.h: asks the audit reader, a process of its own, about the trail. Nothing waits: the answer comes to a callback, in the loop, or after a minute the
 * word that there is none.
 */
#ifndef GATE_TRAIL_H
#define GATE_TRAIL_H

#include "gateway/gate/gate.h"

enum trail_result {
	TRAIL_ANSWERED,		/* text: JSON */
	TRAIL_REFUSED,		/* text: why the question makes no sense */
	TRAIL_AWAY		/* text: why there is no answer */
};
/* `text` is borrowed for the call and terminated. Not called after trail_forget, and never from within trail_ask. */
typedef void trail_answer_cb(enum trail_result result, const char *text, size_t len, void *arg);

struct trail *trail_create(struct gate *gate);
void trail_destroy(struct trail *trail);
/* A (new) link to the reader; takes `fd`. Questions that went to the one before get no answer. */
void trail_connect(struct trail *trail, int fd);
/* Returns a ticket for trail_forget; 0: the reader is away, the question too long (LINK_ASK_MAX), or memory is out. */
uint64_t trail_ask(struct trail *trail, const json_t *question, trail_answer_cb *answer, void *arg);
void trail_forget(struct trail *trail, uint64_t ticket);
/* Once a second: answers that are overdue. */
void trail_tick(struct trail *trail, time_t now);

#endif
