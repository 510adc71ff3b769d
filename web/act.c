/*
 * act.c: one guest: actions, its picture, its console's ticket.
 */
#include "web/act.h"

#include <stdlib.h>
#include <string.h>

#include "gateway/policy/policy.h"
#include "web/guests.h"

#define MAX_PICTURE	(32u * 1024u * 1024u)

/* Which buttons there are, by which call of libvirt, and which permission that call needs. */
static const struct action {
	const char *name, *call;
	bool flags;			/* the call has flags: 0 */
	enum vg_permission permission;
} actions[] = {
	{ "start", "domain_create_with_flags", true, VG_PERM_domain_start },
	{ "shutdown", "domain_shutdown", false, VG_PERM_domain_init_control },
	{ "reboot", "domain_reboot", true, VG_PERM_domain_init_control },
	{ "reset", "domain_reset", true, VG_PERM_domain_reset },
	{ "destroy", "domain_destroy_flags", true, VG_PERM_domain_stop },
	{ "suspend", "domain_suspend", false, VG_PERM_domain_suspend },
	{ "resume", "domain_resume", false, VG_PERM_domain_suspend },
};

/* What else a page wants to know; `read` is for the list itself. */
static const struct { const char *name; enum vg_permission permission, or_permission; } others[] = {
	{ "screenshot", VG_PERM_domain_screenshot, VG_PERM_NONE },
	{ "view", VG_PERM_domain_view_graphics, VG_PERM_domain_open_graphics },
	{ "input", VG_PERM_domain_open_graphics, VG_PERM_NONE },
	{ "paste", VG_PERM_domain_paste_graphics, VG_PERM_NONE },
	{ "copy", VG_PERM_domain_copy_graphics, VG_PERM_NONE },
	{ "read", VG_PERM_domain_read, VG_PERM_NONE },
};

#define NUM_ACTIONS (sizeof(actions) / sizeof(actions[0]))
#define NUM_OTHERS (sizeof(others) / sizeof(others[0]))

json_t *
act_permissions(void)
{
	json_t *list = json_array();

	for (size_t i = 0; i < NUM_ACTIONS; i++)
		(void)json_array_append_new(list, json_string(permission_name(actions[i].permission)));
	for (size_t i = 0; i < NUM_OTHERS; i++)
		(void)json_array_append_new(list, json_string(permission_name(others[i].permission)));
	return list;
}

static bool
has(const json_t *permissions, enum vg_permission permission)
{
	return permission != VG_PERM_NONE && json_is_true(json_object_get(permissions, permission_name(permission)));
}

json_t *
act_may(const json_t *permissions)
{
	json_t *may = json_object();

	for (size_t i = 0; i < NUM_ACTIONS; i++)
		(void)json_object_set_new(may, actions[i].name, json_boolean(has(permissions, actions[i].permission)));
	for (size_t i = 0; i < NUM_OTHERS; i++)
		(void)json_object_set_new(may, others[i].name, json_boolean(has(permissions, others[i].permission) ||
		    has(permissions, others[i].or_permission)));
	return may;
}

bool
act_parse_uuid(const char *text, uint8_t uuid[VG_UUID_LEN])
{
	return text != NULL && policy_parse_uuid(text, uuid);
}

/* ---- finding ---- */

static void
on_found(const struct rpc_proc *proc, const uint8_t *body, size_t len, const struct rpc_error *error, void *arg)
{
	struct request *request = arg;
	guest_found_cb *next = (guest_found_cb *)(uintptr_t)request->waiting;
	struct xdr_span span;

	request->call = NULL;
	request->waiting = NULL;
	if (error != NULL)
		reply_rpc_error(request, error);
	else if (!xdr_find(proc->ret, body, len, "dom", &span))
		reply_error(request, 502, RPC_ERR_INTERNAL, "libvirtd gave no domain");
	else
		next(request, span.data, span.len);
}

