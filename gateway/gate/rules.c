/*
 * rules.c: the rows of argument.def, and what they say of a procedure.
 */
#include "gateway/gate/rules.h"

#include <string.h>

static const struct argument arguments[] = {
#define ARGUMENT(proc, path, rule, why) { #proc, path, RULE_##rule, why },
#include "gateway/gate/argument.def"
#undef ARGUMENT
};

#define NUM_ARGUMENTS (sizeof(arguments) / sizeof(arguments[0]))

const struct argument *
argument_at(size_t index)
{
	return index < NUM_ARGUMENTS ? &arguments[index] : NULL;
}

bool
argument_needed(const struct rpc_proc *proc)
{
	return proc->risks != 0 || proc->about.from == RPC_FROM_XML || proc->about.from == RPC_FROM_HOST_FILE ||
	    proc->about.from == RPC_FROM_HOST_PID || proc->about.from == RPC_FROM_INCOMING_MIGRATION;
}

/* Is what the row is about there in every call? */
static bool
is_always(const struct rpc_proc *proc, const struct argument *argument)
{
	const struct xdr_field *field = proc->args;

	if (argument->path == NULL)
		return true;
	while (field->name != NULL && strcmp(field->name, argument->path) != 0)
		field++;
	return field->name != NULL && field->form == XDR_ONE;
}

static bool
has_rule(const struct rpc_proc *proc, enum argument_rule rule)
{
	bool any = false;

	for (size_t i = 0; i < NUM_ARGUMENTS; i++) {
		if (strcmp(arguments[i].proc, proc->name) != 0)
			continue;
		any = true;
		if (arguments[i].rule == rule && is_always(proc, &arguments[i]))
			return true;
	}
	return rule == RULE_EVERYTHING && !any && argument_needed(proc);
}

bool
argument_everything(const struct rpc_proc *proc)
{
	return has_rule(proc, RULE_EVERYTHING);
}

bool
argument_host(const struct rpc_proc *proc)
{
	return has_rule(proc, RULE_HOST);
}

bool
rule_never_passed(const struct rpc_proc *proc)
{
	return proc->kind == RPC_KIND_EVENT || proc->program == RPC_PROGRAM_LXC || proc->descriptors ||
	    strcmp(proc->name, "connect_set_identity") == 0;
}
