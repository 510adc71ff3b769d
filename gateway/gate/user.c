/*
 * user.c: counting what one person takes of the gate.
 */
#include "gateway/gate/user.h"

#include <stdlib.h>
#include <string.h>

#include "gateway/core/handover.h"
#include "gateway/gate/unusual.h"

#define RECORD_SECONDS 10

/* What identifies the person: the first of SASL name, certificate, local user. -1: out of memory. */
static char *
make_name(const struct vg_identity *identity)
{
	const char *kind = identity->sasl_name != NULL ? "sasl" : identity->x509_dn != NULL ? "x509" : "unix";
	char *name;

	return asprintf(&name, "%s:%s", kind, identity_name(identity)) < 0 ? NULL : name;
}

struct user *
user_take(struct gate *gate, const struct vg_identity *identity)
{
	struct user *user;
	char *name = make_name(identity);

	if (name == NULL)
		return NULL;
	TAILQ_FOREACH(user, &gate->users, entry)
		if (strcmp(user->name, name) == 0)
			break;
	if (user == NULL && (user = calloc(1, sizeof(*user))) != NULL) {
		user->name = name;
		name = NULL;
		TAILQ_INSERT_HEAD(&gate->users, user, entry);
	}
	free(name);
	if (user != NULL)
		user->sessions++;
	return user;
}

static void
forget(struct gate *gate, struct user *user)
{
	TAILQ_REMOVE(&gate->users, user, entry);
	free(user->name);
	free(user);
}

static bool
is_of_use(const struct user *user, time_t now)
{
	return user->sessions > 0 || now - user->hidden_since < UNUSUAL_SECONDS || now - user->hours_told < UNUSUAL_SECONDS;
}

void
user_drop(struct gate *gate, struct user *user)
{
	if (user == NULL)
		return;
	user->sessions--;
	if (!is_of_use(user, gate_steady()))
		forget(gate, user);
}

void
user_tick(struct gate *gate, time_t now)
{
	struct user *user, *next;

	for (user = TAILQ_FIRST(&gate->users); user != NULL; user = next) {
		next = TAILQ_NEXT(user, entry);
		if (!is_of_use(user, now))
			forget(gate, user);
	}
}

bool
user_may_open(const struct session *session, char *why, size_t size)
{
	int limit = session->gate->settings->max_user_sessions;

	if (session->user->sessions <= (size_t)limit)
		return true;
	(void)snprintf(why, size, "too many sessions of %s: %d is the limit (max_user_sessions)", session->user->name, limit);
	return false;
}

bool
user_may_call(struct session *session, char *why, size_t size)
{
	int limit = session->gate->settings->max_user_requests;

	if (session->user->calls < (size_t)limit)
		return true;
	(void)snprintf(why, size, "too many calls of %s in flight: %d is the limit (max_user_requests)", session->user->name, limit);
	return false;
}

static size_t
buffered(const struct session *session)
{
	size_t sum = buf_len(&session->client.in) + buf_len(&session->client.out) + buf_len(&session->backend.in) + buf_len(&session->backend.out);

	for (const struct call *call = session->calls; call != NULL; call = call->next)
		sum += call->message == NULL ? 0 : call->message_len;
	return sum;
}

/* Added up when a large message is about to be collected, which is rare. */
bool
user_may_buffer(struct session *session, size_t more, char *why, size_t size)
{
	size_t limit = (size_t)session->gate->settings->max_user_buffer * 1024u * 1024u;
	const struct session *other;
	size_t sum = more;

	TAILQ_FOREACH(other, &session->gate->sessions, entry)
		if (other->user == session->user)
			sum += buffered(other);
	if (sum <= limit)
		return true;
	(void)snprintf(why, size, "too much of %s waits in the gateway: %d MiB is the limit (max_user_buffer)", session->user->name,
	    session->gate->settings->max_user_buffer);
	return false;
}

void
user_record_limit(struct session *session, const char *why)
{
	time_t now = gate_steady();

	if (now - session->user->refused_at < RECORD_SECONDS)
		return;
	session->user->refused_at = now;
	record_session(session, AUDIT_LIMIT, "%s", why);
}
