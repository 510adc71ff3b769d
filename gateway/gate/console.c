/*
 * console.c: a viewer on a guest's screen. Who it is, is known; here is decided whether he may, it is written down, and only
 * then QEMU is reached. QEMU's side of the handshake is the gate's own; behind it QEMU's bytes pass as they come, and the viewer's
 * messages as console_viewer.c has it.
 *
 *   INVENTORY -> RECORDING -> DIALING -> SERVER_VERSION -> SERVER_SECURITY -> SERVER_RESULT -> CLIENT_INIT -> SERVER_INIT -> OPEN
 */
#include "gateway/gate/console.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "gateway/core/log.h"
#include "gateway/gate/console_ports.h"
#include "gateway/gate/console_record.h"
#include "gateway/gate/console_share.h"
#include "gateway/gate/console_xml.h"
#include "gateway/gate/inventory.h"
#include "gateway/gate/unusual.h"
#include "gateway/gate/upstream.h"
#include "proto/rfb.h"

/* virDomainOpenGraphicsFlags, libvirt include/libvirt/libvirt-domain.h: QEMU takes this connection without its password. */
enum { OPEN_GRAPHICS_SKIPAUTH = 1 };

static const struct {
	const char *name;
	int seconds;			/* that it may last; 0: as long as it likes */
	bool reads_client, reads_backend;
} states[CONSOLE_NUM_STATES] = {
	[CONSOLE_INVENTORY] = { "inventory", 10, false, false },
	[CONSOLE_RECORDING] = { "recording", 10, false, false },
	[CONSOLE_DIALING] = { "dialing", 10, false, false },
	[CONSOLE_SERVER_VERSION] = { "server version", 10, false, true },
	[CONSOLE_SERVER_SECURITY] = { "server security", 10, false, true },
	[CONSOLE_SERVER_RESULT] = { "server result", 10, false, true },
	[CONSOLE_CLIENT_INIT] = { "client init", 30, true, true },
	[CONSOLE_SERVER_INIT] = { "server init", 10, false, true },
	[CONSOLE_OPEN] = { "open", 0, true, true },
};

void
console_enter(struct session *session, enum console_state state)
{
	struct console *console = session->console;

	log_debug("session %s: console %s -> %s", session->id, states[console->state].name, states[state].name);
	console->state = state;
	session->deadline = states[state].seconds == 0 ? 0 : gate_steady() + states[state].seconds;
	session_update_reading(session);
}

bool
console_reads(const struct session *session, const struct end *end)
{
	const struct console *console = session->console;

	if (end == &session->backend)
		return states[console->state].reads_backend;
	/* Before his turn he is read only to notice that he left: what he says already stays, and no more is taken. */
	return states[console->state].reads_client || buf_len(&end->in) == 0;
}

void
console_refuse(struct session *session, enum close_reason reason, const char *text)
{
	uint8_t result[RFB_MAX_REASON_LEN];

	if (session->console->state < CONSOLE_CLIENT_INIT)
		end_send(&session->client, result, rfb_put_failed(result, text));
	session_close(session, reason);
}

/* The console of a guest that he may open cannot be had. */
static void
unavailable(struct session *session, enum close_reason reason, const char *why)
{
	char text[RFB_MAX_REASON_LEN - 8];

	log_warn("session %s: console of '%s': %s", session->id, session->console->name, why);
	(void)snprintf(text, sizeof(text), "the console is not available: %s", why);
	console_refuse(session, reason, text);
}

/* ---- may he ---- */

static bool
is_granted(struct session *session, enum vg_permission permission)
{
	struct console *console = session->console;
	struct vg_object object = console_object(console);

	console->permission = permission;
	console->decision = policy_decide(session->gate->policy, &session->identity, permission, &object, gate_now(session->gate));
	return console->decision.verdict != VERDICT_DENY;
}

/*
 * What he may, `most` at most: into console->mode, and the decision that said so. False: nothing. Who only looks may do so with either right.
 * Asked every second: not counted.
 */
