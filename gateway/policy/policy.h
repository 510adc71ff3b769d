/*
 * policy.h: policy.json to verdicts. Pure: no clock, no files, no network; time, identity and object are arguments.
 * Used by the gate, the command line and the tests. A policy is immutable once loaded.
 *
 * How a verdict comes about. A binding APPLIES when one of its `who` (groups replaced by their members) is this
 * identity, every condition of `when` holds, and one of its `on` covers the object. Then, in this order:
 *   1. an applying binding whose role denies the permission, mode enforce:   DENY
 *   2. the same in mode permissive:                                         WOULD_DENY (let through, recorded)
 *   3. an applying binding whose role allows it, whatever its mode:          ALLOW
 *   4. an applying binding in mode permissive, its role says nothing:        WOULD_DENY
 *   5. nothing:                                                              DENY
 * Within a step the binding that stands first in the file is the one that decided.
 *
 * Names are compared byte for byte, with '*' and '?' as globs. A field of an identity counts only with its proof.
 *
 * What is not known (an object's name or UUID is missing, the address is not one): an allow does not cover it, a deny
 * does. (A permissive deny in doubt lets nothing through by itself; it only makes an allow WOULD_DENY.)
 *
 * Permissions of class connect, audit, session and policy have no object: `on` does not matter for them, neither to
 * allow nor to deny, and `object` may be NULL. For the others an object of another class is DENY; NULL is `any`.
 *
 * `any` (object.h): allowed by a binding on "*" or "CLASS:*" (or the parent class's "*"), denied by a deny on whatever
 * object of the class.
 *
 * Permissive mode does not soften domain:monitor, domain:agent (these need an allow by exact name) nor the classes
 * audit, session and policy; and class connect only for a binding on "*". There, permissive counts as enforce.
 *
 * "mode": "permissive" beside "version" makes the gateway only watch: what comes out as DENY by the steps above is
 * WOULD_DENY, by the same binding or by none, for everybody who is authenticated. Not softened is what is named above,
 * but class connect is; and an object of another class stays DENY. To see an object is to have getattr on it: what would
 * be hidden is therefore visible, and would-deny. What is no question to a policy (SET_IDENTITY, names and UUIDs that do
 * not belong together, broken messages, other URIs) is none here either.
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
#include "virtgate/profile.h"
#include "virtgate/result.h"

/* Names of the vocabulary: "domain:start", "storage_pool". Borrowed, static. */
const char *permission_name(enum vg_permission permission);
const char *permission_meaning(enum vg_permission permission);
enum vg_class permission_class(enum vg_permission permission);
/* The permission of libvirt that this one is a part of; VG_PERM_NONE: it is none's. */
enum vg_permission permission_whole(enum vg_permission permission);
/* Exact "domain:start" or polkit's "org.libvirt.api.domain.start"; VG_PERM_NONE when unknown. */
enum vg_permission permission_find(const char *name);
const char *class_name(enum vg_class class);
enum vg_class class_find(const char *name);		/* VG_CLASS_none when unknown */

struct policy;

/* One mistake in a policy file; all of them are reported (the first thousand), not only the first. */
typedef void policy_problem_cb(const struct vg_error *error, void *arg);

/* `file` is for messages ("FILE:LINE: …"). NULL when there was any problem. */
struct policy *policy_parse(const char *text, size_t len, const char *file, policy_problem_cb *problem, void *arg);
void policy_destroy(struct policy *policy);

enum verdict { VERDICT_DENY, VERDICT_ALLOW, VERDICT_WOULD_DENY /* let through by a permissive binding, recorded */ };

struct decision {
	enum verdict verdict;
	const char *binding;	/* id of the binding that decided; NULL: nothing matched. Borrowed from the policy */
};

/* Is the mode of the whole policy permissive: does the gateway only watch? */
bool policy_only_watches(const struct policy *policy);

/* What the trail is told of calls that only read, by the class of what they are about ("audit": { "reads": … }). */
enum policy_reads {
	POLICY_READS_NONE,	/* nothing, not even that one was refused */
	POLICY_READS_DENIED,	/* refusals: what holds where the policy does not say */
	POLICY_READS_METADATA,	/* each: who, what, on which object, how it ended */
	POLICY_READS_FULL	/* its arguments too */
};
enum policy_reads policy_reads(const struct policy *policy, enum vg_class class);
const char *policy_reads_name(enum policy_reads level);	/* "metadata" */

/* Linear in bindings. `now` in seconds since the epoch; hours are in the local time of the host (TZ). */
struct decision policy_decide(const struct policy *policy, const struct vg_identity *identity,
    enum vg_permission permission, const struct vg_object *object, time_t now);
/*
 * The bindings about one identity, for whoever asks for it again and again: a decision then costs by these instead of by
 * all. Policy and identity are borrowed; what `who` is matched with (names, proofs) must not change meanwhile.
 */
struct policy_view;
struct policy_view *policy_view_create(const struct policy *policy, const struct vg_identity *identity);	/* NULL: out of memory */
void policy_view_destroy(struct policy_view *view);
/* False for any other policy, also one that came to the same address. */
bool policy_view_is_of(const struct policy_view *view, const struct policy *policy);
/* As policy_decide. Allocates nothing. */
struct decision policy_view_decide(const struct policy_view *view, enum vg_permission permission, const struct vg_object *object, time_t now);

/*
 * Could any object of the permission's class be let through? Asked before anything expensive is parsed. Never false when
 * policy_decide would let something through.
 */
