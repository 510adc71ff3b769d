/*
 * console.h: a guest's screen in the browser. A ticket, asked for by REST, opens one WebSocket: it is bound to the log-in, to the guest's UUID and
 * name, to what one wants (look or work) and to the page's origin, counts once, and for half a minute. The socket's protocol is `binary` (RFB as
 * noVNC has it); the ticket is a second name beside it in Sec-WebSocket-Protocol, so it stands in no address and in no log.
 */
#ifndef WEB_CONSOLE_H
#define WEB_CONSOLE_H

#include "web/session.h"

/* Why a socket was closed, as its close code says it. */
enum console_close { CONSOLE_BAD_TICKET = 4401, CONSOLE_ENDED = 4403, CONSOLE_LOGGED_OUT = 4410, CONSOLE_NOT_BINARY = 1003, CONSOLE_NO_GATE = 4500 };

void console_ticket(struct request *request);	/* POST /api/v1/guests/UUID/console */
/* All consoles and tickets of a log-in. */
void console_end_all(struct web_session *session, const char *reason);

#endif
