/*
 * args.c: the arguments of a call as the audit trail has them: decoded by name from the table. Secrets are left out, in every form: no
 * digest is made of what has one in it, since a short password could be guessed by it. Other long texts stand by their digest.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "gateway/core/document.h"
#include "gateway/gate/gate.h"
#include "gateway/gate/secrets.h"
#include "virtgate/xml_cost.h"

#define MAX_ARGS	64	/* members of "args"; the rest is counted */
#define MAX_TEXT	512	/* longer texts stand by digest and length */

static const char hidden[] = SECRETS_HIDDEN;

struct args {
	json_t *object;
	const struct rpc_proc *proc;
	size_t num;
	size_t keys;		/* of a keyboard */
	char field[128];	/* name of the typed parameter whose value comes next */
};

/* ---- what is secret ---- */

static bool
has_word(const char *text, size_t len, const char *const *words)
{
	for (; *words != NULL; words++)
		if (memmem(text, len, *words, strlen(*words)) != NULL)
			return true;
	return false;
}

static bool
is_secret(const struct rpc_proc *proc, const char *name)
{
	static const char *const always[] = { "password", "passwd", "secret", "cookie", NULL };
	static const char object[] = "secret.";

	if (strncmp(name, object, strlen(object)) == 0)		/* what a secret is for is none */
		return false;
	return has_word(name, strlen(name), always) || ((proc->risks & RPC_RISK_SECRET_DATA) != 0 && strcmp(name, "value") == 0);
}

/* A command of QEMU's monitor in its text form, or a configuration in QEMU's words: does it have a password, or keys that are typed? */
static bool
is_telling(const char *text, size_t len)
{
	static const char *const words[] = { "password", "passwd", "secret", "sendkey", NULL };

	return has_word(text, len, words);
}

/* ---- commands of monitor and agent ---- */

/* In place: what members of such names hold, and texts that are commands themselves. */
static void
hide_in_json(json_t *json)
{
	static const char *const names[] = { "password", "passwd", "secret", "data", "buf-b64", "cookie", "keys", "events", NULL };
	json_t *value;
	const char *key;
	size_t i;

	json_object_foreach(json, key, value) {
		if (has_word(key, strlen(key), names) || (json_is_string(value) && is_telling(json_string_value(value), json_string_length(value))))
			(void)json_object_set_new(json, key, json_string(hidden));
		else
			hide_in_json(value);
	}
	json_array_foreach(json, i, value) {
		if (json_is_string(value) && is_telling(json_string_value(value), json_string_length(value)))
			(void)json_array_set_new(json, i, json_string(hidden));
		else
			hide_in_json(value);
	}
}

/* "execute" stays whatever is left out; a text that is no JSON and tells something is its first word. */
static json_t *
command_json(struct xdr_span bytes)
{
	const char *text = (const char *)bytes.data;
	json_t *json = json_loadb(text, bytes.len, JSON_ALLOW_NUL, NULL), *told, *name;
	char *dumped = NULL;

	if (json == NULL) {
		size_t word = 0;

		while (word < bytes.len && word < MAX_TEXT && text[word] != ' ')
			word++;
		if (!is_telling(text, bytes.len) && bytes.len <= MAX_TEXT)
			return audit_text(text, bytes.len);
		return json_pack("{s:o, s:s}", "begins", audit_text(text, word), "rest", hidden);
	}
	name = json_incref(json_object_get(json, "execute"));
	hide_in_json(json);
	if (name != NULL)
		(void)json_object_set(json, "execute", name);
	dumped = json_dumps(json, JSON_COMPACT);
	if (dumped == NULL)
		told = NULL;
	else if (strlen(dumped) <= MAX_TEXT || name == NULL)
		told = audit_text_bounded(dumped, strlen(dumped));
	else
		told = json_pack("{s:O, s:o}", "execute", name, "rest", audit_text_bounded(dumped, strlen(dumped)));
	json_decref(name);
	json_decref(json);
	free(dumped);
	return told;
}

/* ---- other texts ---- */

