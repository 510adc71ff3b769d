/*
 * sessions.h: who is connected, and ending him: the same for the control socket and for the browser.
 */
#ifndef GATE_SESSIONS_H
#define GATE_SESSIONS_H

#include "gateway/gate/gate.h"

/* All sessions, or those of one user (NULL: all); `reader`, when not NULL, finds his own marked with "own". A JSON array. */
json_t *sessions_list(struct gate *gate, const struct user *only, const struct session *reader);
/* NULL: there is none of this id. */
struct session *sessions_find(struct gate *gate, const char *id);
/*
 * Ends the session of this id, or all of this user (a name, or as the policy writes it), but never `by`, the session that asks for it (NULL: the
 * admin of this uid at the control socket). The records name who did it. Returns how many.
 */
json_int_t sessions_kill(struct gate *gate, const char *id, const char *user, const struct session *by, uint32_t uid);
/* Records that one is ended and ends it. */
void sessions_end(struct session *session, const struct session *by, uint32_t uid);
/* "enforce" or "permissive", as the policy file has it. */
const char *sessions_mode(const struct gate *gate);

#endif
