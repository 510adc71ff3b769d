#include "tests/session/harness.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>

#include "gateway/core/audit_wire.h"
#include "gateway/core/buf.h"
#include "gateway/core/handover.h"
#include "gateway/core/process.h"
#include "proto/virtgate.h"
#include "tests/session/libvirtd.h"

#define DEADLINE_MS 60000	/* who succeeds never waits so long */

static struct {
	char dir[64], path[96];
	pid_t gate, reader;		/* reader: 0 where there is none */
	int reader_fd;			/* its parent's end */
	int stop_pipe[2];
	pthread_t rooms;
	struct event_base *base;
	struct link *parent, *front, *audit;
	uint64_t num_records;
	bool ready;
	pthread_mutex_t lock;
	bool audit_holds;
	bool audit_works;		/* these three under the lock */
	struct buf records;
	char *reloaded;
} h;

/* The gate is forked from a process with threads: what those hold has no owner in the child, and looks leaked there. */
const char *__lsan_default_suppressions(void);

const char *
__lsan_default_suppressions(void)
{
	return "leak:^serve$\nleak:^take_record$\n";
}

/* ---- the other rooms ---- */

static void
take_record(const uint8_t *body, size_t len)
{
	const char *stage = audit_stage_name(body[1]);
	const uint8_t *at = body + AUDIT_WIRE_HEAD;
	struct audit_member member;
	bool bad = false;

	pthread_mutex_lock(&h.lock);
	(void)buf_add(&h.records, stage, strlen(stage));
	while (audit_wire_next(&at, body + len, &member, &bad)) {
		(void)buf_add(&h.records, " ", 1);
		(void)buf_add(&h.records, member.key, member.key_len);
		(void)buf_add(&h.records, "=", 1);
		(void)buf_add(&h.records, member.value, member.value_len);
	}
	(void)buf_add(&h.records, "\n", 1);
	pthread_mutex_unlock(&h.lock);
	assert_false(bad);
}

static void
answer_record(struct link *link, const uint8_t *body, size_t len)
{
	struct audit_ack ack = { .upto = ++h.num_records };
	bool holds;

	pthread_mutex_lock(&h.lock);
	ack.answer = h.audit_works ? AUDIT_DURABLE : AUDIT_FAILED;
	holds = h.audit_holds;
	pthread_mutex_unlock(&h.lock);
	if (ack.answer == AUDIT_DURABLE)
		take_record(body, len);
	if (holds)
		return;		/* one ack is for all before it */
	(void)link_send(link, LINK_ACK, &ack, sizeof(ack), NULL, 0);
}

static void
on_message(struct link *link, enum link_type type, const uint8_t *body, size_t len, const int *fds, size_t num_fds, void *arg)
{
	(void)fds;
	(void)num_fds;
	(void)arg;
	if (type == LINK_READY)
		h.ready = true;
	if (type == LINK_RELOADED) {
		pthread_mutex_lock(&h.lock);
		h.reloaded = strndup((const char *)body, len);
		pthread_mutex_unlock(&h.lock);
	}
	if (type == LINK_RECORD && body[0] == AUDIT_WIRE_RECORD)
		answer_record(link, body, len);
}

static void
on_closed(struct link *link, void *arg)
{
	(void)link;
	(void)arg;
}

static void
on_stop(int fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	event_base_loopbreak(h.base);
}

static void *
run_rooms(void *arg)
{
	struct event *stop = event_new(h.base, h.stop_pipe[0], EV_READ | EV_PERSIST, on_stop, NULL);

	(void)arg;
	event_add(stop, NULL);
	event_base_dispatch(h.base);
	event_free(stop);
	return NULL;
}

static int
memory_file(const char *text)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	return fd;
}

static void
give_link(enum process_kind kind, struct link **ours)
{
	struct link_peer peer = { .kind = kind, .index = 0 };
	int fds[2];

	assert_int_equal(link_pair(fds), 0);
	*ours = link_create(h.base, fds[0], on_message, on_closed, NULL);
	assert_non_null(*ours);
	assert_int_equal(link_send(h.parent, LINK_PEER, &peer, sizeof(peer), &fds[1], 1), 0);
	close(fds[1]);
}

static const char *more_settings = "";

void
harness_settings(const char *more)
{
	more_settings = more;
}

static void
settings_text(char *text, size_t size)
{
	(void)snprintf(text, size, "backend_socket = \"%s\"\nbackend_socket_ro = \"%s\"\nallowed_uris = [ \"test:///default\" ]\n"
	    "user = \"nobody\"\ngroup = \"nogroup\"\nlog_level = 4\nmax_client_requests = 4\nkeepalive_interval = 1\nkeepalive_count = 1\nlog_outputs = [ \"4:stderr\" ]\n%s",
	    h.path, h.path, more_settings);
}

