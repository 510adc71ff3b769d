/*
 * decide.c: may he? The objects of a call are resolved (resolve.c), every permission that applies is asked for, then the rules on
 * what its arguments name (argument.c). Nothing here forwards or answers.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/gate/argument.h"
#include "gateway/gate/class.h"
#include "gateway/gate/console_xml.h"
#include "gateway/gate/filter.h"
#include "gateway/gate/quota.h"
#include "gateway/gate/secrets.h"

/* libvirt's test driver signs the errors of every class as itself. */
int32_t
decide_origin(const struct session *session, int32_t usual)
{
	return session->uri != NULL && strncmp(session->uri, "test:", 5) == 0 ? RPC_ORIGIN_TEST : usual;
}

static void
note(struct lack *lack, enum vg_permission permission, const struct vg_object *object, struct decision decision)
{
	lack->permission = permission;
	lack->decision = decision;
	lack->object = *object;
	(void)snprintf(lack->name, sizeof(lack->name), "%s", object->name != NULL ? object->name : "");
	(void)snprintf(lack->parent, sizeof(lack->parent), "%s", object->parent != NULL ? object->parent : "");
	lack->object.name = object->name != NULL ? lack->name : NULL;
	lack->object.parent = object->parent != NULL ? lack->parent : NULL;
}

/* Made anew when another policy has come. NULL: no memory for it, the policy itself is asked. */
static const struct policy_view *
current_view(struct session *session)
{
	const struct policy *policy = session->gate->policy;

	if (session->view == NULL || !policy_view_is_of(session->view, policy)) {
		policy_view_destroy(session->view);
		session->view = policy_view_create(policy, &session->identity);
	}
	return session->view;
}

struct decision
decide_one(struct session *session, enum vg_permission permission, const struct vg_object *object)
{
	struct gate *gate = session->gate;
	const struct policy_view *view = current_view(session);
	struct decision decision = view != NULL ? policy_view_decide(view, permission, object, gate_now(gate)) :
	    policy_decide(gate->policy, &session->identity, permission, object, gate_now(gate));

	gate->counters.decisions++;
	if (decision.verdict == VERDICT_DENY) {
		gate->counters.denials++;
		if (session->lacks != NULL && !session->lacks->of_reply) {
			session->lacks->denied = true;
			note(&session->lacks->last, permission, object, decision);
		}
	} else if (decision.verdict == VERDICT_WOULD_DENY) {
		gate->counters.would_denials++;
		if (session->lacks != NULL && session->lacks->num++ < MAX_LACKS)
			note(&session->lacks->list[session->lacks->num - 1], permission, object, decision);
	}
	return decision;
}

bool
decide_visible(struct session *session, enum vg_permission permission, const struct vg_object *object)
{
	return decide_one(session, permission, object).verdict != VERDICT_DENY;
}

bool
decide_counts_list(struct session *session, const struct rpc_proc *proc)
{
	return proc->count_by != NULL && filter_needed(session, proc);
}

bool
decide_by_reply(const struct rpc_proc *proc)
{
	return proc->kind == RPC_KIND_READ && proc->returns.from == RPC_FROM_ARG && proc->about.from >= RPC_FROM_BY_NAME &&
	    proc->about.from <= RPC_FROM_BY_PORTDEV;
}

enum vg_permission
decide_hopeless(const struct session *session, const struct rpc_proc *proc)
{
	enum vg_permission device = VG_PERM_NONE;
	bool some = false;

	for (const struct rpc_need *need = proc->needs; need->permission != VG_PERM_NONE; need++) {
		bool may = (need->test != RPC_TEST_ALWAYS && need->test != RPC_TEST_DEVICE) ||
		    policy_may_ever(session->gate->policy, &session->identity, need->permission, gate_now(session->gate));

		if (need->test == RPC_TEST_DEVICE) {
			some = some || may;
			device = need->permission;
		} else if (!may) {
			return need->permission;
		}
	}
	return some ? VG_PERM_NONE : device;
}

/* ---- permissions ---- */

static void
describe(const struct vg_object *object, char *text, size_t size)
{
	const char *noun = class_noun(object->class);

	if (object->class == VG_CLASS_connect || noun == NULL)
		(void)snprintf(text, size, "this host");
	else if (object->any || (object->name == NULL && !object->has_uuid))
		(void)snprintf(text, size, "every %s", noun);
	else if (object->parent != NULL)
		(void)snprintf(text, size, "%s '%s/%s'", noun, object->parent, object->name == NULL ? "" : object->name);
	else
		(void)snprintf(text, size, "%s '%s'", noun, object->name == NULL ? "" : object->name);
}

enum decide_verdict
decide_deny(struct judgement *judgement, enum vg_permission permission, const struct vg_object *object, struct decision decision, const char *why)
{
	char what[400];

	describe(object, what, sizeof(what));
	judgement->failed = permission;
	judgement->decision = decision;
	(void)snprintf(judgement->error.message, sizeof(judgement->error.message), "access denied: '%s' on %s%s", permission_name(permission),
	    what, why);
	return judgement->verdict = DECIDE_DENY;
}

