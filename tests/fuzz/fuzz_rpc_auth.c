/*
 * fuzz_rpc_auth.c: what a stranger sends before authentication. Target: rpc_auth_get() and the answers to it. A verdict
 * on a piece of a message never differs from that on the whole, and every answer is a message that libvirt would take.
 */
#include <string.h>

#include "gateway/front/rpc_auth.h"
#include "tests/fuzz/fuzz.h"

static uint8_t answer[RPC_MAX_LEN_BEFORE_AUTH];

static void
check_answer(const struct rpc_auth_message *message, size_t len)
{
	const struct rpc_proc *proc = rpc_proc_find(RPC_PROGRAM_REMOTE, (uint32_t)message->header.procedure);
	struct rpc_header header;

	FUZZ_ASSERT(len >= RPC_HEADER_LEN && rpc_header_get(answer, len, &header) == VG_OK && header.length == len);
	FUZZ_ASSERT(header.serial == message->header.serial && header.procedure == message->header.procedure);
	FUZZ_ASSERT(header.type == RPC_REPLY && header.status == RPC_STATUS_OK);
	FUZZ_ASSERT(xdr_check(proc->ret, answer + RPC_HEADER_LEN, len - RPC_HEADER_LEN) == VG_OK);
}

/* The data of a step, given back as an answer, must be the same words. */
static void
check_step(const struct rpc_auth_message *message)
{
	static uint8_t bytes[65536];
	size_t num = message->data.len / 4;

	FUZZ_ASSERT(message->data.len % 4 == 0 && num <= sizeof(bytes));
	FUZZ_ASSERT(message->has_data || num == 0);
	rpc_auth_data(message, bytes);
	check_answer(message, rpc_auth_put_step(answer, sizeof(answer), &message->header, num % 2 == 0,
	    message->has_data ? bytes : NULL, num));
	for (size_t i = 0; i < num; i++)
		FUZZ_ASSERT(answer[RPC_HEADER_LEN + 12 + 4 * i + 3] == bytes[i]);
}

static void
check_message(const struct rpc_auth_message *message, size_t len)
{
	FUZZ_ASSERT(message->header.length >= RPC_HEADER_LEN && message->header.length <= RPC_MAX_LEN_BEFORE_AUTH);
	FUZZ_ASSERT(message->kind == RPC_AUTH_OTHER || message->header.length <= len);
	switch (message->kind) {
	case RPC_AUTH_LIST:
		check_answer(message, rpc_auth_put_list(answer, sizeof(answer), &message->header));
		break;
	case RPC_AUTH_SASL_INIT:
		check_answer(message, rpc_auth_put_mechs(answer, sizeof(answer), &message->header, "SCRAM-SHA-256,GSSAPI"));
		break;
	case RPC_AUTH_CLOSE:
		check_answer(message, rpc_auth_put_closed(answer, sizeof(answer), &message->header));
		break;
	case RPC_AUTH_SASL_START:
	case RPC_AUTH_SASL_STEP:
		check_step(message);
		break;
	case RPC_AUTH_PING:
	case RPC_AUTH_OTHER:
		break;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct rpc_auth_message whole, piece;
	enum vg_parse verdict = rpc_auth_get(data, len, &whole);

	if (verdict == VG_OK)
		check_message(&whole, len);
	for (size_t cut = 0; cut < len && cut < 256; cut++) {
		enum vg_parse early = rpc_auth_get(data, cut, &piece);

		FUZZ_ASSERT(early == VG_MORE || early == verdict);
		FUZZ_ASSERT(early != VG_OK || piece.kind == whole.kind);
	}
	return 0;
}
