/*
 * fuzz_web.c: questions to the program VIRTGATE from a session of the browser, taken by the gate's own code. Input: pieces parted by byte 1e; one that begins
 * with 'R' is the body of a call as it is, any other is JSON, put into one. Each that is JSON has exactly one answer, or ends the session.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/core/audit_wire.h"
#include "gateway/gate/inventory.h"
#include "gateway/gate/trail.h"
#include "proto/virtgate.h"
#include "tests/fuzz/fuzz.h"

static const char policy_text[] = "{ \"version\": 1, \"bindings\": ["
	"{ \"id\": \"web\", \"who\": [\"sasl:fuzz\"], \"role\": \"vm-admin\", \"on\": [\"domain:web-*\", \"storage_pool:p*\"] },"
	"{ \"id\": \"reads\", \"who\": [\"sasl:fuzz\"], \"role\": \"auditor\", \"on\": [\"domain:web-1\"], \"when\": { \"from\": [\"10.0.0.0/8\"] } } ] }";

static struct gate gate;

static void
on_tick(int fd, short what, void *arg)
{
	struct session *session;

	(void)fd;
	(void)what;
	(void)arg;
	while ((session = TAILQ_FIRST(&gate.dead)) != NULL) {
		TAILQ_REMOVE(&gate.dead, session, entry);
		policy_view_destroy(session->view);
		free(session->identity.sasl_name);
		free(session);
	}
}

static void
start(void)
{
	struct vg_error error;
	uint8_t uuid[VG_UUID_LEN] = { 0x11 };
	struct xdr_object object = { .class = VG_CLASS_domain, .name = { (const uint8_t *)"web-1", 5 }, .uuid = uuid, .id = 1 };

	if (gate.base != NULL)
		return;
	gate.base = event_base_new();
	gate.settings = settings_parse("backend_socket = \"/nonexistent\"\nlog_level = 4\nlog_outputs = [ \"4:file:/dev/null\" ]\n", "fuzz", &error);
	gate.policy = policy_parse(policy_text, strlen(policy_text), "fuzz", NULL, NULL);
	gate.audit = audit_client_create(gate.base);	/* without a link: records wait and are dropped */
	gate.trail = trail_create(&gate);
	FUZZ_ASSERT(gate.settings != NULL && gate.policy != NULL && gate.audit != NULL && gate.trail != NULL);
	TAILQ_INIT(&gate.sessions);
	TAILQ_INIT(&gate.dead);
	TAILQ_INIT(&gate.users);
	evtimer_assign(&gate.sweep, gate.base, on_tick, NULL);
	evtimer_assign(&gate.redial, gate.base, on_tick, NULL);
	gate.inventories[0] = inventory_create(&gate, "test:///default");
	gate.num_inventories = 1;
	FUZZ_ASSERT(gate.inventories[0] != NULL);
	inventory_learn(gate.inventories[0], &object);
}

static struct session *
open_session(int client_fd)
{
	struct vg_identity identity = { .proofs = VG_PROOF_SASL, .sasl_name = strdup("fuzz"), .via = VG_VIA_WEB, .address = "10.0.0.7" };
	struct session *session = session_create(&gate, client_fd, -1, &identity);

	FUZZ_ASSERT(session != NULL);
	session->inventory = gate.inventories[0];
	session->uri = inventory_uri(session->inventory);
	session_set_state(session, SESSION_OPEN);
	return session;
}

static void
send_piece(int fd, const uint8_t *data, size_t len)
{
	struct rpc_header header = { .program = RPC_PROGRAM_VIRTGATE, .version = RPC_VERSION, .procedure = 1, .type = RPC_CALL, .serial = 1 };
	uint8_t head[RPC_HEADER_LEN], *message;
	size_t message_len;

	if (len > 0 && data[0] == 'R') {
		header.length = (uint32_t)(RPC_HEADER_LEN + len - 1);
		rpc_header_put(head, &header);
		(void)!send(fd, head, sizeof(head), MSG_NOSIGNAL);
		(void)!send(fd, data + 1, len - 1, MSG_NOSIGNAL);
		return;
	}
	message = virtgate_put(&header, (const char *)data, len, &message_len);
	if (message != NULL)
		(void)!send(fd, message, message_len, MSG_NOSIGNAL);
	free(message);
}

/* What came is whole answers to what was asked. */
static void
take_answers(int fd)
{
	static uint8_t answer[1024 * 1024 + 4096];
	ssize_t len = recv(fd, answer, sizeof(answer), MSG_DONTWAIT);
	struct rpc_header header;

	for (ssize_t at = 0; at < len; at += header.length) {
		const uint8_t *body = answer + at + RPC_HEADER_LEN;
		struct xdr_span json;

		FUZZ_ASSERT(rpc_header_get(answer + at, (size_t)(len - at), &header) == VG_OK && header.length <= len - at && header.type == RPC_REPLY);
		if (header.status == RPC_STATUS_OK)
			FUZZ_ASSERT(virtgate_get(body, header.length - RPC_HEADER_LEN, &json));
		else
			FUZZ_ASSERT(xdr_check(rpc_error_fields, body, header.length - RPC_HEADER_LEN) == VG_OK);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct session *session;
	int client[2];

	start();
	FUZZ_ASSERT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, client) == 0);
	session = open_session(client[0]);
	while (size > 0 && !TAILQ_EMPTY(&gate.sessions)) {
		const uint8_t *end = memchr(data, 0x1e, size);
		size_t len = end == NULL ? size : (size_t)(end - data);

		send_piece(client[1], data, len < 60000 ? len : 60000);
		event_base_loop(gate.base, EVLOOP_NONBLOCK);
		take_answers(client[1]);
		size -= end == NULL ? len : len + 1;
		data += end == NULL ? len : len + 1;
	}
	close(client[1]);
	if (!TAILQ_EMPTY(&gate.sessions)) {
		FUZZ_ASSERT(session->calls == NULL);	/* none is left without an answer */
		session_close(session, CLOSE_CLIENT_GONE);
		if (session->state != SESSION_CLOSED)
			session_set_state(session, SESSION_CLOSED);
	}
	for (int i = 0; i < 4; i++)
		event_base_loop(gate.base, EVLOOP_NONBLOCK);
	FUZZ_ASSERT(TAILQ_EMPTY(&gate.sessions) && TAILQ_EMPTY(&gate.dead));
	return 0;
}
