/*
 * argument.c: the rules of argument.def, asked one after the other once the permissions of a call are granted.
 */
#include "gateway/gate/argument.h"

#include <limits.h>
#include <string.h>

/* virDomainBlockRebaseFlags, libvirt include/libvirt/libvirt-domain.h: `base` becomes the path of a copy */
#define BLOCK_REBASE_COPY 8u

/* virTypedParameterType, libvirt include/libvirt/libvirt-common.h */
#define TYPED_PARAM_STRING 7u

#define NAME_LEN 255u

/* ---- what the rules need ---- */

/* A string of the message as one that ends. False: it is not one, or longer. */
static bool
take_text(struct xdr_span span, char *text, size_t size)
{
	struct xdr_span bytes;

	if (!xdr_span_string(span, &bytes) || bytes.len >= size)
		return false;
	memcpy(text, bytes.len == 0 ? (const uint8_t *)"" : bytes.data, bytes.len);
	text[bytes.len] = '\0';
	return true;
}

/* The first permission of the call that is not granted on everything; VG_PERM_NONE: all are. `firmly`: not by a permissive mode. */
static enum vg_permission
lacks_everything(struct call *call, const struct judgement *judgement, bool firmly, struct decision *decision)
{
	const struct vg_object every = { .class = judgement->about.object.class, .any = true };

	*decision = (struct decision){ VERDICT_ALLOW, NULL };
	for (size_t i = 0; i < judgement->num_permissions; i++) {
		if (permission_class(judgement->permissions[i]) != every.class)
			continue;
		*decision = decide_one(call->session, judgement->permissions[i], &every);
		if (decision->verdict == VERDICT_DENY || (firmly && decision->verdict != VERDICT_ALLOW))
			return judgement->permissions[i];
	}
	return VG_PERM_NONE;
}

/* ---- the rules ---- */

static enum decide_verdict
check_everything(struct call *call, struct judgement *judgement)
{
	struct decision decision;
	enum vg_permission failed = lacks_everything(call, judgement, false, &decision);

	return failed == VG_PERM_NONE ? DECIDE_ALLOW : decide_deny(judgement, failed, &judgement->about.object, decision,
	    ": the content of this call is not checked, it takes a binding on \"*\"");
}

static enum decide_verdict
check_host(struct call *call, struct judgement *judgement, const char *why)
{
	const struct vg_object host = { .class = VG_CLASS_connect };
	struct decision decision = decide_one(call->session, VG_PERM_connect_write, &host);
	char text[200];

	if (decision.verdict != VERDICT_DENY)
		return DECIDE_ALLOW;
	(void)snprintf(text, sizeof(text), "%s%s", why[0] == '\0' ? "" : ": ", why);
	return decide_deny(judgement, VG_PERM_connect_write, &host, decision, text);
}

/* Is this image, which is there, one of the same domain? Then saving into it again takes nothing from anybody. */
static enum decide_verdict
check_overwrite(struct call *call, struct judgement *judgement, unsigned *index, const char *path)
{
	uint8_t body[PATH_MAX + 12];
	const struct looked_up *answer;
	struct xml_identity identity;
	struct xdr_out out;

	xdr_out_init(&out, body, sizeof(body));
	xdr_put_string(&out, path);
	xdr_put_u32(&out, 0);
	answer = resolve_document(call, judgement, index, "domain_save_image_get_xml_desc", body, out.len);
	if (answer == NULL)
		return judgement->verdict;
	if (answer->found && xml_identify(answer->text, answer->text_len, VG_CLASS_domain, &identity, NULL) == 0 && identity.has_uuid &&
	    memcmp(identity.uuid, judgement->about.object.uuid, VG_UUID_LEN) == 0)
		return DECIDE_ALLOW;
	return decide_refuse(judgement, "path", "'%.300s' is there already and is no saved image of this domain", path);
}