bool policy_may_ever(const struct policy *policy, const struct vg_identity *identity, enum vg_permission permission,
    time_t now);
/*
 * Do all bindings about this identity together only read (getattr, read, search_*, view_graphics), so that the session
 * goes to the read-only socket? Not screenshot: libvirt refuses it on a read-only connection. Hours are left out, as
 * they may begin while the session lasts; a permissive binding does not only read, and with a policy that only watches
 * nobody does.
 */
bool policy_only_reads(const struct policy *policy, const struct vg_identity *identity, time_t now);
/*
 * Is any binding about this identity at all (who, from, proof, until; whatever its hours)? A policy that only watches
 * knows everybody who is authenticated.
 */
bool policy_knows(const struct policy *policy, const struct vg_identity *identity, time_t now);

/*
 * When may a verdict be another one without another policy: a binding ends, or the hours of one begin or end. To the minute, and maybe too
 * early; 0: never.
 */
time_t policy_next_change(const struct policy *policy, time_t now);
/* The ids of the bindings about this identity that are in force, hours included, in order of the file. */
typedef void policy_binding_cb(const char *id, void *arg);
void policy_bindings_of(const struct policy *policy, const struct vg_identity *identity, time_t now, policy_binding_cb *each, void *arg);

/*
 * Which rows of "admission", then of "rules", judge a document that this identity sends about this object (never NULL), in order of the file; with
 * them the rows of profile privileged that are about him, which free him from what holds without any row. A row is about everybody or
 * whom its `who` names; not about whom `except` names, nor about who has a role that it names bound on the object, now and in mode enforce.
 */
enum admission_mode {
	ADMISSION_ENFORCE,	/* what the profile refuses is refused */
	ADMISSION_WARN,		/* let through, recorded, logged and counted */
	ADMISSION_AUDIT		/* let through and recorded */
};

struct policy_row {
	const char *id;
	const struct vg_rule *rule;	/* a row of "rules"; NULL: of "admission" */
	enum vg_profile profile;	/* of a rule: baseline */
	enum admission_mode mode;	/* of privileged: enforce */
	struct vg_limits limits;
};

typedef void policy_row_cb(const struct policy_row *row, void *arg);
void policy_admission(const struct policy *policy, const struct vg_identity *identity, const struct vg_object *object, time_t now,
    policy_row_cb *each, void *arg);
/* The own rules, whoever they are about; NULL: there are not so many. Whether their XPath is one, admission_compile() knows. */
const struct vg_rule *policy_rule_at(const struct policy *policy, size_t index);

/*
 * Quotas: what all guests and volumes that `on` covers may have together, whoever defined them. Whom a row binds (its `who`, without
 * its `except`) may not make it more than that; what others do is counted all the same.
 */
struct policy_quota {
	struct policy_row row;		/* its id and mode */
	struct vg_amounts max;		/* 0: not bounded */
};
/* "quota-vcpus", as refusals and records name it; "processors". Borrowed, static. */
const char *policy_amount_rule(enum vg_amount amount);
const char *policy_amount_unit(enum vg_amount amount);
/* NULL: there are not so many. */
const struct policy_quota *policy_quota_at(const struct policy *policy, size_t index);
/*
 * Does this domain or volume count? One whose UUID is not known yet is none that is named by UUID. Of an object without a name: could one count?
 */
bool policy_quota_covers(const struct policy *policy, size_t index, const struct vg_object *object);
bool policy_quota_binds(const struct policy *policy, size_t index, const struct vg_identity *identity, const struct vg_object *object, time_t now);

/*
 * As policy_decide, telling every binding with why it did or did not apply, in order of the file. `why` is borrowed for
 * the call.
 */
typedef void policy_explain_cb(const char *binding, bool applies, enum verdict verdict, const char *why, void *arg);
struct decision policy_explain(const struct policy *policy, const struct vg_identity *identity,
    enum vg_permission permission, const struct vg_object *object, time_t now, policy_explain_cb *each, void *arg);

/*
 * Everybody (`who` as in the file, groups replaced) of every binding that says something about a permission on an
 * object, in order of the file, with that binding's own verdict and its conditions as text ("" for none). Bindings that
 * ended before `now` are left out. That a policy that only watches lets everybody through is not told here.
 */
typedef void policy_who_cb(const char *who, const char *binding, enum verdict verdict, const char *condition, void *arg);
void policy_who_can(const struct policy *policy, enum vg_permission permission, const struct vg_object *object, time_t now,
    policy_who_cb *each, void *arg);

/* The roles after loading, includes resolved; borrowed from the policy. NULL: there is none of this name, or not so many. */
struct role;
const struct role *policy_role(const struct policy *policy, const char *name);
const struct role *policy_role_at(const struct policy *policy, size_t index);	/* the built-in ones first */
const char *policy_role_name(const struct role *role);
bool policy_role_is_builtin(const struct role *role);
bool policy_role_allows(const struct role *role, enum vg_permission permission);	/* never what it denies */
bool policy_role_denies(const struct role *role, enum vg_permission permission);

/* RFC 3339: "2027-01-01T00:00:00Z", with any offset. False when it is not one. */
bool policy_parse_time(const char *text, time_t *result);
/* "6695eb01-f6a4-8304-79aa-97f2502e193f" to bytes. False when it is not one. */
bool policy_parse_uuid(const char *text, uint8_t uuid[VG_UUID_LEN]);
/* The one CN of a DN without escapes: its length and beginning; 0 where there is none, or several. */
size_t policy_dn_cn(const char *dn, const char **cn);

#endif