static void
set_digest(json_t *object, const char *name, const void *bytes, size_t len)
{
	uint8_t digest[EVP_MAX_MD_SIZE];
	char key[192], hex[DOCUMENT_NAME_LEN + 1] = "";

	if (EVP_Digest(bytes, len, digest, NULL, EVP_sha256(), NULL) == 1)
		document_name(digest, hex);
	(void)snprintf(key, sizeof(key), "%s_sha256", name);
	(void)json_object_set_new(object, key, json_string(hex));
	(void)snprintf(key, sizeof(key), "%s_len", name);
	(void)json_object_set_new(object, key, json_integer((json_int_t)len));
}

/* Of a document its digest without passwords, by which it is found beside the trail; of one that cannot be read, its length. */
static void
set_document(json_t *object, const char *name, struct xdr_span bytes)
{
	const char *text = (const char *)bytes.data;
	char *clean = NULL, key[192];
	size_t clean_len = 0;

	if (bytes.len > 0 && (xml_refusal(text, bytes.len) != NULL || secrets_clean(text, bytes.len, &clean, &clean_len) < 0)) {
		(void)snprintf(key, sizeof(key), "%s_len", name);
		(void)json_object_set_new(object, key, json_integer((json_int_t)bytes.len));
	} else {
		set_digest(object, name, clean != NULL ? clean : text, clean != NULL ? clean_len : bytes.len);
	}
	free(clean);
}

static bool
is_document(const char *name, struct xdr_span bytes)
{
	return strcasestr(name, "xml") != NULL || (bytes.len > 0 && bytes.data[0] == '<');
}

/* "scheme://user:password@host/": without the password. */
static json_t *
uri_json(struct xdr_span bytes)
{
	const char *text = (const char *)bytes.data, *end = text + bytes.len, *colon, *at;
	const char *host = memmem(text, bytes.len, "://", 3), *slash;
	char *told;
	json_t *json;

	if (host == NULL)
		return audit_text(text, bytes.len);
	host += 3;
	slash = memchr(host, '/', (size_t)(end - host));
	at = memrchr(host, '@', (size_t)((slash == NULL ? end : slash) - host));
	colon = at == NULL ? NULL : memchr(host, ':', (size_t)(at - host));
	if (colon == NULL)
		return audit_text(text, bytes.len);
	if (asprintf(&told, "%.*s:%s%.*s", (int)(colon - text), text, hidden, (int)(end - at), at) < 0)
		return NULL;
	json = audit_text(told, strlen(told));
	free(told);
	return json;
}

static void
set_text(struct args *args, const char *name, const struct xdr_leaf *leaf)
{
	const struct xdr_span bytes = leaf->bytes;
	bool command = (args->proc->risks & (RPC_RISK_MONITOR_COMMAND | RPC_RISK_AGENT_COMMAND)) != 0 && strcmp(name, "cmd") == 0;

	if (is_secret(args->proc, name) || (strcmp(name, "nativeConfig") == 0 && is_telling((const char *)bytes.data, bytes.len)))
		(void)json_object_set_new(args->object, name, json_string(hidden));
	else if (command)
		(void)json_object_set_new(args->object, name, command_json(bytes));
	else if (leaf->field->form != XDR_BYTES && is_document(name, bytes))
		set_document(args->object, name, bytes);
	else if (bytes.len > MAX_TEXT || leaf->field->form == XDR_BYTES)
		set_digest(args->object, name, bytes.data, bytes.len);
	else
		(void)json_object_set_new(args->object, name, uri_json(bytes));
}

/* ---- numbers ---- */

