/*
 * console.h: a guest's screen in the browser: a WebSocket at /console that shows a ticket (ticket.h). Its protocol is `binary` (RFB as noVNC
 * has it).
 */
#ifndef WEB_CONSOLE_H
#define WEB_CONSOLE_H

#include "web/session.h"

/* Why a socket was closed, as its close code says it. */
enum console_close { CONSOLE_BAD_TICKET = 4401, CONSOLE_TOO_SLOW = 4408, CONSOLE_ENDED = 4403, CONSOLE_LOGGED_OUT = 4410, CONSOLE_NOT_BINARY = 1003, CONSOLE_NO_GATE = 4500 };

/* All consoles and tickets of a log-in. */
void console_end_all(struct web_session *session, const char *reason);

#endif
