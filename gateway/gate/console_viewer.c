/*
 * console_viewer.c: what a viewer says. His messages are taken one by one (rfb_client_get) and pass by what they are good for and what he may;
 * of some the gate makes its own.
 */
#include <string.h>

#include "gateway/gate/console.h"
#include "gateway/gate/console_record.h"
#include "gateway/gate/console_share.h"
#include "proto/rfb.h"

/* What of a viewer's messages passes, by what he may. */
static const bool passes[CONSOLE_NUM_MODES][RFB_USE_NOTHING + 1] = {
	[CONSOLE_VIEW] = { [RFB_USE_VIEW] = true, [RFB_USE_ENCODINGS] = true, [RFB_USE_SOUND] = true, [RFB_USE_EXTENDED] = true },
	[CONSOLE_INPUT] = { [RFB_USE_VIEW] = true, [RFB_USE_ENCODINGS] = true, [RFB_USE_SOUND] = true, [RFB_USE_EXTENDED] = true,
		[RFB_USE_INPUT] = true, [RFB_USE_CLIPBOARD] = true, [RFB_USE_RESIZE] = true },
};

/* QEMU is always told that he shares: for one who does not it would throw out the others, and that is not for a viewer to say. */
static size_t
take_client_init(struct session *session, bool shares)
{
	static const uint8_t shared = 1;

	if (!shares)
		console_share_take_over(session);
	session->console->active = gate_steady();
	end_send(&session->backend, &shared, sizeof(shared));
	console_enter(session, CONSOLE_SERVER_INIT);
	return 1;
}

static void
pass(struct session *session, const uint8_t *data, size_t len)
{
	session->console->bytes_to_backend += len;
	end_send(&session->backend, data, len);
}

static void
pass_encodings(struct session *session, const uint8_t *data, size_t len)
{
	struct console *console = session->console;
	uint8_t copy[4 + 4 * RFB_MAX_ENCODINGS];

	memcpy(copy, data, len);
	console->clipboard.on = console->copies;
	pass(session, copy, rfb_filter_encodings(copy, len, &console->clipboard.on));
}

static void
pass_clipboard(struct session *session, const uint8_t *data, size_t len)
{
	struct console *console = session->console;
	bool pastes = console->pastes && console->mode == CONSOLE_INPUT;
	const uint8_t *made;
	size_t made_len = console_clipboard_take(&console->clipboard, data, len, console->copies, pastes, gate_steady(), &made);

	if (made_len == 0)
		console->dropped++;
	pass(session, made, made_len);
}

/* Messages that do not go on as they came. False: this one does, or not at all. */
static bool
pass_changed(struct session *session, enum rfb_use use, const uint8_t *data, size_t len)
{
	if (use == RFB_USE_ENCODINGS)
		pass_encodings(session, data, len);
	else if (use == RFB_USE_EXTENDED)
		pass_clipboard(session, data, len);
	return use == RFB_USE_ENCODINGS || use == RFB_USE_EXTENDED;
}

/* Whole messages, those that pass one behind the other sent as one piece. */
static size_t
take_messages(struct session *session, const uint8_t *data, size_t len)
{
	struct console *console = session->console;
	size_t at = 0, from = 0;
	struct rfb_message message;
	enum vg_parse parse;

	while ((parse = rfb_client_get(data + at, len - at, &message)) == VG_OK) {
		bool passed = passes[console->mode][message.use] && (message.use != RFB_USE_CLIPBOARD || console->pastes);

		if (message.use >= RFB_USE_INPUT)
			console->active = gate_steady();
		if (passed && message.use == RFB_USE_INPUT)
			console_held_note(&console->held, data + at);
		if (!passed || message.use == RFB_USE_ENCODINGS || message.use == RFB_USE_EXTENDED) {
			pass(session, data + from, at - from);
			if (!pass_changed(session, message.use, data + at, message.len))
				console->dropped++;
			from = at + message.len;
		}
		at += message.len;
	}
	pass(session, data + from, at - from);
	if (parse == VG_BAD) {
		record_session(session, AUDIT_PROTOCOL, "a viewer's message of type %u that is not known, too long or not valid", data[at]);
		session_close(session, CLOSE_CLIENT_PROTOCOL);
		return len;
	}
	return at;
}

size_t
console_take_client(struct session *session, const uint8_t *data, size_t len)
{
	size_t eaten = 0;

	if (session->console->state == CONSOLE_CLIENT_INIT && len > 0)
		return take_client_init(session, data[0] != 0);
	if (session->console->state == CONSOLE_OPEN)
		eaten = take_messages(session, data, len);
	return eaten;
}

void
console_let_go(struct session *session)
{
	uint8_t released[CONSOLE_HELD_RELEASE];

	pass(session, released, console_held_release(&session->console->held, released));
}
