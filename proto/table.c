/* table.c: the rows of proto/tables/ as one const array. */
#include <string.h>

#include "proto/fields.h"

/* Where each program's rows begin in the one array, in order of the programs' numbers; 0 is no procedure's number. */
enum {
	MAX_LXC = 1, MAX_REMOTE = 453, MAX_QEMU = 7,
	BASE_LXC = 0, BASE_REMOTE = BASE_LXC + MAX_LXC + 1, BASE_QEMU = BASE_REMOTE + MAX_REMOTE + 1,
	NUM_ROWS = BASE_QEMU + MAX_QEMU + 1
};

/* First reading: the arrays that rows point to, named by program and number. */
#define ARGS(...)	__VA_ARGS__
#define RET(...)	__VA_ARGS__
#define MSG(...)	__VA_ARGS__
#define NEEDS(...)	__VA_ARGS__
#define P(class, name)			{ VG_PERM_##class##_##name, RPC_TEST_ALWAYS, NULL, 0 },
#define P_ALL(class, name, arg, mask)	{ VG_PERM_##class##_##name, RPC_TEST_ALL_SET, arg, mask },
#define P_NONE(class, name, arg, mask)	{ VG_PERM_##class##_##name, RPC_TEST_NONE_SET, arg, mask },
#define P_EQ(class, name, arg, value)	{ VG_PERM_##class##_##name, RPC_TEST_EQUALS, arg, value },
#define P_XML(class, name, arg, kind)	{ VG_PERM_##class##_##name, RPC_TEST_DEVICE, arg, RPC_DEVICE_##kind },
#define END_OF_NEEDS			{ VG_PERM_NONE, RPC_TEST_ALWAYS, NULL, 0 }
#define IN_RANGE(program, number) \
	_Static_assert(number >= 1 && number <= MAX_##program, "number of a row is above MAX_" #program);
#define CALL(program, number, name, kind, args, ret, needs, ...) \
	IN_RANGE(program, number) \
	static const struct xdr_field args_##program##_##number[] = { args END_OF_FIELDS }; \
	static const struct xdr_field ret_##program##_##number[] = { ret END_OF_FIELDS }; \
	static const struct rpc_need needs_##program##_##number[] = { needs END_OF_NEEDS };
#define EVENT(program, number, name, message, ...) \
	IN_RANGE(program, number) \
	static const struct xdr_field args_##program##_##number[] = { message END_OF_FIELDS };
#include "proto/tables/all.def"
#undef CALL
#undef EVENT

static const struct xdr_field no_fields[] = { END_OF_FIELDS };
static const struct rpc_need no_needs[] = { END_OF_NEEDS };

/* Second reading: the rows. A number that is there twice is an initialiser that overrides another: an error. */
#define OBJ(from, class, path)			{ RPC_FROM_##from, VG_CLASS_##class, path }
#define LIST(form, class, items, count)		{ RPC_LIST_##form, VG_CLASS_##class, items, count }
#define CALL(prog, num, proc, how, arguments, reply, permissions, ...) \
	[BASE_##prog + num] = { \
		.program = RPC_PROGRAM_##prog, .number = num, .name = #proc, .kind = RPC_KIND_##how, \
		.args = args_##prog##_##num, .ret = ret_##prog##_##num, .needs = needs_##prog##_##num, __VA_ARGS__ \
	},
#define EVENT(prog, num, proc, message, ...) \
	[BASE_##prog + num] = { \
		.program = RPC_PROGRAM_##prog, .number = num, .name = #proc, .kind = RPC_KIND_EVENT, \
		.args = args_##prog##_##num, .ret = no_fields, .needs = no_needs, __VA_ARGS__ \
	},
static const struct rpc_proc rows[NUM_ROWS] = {
#include "proto/tables/all.def"
};

static const struct rpc_proc *
row(uint32_t base, uint32_t max, uint32_t number)
{
	const struct rpc_proc *proc;

	if (number > max)
		return NULL;
	proc = &rows[base + number];
	return proc->name != NULL ? proc : NULL;
}

const struct rpc_proc *
rpc_proc_find(uint32_t program, uint32_t number)
{
	switch (program) {
	case RPC_PROGRAM_REMOTE:
		return row(BASE_REMOTE, MAX_REMOTE, number);
	case RPC_PROGRAM_QEMU:
		return row(BASE_QEMU, MAX_QEMU, number);
	case RPC_PROGRAM_LXC:
		return row(BASE_LXC, MAX_LXC, number);
	}
	return NULL;
}

const struct rpc_proc *
rpc_proc_by_name(const char *name)
{
	size_t i;

	for (i = 0; i < NUM_ROWS; i++)
		if (rows[i].name != NULL && strcmp(rows[i].name, name) == 0)
			return &rows[i];
	return NULL;
}

const struct rpc_proc *
rpc_proc_at(size_t index)
{
	size_t i;

	for (i = 0; i < NUM_ROWS; i++)
		if (rows[i].name != NULL && index-- == 0)
			return &rows[i];
	return NULL;
}