static enum decide_verdict
check_file(struct call *call, struct judgement *judgement, unsigned *index, enum argument_rule rule, struct xdr_span span)
{
	struct vg_error error;
	char path[PATH_MAX];
	bool exists;

	if (!take_text(span, path, sizeof(path)))
		return decide_refuse(judgement, "path", "the path is too long");
	if (path_check(&call->session->gate->settings->save_dirs, path, &exists, &error) < 0)
		return decide_refuse(judgement, "path", "%s", error.what);
	if (rule == RULE_IMAGE_FILE || !exists)
		return DECIDE_ALLOW;
	if (rule == RULE_DUMP_FILE)
		return decide_refuse(judgement, "path", "'%.300s' is there already", path);
	return check_overwrite(call, judgement, index, path);
}

/* Asked of the definition that libvirtd tells now: the running one, with the images of its chains. */
static enum decide_verdict
check_disk(struct call *call, struct judgement *judgement, unsigned *index, struct xdr_span span)
{
	const struct vg_object *domain = &judgement->about.object;
	const struct looked_up *answer;
	char name[PATH_MAX];
	uint8_t body[600];
	struct xdr_out out;

	if (!take_text(span, name, sizeof(name)))
		return decide_refuse(judgement, "disk", "the name of the disk is too long");
	xdr_out_init(&out, body, sizeof(body));
	resolve_put_domain(&out, domain->name, domain->uuid, judgement->about.id);
	xdr_put_u32(&out, 0);
	answer = resolve_document(call, judgement, index, "domain_get_xml_desc", body, out.len);
	if (answer == NULL)
		return judgement->verdict;
	if (answer->found && disk_is_in(answer->text, answer->text_len, name))
		return DECIDE_ALLOW;
	return decide_refuse(judgement, "disk", "'%.200s' is no disk of domain '%.100s'", name, domain->name);
}

static enum decide_verdict
check_rebase(struct call *call, struct judgement *judgement, unsigned *index, struct xdr_span span, const uint8_t *body, size_t len)
{
	uint32_t flags = UINT32_MAX;

	(void)rpc_arg_u32(call->proc, body, len, "flags", &flags);
	return (flags & BLOCK_REBASE_COPY) != 0 ? check_everything(call, judgement) : check_disk(call, judgement, index, span);
}

static enum decide_verdict
check_uri(struct call *call, struct judgement *judgement, enum argument_rule rule, struct xdr_span span)
{
	const struct settings_list *allowed = &call->session->gate->settings->migration_uris;
	char text[1024];

	if (!take_text(span, text, sizeof(text)))
		return decide_refuse(judgement, "uri", "the URI is too long");
	if (rule == RULE_LISTEN_ADDRESS ? uri_host_is_allowed(allowed, text) : uri_is_allowed(allowed, text))
		return DECIDE_ALLOW;
	return decide_refuse(judgement, "uri", "'%.200s' is none of the places that a migration may go to (migration_uris)", text);
}

/* Rights go by names too: what he may do to the domain he must be allowed to do to one of the new name. */
static enum decide_verdict
check_new_name(struct call *call, struct judgement *judgement, struct xdr_span span)
{
	struct vg_object renamed = judgement->about.object;
	char name[NAME_LEN + 1];

	if (!take_text(span, name, sizeof(name)) || name[0] == '\0' || strchr(name, '/') != NULL)
		return decide_refuse(judgement, "name", "a domain's name has 1 to %u bytes and no '/'", NAME_LEN);
	for (const char *byte = name; *byte != '\0'; byte++)
		if ((unsigned char)*byte < 0x20 || *byte == 0x7f)
			return decide_refuse(judgement, "name", "a domain's name has no control characters");
	renamed.name = name;
	for (size_t i = 0; i < judgement->num_permissions; i++) {
		struct decision decision;

		if (permission_class(judgement->permissions[i]) != renamed.class)
			continue;
		decision = decide_one(call->session, judgement->permissions[i], &renamed);
		if (decision.verdict == VERDICT_DENY)
			return decide_deny(judgement, judgement->permissions[i], &renamed, decision, ", as it would be called");
	}
	return DECIDE_ALLOW;
}

