/*
 * rights.c: judging again what was judged before.
 */
#include "gateway/gate/rights.h"

#include <stdlib.h>
#include <string.h>

#include "gateway/core/log.h"
#include "gateway/gate/console.h"
#include "gateway/gate/inventory.h"
#include "proto/virtgate.h"

/* ---- what was granted ---- */

/* Points the object at the copies of its texts. */
static bool
copy_text(const char **text, char *copy, size_t size)
{
	if (*text == NULL)
		return true;
	if (strlen(*text) >= size)
		return false;
	memcpy(copy, *text, strlen(*text) + 1);
	*text = copy;
	return true;
}

int
rights_remember(struct call *call, const struct judgement *judgement)
{
	struct granted *granted;

	if (call->proc->stream == RPC_STREAM_NONE || call->granted != NULL)
		return 0;
	granted = calloc(1, sizeof(*granted));
	if (granted == NULL)
		return -1;
	granted->num = judgement->num_permissions;
	memcpy(granted->permissions, judgement->permissions, granted->num * sizeof(granted->permissions[0]));
	granted->object = judgement->about.object;
	call->granted = granted;
	return copy_text(&granted->object.name, granted->name, sizeof(granted->name)) &&
	    copy_text(&granted->object.parent, granted->parent, sizeof(granted->parent)) ? 0 : -1;
}

/* Would it be granted now? A domain goes by the name that it has now. */
static bool
still_granted(struct session *session, const struct granted *granted)
{
	const struct inventory_domain *domain = granted->object.class == VG_CLASS_domain && granted->object.has_uuid ?
	    inventory_by_uuid(session->inventory, granted->object.uuid) : NULL;
	struct vg_object object = granted->object;

	if (domain != NULL)
		object.name = domain->name;
	for (size_t i = 0; i < granted->num; i++) {
		const enum vg_class class = permission_class(granted->permissions[i]);
		const struct vg_object whole = { .class = class, .any = class != VG_CLASS_connect };

		if (decide_one(session, granted->permissions[i], class == object.class ? &object : &whole).verdict == VERDICT_DENY)
			return false;
	}
	return true;
}

/* ---- cutting streams ---- */

static struct call *
find_cut(struct session *session, enum cut_side side)
{
	struct call *call = session->num_cuts == 0 ? NULL : session->calls;

	while (call != NULL && (call->cuts & side) == 0)
		call = call->next;
	return call;
}

static void
done(struct call *call, enum cut_side side)
{
	call->cuts &= ~(unsigned)side;
	call->session->num_cuts--;
}

void
rights_cut_backend(struct session *session)
{
	uint8_t abort_packet[RPC_HEADER_LEN];
	struct rpc_header header;
	struct call *call;

	while (session->client.pass == 0 && (call = find_cut(session, CUT_BACKEND)) != NULL) {
		done(call, CUT_BACKEND);
		/* A stream that its client has just ended needs no abort. */
		if (call->state != CALL_STREAM)
			continue;
		header = call->header;
		header.type = RPC_STREAM;
		header.status = RPC_STATUS_ERROR;
		header.length = RPC_HEADER_LEN;
		rpc_header_put(abort_packet, &header);
		call->state = CALL_STREAM_ENDING;
		end_send(&session->backend, abort_packet, sizeof(abort_packet));
	}
}

void
rights_cut_client(struct session *session)
{
	struct rpc_header header;
	struct call *call;

	while (session->backend.pass == 0 && (call = find_cut(session, CUT_CLIENT)) != NULL) {
		done(call, CUT_CLIENT);
		header = call->header;
		header.type = RPC_STREAM;
		call_refuse(session, &header, RPC_ERR_ACCESS_DENIED, RPC_ORIGIN_ACCESS, "access denied: the right to '%s' has ended", call->proc->name);
	}
}

void
rights_cut_late(struct session *session)
{
	if (session->num_cuts > 0)
		session_close(session, CLOSE_REVOKED);
}

static void
cut_streams(struct session *session)
{
	for (struct call *call = session->calls; call != NULL; call = call->next) {
		if (call->granted == NULL || call->was_cut || call->state < CALL_FORWARDED || call->state > CALL_STREAM_ENDING ||
		    still_granted(session, call->granted))
			continue;
		if (call->state == CALL_FORWARDED)	/* not open yet: the answer comes at once, and the next look cuts it */
			continue;
		log_info("session %s: the right to %s ended: its stream is cut", session->id, call->proc->name);
		call->was_cut = true;
		call->cuts = CUT_BACKEND | CUT_CLIENT;
		session->num_cuts += 2;
		session->cuts_since = gate_steady();
	}
	rights_cut_backend(session);
	rights_cut_client(session);
}

/* ---- judging a session ---- */

struct names {
	char *text;
	size_t len;
	bool failed;
};

static void
add_name(const char *id, void *arg)
{
	struct names *names = arg;
	size_t len = strlen(id), between = names->len == 0 ? 0 : 2;
	char *text = realloc(names->text, names->len + between + len + 1);

	if (text == NULL) {
		names->failed = true;
		return;
	}
	if (between > 0)
		memcpy(text + names->len, ", ", 2);
	memcpy(text + names->len + between, id, len + 1);
	names->text = text;
	names->len += between + len;
}

/* Remembered; told when they are others than before. */
void
rights_note(struct session *session)
{
	struct names names = { .text = NULL };

	policy_bindings_of(session->gate->policy, &session->identity, gate_now(session->gate), add_name, &names);
	if (names.failed) {		/* nothing is decided by it */
		free(names.text);
		return;
	}
	if (session->judged && strcmp(session->bindings == NULL ? "" : session->bindings, names.text == NULL ? "" : names.text) != 0)
		record_session(session, AUDIT_RIGHTS, "bindings in force: %s; before: %s", names.text == NULL ? "none" : names.text,
		    session->bindings == NULL ? "none" : session->bindings);
	free(session->bindings);
	session->bindings = names.text;
	session->judged = true;
}

/* A browser shows what he may do: what it shows is old now. */
static void
tell_browser(struct session *session)
{
	uint8_t message[RPC_HEADER_LEN];

	if (session->identity.via != VG_VIA_WEB || session->state != SESSION_OPEN)
		return;
	virtgate_put_rights(message);
	end_send(&session->client, message, sizeof(message));
}

void
rights_judge(struct session *session)
{
	if (session->state > SESSION_OPEN)
		return;
	rights_note(session);
	if (session->state == SESSION_CONSOLE)
		console_rejudge(session);
	else if (!policy_knows(session->gate->policy, &session->identity, gate_now(session->gate)))
		session_close(session, CLOSE_REVOKED);
	else if (session->state == SESSION_OPEN && session->num_streams > 0)
		cut_streams(session);
	tell_browser(session);
}

void
rights_judge_all(struct gate *gate)
{
	struct session *session, *next;

	for (session = TAILQ_FIRST(&gate->sessions); session != NULL; session = next) {
		next = TAILQ_NEXT(session, entry);
		session_rejudge(session);
	}
	gate->judge_at = policy_next_change(gate->policy, gate_now(gate));
}

void
rights_tick(struct gate *gate, time_t now)
{
	bool set_back = now < gate->ticked_at;	/* the host's clock: then something else may hold */

	gate->ticked_at = now;
	if (set_back || (gate->judge_at != 0 && now >= gate->judge_at))
		rights_judge_all(gate);
}
