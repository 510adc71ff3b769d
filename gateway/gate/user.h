/*
 * user.h: one person over all his sessions, for the limits that are his and not a session's: max_user_sessions, max_user_requests,
 * max_user_buffer.
 */
#ifndef GATE_USER_H
#define GATE_USER_H

#include "gateway/gate/gate.h"

struct user {
	TAILQ_ENTRY(user) entry;
	char *name;			/* as the policy writes it: "sasl:alice", "x509:CN=bob", "unix:carol" */
	size_t sessions, calls;		/* calls: in flight */
	time_t refused_at;		/* last record of a limit, for the rate limit */
	unsigned hidden;		/* requests for what he does not see (unusual.h), */
	time_t hidden_since;		/* since then */
	time_t hours_told;		/* last record of access outside hours */
};

/* The user of a new session; counts it. NULL: out of memory. */
struct user *user_take(struct gate *gate, const struct vg_identity *identity);
/* The session is over. He is kept in mind as long as what is counted about him is of use. */
void user_drop(struct gate *gate, struct user *user);
/* Once a second: forgets those of whom nothing is left to know. */
void user_tick(struct gate *gate, time_t now);
/* May this session go on with one more call, and with `more` bytes waiting for its end? False: `why` says which limit is reached. */
bool user_may_call(struct session *session, char *why, size_t size);
bool user_may_buffer(struct session *session, size_t more, char *why, size_t size);
bool user_may_open(const struct session *session, char *why, size_t size);
/* A limit refused something: on record, at most every ten seconds. */
void user_record_limit(struct session *session, const char *why);

#endif
