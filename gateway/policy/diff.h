/*
 * diff.h: what people gain and lose when one policy takes the place of another. Pure, like policy.h.
 *
 * Asked is for everybody whom either policy names, every permission, and every pattern of objects that either names. A
 * glob stands for somebody or something that it matches and nothing narrower does; somebody who is named in one way is
 * taken to have proven that and nothing else. Conditions (from, proof, hours, until) are compared as they are written,
 * bindings that ended before `now` are left out. A permissive mode of the whole policy is left out too: what is told is what
 * changes for people once the policies count.
 */
#ifndef POLICY_DIFF_H
#define POLICY_DIFF_H

#include "gateway/policy/policy.h"

enum policy_direction { POLICY_GAINS, POLICY_LOSES, POLICY_CHANGES /* other conditions, or recorded or not */ };

/* Texts are borrowed for the call. */
struct policy_change {
	const char *who;		/* "sasl:alice" */
	enum vg_permission permission;
	const char *object;		/* "domain:web-*"; "*" for all that nothing narrower names; NULL: the host */
	enum policy_direction direction;
	const char *except;		/* narrower patterns where nothing changes: "domain:web-1, domain:web-2", or "" */
	const char *was, *now;		/* "no", "allow", "allow (from 10.0.0.0/8)", "allow, deny (hours 22:00-06:00)" */
};
typedef void policy_change_cb(const struct policy_change *change, void *arg);

/*
 * Tells every change, all of one person together; one that a wider pattern tells already is left out. -1 when memory is
 * out.
 */
int policy_diff(const struct policy *before, const struct policy *after, time_t now, policy_change_cb *each, void *arg);

/*
 * The same in steps, each about one permission of one person, for who has other things to do. Both policies are borrowed until the end. NULL: out of
 * memory. A step: 1 there is more, 0 that was all, -1 out of memory.
 */
struct policy_differ;
struct policy_differ *policy_diff_begin(const struct policy *before, const struct policy *after, time_t now, policy_change_cb *each, void *arg);
int policy_diff_step(struct policy_differ *differ);
void policy_diff_end(struct policy_differ *differ);

#endif
