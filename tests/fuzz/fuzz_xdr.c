/*
 * fuzz_xdr.c: bodies against the plain reading. Input: program (0 remote, 1 qemu, 2 lxc), procedure (two bytes), 0 for
 * arguments or 1 for the reply, then the body.
 */
#include <string.h>

#include "proto/table.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/xdr_reference.h"

#define PREFIX 4

static void
check_whole(const struct xdr_field *fields, const uint8_t *body, size_t len)
{
	size_t again_len = 0;
	uint8_t *again = reference_reencode(fields, body, len, &again_len);

	FUZZ_ASSERT(again != NULL && again_len == len && (len == 0 || memcmp(again, body, len) == 0));
	free(again);
}

/* The spans of all fields, one after the other, are the body. */
static void
check_spans(const struct xdr_field *fields, const uint8_t *body, size_t len)
{
	const uint8_t *at = body;
	struct xdr_span span;

	for (; fields->name != NULL; fields++) {
		FUZZ_ASSERT(xdr_find(fields, at, len - (size_t)(at - body), fields->name, &span));
		FUZZ_ASSERT(span.data == at);
		at += span.len;
	}
	FUZZ_ASSERT(at == body + len);
}

static void
check_items(const struct xdr_field *fields, const uint8_t *body, size_t len, const char *path, enum vg_class class)
{
	struct xdr_span item, member;
	struct xdr_object object;
	struct xdr_items items;

	FUZZ_ASSERT(xdr_items(fields, body, len, path, &items));
	while (xdr_items_next(&items, &item)) {
		FUZZ_ASSERT(xdr_item_member(&items, item, &member));
		if (class != VG_CLASS_none)
			FUZZ_ASSERT(xdr_get_object(class, member, &object));
	}
	FUZZ_ASSERT(items.next == items.count && items.at == items.end);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const uint32_t programs[] = { RPC_PROGRAM_REMOTE, RPC_PROGRAM_QEMU, RPC_PROGRAM_LXC };
	const struct xdr_field *fields;
	const struct rpc_proc *proc;
	const uint8_t *body;
	size_t body_len;
	bool valid;

	if (len < PREFIX)
		return 0;
	body = data + PREFIX;
	body_len = len - PREFIX;
	proc = rpc_proc_find(programs[data[0] % 3], (uint32_t)data[1] << 8 | data[2]);
	if (proc == NULL)
		return 0;
	fields = data[3] % 2 == 0 ? proc->args : proc->ret;
	valid = xdr_check(fields, body, body_len) == VG_OK;
	FUZZ_ASSERT(valid == reference_check(fields, body, body_len, NULL));
	if (!valid)
		return 0;
	check_whole(fields, body, body_len);
	check_spans(fields, body, body_len);
	if (fields == proc->ret && proc->list.items != NULL)
		check_items(fields, body, body_len, proc->list.items,
		    proc->list.form == RPC_LIST_OBJECT ? proc->list.class : VG_CLASS_none);
	return 0;
}
