/*
 * console.h: a guest's screen in the browser: a WebSocket at /console that shows a ticket (ticket.h). Its protocol is `binary` (RFB as noVNC
 * has it).
 */
#ifndef WEB_CONSOLE_H
#define WEB_CONSOLE_H

#include "web/session.h"

/* All consoles and tickets of a log-in. Why others end, and their close codes: virtgate/endings.def. */
void console_end_all(struct web_session *session, const char *reason);

#endif
