/*
 * lint.h: what is no mistake in a policy but hardly meant. Pure, like policy.h.
 *
 * Told is: a permissive mode of the whole policy; a binding on some objects whose role holds rights on the host; a binding that
 * can never apply, or not any more; one that says nothing, by itself or because all that it allows is denied; one that is of no
 * use, because its people may not connect or not see the object; groups, sets and roles that nobody uses.
 */
#ifndef POLICY_LINT_H
#define POLICY_LINT_H

#include "gateway/policy/policy.h"

/* `text` is what the policy was made of, `file` is for messages. Each warning as a mistake is told: "FILE:LINE: …", hint. */
void policy_lint(const struct policy *policy, const char *text, size_t len, const char *file, time_t now, policy_problem_cb *each,
    void *arg);

#endif
