/*
 * rules.h: what holds for a call whatever the policy says, by its row of the table. Apart from the rest of the gate, so that
 * `virtgate policy role` tells people the same.
 */
#ifndef GATE_RULES_H
#define GATE_RULES_H

#include <string.h>

#include "proto/table.h"

/*
 * Calls whose content the permission alone does not make safe (a path, a URI, a whole XML document). Until a rule of
 * its own admits the content, they are only for those who hold the permission on everything.
 */
#define UNCHECKED_RISKS (RPC_RISK_XML_HOST_RESOURCES | RPC_RISK_HOST_PATH_READ | RPC_RISK_HOST_PATH_WRITE | RPC_RISK_HOST_CONTROL | \
    RPC_RISK_HOST_STORAGE | RPC_RISK_URI | RPC_RISK_COOKIE | RPC_RISK_IDENTITY | RPC_RISK_IDENTITY_MISMATCH | RPC_RISK_CROSS_OBJECT | \
    RPC_RISK_GUEST_DISK | RPC_RISK_EXEC_PATH | RPC_RISK_NATIVE_CONFIG | RPC_RISK_NETWORK_SPEC | RPC_RISK_FD | RPC_RISK_PID)

static inline bool
rule_unchecked(const struct rpc_proc *proc)
{
	return (proc->risks & UNCHECKED_RISKS) != 0 || proc->about.from == RPC_FROM_XML || proc->about.from == RPC_FROM_HOST_FILE ||
	    proc->about.from == RPC_FROM_HOST_PID || proc->about.from == RPC_FROM_INCOMING_MIGRATION;
}

/* Not passed on, for anybody. */
static inline bool
rule_never_passed(const struct rpc_proc *proc)
{
	return proc->kind == RPC_KIND_EVENT || proc->program == RPC_PROGRAM_LXC || proc->descriptors ||
	    strcmp(proc->name, "connect_set_identity") == 0;
}

#endif
