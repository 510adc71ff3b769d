/*
 * calls.h: libvirt's calls as people know them, and which of them a set of permissions lets through. From the procedure
 * table, for what `virtgate policy role` and `virtgate policy suggest` say.
 */
#ifndef CLI_CALLS_H
#define CLI_CALLS_H

#include "gateway/policy/policy.h"
#include "proto/table.h"

/* Of libvirt's public API, "virDomainCreate"; NULL for a call that has no function of its own there. `buf` lends the room. */
#define CALL_NAME_SIZE 96
const char *call_public_name(const struct rpc_proc *proc, char buf[CALL_NAME_SIZE]);
/* For those without: what a client does when it makes this call. */
const char *call_made_by(const struct rpc_proc *proc);

/* Is it decided by the policy at all? Not what is never passed on, and not what the gate answers itself (log-in, close). */
bool call_is_decided(const struct rpc_proc *proc);

/* Is its permission needed on everything, because its content is not looked into? */
bool call_needs_everything(const struct rpc_proc *proc);

/* "with flags & 0x1", "without flags & 0x1", "with option = 3"; "" for one that always applies. Returns buf. */
#define CALL_CONDITION_SIZE 96
const char *call_condition(const struct rpc_need *need, char buf[CALL_CONDITION_SIZE]);

/* Asked for each permission. */
typedef bool call_holds_cb(enum vg_permission permission, void *arg);
enum call_may { CALL_NEVER, CALL_SOMETIMES /* only under conditions */, CALL_ALWAYS };
enum call_may call_may(const struct rpc_proc *proc, call_holds_cb *holds, void *arg);

#endif