static bool
judge(struct session *session, enum console_mode most)
{
	bool looks = session->identity.console_view || most == CONSOLE_VIEW;

	session->console->pastes = is_granted(session, VG_PERM_domain_paste_graphics);
	session->console->copies = is_granted(session, VG_PERM_domain_copy_graphics);
	session->console->mode = !looks && is_granted(session, VG_PERM_domain_open_graphics) ? CONSOLE_INPUT : CONSOLE_VIEW;
	return session->console->mode == CONSOLE_INPUT || is_granted(session, VG_PERM_domain_view_graphics) ||
	    (looks && is_granted(session, VG_PERM_domain_open_graphics));
}

/* Follows a guest that was renamed: it is decided on the name that it has. False when memory is out. */
static bool
follow_name(struct console *console, const char *name)
{
	char *copy;

	if (strcmp(console->name, name) == 0)
		return true;
	copy = strdup(name);
	if (copy == NULL)
		return false;
	free(console->name);
	console->name = copy;
	return true;
}

enum finding { GUEST_FOUND, GUEST_UNKNOWN, GUEST_NOT_YET };

/* Out of a browser a guest comes with its UUID: one that has only the name of the one that was looked at is another. */
static bool
is_meant(const struct session *session, const struct inventory_domain *domain)
{
	return session->identity.via != VG_VIA_WEB || memcmp(domain->uuid, session->identity.console_uuid, VG_UUID_LEN) == 0;
}

/* The guest that he asked for, and its inventory. NOT_YET: one that could know it has only just been asked. */
static enum finding
find_guest(struct session *session)
{
	const struct gate *gate = session->gate;
	const struct inventory_domain *domain;
	enum finding otherwise = GUEST_UNKNOWN;

	for (size_t i = 0; i < gate->num_inventories; i++) {
		if (!inventory_ready(gate->inventories[i]) && inventory_trouble(gate->inventories[i])[0] == '\0')
			otherwise = GUEST_NOT_YET;
		domain = session->identity.console != NULL ? inventory_by_name(gate->inventories[i], session->identity.console) :
		    console_ports_guest(gate->console_ports, gate->inventories[i], session->identity.console_port);
		if (domain == NULL || !is_meant(session, domain) || !follow_name(session->console, domain->name))
			continue;
		session->inventory = gate->inventories[i];
		session->uri = inventory_uri(gate->inventories[i]);
		session->console->found = true;
		memcpy(session->console->uuid, domain->uuid, VG_UUID_LEN);
		return GUEST_FOUND;
	}
	return otherwise;
}

static bool
sees_guest(struct session *session)
{
	const struct vg_object object = console_object(session->console);

	return decide_visible(session, VG_PERM_domain_getattr, &object);
}

/* A guest that he may not know of is refused as a wrong password is. */
static void
deny(struct session *session, bool sees)
{
	const struct vg_object object = console_object(session->console);
	char op[ID_LEN + 1], text[RFB_MAX_REASON_LEN - 8];

	session->gate->counters.denials++;
	console_record_refusal(session, session->console->found ? "" : "no such guest is known", op);
	unusual_hours(session, VG_PERM_domain_open_graphics, &object, op);
	unusual_hours(session, VG_PERM_domain_view_graphics, &object, op);
	(void)snprintf(text, sizeof(text), "access denied: 'domain:open_graphics' on domain '%s' (decision %s)", session->console->name, op);
	console_refuse(session, CLOSE_CONSOLE_DENIED, sees ? text : "authentication failed");
}

static void dial(struct session *session);

static void
on_recorded(bool durable, void *arg)
{
	struct session *session = arg;

	session->console->ticket = 0;
	if (durable)
		dial(session);
	else
		unavailable(session, CLOSE_NO_TRAIL, "the audit trail cannot be written");
}

/* Decides as soon as it is known which guest this is. */
void
console_inventory_changed(struct session *session)
{
	struct console *console = session->console;
	char op[ID_LEN + 1];
	enum console_join join;
	enum finding finding;

	if (console->state != CONSOLE_INVENTORY)
		return;
	finding = find_guest(session);
	if (finding == GUEST_NOT_YET)
		return;
	session->gate->counters.decisions++;
	if (finding == GUEST_UNKNOWN || !judge(session, CONSOLE_INPUT)) {
		deny(session, finding == GUEST_FOUND && sees_guest(session));
		return;
	}
	join = console_share_join(session);
	if (join >= JOIN_FULL) {
		console_record_refusal(session, console_share_refusal(join), op);
		unavailable(session, CLOSE_CONSOLE_DENIED, console_share_refusal(join));
		return;
	}
	if (join == JOIN_TO_VIEW)
		(void)judge(session, CONSOLE_VIEW);
	console->most = console->mode;
	console_enter(session, CONSOLE_RECORDING);
	console->ticket = console_record_open(session, on_recorded);
	if (console->ticket == 0)
		unavailable(session, CLOSE_NO_TRAIL, "the audit trail cannot be written");
}

