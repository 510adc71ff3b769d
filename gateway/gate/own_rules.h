/*
 * own_rules.h: the rules of a policy, compiled: what the policy's own reader cannot say of them. Apart from the rest of the gate, so that
 * `virtgate policy check` says the same.
 */
#ifndef GATE_OWN_RULES_H
#define GATE_OWN_RULES_H

#include "gateway/admission/admission.h"
#include "gateway/policy/policy.h"

/* After admission_start(). NULL with error text ("FILE:LINE: …"). The policy is borrowed: its rules must outlive the result. */
struct admission_rules *own_rules_compile(const struct policy *policy, const char *file, struct vg_error *error);
/* Whose document it is, and about what, for the rules' variables. -1: out of memory. */
int own_rules_request(struct admission_document *document, const struct vg_identity *identity, const struct vg_object *object);

#endif