/* Does he hold the permissions of the call on everything, and where the host is concerned connect:write as well? */
static bool
holds_everything(struct call *call, const struct judgement *judgement, enum argument_rule rule, bool firmly)
{
	const struct vg_object host = { .class = VG_CLASS_connect };
	struct decision decision;

	if (lacks_everything(call, judgement, firmly, &decision) != VG_PERM_NONE)
		return false;
	if (rule != RULE_POOL_XML)
		return true;
	decision = decide_one(call->session, VG_PERM_connect_write, &host);
	return decision.verdict == VERDICT_ALLOW || (!firmly && decision.verdict != VERDICT_DENY);
}

static enum decide_verdict
check_both(struct call *call, struct judgement *judgement, const char *why)
{
	enum decide_verdict verdict = check_host(call, judgement, why);

	return verdict == DECIDE_ALLOW ? check_everything(call, judgement) : verdict;
}

/*
 * Whoever holds the permissions on everything may bring any document that no row of the policy refuses. Where he holds them by a permissive mode only, the rules are
 * asked all the same, so that a document that they admit is on record as nothing but allowed; what they refuse is let through and
 * recorded as wanting the permissions on everything, with the rule.
 */
static enum decide_verdict
check_document(struct call *call, struct judgement *judgement, unsigned *index, const struct argument *argument, struct xdr_span span)
{
	const enum argument_rule rule = argument->rule;
	struct lacks *lacks = call->session->lacks;
	enum decide_verdict verdict;
	bool privileged, let_through, by_row;

	if (rule == RULE_POOL_XML && call->session->gate->settings->pool_dirs.num == 0 && check_both(call, judgement, argument->why) != DECIDE_ALLOW)
		return DECIDE_DENY;
	call->session->lacks = NULL;	/* no refusal yet */
	privileged = holds_everything(call, judgement, rule, true);
	let_through = holds_everything(call, judgement, rule, false);
	call->session->lacks = lacks;
	verdict = admit_document(call, judgement, index, rule, span, privileged ? ADMIT_PRIVILEGED : ADMIT_TENANT, &by_row);
	if (verdict != DECIDE_DENY || !let_through || by_row || privileged)
		return verdict;
	judgement->verdict = DECIDE_ALLOW;
	judgement->failed = VG_PERM_NONE;
	judgement->error.message[0] = '\0';
	return rule == RULE_POOL_XML ? check_both(call, judgement, argument->why) : check_everything(call, judgement);
}

/* ---- lists of parameters ---- */

/* "params[NAME]": is it `name`? */
static bool
is_parameter(const struct argument *argument, struct xdr_span name)
{
	const char *bracket = argument->path == NULL ? NULL : strchr(argument->path, '[');
	size_t len = bracket == NULL ? 0 : strcspn(bracket + 1, "]");

	return bracket != NULL && len == name.len && memcmp(bracket + 1, name.data, len) == 0;
}

static const struct argument *
find_parameter(const struct rpc_proc *proc, struct xdr_span name)
{
	const struct argument *argument;

	for (size_t i = 0; (argument = argument_at(i)) != NULL; i++)
		if (strcmp(argument->proc, proc->name) == 0 && is_parameter(argument, name))
			return argument;
	return NULL;
}

/*
 * One parameter, before the rules look for theirs by name: they find only what is there once, and as text. What is more or something
 * else must not pass for absent; which of two libvirt would take is not for us to know.
 */
static enum decide_verdict
check_parameter(struct call *call, struct judgement *judgement, struct xdr_span name, bool text, const uint8_t *body, size_t len)
{
	const struct argument *argument = find_parameter(call->proc, name);
	struct xdr_span span;

	if (argument == NULL)
		return text ? check_everything(call, judgement) : DECIDE_ALLOW;
	if (argument->rule == RULE_SAFE || xdr_find(call->proc->args, body, len, argument->path, &span))
		return DECIDE_ALLOW;
	return decide_refuse(judgement, "parameter", "'%.*s' is there more than once, or is no text", (int)(name.len > 60 ? 60 : name.len),
	    (const char *)name.data);
}

