/*
 * args.c: the arguments of a call as the audit trail has them: decoded by name from the table; secrets are left out, long texts
 * stand by their digest.
 */
#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>

#include "gateway/gate/gate.h"

#define MAX_ARGS	64	/* members of "args"; the rest is counted */
#define MAX_TEXT	512	/* longer texts stand by digest and length */

struct args {
	json_t *object;
	const struct rpc_proc *proc;
	size_t num;
	char field[128];	/* name of the typed parameter whose value comes next */
};

static bool
is_secret(const struct args *args, const char *name)
{
	static const char *const words[] = { "value", "password", "passwd", "secret", "keys", "cookie", "cookie_in" };

	if ((args->proc->risks & (RPC_RISK_SECRET_DATA | RPC_RISK_GUEST_CREDENTIALS | RPC_RISK_COOKIE)) == 0)
		return strstr(name, "password") != NULL || strstr(name, "secret") != NULL;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strstr(name, words[i]) != NULL)
			return true;
	return false;
}

static void
set_digest(json_t *object, const char *name, const struct xdr_span bytes)
{
	uint8_t digest[EVP_MAX_MD_SIZE];
	char key[192], hex[2 * EVP_MAX_MD_SIZE + 1];
	unsigned len = 0;

	if (EVP_Digest(bytes.data, bytes.len, digest, &len, EVP_sha256(), NULL) != 1)
		len = 0;
	for (unsigned i = 0; i < len; i++)
		(void)snprintf(hex + 2 * (size_t)i, 3, "%02x", digest[i]);
	hex[2 * (size_t)len] = '\0';
	(void)snprintf(key, sizeof(key), "%s_sha256", name);
	(void)json_object_set_new(object, key, json_string(hex));
	(void)snprintf(key, sizeof(key), "%s_len", name);
	(void)json_object_set_new(object, key, json_integer((json_int_t)bytes.len));
}

static json_t *
leaf_json(const struct xdr_leaf *leaf)
{
	char uuid[VG_UUID_TEXT_LEN + 1];

	if (leaf->absent)
		return json_null();
	if (leaf->field->form == XDR_BYTES)
		return audit_text(leaf->bytes.data, leaf->bytes.len);
	switch (leaf->kind) {
	case XDR_UUID:
		uuid_text(leaf->bytes.data, uuid);
		return json_string(uuid);
	case XDR_STRING:
		return audit_text(leaf->bytes.data, leaf->bytes.len);
	case XDR_DOUBLE:
		return json_real(leaf->d);
	case XDR_UINT64:
		/* JSON integers here are signed: what does not fit is told as text rather than as a wrong number. */
		if (leaf->u > INT64_MAX)
			return json_sprintf("%llu", (unsigned long long)leaf->u);
		return json_integer((json_int_t)leaf->u);
	case XDR_UINT32:
	case XDR_UCHAR:
	case XDR_USHORT:
		return json_integer((json_int_t)leaf->u);
	default:
		return leaf->boolean ? json_boolean(leaf->i != 0) : json_integer((json_int_t)leaf->i);
	}
}

static bool
add_arg(const struct xdr_leaf *leaf, void *arg)
{
	struct args *args = arg;
	char name[160] = "";
	size_t len = 0;
	bool text;

	if (args->num++ >= MAX_ARGS)
		return true;
	for (size_t i = 0; i < leaf->depth && len < sizeof(name); i++) {
		/* A typed parameter goes by its own name, not by its place. */
		bool parameter = leaf->field->type == &xdr_type_typed_param_value && i + 1 == leaf->depth;

		len += (size_t)snprintf(name + len, sizeof(name) - len, "%s%s", i == 0 ? "" : ".", parameter ? args->field : leaf->names[i]);
		if (!parameter && leaf->indexes[i] != UINT32_MAX && leaf->field->type != &xdr_type_typed_param_value && len < sizeof(name))
			len += (size_t)snprintf(name + len, sizeof(name) - len, "[%u]", leaf->indexes[i]);
	}
	if (leaf->depth >= 2 && strcmp(leaf->names[leaf->depth - 1], "field") == 0 && leaf->kind == XDR_STRING) {
		(void)snprintf(args->field, sizeof(args->field), "%.*s", (int)(leaf->bytes.len > 120 ? 120 : leaf->bytes.len),
		    (const char *)leaf->bytes.data);
		args->num--;
		return true;
	}
	/* The same parameter twice: both are told, the second cannot stand in front of the first. */
	if (json_object_get(args->object, name) != NULL && strlen(name) + 12 < sizeof(name))
		(void)snprintf(name + strlen(name), sizeof(name) - strlen(name), "#%zu", args->num);
	text = !leaf->absent && (leaf->field->form == XDR_BYTES || leaf->kind == XDR_STRING);
	if (text && is_secret(args, name))
		(void)json_object_set_new(args->object, name, json_string("(secret)"));
	else if (text && (leaf->bytes.len > MAX_TEXT || leaf->field->form == XDR_BYTES || strstr(name, "xml") != NULL))
		set_digest(args->object, name, leaf->bytes);
	else
		(void)json_object_set_new_nocheck(args->object, name, leaf_json(leaf));
	return true;
}

json_t *
record_args(const struct rpc_proc *proc, const uint8_t *body, size_t len)
{
	struct args args = { .object = json_object(), .proc = proc };

	if (args.object == NULL)
		return NULL;
	xdr_walk(proc->args, body, len, add_arg, &args);
	if (args.num > MAX_ARGS)
		(void)json_object_set_new(args.object, "more", json_integer((json_int_t)(args.num - MAX_ARGS)));
	return args.object;
}
