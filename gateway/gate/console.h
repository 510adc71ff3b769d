/*
 * console.h: a session whose client is a VNC viewer. It is a struct session like the others (listed, killed, judged again,
 * counted), in the state SESSION_CONSOLE from its first byte to its last; what it waits for within that is a
 * console_state. The backend end is a descriptor to QEMU's VNC server that libvirtd gave out: no listener, no password.
 */
#ifndef GATE_CONSOLE_H
#define GATE_CONSOLE_H

#include "gateway/gate/gate.h"

/* Named for what is awaited; in this order. console_enter() is the only place that changes it. */
enum console_state {
	CONSOLE_INVENTORY,		/* the domains that libvirtd has */
	CONSOLE_RECORDING,		/* the audit trail: that he opens it is durable */
	CONSOLE_DIALING,		/* libvirtd: a descriptor */
	CONSOLE_SERVER_VERSION,		/* QEMU: its version of RFB */
	CONSOLE_SERVER_SECURITY,	/* QEMU: its security types */
	CONSOLE_SERVER_RESULT,		/* QEMU: SecurityResult; the viewer's follows */
	CONSOLE_CLIENT_INIT,		/* the viewer: ClientInit */
	CONSOLE_SERVER_INIT,		/* QEMU: ServerInit */
	CONSOLE_OPEN,			/* both */
	CONSOLE_NUM_STATES
};

/* Begins a console for a session that was just created and whose identity names a guest. */
void console_start(struct session *session);
/* The inventory that it may wait for knows its domains now, or why it does not. */
void console_inventory_changed(struct session *session);
/* The session ends: records it and frees. No console is fine. */
void console_finish(struct session *session);
/* Bytes that arrived on one of the ends; return those eaten. */
size_t console_take_client(struct session *session, const uint8_t *data, size_t len);
size_t console_take_backend(struct session *session, const uint8_t *data, size_t len);
/* What he holds down in the guest is let go. */
void console_let_go(struct session *session);
/* For console.c and console_viewer.c. */
void console_enter(struct session *session, enum console_state state);
/* Is the end read in this state? */
bool console_reads(const struct session *session, const struct end *end);
/* Its rights, or its guest, may have changed: ends it when they do not suffice any more. */
void console_rejudge(struct session *session);
/* What it waited for did not come in time. */
void console_too_late(struct session *session);
/* SecurityResult with what the person at the viewer is told, if that is still to come; the session ends. */
void console_refuse(struct session *session, enum close_reason reason, const char *text);
/* Adds what `session list` shows of it. */
void console_describe(const struct session *session, json_t *json);

#endif
