/*
 * documents.h: the documents of a change, kept whole beside the trail: what was ("before", "before_running"), what was asked for
 * ("asked", and "asked_2" of a call with two), what is now ("after", "after_running"). The record's member "documents" has their SHA-256; the
 * audit process makes them durable before it. Without the secrets that no difference shows either.
 */
#ifndef GATE_DOCUMENTS_H
#define GATE_DOCUMENTS_H

#include "gateway/gate/gate.h"

struct documents {
	json_t *names;			/* member to digest; NULL: none */
	struct buf packed;		/* for audit_submit_with() */
};

/* One more, whose secrets are taken out already. Out of memory costs only the document. */
void documents_put(struct documents *documents, const char *member, const char *text, size_t len);
/* What the call asks for: every XML among its arguments, as it is passed on. */
void documents_put_asked(struct documents *documents, const struct call *call);
/*
 * Member "documents" of `record`. Where they would take the room of records that wait, they are left out, and member "documents_left_out"
 * has how many bytes that were. `names` is taken.
 */
void documents_add(struct documents *documents, json_t *record, const struct audit_client *audit, enum audit_need need);

#endif