void
console_start(struct session *session)
{
	struct console *console = calloc(1, sizeof(*console));
	char port[32];

	(void)snprintf(port, sizeof(port), "(port %u)", session->identity.console_port);
	if (console == NULL || (console->name = strdup(session->identity.console != NULL ? session->identity.console : port)) == NULL) {
		free(console);
		session_close(session, CLOSE_NO_MEMORY);
		return;
	}
	session->console = console;
	clock_gettime(CLOCK_MONOTONIC, &console->started);
	session_set_state(session, SESSION_CONSOLE);
	console_enter(session, CONSOLE_INVENTORY);
	console_inventory_changed(session);
}

void
console_finish(struct session *session)
{
	struct console *console = session->console;

	if (console == NULL)
		return;
	if (console->ticket != 0)
		audit_forget(session->gate->audit, console->ticket);
	else if (console->opened)
		console_record_close(session);
	upstream_destroy(console->upstream);
	free(console->name);
	free(console);
	session->console = NULL;
}

/* ---- reaching QEMU ---- */

static void
attach(struct session *session, int descriptor)
{
	int size = END_READ_SIZE;

	(void)fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK);
	(void)setsockopt(descriptor, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	end_init(&session->backend, session, descriptor);
	console_enter(session, CONSOLE_SERVER_VERSION);
}

static void
on_descriptor(const struct rpc_proc *proc, const uint8_t *body, size_t len, const struct rpc_error *error, void *arg)
{
	struct session *session = arg;
	struct upstream *upstream = session->console->upstream;
	int descriptor = upstream_take_descriptor(upstream);

	(void)proc;
	(void)body;
	(void)len;
	session->console->upstream = NULL;
	upstream_destroy(upstream);
	if (descriptor >= 0)
		attach(session, descriptor);
	else
		unavailable(session, CLOSE_CONSOLE_NONE, error != NULL ? error->message : "libvirtd gave no descriptor");
}

/* The domain as libvirtd's procedures take it. */
static void
put_domain(struct xdr_out *out, const struct session *session)
{
	const struct inventory_domain *domain = inventory_by_uuid(session->inventory, session->console->uuid);

	xdr_put_string(out, session->console->name);
	xdr_put_raw(out, session->console->uuid, VG_UUID_LEN);
	xdr_put_i32(out, domain != NULL ? domain->id : -1);
}

static void
ask(struct session *session, const char *proc, const uint8_t *body, const struct xdr_out *out, upstream_reply_cb *reply)
{
	if (out->failed || upstream_call(session->console->upstream, rpc_proc_by_name(proc), body, out->len, reply, session) == 0)
		unavailable(session, CLOSE_NO_MEMORY, "out of memory");
}

/* The guest's description says which of its displays is the first that speaks VNC. */
static void
on_described(const struct rpc_proc *proc, const uint8_t *body, size_t len, const struct rpc_error *error, void *arg)
{
	struct session *session = arg;
	struct xdr_span span, xml;
	uint8_t question[4096];
	struct xdr_out out;
	int display;

	if (error != NULL || !xdr_find(proc->ret, body, len, "xml", &span) || !xdr_span_string(span, &xml)) {
		unavailable(session, CLOSE_CONSOLE_NONE, error != NULL ? error->message : "libvirtd does not describe the guest");
		return;
	}
	display = console_xml_display((const char *)xml.data, xml.len);
	if (display < 0) {
		unavailable(session, CLOSE_CONSOLE_NONE, "this guest has no VNC display");
		return;
	}
	xdr_out_init(&out, question, sizeof(question));
	put_domain(&out, session);
	xdr_put_u32(&out, (uint32_t)display);
	xdr_put_u32(&out, OPEN_GRAPHICS_SKIPAUTH);
	ask(session, "domain_open_graphics_fd", question, &out, on_descriptor);
}

