/*
 * rights.h: what a session may changes while it lasts: a reload brings another policy, a binding ends, its hours begin. Calls and events are
 * judged when they come; here is what lasts longer than that: the session itself, and streams.
 */
#ifndef GATE_RIGHTS_H
#define GATE_RIGHTS_H

#include "gateway/gate/gate.h"

/* The permissions that a stream was opened with, and on what. Owned by the call. */
struct granted {
	enum vg_permission permissions[16];
	size_t num;
	struct vg_object object;	/* its texts are those below */
	char name[256], parent[256];
};

/* Notes what an allowed call was granted, if it opens a stream. -1: out of memory. */
int rights_remember(struct call *call, const struct judgement *judgement);
/* The bindings about a new session's user, to tell later changes from. Whom the policy does not know is refused at CONNECT_OPEN, with an answer. */
void rights_note(struct session *session);
/*
 * Judges a session anew: ends it when the policy does not know him any more; records which bindings about him came and went; cuts streams that
 * he could not open any more.
 */
void rights_judge(struct session *session);
/* Judges all of them, and says when that must be done again because a binding ends or its hours change. */
void rights_judge_all(struct gate *gate);
/* Once a second: is it time? */
void rights_tick(struct gate *gate, time_t now);

/*
 * A cut stream is aborted towards libvirtd and failed towards the client, each where one message ends and another may begin. Called there;
 * cheap when there is nothing to do.
 */
void rights_cut_backend(struct session *session);
void rights_cut_client(struct session *session);
/* The side that does not come to the end of its message ends the session. */
void rights_cut_late(struct session *session);

#endif