static json_t *
number_json(const struct xdr_leaf *leaf)
{
	char uuid[VG_UUID_TEXT_LEN + 1];

	switch (leaf->kind) {
	case XDR_UUID:
		uuid_text(leaf->bytes.data, uuid);
		return json_string(uuid);
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

/* The names of the bits that are set, beside the number: "flags_set". */
static void
set_flag_names(const struct args *args, const char *name, uint64_t value)
{
	json_t *names = NULL;
	char key[192];

	for (unsigned i = 0; i < 64; i++) {
		const char *flag = i < 32 ? rpc_flag_name(args->proc, name, UINT32_C(1) << i) : NULL;

		if ((value >> i & 1) == 0)
			continue;
		if (names == NULL)
			names = json_array();
		(void)json_array_append_new(names, flag != NULL ? json_string(flag) : json_sprintf("0x%llx", 1ull << i));
	}
	(void)snprintf(key, sizeof(key), "%s_set", name);
	if (names != NULL)
		(void)json_object_set_new(args->object, key, names);
}

static bool
is_flags(const struct args *args, const char *name)
{
	return strcmp(name, "flags") == 0 || (args->proc->more_flags.arg != NULL && strcmp(name, args->proc->more_flags.arg) == 0);
}

static void
set_number(struct args *args, const char *name, const struct xdr_leaf *leaf)
{
	bool is_unsigned = leaf->kind == XDR_UINT32 || leaf->kind == XDR_UINT64;

	(void)json_object_set_new_nocheck(args->object, name, number_json(leaf));
	if (is_flags(args, name))
		set_flag_names(args, name, is_unsigned ? leaf->u : (uint64_t)leaf->i);
}

/* ---- walking ---- */

/* "params.cpu_shares", "doms[1].name": a typed parameter goes by its own name, not by its place. */
static void
make_name(const struct args *args, const struct xdr_leaf *leaf, char *name, size_t size)
{
	size_t len = 0;

	for (size_t i = 0; i < leaf->depth && len < size; i++) {
		bool parameter = leaf->field->type == &xdr_type_typed_param_value && i + 1 == leaf->depth;

		len += (size_t)snprintf(name + len, size - len, "%s%s", i == 0 ? "" : ".", parameter ? args->field : leaf->names[i]);
		if (!parameter && leaf->indexes[i] != UINT32_MAX && leaf->field->type != &xdr_type_typed_param_value && len < size)
			len += (size_t)snprintf(name + len, size - len, "[%u]", leaf->indexes[i]);
	}
}

static bool
add_arg(const struct xdr_leaf *leaf, void *arg)
{
	struct args *args = arg;
	char name[160] = "";

	/* Keys that are pressed may spell a password. */
	if (leaf->depth > 0 && strcmp(leaf->names[0], "keycodes") == 0) {
		args->keys++;
		return true;
	}
	if (args->num++ >= MAX_ARGS)
		return true;
	if (leaf->depth >= 2 && strcmp(leaf->names[leaf->depth - 1], "field") == 0 && leaf->kind == XDR_STRING) {
		(void)snprintf(args->field, sizeof(args->field), "%.*s", (int)(leaf->bytes.len > 120 ? 120 : leaf->bytes.len),
		    (const char *)leaf->bytes.data);
		args->num--;
		return true;
	}
	make_name(args, leaf, name, sizeof(name));
	/* The same parameter twice: both are told, the second cannot stand in front of the first. */
	if (json_object_get(args->object, name) != NULL && strlen(name) + 12 < sizeof(name))
		(void)snprintf(name + strlen(name), sizeof(name) - strlen(name), "#%zu", args->num);
	if (leaf->absent)
		(void)json_object_set_new_nocheck(args->object, name, json_null());
	else if (leaf->field->form == XDR_BYTES || leaf->kind == XDR_STRING)
		set_text(args, name, leaf);
	else
		set_number(args, name, leaf);
	return true;
}

json_t *
record_args(const struct rpc_proc *proc, const uint8_t *body, size_t len)
{
	struct args args = { .object = json_object(), .proc = proc };

	if (args.object == NULL)
		return NULL;
	xdr_walk(proc->args, body, len, add_arg, &args);
	if (args.keys > 0)
		(void)json_object_set_new(args.object, "keycodes_num", json_integer((json_int_t)args.keys));
	if (args.num > MAX_ARGS)
		(void)json_object_set_new(args.object, "more", json_integer((json_int_t)(args.num - MAX_ARGS)));
	return args.object;
}
