/*
 * console_record.h: one console, and what the audit trail is told of it.
 */
#ifndef GATE_CONSOLE_RECORD_H
#define GATE_CONSOLE_RECORD_H

#include "gateway/gate/console.h"
#include "gateway/gate/console_clipboard.h"
#include "gateway/gate/console_held.h"

/* What a viewer may, most first. */
enum console_mode { CONSOLE_INPUT, CONSOLE_VIEW, CONSOLE_NUM_MODES };

struct upstream;

struct console {
	enum console_state state;
	bool found;			/* the guest is known: uuid, and the session's inventory, are set */
	bool opened;			/* the record is durable: its end will be told too */
	char *name;			/* of the guest, as he asked for it and then as the inventory has it */
	uint8_t uuid[VG_UUID_LEN];
	enum console_mode mode, most;	/* most: that he came in with, or was left with since */
	struct console_held held;	/* keys and buttons that are down */
	bool pastes, copies;		/* may put text on the guest's clipboard, have the guest's */
	struct console_clipboard clipboard;
	bool alone;			/* took the screen for himself */
	time_t active;			/* when he last typed, pointed or pasted */
	enum vg_permission permission;	/* that the mode needs, and what settled it */
	struct decision decision;	/* its binding is borrowed from the policy in force */
	struct upstream *upstream;	/* while libvirtd is asked */
	uint64_t ticket;		/* of the opening's record, while it is awaited */
	struct timespec started;
	uint64_t bytes_to_client, bytes_to_backend, dropped;	/* dropped: messages */
};

/* The guest, as the policy is asked about it. The name is borrowed. */
struct vg_object console_object(const struct console *console);
/* "input", "view" */
const char *console_mode_name(enum console_mode mode);
/* The opening, to be durable before anything else happens. 0: refused. */
uint64_t console_record_open(struct session *session, audit_done_cb *done);
/* `why` where it is not the policy. Its op in `op`. */
void console_record_refusal(struct session *session, const char *why, char op[ID_LEN + 1]);
/* He took the screen from so many others. */
void console_record_takeover(struct session *session, unsigned ended);
/* His input was taken away; he goes on looking. */
void console_record_narrow(struct session *session);
void console_record_close(struct session *session);

#endif
