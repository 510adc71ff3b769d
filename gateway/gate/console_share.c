#include "gateway/gate/console_share.h"

#include <string.h>

#include "gateway/core/log.h"
#include "gateway/gate/console_record.h"

/* Everybody else whose coming in is decided, at the same guest. */
static bool
is_other(const struct session *session, const struct session *other)
{
	const struct console *console = session->console, *theirs = other->console;

	return other != session && other->state == SESSION_CONSOLE && theirs->state > CONSOLE_INVENTORY &&
	    other->inventory == session->inventory && memcmp(theirs->uuid, console->uuid, VG_UUID_LEN) == 0;
}

unsigned
console_share_others(const struct session *session)
{
	const struct session *other;
	unsigned num = 0;

	TAILQ_FOREACH(other, &session->gate->sessions, entry)
		num += is_other(session, other);
	return num;
}

static bool
may(struct session *session, enum vg_permission permission)
{
	struct vg_object object = console_object(session->console);

	return decide_one(session, permission, &object).verdict != VERDICT_DENY;
}

enum console_join
console_share_join(struct session *session)
{
	const struct session *other;
	bool input = false, taken = false;
	unsigned num = 0;

	TAILQ_FOREACH(other, &session->gate->sessions, entry) {
		if (!is_other(session, other))
			continue;
		num++;
		input = input || other->console->mode == CONSOLE_INPUT;
		taken = taken || other->console->alone;
	}
	if (num >= (unsigned)session->gate->settings->max_console_viewers)
		return JOIN_FULL;
	if (taken && !may(session, VG_PERM_domain_takeover_console))
		return JOIN_TAKEN;
	if (!input || session->console->mode != CONSOLE_INPUT || may(session, VG_PERM_domain_share_graphics))
		return JOIN_AS_JUDGED;
	return may(session, VG_PERM_domain_view_graphics) ? JOIN_TO_VIEW : JOIN_BUSY;
}

const char *
console_share_refusal(enum console_join join)
{
	switch (join) {
	case JOIN_FULL:
		return "as many viewers as it may have (max_console_viewers) look at this screen";
	case JOIN_TAKEN:
		return "somebody has taken this screen for himself";
	case JOIN_BUSY:
		return "somebody else works at this screen ('domain:share_graphics')";
	case JOIN_AS_JUDGED:
	case JOIN_TO_VIEW:
		break;
	}
	return "";
}

void
console_share_take_over(struct session *session)
{
	struct session *other, *next;
	unsigned ended = 0;

	if (!may(session, VG_PERM_domain_takeover_console))
		return;
	session->console->alone = true;
	for (other = TAILQ_FIRST(&session->gate->sessions); other != NULL; other = next) {
		next = TAILQ_NEXT(other, entry);
		if (!is_other(session, other))
			continue;
		session_blame(other, session);
		console_refuse(other, CLOSE_CONSOLE_TAKEN, "somebody else has taken this screen");
		ended++;
	}
	if (ended == 0)
		return;
	log_info("session %s: took the screen of '%s' from %u others", session->id, session->console->name, ended);
	console_record_takeover(session, ended);
}