void
guest_find(struct request *request, guest_found_cb *next)
{
	uint8_t uuid[VG_UUID_LEN];

	if (!act_parse_uuid(request->segments[0], uuid)) {
		reply_error(request, 400, RPC_ERR_INVALID_ARG, "'%s' is no UUID", request->segments[0]);
		return;
	}
	request->waiting = (void *)(uintptr_t)next;
	request->call = rpc_client_call(request->session->rpc, rpc_proc_by_name("domain_lookup_by_uuid"), uuid, sizeof(uuid), on_found, request);
	if (request->call == NULL)
		reply_error(request, 503, RPC_ERR_SYSTEM, "the session has ended");
}

/* ---- acting ---- */

static void
on_acted(const struct rpc_proc *proc, const uint8_t *body, size_t len, const struct rpc_error *error, void *arg)
{
	struct request *request = arg;

	(void)proc;
	(void)body;
	(void)len;
	request->call = NULL;
	if (error != NULL)
		reply_rpc_error(request, error);
	else
		reply_json(request, 200, json_object());
}

static const struct action *
find_action(const char *name)
{
	for (size_t i = 0; i < NUM_ACTIONS; i++)
		if (strcmp(actions[i].name, name) == 0)
			return &actions[i];
	return NULL;
}

/* The call with the domain and zeros behind it: its flags, or the number of a screen and its flags. */
static size_t
put_call(uint8_t *body, size_t size, const uint8_t *domain, size_t len, unsigned zeros)
{
	if (len + 4 * (size_t)zeros > size)
		return 0;
	memcpy(body, domain, len);
	memset(body + len, 0, 4 * (size_t)zeros);
	return len + 4 * (size_t)zeros;
}

static void
act(struct request *request, const uint8_t *domain, size_t len)
{
	const struct action *action = find_action(request->segments[1]);
	uint8_t body[600];

	len = put_call(body, sizeof(body), domain, len, action->flags ? 1 : 0);
	request->call = rpc_client_call(request->session->rpc, rpc_proc_by_name(action->call), body, len, on_acted, request);
	if (request->call == NULL)
		reply_error(request, 503, RPC_ERR_SYSTEM, "the session has ended");
}

void
guests_act(struct request *request)
{
	if (find_action(request->segments[1]) == NULL)
		reply_error(request, 404, RPC_ERR_INVALID_ARG, "there is no action '%s'", request->segments[1]);
	else
		guest_find(request, act);
}

/* ---- its picture ---- */

static void
on_picture(const uint8_t *bytes, size_t len, const char *type, const struct rpc_error *error, void *arg)
{
	struct request *request = arg;
	bool ppm = strcmp(type, "image/x-portable-pixmap") == 0;
	uint8_t *copy;

	request->call = NULL;
	if (error != NULL) {
		reply_rpc_error(request, error);
		return;
	}
	copy = malloc(len + 1);
	if (copy == NULL) {
		reply_error(request, 500, RPC_ERR_SYSTEM, "out of memory");
		return;
	}
	memcpy(copy, len == 0 ? (const uint8_t *)"" : bytes, len);
	/* Only types that a browser takes for nothing but a picture. */
	reply_bytes(request, 200, ppm ? "image/x-portable-pixmap" : strcmp(type, "image/png") == 0 ? "image/png" : "application/octet-stream", copy, len);
}

static void
take_picture(struct request *request, const uint8_t *domain, size_t len)
{
	uint8_t body[600];

	len = put_call(body, sizeof(body), domain, len, 2);
	request->call = rpc_client_read(request->session->rpc, rpc_proc_by_name("domain_screenshot"), body, len, MAX_PICTURE, on_picture, request);
	if (request->call == NULL)
		reply_error(request, 503, RPC_ERR_SYSTEM, "the session has ended");
}

void
guests_screenshot(struct request *request)
{
	guest_find(request, take_picture);
}
