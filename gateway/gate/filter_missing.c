/*
 * filter_missing.c: what is told of an object that is not there, or not his to see: the same.
 */
#include "gateway/gate/filter_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/gate/class.h"
#include "gateway/gate/mention.h"
#include "gateway/gate/unusual.h"

/* What he asked for, as libvirt's text has it. */
static void
lookup_key(const struct call *call, char *how, size_t how_size, char *key, size_t key_size)
{
	static const struct { enum rpc_from from; const char *how; } words[] = { { RPC_FROM_BY_NAME, "name" }, { RPC_FROM_BY_ID, "id" },
		{ RPC_FROM_BY_UUID, "uuid" }, { RPC_FROM_BY_KEY, "key" }, { RPC_FROM_BY_PATH, "path" }, { RPC_FROM_BY_MAC, "mac" },
		{ RPC_FROM_BY_USAGE, "usage" }, { RPC_FROM_BY_WWN, "wwn" }, { RPC_FROM_BY_TARGET_PATH, "target path" },
		{ RPC_FROM_BY_PORTDEV, "portdev" } };
	const struct rpc_proc *proc = call->proc;
	const uint8_t *body = call->message == NULL ? NULL : call->message + RPC_HEADER_LEN;
	size_t len = call->message == NULL ? 0 : call->message_len - RPC_HEADER_LEN;
	char uuid[VG_UUID_TEXT_LEN + 1];
	struct xdr_span span, text;

	(void)snprintf(how, how_size, "name");
	(void)snprintf(key, key_size, "''");
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (words[i].from == proc->about.from)
			(void)snprintf(how, how_size, "%s", words[i].how);
	if (body == NULL || !xdr_find(proc->args, body, len, proc->about.path, &span))
		return;
	if (proc->about.from == RPC_FROM_BY_ID) {
		(void)snprintf(key, key_size, "%d", xdr_span_i32(span));
	} else if (proc->about.from == RPC_FROM_BY_UUID) {
		uuid_text(span.data, uuid);
		(void)snprintf(key, key_size, "'%s'", uuid);
	} else if (xdr_span_string(span, &text)) {
		(void)snprintf(key, key_size, "'%.*s'", (int)(text.len > 255 ? 255 : text.len), (const char *)text.data);
	}
}

/* In place of the reply, with the origin that the driver has. */
static int
put_error(const struct call *call, struct rpc_error *error, const uint8_t *message, size_t len, uint8_t **out, size_t *out_len)
{
	struct rpc_header header;

	error->origin = decide_origin(call->session, error->origin);
	*out = malloc(RPC_MAX_ERROR_LEN);
	if (*out == NULL)
		return -1;
	(void)rpc_header_get(message, len, &header);
	*out_len = rpc_put_error(*out, RPC_MAX_ERROR_LEN, &header, error);
	return 0;
}

int
filter_put_missing(struct call *call, bool sees, const uint8_t *message, size_t len, uint8_t **out, size_t *out_len)
{
	char how[32], key[300];
	struct rpc_error error;

	lookup_key(call, how, sizeof(how), key, sizeof(key));
	class_missing(&error, call->proc->returns.class, how, key);
	if (!sees)
		unusual_hidden(call, error.message);
	return put_error(call, &error, message, len, out, out_len);
}

bool
filter_guessable(const struct call *call)
{
	enum rpc_from from = call->proc->about.from;

	return from == RPC_FROM_BY_NAME || from == RPC_FROM_BY_ID || from == RPC_FROM_BY_UUID;
}

/* Would he see what he asked for by its name, were it there? (What is in a pool or network is its, and counts for seen.) */
static bool
would_see(const struct call *call)
{
	struct vg_object object = { .class = call->proc->returns.class, .name = call->own_name };
	enum vg_permission getattr = class_getattr(object.class);

	if (call->proc->about.from != RPC_FROM_BY_NAME || object.name == NULL || getattr == VG_PERM_NONE || object.class == VG_CLASS_storage_vol)
		return true;
	return decide_visible(call->session, getattr, &object);
}

bool
filter_renamed(const struct call *call)
{
	const struct inventory_domain *domain;

	if (call->domain_name == NULL)
		return false;
	domain = inventory_by_uuid(call->session->inventory, call->domain_uuid);
	return domain != NULL && strcmp(domain->name, call->domain_name) != 0;
}

int
filter_put_renamed(struct call *call, const uint8_t *message, size_t len, uint8_t **out, size_t *out_len)
{
	struct rpc_error error;

	class_missing_uuid(&error, VG_CLASS_domain, call->domain_uuid, call->domain_name);
	return put_error(call, &error, message, len, out, out_len);
}

int
filter_error(struct call *call, const struct rpc_error *error, const uint8_t *message, size_t len, uint8_t **out, size_t *out_len)
{
	struct rpc_error missing;
	struct rpc_header header;

	*out = NULL;
	if (call->sent != NULL) {	/* as an answer to the count */
		if ((*out = malloc(len)) == NULL)
			return -1;
		memcpy(*out, message, len);
		(void)rpc_header_get(message, len, &header);
		header.procedure = (int32_t)call->proc->number;
		rpc_header_put(*out, &header);
		*out_len = len;
		return 0;
	}
	if (filter_renamed(call))
		return filter_put_renamed(call, message, len, out, out_len);
	if (decide_by_reply(call->proc)) {
		class_missing(&missing, call->proc->returns.class, "name", "");
		if (error->code == missing.code)
			return filter_put_missing(call, would_see(call), message, len, out, out_len);
	}
	return mention_filter_error(call, error, message, len, out, out_len);
}