static enum decide_verdict
check_parameters(struct call *call, struct judgement *judgement, const uint8_t *body, size_t len)
{
	enum decide_verdict verdict = DECIDE_ALLOW;
	struct xdr_items items;
	struct xdr_span item, field, value, name;

	if (!xdr_items(call->proc->args, body, len, "params", &items) || items.item.type != &xdr_type_typed_param)
		return DECIDE_ALLOW;
	while (verdict == DECIDE_ALLOW && xdr_items_next(&items, &item)) {
		if (!xdr_find(xdr_type_typed_param.fields, item.data, item.len, "field", &field) || !xdr_span_string(field, &name) ||
		    !xdr_find(xdr_type_typed_param.fields, item.data, item.len, "value", &value))
			return decide_refuse(judgement, "parameter", "a parameter does not decode");
		verdict = check_parameter(call, judgement, name, xdr_span_u32(value) == TYPED_PARAM_STRING, body, len);
	}
	return verdict;
}

/* Does the table know parameters of this call? Lists of numbers have none. */
static bool
has_parameters(const struct rpc_proc *proc)
{
	const struct argument *argument;

	for (size_t i = 0; (argument = argument_at(i)) != NULL; i++)
		if (strcmp(argument->proc, proc->name) == 0 && argument->path != NULL && strchr(argument->path, '[') != NULL)
			return true;
	return false;
}

/* ---- all of a call's ---- */

static enum decide_verdict
check_one(struct call *call, struct judgement *judgement, unsigned *index, const struct argument *argument, const uint8_t *body, size_t len)
{
	struct xdr_span span = { NULL, 0 };

	/* What is not there asks for nothing; nor does content that is empty: one word, its length. */
	if (argument->path != NULL && (!resolve_span(call, body, len, argument->path, &span) ||
	    (argument->rule == RULE_EVERYTHING && span.len <= 4)))
		return DECIDE_ALLOW;
	switch (argument->rule) {
	case RULE_SAFE:
		return DECIDE_ALLOW;
	case RULE_EVERYTHING:
		return check_everything(call, judgement);
	case RULE_HOST:
		return check_host(call, judgement, argument->why);
	case RULE_SAVE_FILE:
	case RULE_DUMP_FILE:
	case RULE_IMAGE_FILE:
		return check_file(call, judgement, index, argument->rule, span);
	case RULE_OWN_DISK:
		return check_disk(call, judgement, index, span);
	case RULE_REBASE_TO:
		return check_rebase(call, judgement, index, span, body, len);
	case RULE_MIGRATION_URI:
	case RULE_LISTEN_ADDRESS:
		return check_uri(call, judgement, argument->rule, span);
	case RULE_NEW_NAME:
		return check_new_name(call, judgement, span);
	case RULE_DOMAIN_XML:
	case RULE_DEVICE_XML:
	case RULE_SNAPSHOT_XML:
	case RULE_VOLUME_XML:
	case RULE_DISK_XML:
	case RULE_CHECKPOINT_XML:
	case RULE_BACKUP_XML:
	case RULE_SECRET_XML:
	case RULE_POOL_XML:
	case RULE_OWN_DOMAIN_XML:
		return check_document(call, judgement, index, argument, span);
	}
	return check_everything(call, judgement);
}

enum decide_verdict
argument_check(struct call *call, struct judgement *judgement, unsigned *index, const uint8_t *body, size_t len)
{
	enum decide_verdict verdict = DECIDE_ALLOW;
	const struct argument *argument;
	bool any = false;

	if (!argument_needed(call->proc))
		return DECIDE_ALLOW;
	if (has_parameters(call->proc))
		verdict = check_parameters(call, judgement, body, len);
	for (size_t i = 0; (argument = argument_at(i)) != NULL && verdict == DECIDE_ALLOW; i++) {
		if (strcmp(argument->proc, call->proc->name) != 0)
			continue;
		any = true;
		verdict = check_one(call, judgement, index, argument, body, len);
	}
	return any || verdict != DECIDE_ALLOW ? verdict : check_everything(call, judgement);
}