static struct settings *
make_settings(void)
{
	struct settings *settings;
	struct vg_error error;
	char text[1024];

	settings_text(text, sizeof(text));
	settings = settings_parse(text, "test.conf", &error);
	if (settings == NULL)
		fail_msg("%s", error.what);
	return settings;
}

static void
start_gate(const char *policy, int parent_fd, int close_fd)
{
	struct process process = { .kind = PROCESS_GATE, .parent_fd = parent_fd };

	process.settings = make_settings();
	for (size_t i = 0; i < PROCESS_NUM_FILES; i++)
		process.files[i] = -1;
	process.files[FILE_POLICY] = memory_file(policy);
	h.gate = fork();
	assert_true(h.gate >= 0);
	if (h.gate == 0) {
		close(close_fd);
		gate_main(&process);
	}
	close(parent_fd);
	close(process.files[FILE_POLICY]);
	settings_destroy(process.settings);
}

void
harness_start(const char *policy)
{
	int fds[2];

	memset(&h, 0, sizeof(h));
	pthread_mutex_init(&h.lock, NULL);
	h.audit_works = true;
	(void)snprintf(h.dir, sizeof(h.dir), "/tmp/virtgate-session-XXXXXX");
	assert_non_null(mkdtemp(h.dir));
	assert_int_equal(chmod(h.dir, 0755), 0);
	(void)snprintf(h.path, sizeof(h.path), "%s/libvirt-sock", h.dir);
	libvirtd_listen(h.path);
	assert_int_equal(link_pair(fds), 0);
	/* Before there is a thread: one that held the allocator would leave it locked in the gate, whose search for leaks then never ends. */
	start_gate(policy, fds[1], fds[0]);
	libvirtd_serve();
	h.base = event_base_new();
	h.parent = link_create(h.base, fds[0], on_message, on_closed, NULL);
	give_link(PROCESS_AUDIT, &h.audit);
	give_link(PROCESS_FRONT, &h.front);
	while (!h.ready)
		assert_int_equal(event_base_loop(h.base, EVLOOP_ONCE), 0);
	assert_int_equal(pipe(h.stop_pipe), 0);
	assert_int_equal(pthread_create(&h.rooms, NULL, run_rooms, NULL), 0);
}

static void stop_reader(void);

void
harness_stop(void)
{
	int status = 0;

	stop_reader();
	(void)!write(h.stop_pipe[1], "x", 1);
	pthread_join(h.rooms, NULL);
	assert_int_equal(link_send(h.parent, LINK_STOP, NULL, 0, NULL, 0), 0);
	assert_int_equal(waitpid(h.gate, &status, 0), h.gate);
	/* A crash, or a leak that a sanitizer found, shows up here. */
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	libvirtd_stop();
	link_destroy(h.front);
	link_destroy(h.audit);
	link_destroy(h.parent);
	event_base_free(h.base);
	close(h.stop_pipe[0]);
	close(h.stop_pipe[1]);
	unlink(h.path);
	rmdir(h.dir);
	buf_free(&h.records);
	free(h.reloaded);
}

void
harness_audit(bool works)
{
	pthread_mutex_lock(&h.lock);
	h.audit_works = works;
	pthread_mutex_unlock(&h.lock);
}

void
harness_audit_hold(bool holds)
{
	struct audit_ack ack = { .upto = h.num_records, .answer = AUDIT_DURABLE };

	pthread_mutex_lock(&h.lock);
	h.audit_holds = holds;
	pthread_mutex_unlock(&h.lock);
	if (!holds)
		assert_int_equal(link_send(h.audit, LINK_ACK, &ack, sizeof(ack), NULL, 0), 0);
}

static char *
all_records(void)
{
	char *text;

	pthread_mutex_lock(&h.lock);
	text = strndup(buf_len(&h.records) == 0 ? "" : (const char *)buf_head(&h.records), buf_len(&h.records));
	pthread_mutex_unlock(&h.lock);
	return text;
}

bool
harness_has_record(const char *one, const char *other)
{
	char *text = all_records(), *rest = text, *line;
	bool found = false;

	while (!found && (line = strsep(&rest, "\n")) != NULL)
		found = strstr(line, one) != NULL && strstr(line, other) != NULL;
	free(text);
	return found;
}

void
harness_expect_record(const char *one, const char *other)
{
	for (int waited = 0; waited < DEADLINE_MS; waited += 10) {
		if (harness_has_record(one, other))
			return;
		poll(NULL, 0, 10);
	}
	fail_msg("no record with '%s' and '%s' among:\n%s", one, other, all_records());
}

