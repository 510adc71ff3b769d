/* fuzz_rpc.c: whole messages, as the gate takes them. Input: 'C' (from the client) or 'S', then the message. */
#include <string.h>

#include "proto/rpc.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/xdr_reference.h"

/* An error that answers this header is itself a message that passes. */
static void
check_answer(const struct rpc_header *header)
{
	const struct rpc_error error = { .code = RPC_ERR_RPC, .origin = RPC_ORIGIN_RPC, .message = "unknown procedure: 1" };
	uint8_t buf[RPC_MAX_ERROR_LEN];
	struct rpc_header answer;
	size_t len = rpc_put_error(buf, sizeof(buf), header, &error);

	FUZZ_ASSERT(len > RPC_HEADER_LEN && rpc_header_get(buf, len, &answer) == VG_OK && answer.length == len);
	FUZZ_ASSERT(answer.serial == header->serial && answer.procedure == header->procedure);
	FUZZ_ASSERT(xdr_check(rpc_error_fields, buf + RPC_HEADER_LEN, len - RPC_HEADER_LEN) == VG_OK);
}

static void
check_call(const struct rpc_proc *proc, const uint8_t *body, size_t len)
{
	const struct rpc_need *need;
	struct xdr_object object;
	struct xdr_span span;
	size_t i;

	for (need = proc->needs; need->permission != VG_PERM_NONE; need++)
		if (need->test == RPC_TEST_ALWAYS)
			FUZZ_ASSERT(rpc_need_applies(proc, need, body, len));
		else
			rpc_need_applies(proc, need, body, len);
	if (proc->about.from == RPC_FROM_ARG)
		FUZZ_ASSERT(xdr_find_value(proc->args, body, len, proc->about.path, &span) && xdr_get_object(proc->about.class, span, &object));
	for (i = 0; i < RPC_MAX_OTHERS; i++)
		if (proc->others[i].from == RPC_FROM_ARG && xdr_find_value(proc->args, body, len, proc->others[i].path, &span))
			FUZZ_ASSERT(xdr_get_object(proc->others[i].class, span, &object));
}

static void
check_body(const struct rpc_header *header, const uint8_t *body, size_t len)
{
	const struct rpc_proc *proc = rpc_header_proc(header);
	const struct xdr_field *fields;
	struct rpc_error error;
	bool valid;

	if (proc == NULL || (fields = rpc_body_fields(header, proc)) == NULL)
		return;
	valid = xdr_check(fields, body, len) == VG_OK;
	FUZZ_ASSERT(valid == reference_check(fields, body, len, NULL));
	if (!valid)
		return;
	if (header->type == RPC_CALL)
		check_call(proc, body, len);
	if (fields == rpc_error_fields) {
		rpc_get_error(body, len, &error);
		FUZZ_ASSERT(memchr(error.message, '\0', sizeof(error.message)) != NULL);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct rpc_header header, again;
	uint8_t buf[RPC_HEADER_LEN];
	enum vg_parse verdict;

	if (len < 1 || rpc_header_get(data + 1, len - 1, &header) != VG_OK)
		return 0;
	rpc_header_put(buf, &header);
	FUZZ_ASSERT(memcmp(buf, data + 1, sizeof(buf)) == 0);
	FUZZ_ASSERT(rpc_header_get(buf, sizeof(buf), &again) == VG_OK);
	verdict = data[0] == 'C' ? rpc_check_client(&header) : rpc_check_backend(&header);
	if (verdict != VG_OK)
		return 0;
	FUZZ_ASSERT(header.type != RPC_CALL_WITH_FDS && header.type != RPC_REPLY_WITH_FDS);
	FUZZ_ASSERT(header.type != RPC_CALL || header.status == RPC_STATUS_OK);
	check_answer(&header);
	if (header.program != RPC_PROGRAM_KEEPALIVE && header.length <= len - 1)
		check_body(&header, data + 1 + RPC_HEADER_LEN, header.length - RPC_HEADER_LEN);
	return 0;
}
