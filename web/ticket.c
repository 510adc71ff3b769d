/*
 * ticket.c: tickets that are open, given by REST and shown by a WebSocket.
 */
#include "web/ticket.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "web/act.h"
#include "web/guests.h"

#define TICKET_SECONDS	30
#define MAX_TICKETS	4000u	/* open at a time */
#define MAX_PER_LOGIN	20u	/* and of one log-in, so that nobody has them all */

static LIST_HEAD(, ticket) tickets = LIST_HEAD_INITIALIZER(tickets);
static unsigned num_tickets;

/* ---- keeping and taking ---- */

void
ticket_free(struct ticket *ticket)
{
	if (ticket == NULL)
		return;
	explicit_bzero(ticket->token, sizeof(ticket->token));
	free(ticket);
}

static void
ticket_drop(struct ticket *ticket)
{
	LIST_REMOVE(ticket, entry);
	num_tickets--;
	ticket_free(ticket);
}

static void
drop_old(void)
{
	struct ticket *ticket, *next;

	for (ticket = LIST_FIRST(&tickets); ticket != NULL; ticket = next) {
		next = LIST_NEXT(ticket, entry);
		if (ticket->until <= web_now())
			ticket_drop(ticket);
	}
}

static unsigned
count_of(const struct web_session *session)
{
	const struct ticket *ticket;
	unsigned num = 0;

	LIST_FOREACH(ticket, &tickets, entry)
		num += ticket->session == session;
	return num;
}

/* It counts once: out of the list, whatever becomes of it. NULL: there is none such for a page of this origin. */
struct ticket *
ticket_take(const char *token, const char *origin)
{
	struct ticket *ticket;

	drop_old();
	LIST_FOREACH(ticket, &tickets, entry) {
		if (!web_same_token(ticket->token, token))
			continue;
		LIST_REMOVE(ticket, entry);
		num_tickets--;
		if (strcmp(ticket->origin, origin) == 0)
			return ticket;
		ticket_free(ticket);
		return NULL;
	}
	return NULL;
}

void
ticket_drop_all(const struct web_session *session)
{
	struct ticket *ticket, *next;

	for (ticket = LIST_FIRST(&tickets); ticket != NULL; ticket = next) {
		next = LIST_NEXT(ticket, entry);
		if (ticket->session == session)
			ticket_drop(ticket);
	}
}

/* ---- what a browser shows ---- */

bool
ticket_in_protocols(const char *protocols, char token[WEB_TOKEN_LEN + 1])
{
	const char *at = strstr(protocols, "ticket.");

	token[0] = '\0';
	if (at == NULL || strcspn(at + 7, ", ") != WEB_TOKEN_LEN)
		return false;
	memcpy(token, at + 7, WEB_TOKEN_LEN);
	token[WEB_TOKEN_LEN] = '\0';
	return true;
}

bool
ticket_in_repeater_id(const uint8_t id[TICKET_REPEATER_ID_LEN], char token[WEB_TOKEN_LEN + 1])
{
	token[0] = '\0';
	if (memcmp(id, "ID:", 3) != 0 || strnlen((const char *)id + 3, TICKET_REPEATER_ID_LEN - 3) != WEB_TOKEN_LEN)
		return false;
	memcpy(token, id + 3, WEB_TOKEN_LEN + 1);
	return true;
}

/* ---- giving ---- */

static void
on_guest(struct request *request, const uint8_t *domain, size_t len)
{
	struct ticket *ticket = calloc(1, sizeof(*ticket));
	const struct xdr_span span = { domain, len };
	struct xdr_object object;

	if (ticket == NULL || web_token(ticket->token) < 0 || !xdr_get_object(VG_CLASS_domain, span, &object) || object.uuid == NULL ||
	    object.name.len >= sizeof(ticket->name)) {
		ticket_free(ticket);
		reply_error(request, 500, RPC_ERR_INTERNAL, "no ticket can be given");
		return;
	}
	memcpy(ticket->name, object.name.data, object.name.len);
	memcpy(ticket->uuid, object.uuid, VG_UUID_LEN);
	ticket->session = request->session;
	ticket->view = json_is_true(json_object_get(request->json, "view"));
	(void)snprintf(ticket->origin, sizeof(ticket->origin), "%s", json_string_value(json_object_get(request->json, "origin")));
	ticket->until = web_now() + TICKET_SECONDS;
	LIST_INSERT_HEAD(&tickets, ticket, entry);
	num_tickets++;
	reply_json(request, 200, json_pack("{s:s, s:i, s:s}", "ticket", ticket->token, "expires_seconds", TICKET_SECONDS, "path", "/console"));
}

/* Whose page the ticket is for: the one it was asked for, or the one that asks. False: neither can be. */
static bool
find_page(const struct request *request, const json_t *asked, char origin[TICKET_ORIGIN_SIZE])
{
	if (asked == NULL)
		return request_header(request, WSI_TOKEN_ORIGIN, origin, TICKET_ORIGIN_SIZE);
	if (!json_is_string(asked) || json_string_length(asked) >= TICKET_ORIGIN_SIZE || strlen(json_string_value(asked)) != json_string_length(asked) ||
	    !web_may_embed(request->web, json_string_value(asked)))
		return false;
	memcpy(origin, json_string_value(asked), json_string_length(asked) + 1);
	return true;
}

void
ticket_post(struct request *request)
{
	json_t *json = request_json(request);
	const char *mode = json_string_value(json_object_get(json, "mode"));
	bool view = mode != NULL && strcmp(mode, "view") == 0;
	char origin[TICKET_ORIGIN_SIZE];

	if (json == NULL)
		return;
	drop_old();
	if (!view && (mode == NULL || strcmp(mode, "input") != 0)) {
		reply_error(request, 400, RPC_ERR_INVALID_ARG, "\"mode\" is \"input\" or \"view\"");
	} else if (!find_page(request, json_object_get(json, "origin"), origin)) {
		reply_error(request, 400, RPC_ERR_INVALID_ARG, "\"origin\" is none of web_embed_origins in virtgated.conf");
	} else if (num_tickets >= MAX_TICKETS || count_of(request->session) >= MAX_PER_LOGIN) {
		reply_error(request, 503, RPC_ERR_SYSTEM, "too many tickets are open: try again in a moment");
	} else {
		request->json = json_pack("{s:b, s:s}", "view", view, "origin", origin);
		guest_find(request, on_guest);
	}
	json_decref(json);
}