char *
harness_reload(const char *policy)
{
	int files[PROCESS_NUM_FILES], fds[PROCESS_NUM_FILES];
	uint8_t body[PROCESS_NUM_FILES];
	char settings[1024], *text = NULL;
	size_t num_fds;

	for (size_t i = 0; i < PROCESS_NUM_FILES; i++)
		files[i] = -1;
	settings_text(settings, sizeof(settings));
	files[FILE_SETTINGS] = memory_file(settings);
	files[FILE_POLICY] = memory_file(policy);
	num_fds = process_put_files(files, body, fds);
	assert_int_equal(link_send(h.parent, LINK_RELOAD, body, sizeof(body), fds, num_fds), 0);
	close(files[FILE_SETTINGS]);
	close(files[FILE_POLICY]);
	for (int waited = 0; waited < DEADLINE_MS && text == NULL; waited += 10) {
		poll(NULL, 0, 10);
		pthread_mutex_lock(&h.lock);
		text = h.reloaded;
		h.reloaded = NULL;
		pthread_mutex_unlock(&h.lock);
	}
	assert_non_null(text);
	return text;
}

/* ---- clients ---- */

static int
hand_over(struct vg_identity identity)
{
	uint8_t body[1024];
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	assert_int_equal(link_send(h.front, LINK_SESSION, body, handover_put(body, sizeof(body), &identity), &fds[1], 1), 0);
	close(fds[1]);
	return fds[0];
}

int
client_connect(const char *user)
{
	return hand_over((struct vg_identity){ .proofs = VG_PROOF_SASL, .via = VG_VIA_RPC_TLS, .address = "192.0.2.7", .port = 4711,
	    .sasl_name = (char *)(uintptr_t)user });
}

int
web_connect(const char *user)
{
	return hand_over((struct vg_identity){ .proofs = VG_PROOF_SASL, .via = VG_VIA_WEB, .address = "192.0.2.8", .port = 4713,
	    .sasl_name = (char *)(uintptr_t)user });
}

/* Tells the room at this link of the other end of a new one, of this kind. */
static void
tell_peer(struct link *link, enum process_kind kind, int fd)
{
	struct link_peer peer = { .kind = kind, .index = 0 };

	assert_int_equal(link_send(link, LINK_PEER, &peer, sizeof(peer), &fd, 1), 0);
	close(fd);
}

int
harness_reader(void)
{
	int fds[2];

	assert_int_equal(link_pair(fds), 0);
	tell_peer(h.parent, PROCESS_READER, fds[1]);
	assert_int_equal(fcntl(fds[0], F_SETFL, 0), 0);
	return fds[0];
}

void
harness_start_reader(void (*main_function)(struct process *process), const char *audit_dir, const char *state_dir)
{
	struct process process = { .kind = PROCESS_READER };
	struct event_base *base = event_base_new();
	struct vg_error error;
	struct link *parent;
	char text[1024];
	int fds[2];

	settings_text(text, sizeof(text));
	(void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "audit_dir = \"%s\"\nstate_dir = \"%s\"\n", audit_dir, state_dir);
	process.settings = settings_parse(text, "test.conf", &error);
	assert_non_null(process.settings);
	for (size_t i = 0; i < PROCESS_NUM_FILES; i++)
		process.files[i] = -1;
	assert_int_equal(link_pair(fds), 0);
	process.parent_fd = fds[1];
	h.reader = fork();
	assert_true(h.reader >= 0);
	if (h.reader == 0)
		main_function(&process);
	close(fds[1]);
	settings_destroy(process.settings);
	h.reader_fd = fcntl(fds[0], F_DUPFD_CLOEXEC, 0);
	parent = link_create(base, fds[0], on_message, on_closed, NULL);
	assert_int_equal(link_pair(fds), 0);
	tell_peer(parent, PROCESS_GATE, fds[0]);
	tell_peer(h.parent, PROCESS_READER, fds[1]);
	link_destroy(parent);
	event_base_free(base);
}

