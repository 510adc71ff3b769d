/*
 * policy_reference.h: the verdict of a policy, worked out a second time straight from its JSON, slowly and another way:
 * names as texts, no compiled form, three-valued logic for what is not known. Only for policies that policy_parse took.
 */
#ifndef TESTS_POLICY_REFERENCE_H
#define TESTS_POLICY_REFERENCE_H

#include <jansson.h>

#include "gateway/policy/policy.h"

/* Local time must be UTC. `object` may be NULL. */
struct decision reference_decide(const json_t *policy, const struct vg_identity *identity, const char *permission,
    const struct vg_object *object, time_t now);

#endif
