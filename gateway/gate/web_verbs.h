/*
 * web_verbs.h: what the web front asks of the gate beyond libvirt's protocol: the program VIRTGATE (proto/virtgate.h), taken from sessions that
 * came via web and from nobody else. A question is {"verb": NAME, …}; what each verb takes and answers stands at its function.
 *
 * A verb is one row in web_verbs.c: number (of its audit code, VG5nnn), name, function, what it needs. Its function ends the call by one of
 * web_answer, web_refuse, web_deny, or parks it for the audit reader.
 */
#ifndef GATE_WEB_VERBS_H
#define GATE_WEB_VERBS_H

#include "gateway/gate/gate.h"
#include "gateway/gate/trail.h"
#include "proto/virtgate.h"

typedef void web_verb_fn(struct call *call, const json_t *request);

/* A question to the program VIRTGATE, of a session that may ask one. */
void web_take(struct session *session, const struct rpc_header *header, const uint8_t *body, size_t len);

/* ---- for the verbs: each of these is the end of the call ---- */

/* Takes `json`; NULL counts as out of memory. */
void web_answer(struct call *call, json_t *json);
/* The question makes no sense: libvirt's "invalid argument". */
__attribute__((format(printf, 2, 3))) void web_refuse(struct call *call, const char *format, ...);
/* Not permitted: recorded, and answered with the id of the record. */
void web_deny(struct call *call, enum vg_permission permission);
/* It did not work out, for a reason that is not in the question. */
__attribute__((format(printf, 2, 3))) void web_fail(struct call *call, const char *format, ...);

/* A trail_answer_cb of a verb that asked the audit reader; `arg` is its call. What the verb's row needs is asked for again. */
void web_take_answer(enum trail_result result, const char *text, size_t len, void *arg);

/* One of the gateway's own permissions, which have no object. */
bool web_may(struct session *session, enum vg_permission permission);

/* ---- web_access.c: who he is and what he may ---- */
web_verb_fn web_me, web_may_objects, web_can, web_who_can;
/* ---- web_sessions.c ---- */
web_verb_fn web_sessions, web_kill;
/* ---- web_audit.c ---- */
web_verb_fn web_audit;
/* ---- web_policy.c ---- */
web_verb_fn web_policy_show, web_policy_draft;

#endif
