/*
 * policy.h: policy.json to verdicts. Pure: no clock, no files, no network; time, identity and object are arguments.
 * Used by the gate, the command line and the tests. A policy is immutable once loaded.
 */
#ifndef POLICY_POLICY_H
#define POLICY_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "virtgate/identity.h"
#include "virtgate/object.h"
#include "virtgate/permission.h"
#include "virtgate/result.h"

/* Names of the vocabulary: "domain:start", "storage_pool". Borrowed, static. */
const char *permission_name(enum vg_permission permission);
const char *permission_meaning(enum vg_permission permission);
enum vg_class permission_class(enum vg_permission permission);
/* Exact "domain:start" or polkit's "org.libvirt.api.domain.start"; VG_PERM_NONE when unknown. */
enum vg_permission permission_find(const char *name);
const char *class_name(enum vg_class class);
enum vg_class class_find(const char *name);		/* VG_CLASS_none when unknown */

struct policy;

/* One mistake in a policy file; all of them are reported, not only the first. */
typedef void policy_problem_cb(const struct vg_error *error, void *arg);

/* `file` is for messages ("FILE:LINE: …"). NULL when there was any problem. */
struct policy *policy_parse(const char *text, size_t len, const char *file, policy_problem_cb *problem, void *arg);
void policy_destroy(struct policy *policy);

enum verdict { VERDICT_DENY, VERDICT_ALLOW, VERDICT_WOULD_DENY /* let through by a permissive binding, recorded */ };

struct decision {
	enum verdict verdict;
	const char *binding;	/* id of the binding that decided; NULL: nothing matched. Borrowed from the policy */
};

/* Deny wins; nothing matching denies. Linear in bindings. `now` in seconds since the epoch, UTC. */
struct decision policy_decide(const struct policy *policy, const struct vg_identity *identity, enum vg_permission permission,
    const struct vg_object *object, time_t now);
/* Could any object of the permission's class be granted? Asked before anything expensive is parsed. */
bool policy_may_ever(const struct policy *policy, const struct vg_identity *identity, enum vg_permission permission, time_t now);
/* Do all roles of this identity together only read (getattr, read, search_*, view_graphics, screenshot)? Then the session goes to the read-only socket. */
bool policy_only_reads(const struct policy *policy, const struct vg_identity *identity, time_t now);
/* Is any binding about this identity at all? */
bool policy_knows(const struct policy *policy, const struct vg_identity *identity, time_t now);

/* Every binding with why it did or did not apply, in order of the file: for `policy explain`. `why` is borrowed for the call. */
typedef void policy_explain_cb(const char *binding, bool applies, enum verdict verdict, const char *why, void *arg);
struct decision policy_explain(const struct policy *policy, const struct vg_identity *identity, enum vg_permission permission,
    const struct vg_object *object, time_t now, policy_explain_cb *each, void *arg);

#endif