enum decide_verdict
decide_refuse(struct judgement *judgement, const char *rule, const char *format, ...)
{
	char what[sizeof(judgement->error.message) - 20];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	judgement->rule = rule;
	judgement->decision = (struct decision){ VERDICT_DENY, NULL };
	(void)snprintf(judgement->error.message, sizeof(judgement->error.message), "access denied: %s", what);
	return judgement->verdict = DECIDE_DENY;
}

/* One permission on the object of the call. */
static enum decide_verdict
check_need(struct call *call, struct judgement *judgement, enum vg_permission permission)
{
	/* A permission of another class than the object's is about the host, or about everything of that class. */
	const enum vg_class class = permission_class(permission);
	const struct vg_object whole = { .class = class, .any = class != VG_CLASS_connect };
	bool about_host = class != judgement->about.object.class;
	const struct vg_object *object = about_host ? &whole : &judgement->about.object;
	struct decision decision = decide_one(call->session, permission, object);

	if (judgement->num_permissions < sizeof(judgement->permissions) / sizeof(judgement->permissions[0]))
		judgement->permissions[judgement->num_permissions++] = permission;
	if (decision.verdict == VERDICT_DENY)
		return decide_deny(judgement, permission, object, decision, "");
	judgement->decision = decision;
	return DECIDE_ALLOW;
}

/* `secretive`: the description that he asks for must have no secret in it, or he may not have it. */
static enum decide_verdict
check_needs(struct call *call, struct judgement *judgement, const uint8_t *body, size_t len, bool *secretive)
{
	const struct rpc_proc *proc = call->proc;

	for (const struct rpc_need *need = proc->needs; need->permission != VG_PERM_NONE; need++) {
		if (!rpc_need_applies(proc, need, body, len))
			continue;
		if (check_need(call, judgement, need->permission) == DECIDE_ALLOW) {
			if (need->permission == VG_PERM_domain_read_secure)
				call->secure = true;
		} else if (need->permission == VG_PERM_domain_read_secure && secrets_may_be_absent(call, body, len)) {
			*secretive = true;
		} else {
			return judgement->verdict;
		}
	}
	return judgement->verdict = DECIDE_ALLOW;
}

/* A list that he only wants counted is asked for in full when not everything in it is his to know. */
static void
ask_for_results(struct call *call, struct judgement *judgement, const uint8_t *body, size_t len)
{
	struct xdr_span span;
	size_t n = judgement->num_patches;

	if (call->proc->list.count == NULL || !filter_needed(call->session, call->proc) ||
	    !xdr_find(call->proc->args, body, len, "need_results", &span) || xdr_span_u32(span) != 0)
		return;
	call->need_results_was_0 = true;
	judgement->patches[n].span = span;
	judgement->patches[n].data = NULL;
	judgement->patches[n].len = 4;
	memcpy(judgement->patches[n].bytes, "\0\0\0\1", 4);
	judgement->num_patches++;
}

static const struct xdr_field *
find_array(const struct xdr_field *fields, const char *name)
{
	while (fields->name != NULL && strcmp(fields->name, name) != 0)
		fields++;
	return fields->name == NULL ? NULL : fields;
}

/* The argument that says how many names, ids or UUIDs the client has room for; NULL: none. */
static const char *
room_argument(const struct rpc_proc *proc)
{
	for (const struct xdr_field *field = proc->args; field->name != NULL; field++)
		if (strcmp(field->name, "maxnames") == 0 || strcmp(field->name, "maxids") == 0 || strcmp(field->name, "maxuuids") == 0)
			return field->name;
	return NULL;
}

/*
 * Where libvirtd does not keep to the room that the client has, it is given all the room there can be; also where what it would fill the
 * room with is partly not his to see.
 */
static void
ask_for_all(struct call *call, struct judgement *judgement, const uint8_t *body, size_t len)
{
	const struct rpc_list *list = &call->proc->list;
	bool filtered = (list->form == RPC_LIST_NAME || list->form == RPC_LIST_ID || list->form == RPC_LIST_UUID_STRING) &&
	    filter_needed(call->session, call->proc);
	const char *room = call->proc->overrun != NULL ? call->proc->overrun : filtered ? room_argument(call->proc) : NULL;
	const struct xdr_field *names = room == NULL ? NULL : find_array(call->proc->ret, filtered ? list->items : "names");
	struct xdr_span span;
	struct xdr_out out;
	size_t n = judgement->num_patches;

	if (names == NULL || n == sizeof(judgement->patches) / sizeof(judgement->patches[0]) ||
	    !xdr_find(call->proc->args, body, len, room, &span) || xdr_span_u32(span) >= names->max)
		return;		/* a larger number libvirtd refuses itself */
	call->cut = true;
	call->cut_to = xdr_span_u32(span);
	judgement->patches[n].span = span;
	judgement->patches[n].data = NULL;
	xdr_out_init(&out, judgement->patches[n].bytes, 4);
	xdr_put_u32(&out, names->max);
	judgement->patches[n].len = out.len;
	judgement->num_patches++;
}