static void
on_dialed(void *arg)
{
	struct session *session = arg;
	uint8_t question[4096];
	struct xdr_out out;

	xdr_out_init(&out, question, sizeof(question));
	put_domain(&out, session);
	xdr_put_u32(&out, 0);		/* the one that runs, without passwords */
	ask(session, "domain_get_xml_desc", question, &out, on_described);
}

static void
on_event(const struct rpc_proc *proc, const uint8_t *body, size_t len, void *arg)
{
	(void)proc;
	(void)body;
	(void)len;
	(void)arg;
}

static void
on_closed(const char *why, void *arg)
{
	struct session *session = arg;
	struct upstream *upstream = session->console->upstream;

	session->console->upstream = NULL;
	upstream_destroy(upstream);
	unavailable(session, CLOSE_BACKEND_GONE, why);
}

/* A connection of its own: a guest whose monitor hangs must not hold up the inventory's. */
static void
dial(struct session *session)
{
	const struct upstream_handlers handlers = { .ready = on_dialed, .event = on_event, .closed = on_closed, .arg = session };
	const struct settings *settings = session->gate->settings;

	session->console->opened = true;
	console_enter(session, CONSOLE_DIALING);
	session->console->upstream = upstream_create(session->gate, settings->backend_socket, session->uri, &handlers);
	if (session->console->upstream == NULL)
		unavailable(session, CLOSE_BACKEND_REFUSED, "libvirtd cannot be reached");
}

/* ---- QEMU's handshake ---- */

static enum vg_parse
take_version(struct session *session, const uint8_t *data, size_t len, size_t *used)
{
	unsigned minor;
	enum vg_parse parse = rfb_version_get(data, len, &minor);

	if (parse != VG_OK)
		return parse;
	if (minor < 8)
		return VG_BAD;
	*used = RFB_VERSION_LEN;
	end_send(&session->backend, RFB_VERSION_TEXT, RFB_VERSION_LEN);
	console_enter(session, CONSOLE_SERVER_SECURITY);
	return VG_OK;
}

static enum vg_parse
take_security(struct session *session, const uint8_t *data, size_t len, size_t *used)
{
	static const uint8_t none = RFB_SECURITY_NONE;
	enum vg_parse parse = rfb_security_list_get(data, len, RFB_SECURITY_NONE, used);

	if (parse != VG_OK)
		return parse;
	end_send(&session->backend, &none, sizeof(none));
	console_enter(session, CONSOLE_SERVER_RESULT);
	return VG_OK;
}

static enum vg_parse
take_result(struct session *session, const uint8_t *data, size_t len, size_t *used)
{
	if (len < 4)
		return VG_MORE;
	if (rfb_load_u32(data) != 0)
		return VG_BAD;
	*used = 4;
	end_send(&session->client, data, 4);
	console_enter(session, CONSOLE_CLIENT_INIT);
	return VG_OK;
}

static enum vg_parse
take_server_init(struct session *session, const uint8_t *data, size_t len, size_t *used)
{
	enum vg_parse parse = rfb_server_init_get(data, len, used);

	if (parse != VG_OK)
		return parse;
	end_send(&session->client, data, *used);
	console_enter(session, CONSOLE_OPEN);
	return VG_OK;
}

static enum vg_parse
take_screen(struct session *session, const uint8_t *data, size_t len, size_t *used)
{
	*used = len;
	session->console->bytes_to_client += len;
	end_send(&session->client, data, len);
	return VG_OK;
}

/* QEMU says nothing before it has heard ClientInit. */
static enum vg_parse
take_early(struct session *session, const uint8_t *data, size_t len, size_t *used)
{
	(void)session;
	(void)data;
	(void)len;
	(void)used;
	return VG_BAD;
}

