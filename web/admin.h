/*
 * admin.h: the routes that are questions to the gate's program VIRTGATE and nothing more: what it answers is the answer.
 */
#ifndef WEB_ADMIN_H
#define WEB_ADMIN_H

#include "web/http.h"

void admin_sessions(struct request *request);	/* GET /api/v1/sessions */
void admin_kill(struct request *request);	/* DELETE /api/v1/sessions/ID */
void admin_can(struct request *request);	/* POST /api/v1/policy/can */
void admin_who_can(struct request *request);	/* POST /api/v1/policy/who-can */
void admin_policy(struct request *request);	/* GET /api/v1/policy */
void admin_draft_check(struct request *request), admin_draft_diff(struct request *request), admin_draft_replay(struct request *request);	/* POST /api/v1/policy/… */
void audit_search(struct request *request);	/* GET /api/v1/audit */
void audit_show(struct request *request);	/* GET /api/v1/audit/ID */
void audit_state(struct request *request);	/* GET /api/v1/audit/state */
void audit_export(struct request *request);	/* GET /api/v1/audit/export */

#endif
