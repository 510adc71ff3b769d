/*
 * words.h: verdicts, decisions and objects in words: the same on the command line, in the browser and in the audit trail.
 */
#ifndef POLICY_WORDS_H
#define POLICY_WORDS_H

#include "gateway/policy/policy.h"

/* "allow", "deny", "would-deny". */
const char *policy_verdict_name(enum verdict verdict);
/* "yes: binding 'webops-on-web'", "no: no binding allows it". Returns buf. */
#define POLICY_DECISION_SIZE 400
const char *policy_decision_text(struct decision decision, char buf[POLICY_DECISION_SIZE]);

/*
 * What a yes about one permission does not say: that he cannot connect at all, or does not see the object. NULL when he can and does.
 * `buf` lends the room.
 */
#define POLICY_OBSTACLE_SIZE 160
const char *policy_obstacle(const struct policy *policy, const struct vg_identity *identity, const struct vg_object *object, time_t now,
    char buf[POLICY_OBSTACLE_SIZE]);

/* "domain:web-1", "storage_vol:pool/disk", "domain:uuid:…", "domain:*", "*" for the host. Returns buf. */
#define POLICY_OBJECT_SIZE 700
const char *policy_object_text(const struct vg_object *object, char buf[POLICY_OBJECT_SIZE]);

#endif
