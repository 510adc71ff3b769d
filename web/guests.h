/*
 * guests.h: what a logged-in person sees of the guests, and does to them. One list a session, made of calls at the gate, kept until libvirt
 * says that something has changed.
 */
#ifndef WEB_GUESTS_H
#define WEB_GUESTS_H

#include "web/session.h"

struct guests;

void guests_start(struct web_session *session);
void guests_event(struct web_session *session, const struct rpc_proc *proc, const uint8_t *body, size_t len);
void guests_tick(struct web_session *session);
/* Event streams end with `reason`, requests that wait for the list with an error. */
void guests_end(struct web_session *session, const char *reason);
void guests_free(struct guests *guests);

/* ---- routes ---- */

void guests_list(struct request *request);	/* GET /api/v1/guests */
void guests_one(struct request *request);	/* GET /api/v1/guests/UUID */
void guests_stream(struct request *request);	/* GET /api/v1/events */
/* act.c: one guest */
void guests_act(struct request *request);	/* POST /api/v1/guests/UUID/ACTION */
void guests_screenshot(struct request *request);	/* GET /api/v1/guests/UUID/screenshot */

/*
 * Looks the guest of the request's first segment up and calls `next` with libvirt's own encoding of it; answers the request when there
 * is none. `next` NULL cannot be.
 */
typedef void guest_found_cb(struct request *request, const uint8_t *domain, size_t len);
void guest_find(struct request *request, guest_found_cb *next);

#endif
