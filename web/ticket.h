/*
 * ticket.h: what lets a page open a console without showing its log-in: asked for by REST, bound to the log-in, to the guest's UUID and name, to what
 * one wants (look or work) and to the origin of the page that will show it. It counts once, and for half a minute. It never stands in an address, and so
 * in no log. A page shows it in one of two ways:
 *
 *   a second name beside `binary` in Sec-WebSocket-Protocol, "ticket.TOKEN": our own page, and every page that can set subprotocols;
 *   the first message, in the way of UltraVNC's repeater: the server's RFB version is 000.000, the answer "ID:" and TOKEN, filled up with NUL to
 *   250 bytes. noVNC's own page does that with its setting repeaterID. Only for pages elsewhere (web_embed_origins).
 */
#ifndef WEB_TICKET_H
#define WEB_TICKET_H

#include "web/session.h"

#define TICKET_ORIGIN_SIZE	300
#define TICKET_REPEATER_ID_LEN	250u

struct ticket {
	LIST_ENTRY(ticket) entry;
	char token[WEB_TOKEN_LEN + 1];
	struct web_session *session;
	char origin[TICKET_ORIGIN_SIZE];	/* of the page that will show it */
	char name[256];
	uint8_t uuid[VG_UUID_LEN];
	bool view;
	time_t until;
};

void ticket_post(struct request *request);	/* POST /api/v1/guests/UUID/console */
/* The ticket, which is the caller's now and counts no more, whatever becomes of it. NULL: there is none such for a page of this origin. */
struct ticket *ticket_take(const char *token, const char *origin);
void ticket_free(struct ticket *ticket);	/* NULL is fine */
/* All of a log-in. */
void ticket_drop_all(const struct web_session *session);

/* The token in what a browser sent; false, and "": there is none. */
bool ticket_in_protocols(const char *protocols, char token[WEB_TOKEN_LEN + 1]);
bool ticket_in_repeater_id(const uint8_t id[TICKET_REPEATER_ID_LEN], char token[WEB_TOKEN_LEN + 1]);

#endif
