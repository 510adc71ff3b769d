/*
 * policy_say.h: what the policy verbs say of a decision, to people and as JSON.
 */
#ifndef CLI_POLICY_SAY_H
#define CLI_POLICY_SAY_H

#include <jansson.h>

#include "gateway/policy/policy.h"

/* "yes: binding 'webops-on-web'" and a newline. */
void policy_say_decision(struct decision decision);
/* { "allowed": true, "verdict": "allow", "binding": "…" } */
json_t *policy_decision_json(struct decision decision);
/* A policy_explain_cb: a line, or with `arg`, a json_t array, one more element of it. */
void policy_say_binding(const char *binding, bool applies, enum verdict verdict, const char *why, void *arg);

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