/* Would libvirtd fall over it? Then it is answered as a libvirtd that does not. */
static bool
is_off(const struct call *call, struct judgement *judgement, const uint8_t *body, size_t len)
{
	struct xdr_span span;
	uint32_t flags;

	if (call->proc->running_unless == 0 || judgement->about.id >= 0 || !xdr_find(call->proc->args, body, len, "flags", &span))
		return false;
	span.data += span.len - 4;	/* the lower half, where there are 64 bits */
	span.len = 4;
	flags = xdr_span_u32(span);
	if ((flags & call->proc->running_unless) != 0)
		return false;
	judgement->error.code = RPC_ERR_OPERATION_INVALID;
	judgement->error.origin = RPC_ORIGIN_QEMU;
	(void)snprintf(judgement->error.message, sizeof(judgement->error.message), "Requested operation is not valid: domain is not running");
	judgement->verdict = DECIDE_MISSING;
	return true;
}

/* Does the call itself name its object, by a struct or by the key that libvirt goes by? */
static bool
names_object(const struct rpc_object *about)
{
	return about->from == RPC_FROM_ARG || about->from == RPC_FROM_BY_NAME || about->from == RPC_FROM_BY_PORTDEV;
}

/* Flags that nobody has thought about may mean anything to the next libvirtd: none is forwarded, whoever sends it. */
static bool
has_unknown_flags(const struct call *call, struct judgement *judgement, const uint8_t *body, size_t len)
{
	uint64_t unknown = rpc_unknown_flags(call->proc, body, len);

	if (unknown == 0)
		return false;
	judgement->about.object.class = call->proc->about.class;
	judgement->rule = "flags";
	judgement->decision = (struct decision){ VERDICT_DENY, NULL };
	judgement->error.code = RPC_ERR_INVALID_ARG;
	judgement->error.origin = decide_origin(call->session, RPC_ORIGIN_RPC);
	(void)snprintf(judgement->error.message, sizeof(judgement->error.message),
	    "invalid argument: unsupported flags (0x%" PRIx64 ") in function %s", unknown, call->proc->name);
	judgement->verdict = DECIDE_INVALID;
	return true;
}

static void
decide(struct call *call, const uint8_t *body, size_t len, struct judgement *judgement)
{
	unsigned index = 0;
	uint32_t flags = 0;
	bool secretive = false;

	/* The patches are large and only valid as far as num_patches says. */
	memset(judgement, 0, offsetof(struct judgement, patches));
	judgement->num_patches = 0;
	judgement->lacks.num = 0;
	judgement->lacks.denied = judgement->lacks.of_reply = false;
	judgement->decision.verdict = VERDICT_ALLOW;
	admit_forget(call);
	if (has_unknown_flags(call, judgement, body, len))
		return;
	if (resolve_about(call, judgement, &index, body, len) != DECIDE_ALLOW ||
	    resolve_parent(call, judgement, &index, body, len) != DECIDE_ALLOW ||
	    resolve_others(call, judgement, &index, body, len) != DECIDE_ALLOW)
		return;
	if (decide_by_reply(call->proc)) {
		/* A look-up: libvirtd tells which object it is, and filter.c whether he may know. */
		judgement->verdict = DECIDE_ALLOW;
		return;
	}
	if (names_object(&call->proc->about) && !resolve_sees(call->session, &judgement->about.object)) {
		(void)resolve_hide(call, judgement, &index, &judgement->about.object);
		return;
	}
	if (check_needs(call, judgement, body, len, &secretive) != DECIDE_ALLOW ||
	    (secretive && secrets_absent(call, judgement, &index, body, len) != DECIDE_ALLOW) || argument_check(call, judgement, &index, body, len) != DECIDE_ALLOW ||
	    limit_check(call, judgement, body, len) != DECIDE_ALLOW ||
	    is_off(call, judgement, body, len) || console_xml_comes_back(call, judgement, body, len) ||
	    quota_check(call, judgement, &index, body, len) != DECIDE_ALLOW)
		return;
	ask_for_results(call, judgement, body, len);
	ask_for_all(call, judgement, body, len);
	call->shows_screens = console_xml_is_live(call, body, len);
	if (call->proc->sparse_mask != 0 && rpc_arg_u32(call->proc, body, len, "flags", &flags))
		call->sparse = (flags & call->proc->sparse_mask) != 0;
}

void
decide_call(struct call *call, const uint8_t *body, size_t len, struct judgement *judgement)
{
	call->session->lacks = &judgement->lacks;
	decide(call, body, len, judgement);
	call->session->lacks = NULL;
	/* Also that an object would be hidden, or a parent of it, is reason enough. */
	if (judgement->verdict == DECIDE_ALLOW && judgement->lacks.num > 0)
		judgement->decision = judgement->lacks.list[0].decision;
	/* Also where it was noticed that the call lies: the client cannot tell that from an object that is not there. */
	if (judgement->verdict == DECIDE_MISSING || judgement->verdict == DECIDE_CONFLICT)
		judgement->error.origin = decide_origin(call->session, judgement->error.origin);
}
