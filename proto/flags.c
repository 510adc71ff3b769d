/* flags.c: the names of bits, for people. */
#include <stddef.h>
#include <string.h>

#include "proto/table.h"

static const struct {
	const char *of;
	uint32_t bit;
	const char *name;
} flags[] = {
#define FLAG(of, bit, name) { #of, bit, #name },
#define FLAGS_OF(call, arg, of)
#include "proto/tables/flag_names.def"
#undef FLAG
#undef FLAGS_OF
};

static const struct {
	const char *call, *arg, *of;
} uses[] = {
#define FLAG(of, bit, name)
#define FLAGS_OF(call, arg, of) { #call, #arg, #of },
#include "proto/tables/flag_names.def"
#undef FLAG
#undef FLAGS_OF
};

static const char *
name_in(const char *of, uint32_t bit)
{
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		if (flags[i].bit == bit && strcmp(flags[i].of, of) == 0)
			return flags[i].name;
	return NULL;
}

const char *
rpc_flag_name(const struct rpc_proc *proc, const char *arg, uint32_t bit)
{
	const char *name = NULL;

	for (size_t i = 0; name == NULL && i < sizeof(uses) / sizeof(uses[0]); i++)
		if (strcmp(uses[i].call, proc->name) == 0 && strcmp(uses[i].arg, arg) == 0)
			name = name_in(uses[i].of, bit);
	return name;
}
