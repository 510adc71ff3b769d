/*
 * fuzz_session.c: an open session between a client and a libvirtd that both send anything. Input: pieces, each 'C' or 'S'
 * (who sends), two bytes of length, bytes. The gate's own code runs as in the daemon, on socketpairs.
 */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/core/audit_wire.h"
#include "gateway/gate/inventory.h"
#include "tests/fuzz/fuzz.h"

static const char policy_text[] = "{ \"version\": 1, \"bindings\": ["
	"{ \"id\": \"web\", \"who\": [\"sasl:fuzz\"], \"role\": \"vm-admin\", \"on\": [\"domain:web-*\"] },"
	"{ \"id\": \"pools\", \"who\": [\"sasl:fuzz\"], \"role\": \"viewer\", \"on\": [\"storage_pool:*\"] } ] }";

static struct gate gate;
static uint64_t num_records;

/* The audit trail: everything is durable at once. */
static void
on_record(struct link *link, enum link_type type, const uint8_t *body, size_t len, const int *fds, size_t num_fds, void *arg)
{
	struct audit_ack ack = { .answer = AUDIT_DURABLE };

	(void)len;
	(void)fds;
	(void)num_fds;
	(void)arg;
	FUZZ_ASSERT(type == LINK_RECORD);
	if (body[0] != AUDIT_WIRE_RECORD)
		return;
	ack.upto = ++num_records;
	(void)link_send(link, LINK_ACK, &ack, sizeof(ack), NULL, 0);
}

static void
on_closed(struct link *link, void *arg)
{
	(void)arg;
	FUZZ_ASSERT(link == NULL);	/* the audit client never closes its link */
}

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
learn(const char *name, uint8_t first)
{
	uint8_t uuid[VG_UUID_LEN] = { first };
	struct xdr_object object = { .class = VG_CLASS_domain, .name = { (const uint8_t *)name, strlen(name) }, .uuid = uuid, .id = first };

	inventory_learn(gate.inventories[0], &object);
}

static void
start(void)
{
	struct vg_error error;
	int fds[2];

	if (gate.base != NULL)
		return;
	gate.base = event_base_new();
	gate.settings = settings_parse("backend_socket = \"/nonexistent\"\nlog_level = 4\nlog_outputs = [ \"4:file:/dev/null\" ]\n", "fuzz", &error);
	gate.policy = policy_parse(policy_text, strlen(policy_text), "fuzz", NULL, NULL);
	gate.audit = audit_client_create(gate.base);
	FUZZ_ASSERT(gate.settings != NULL && gate.policy != NULL && gate.audit != NULL);
	FUZZ_ASSERT(link_pair(fds) == 0 && link_create(gate.base, fds[0], on_record, on_closed, NULL) != NULL);
	audit_client_connect(gate.audit, fds[1]);
	TAILQ_INIT(&gate.sessions);
	TAILQ_INIT(&gate.dead);
	TAILQ_INIT(&gate.users);
	evtimer_assign(&gate.sweep, gate.base, on_tick, NULL);
	evtimer_assign(&gate.redial, gate.base, on_tick, NULL);
	gate.inventories[0] = inventory_create(&gate, "test:///default");
	gate.num_inventories = 1;
	FUZZ_ASSERT(gate.inventories[0] != NULL);
	learn("web-1", 0x11);
	learn("db-1", 0x33);
}

static void
drain(int fd)
{
	char buf[65536];

	while (recv(fd, buf, sizeof(buf), MSG_DONTWAIT) > 0)
		;
}

static struct session *
open_session(int client_fd, int backend_fd)
{
	struct vg_identity identity = { .proofs = VG_PROOF_SASL, .sasl_name = strdup("fuzz") };
	struct session *session = session_create(&gate, client_fd, -1, &identity);

	FUZZ_ASSERT(session != NULL);
	session->inventory = gate.inventories[0];
	session->uri = inventory_uri(session->inventory);
	end_init(&session->backend, session, backend_fd);
	session_set_state(session, SESSION_OPEN);
	return session;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct session *session;
	int client[2], backend[2];

	start();
	FUZZ_ASSERT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, client) == 0);
	FUZZ_ASSERT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, backend) == 0);
	session = open_session(client[0], backend[0]);
	while (size >= 3) {
		size_t len = (size_t)data[1] << 8 | data[2];
		int to = data[0] == 'S' ? backend[1] : client[1];

		data += 3;
		size -= 3;
		if (len > size)
			len = size;
		(void)!send(to, data, len, MSG_NOSIGNAL);
		data += len;
		size -= len;
		event_base_loop(gate.base, EVLOOP_NONBLOCK);
		drain(client[1]);
		drain(backend[1]);
		if (TAILQ_EMPTY(&gate.sessions))
			break;
	}
	close(client[1]);
	close(backend[1]);
	if (!TAILQ_EMPTY(&gate.sessions)) {
		session_close(session, CLOSE_CLIENT_GONE);
		session_close(session, CLOSE_KILLED);
		if (session->state != SESSION_CLOSED)
			session_set_state(session, SESSION_CLOSED);
	}
	FUZZ_ASSERT(TAILQ_EMPTY(&gate.sessions));
	/* Nothing may be left behind: the dead are freed, the records taken. */
	for (int i = 0; i < 8; i++)
		event_base_loop(gate.base, EVLOOP_NONBLOCK);
	FUZZ_ASSERT(TAILQ_EMPTY(&gate.dead));
	return 0;
}