static void
stop_reader(void)
{
	int status = 0;

	if (h.reader == 0)
		return;
	close(h.reader_fd);
	assert_int_equal(waitpid(h.reader, &status, 0), h.reader);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

void
web_send(int fd, uint32_t serial, const char *json)
{
	const struct rpc_header header = { .program = RPC_PROGRAM_VIRTGATE, .version = 1, .procedure = 1, .type = RPC_CALL, .serial = serial };
	size_t len;
	uint8_t *message = virtgate_put(&header, json, strlen(json), &len);

	assert_non_null(message);
	client_send_raw(fd, message, len);
	free(message);
}

json_t *
web_json(const struct message *answer)
{
	struct xdr_span text;
	json_t *json;

	expect_ok(answer);
	assert_int_equal(answer->header.program, RPC_PROGRAM_VIRTGATE);
	assert_int_equal(answer->header.type, RPC_REPLY);
	assert_true(virtgate_get(answer->body, answer->len, &text));
	json = json_loadb((const char *)text.data, text.len, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(json);
	return json;
}

json_t *
web_ask(int fd, uint32_t serial, const char *json)
{
	static struct message answer;

	web_send(fd, serial, json);
	do {
		assert_true(client_receive(fd, &answer));
	} while (answer.header.type == RPC_EVENT);
	assert_int_equal(answer.header.serial, serial);
	return web_json(&answer);
}

int
viewer_connect(const char *user, const char *guest)
{
	return hand_over((struct vg_identity){ .proofs = VG_PROOF_SASL, .via = VG_VIA_VNC, .address = "192.0.2.7", .port = 4712,
	    .sasl_name = (char *)(uintptr_t)user, .console = (char *)(uintptr_t)guest });
}

int
harness_qemu(void)
{
	int fd;

	for (int waited = 0; waited < DEADLINE_MS; waited += 10) {
		fd = libvirtd_take_console();
		if (fd >= 0)
			return fd;
		poll(NULL, 0, 10);
	}
	fail_msg("libvirtd was not asked for a console");
	return -1;
}

void
client_send_raw(int fd, const void *data, size_t len)
{
	assert_int_equal(send(fd, data, len, MSG_NOSIGNAL), (ssize_t)len);
}

void
client_send(int fd, const char *name, uint32_t serial, const void *body, size_t len)
{
	const struct rpc_proc *proc = rpc_proc_by_name(name);
	struct rpc_header header = { .length = (uint32_t)(RPC_HEADER_LEN + len), .program = proc->program, .version = 1,
		.procedure = (int32_t)proc->number, .type = RPC_CALL, .serial = serial };
	uint8_t head[RPC_HEADER_LEN];

	rpc_header_put(head, &header);
	client_send_raw(fd, head, sizeof(head));
	if (len > 0)
		client_send_raw(fd, body, len);
}

static void
wait_readable(int fd)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

	if (poll(&poll_fd, 1, DEADLINE_MS) != 1)
		fail_msg("nothing came from the gate for %d ms", DEADLINE_MS);
}

static bool
receive_all(int fd, uint8_t *data, size_t len)
{
	for (size_t at = 0; at < len;) {
		ssize_t n;

		wait_readable(fd);
		n = recv(fd, data + at, len - at, 0);
		if (n <= 0)
			return false;
		at += (size_t)n;
	}
	return true;
}

bool
client_receive(int fd, struct message *message)
{
	uint8_t head[RPC_HEADER_LEN];

	if (!receive_all(fd, head, sizeof(head)))
		return false;
	assert_int_equal(rpc_header_get(head, sizeof(head), &message->header), VG_OK);
	message->len = message->header.length - RPC_HEADER_LEN;
	assert_true(message->len <= MAX_MESSAGE);
	return receive_all(fd, message->body, message->len);
}

void
client_call(int fd, const char *proc, uint32_t serial, const void *body, size_t len, struct message *answer)
{
	client_send(fd, proc, serial, body, len);
	assert_true(client_receive(fd, answer));
	assert_int_equal(answer->header.serial, serial);
	assert_int_equal(answer->header.type, RPC_REPLY);
}

void
client_open_uri(int fd, const char *uri, struct message *answer)
{
	uint8_t body[256];
	struct xdr_out out;

	xdr_out_init(&out, body, sizeof(body));
	xdr_put_optional_string(&out, uri);
	xdr_put_u32(&out, 0);
	client_call(fd, "connect_open", 1, body, out.len, answer);
}

void
client_open(int fd)
{
	struct message answer;

	client_open_uri(fd, "test:///default", &answer);
	expect_ok(&answer);
}

void
client_expect_end(int fd)
{
	char byte;

	wait_readable(fd);
	assert_true(recv(fd, &byte, 1, 0) <= 0);
	close(fd);
}

void
expect_error(const struct message *message, int code, const char *text)
{
	struct rpc_error error;

	assert_int_equal(message->header.status, RPC_STATUS_ERROR);
	assert_int_equal(xdr_check(rpc_error_fields, message->body, message->len), VG_OK);
	rpc_get_error(message->body, message->len, &error);
	if (error.code != code || strstr(error.message, text) == NULL)
		fail_msg("expected error %d with '%s', got %d '%s'", code, text, error.code, error.message);
}

void
expect_ok(const struct message *message)
{
	struct rpc_error error;

	if (message->header.status == RPC_STATUS_OK)
		return;
	rpc_get_error(message->body, message->len, &error);
	fail_msg("unexpected error %d '%s'", error.code, error.message);
}
