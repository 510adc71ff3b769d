/*
 * policy_say.h: what the policy verbs say of a decision, to people and as JSON.
 */
#ifndef CLI_POLICY_SAY_H
#define CLI_POLICY_SAY_H

#include <jansson.h>

#include "gateway/policy/words.h"

/* "yes: binding 'webops-on-web'" and a newline. */
void policy_say_decision(struct decision decision);
/* { "allowed": true, "verdict": "allow", "binding": "…" } */
json_t *policy_decision_json(struct decision decision);
/* A policy_explain_cb: a line, or with `arg`, a json_t array, one more element of it. */
void policy_say_binding(const char *binding, bool applies, enum verdict verdict, const char *why, void *arg);

#endif