size_t
console_take_backend(struct session *session, const uint8_t *data, size_t len)
{
	static enum vg_parse (*const takers[CONSOLE_NUM_STATES])(struct session *, const uint8_t *, size_t, size_t *) = {
		[CONSOLE_SERVER_VERSION] = take_version, [CONSOLE_SERVER_SECURITY] = take_security,
		[CONSOLE_SERVER_RESULT] = take_result, [CONSOLE_CLIENT_INIT] = take_early,
		[CONSOLE_SERVER_INIT] = take_server_init, [CONSOLE_OPEN] = take_screen,
	};
	size_t eaten = 0, used;

	while (session->state == SESSION_CONSOLE && eaten < len) {
		enum vg_parse parse;

		used = 0;
		parse = takers[session->console->state](session, data + eaten, len - eaten, &used);
		if (parse == VG_MORE)
			break;
		if (parse == VG_BAD) {
			unavailable(session, CLOSE_CONSOLE_PROTOCOL, "the guest's VNC server says something that is no RFB 3.8");
			return len;
		}
		eaten += used;
	}
	return eaten;
}

/* ---- time and change ---- */

void
console_too_late(struct session *session)
{
	struct console *console = session->console;

	log_warn("session %s: console of '%s': nothing came in state '%s'", session->id, console->name, states[console->state].name);
	if (console->state == CONSOLE_CLIENT_INIT)
		session_close(session, CLOSE_CLIENT_SILENT);
	else if (console->state == CONSOLE_RECORDING)
		unavailable(session, CLOSE_NO_TRAIL, "the audit trail cannot be written in time");
	else
		unavailable(session, CLOSE_CONSOLE_NONE, "no answer in time");
}

/* Nobody is there any more, or he was there for as long as anybody may. */
static void
check_age(struct session *session)
{
	const struct settings *settings = session->gate->settings;
	const struct console *console = session->console;
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (settings->console_max_seconds > 0 && now.tv_sec - console->started.tv_sec >= settings->console_max_seconds)
		session_close(session, CLOSE_CONSOLE_TOO_LONG);
	else if (settings->console_idle_seconds > 0 && gate_steady() - console->active >= settings->console_idle_seconds)
		session_close(session, CLOSE_CONSOLE_IDLE);
}

/* Only looking is left of what he had. It stays so until he comes anew: somebody else may have got input by then. */
static void
narrow(struct session *session)
{
	struct console *console = session->console;

	console->most = console->mode;
	console->alone = false;
	console_let_go(session);
	log_info("session %s: console of '%s': only to look at from now on", session->id, console->name);
	console_record_narrow(session);
}

void
console_rejudge(struct session *session)
{
	struct console *console = session->console;
	const struct inventory_domain *domain;
	enum console_mode mode = console->mode;

	if (!console->found)
		return;
	/* While libvirtd is away its guests are not: what was known of this one counts. */
	if (inventory_ready(session->inventory)) {
		domain = inventory_by_uuid(session->inventory, console->uuid);
		if (domain == NULL) {
			session_close(session, CLOSE_CONSOLE_NO_GUEST);
			return;
		}
		if (!follow_name(console, domain->name)) {
			session_close(session, CLOSE_NO_MEMORY);
			return;
		}
	}
	if (!judge(session, console->most)) {
		console->mode = mode;
		console_refuse(session, CLOSE_REVOKED, "rights revoked");
		return;
	}
	/* Text of the guest may be on its way already, in bytes that are not looked at. */
	if (console->clipboard.on && !console->copies) {
		console_refuse(session, CLOSE_CONSOLE_NO_COPYING, "rights revoked");
		return;
	}
	if (console->mode != mode)
		narrow(session);
	if (console->state == CONSOLE_OPEN)
		check_age(session);
}

void
console_describe(const struct session *session, json_t *json)
{
	const struct console *console = session->console;

	if (console == NULL)
		return;
	(void)json_object_set_new(json, "console", audit_text(console->name, strlen(console->name)));
	(void)json_object_set_new(json, "mode", json_string(console_mode_name(console->mode)));
	(void)json_object_set_new(json, "others", json_integer((json_int_t)console_share_others(session)));
	(void)json_object_set_new(json, "alone", json_boolean(console->alone));
	(void)json_object_set_new(json, "console_state", json_string(states[console->state].name));
	(void)json_object_set_new(json, "bytes_to_viewer", json_integer((json_int_t)console->bytes_to_client));
	(void)json_object_set_new(json, "bytes_to_guest", json_integer((json_int_t)console->bytes_to_backend));
}
