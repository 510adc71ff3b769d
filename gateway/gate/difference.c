/*
 * difference.c: an object's documents before and after a change. A domain that runs has two, the one that runs and its definition; a call about a
 * snapshot or checkpoint has that one's too.
 */
#include "gateway/gate/difference.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/core/linediff.h"
#include "gateway/gate/inventory.h"
#include "gateway/gate/roll.h"
#include "gateway/gate/secrets.h"

#define MAX_DOCUMENTS	3
#define MAX_DIFF	(12u * 1024u)	/* bytes of one document's difference */
#define MAX_OBJECT	1200u		/* an encoded object: two names and a UUID */

/* VIR_DOMAIN_XML_INACTIVE, libvirt-domain.h; VIR_NETWORK_XML_INACTIVE, libvirt-network.h; VIR_STORAGE_XML_INACTIVE, libvirt-storage.h */
enum { DOMAIN_XML_INACTIVE = 2, NETWORK_XML_INACTIVE = 1, STORAGE_XML_INACTIVE = 1 };

/* How an object's documents are asked for: its definition, and the one of what runs where that may be another. */
static const struct source {
	enum vg_class class;
	const char *ask;
	uint32_t definition, running;	/* flags */
	bool two;
} sources[] = {
	{ VG_CLASS_domain, "domain_get_xml_desc", DOMAIN_XML_INACTIVE, 0, true },
	{ VG_CLASS_network, "network_get_xml_desc", NETWORK_XML_INACTIVE, 0, true },
	{ VG_CLASS_storage_pool, "storage_pool_get_xml_desc", STORAGE_XML_INACTIVE, 0, true },
	{ VG_CLASS_storage_vol, "storage_vol_get_xml_desc", 0, 0, false },
	{ VG_CLASS_nwfilter, "nwfilter_get_xml_desc", 0, 0, false },
	{ VG_CLASS_secret, "secret_get_xml_desc", 0, 0, false },
};

/* What belongs to a domain and has a document of its own: where a call, or its reply, names it. */
static const struct part {
	const char *call, *argument, *reply;	/* NULL: it does not */
	const char *name, *ask;
} parts[] = {
	{ "domain_snapshot_create_xml", NULL, "snap", "snapshot", "domain_snapshot_get_xml_desc" },
	{ "domain_snapshot_delete", "snap", NULL, "snapshot", "domain_snapshot_get_xml_desc" },
	{ "domain_revert_to_snapshot", "snap", NULL, "snapshot", "domain_snapshot_get_xml_desc" },
	{ "domain_checkpoint_create_xml", NULL, "checkpoint", "checkpoint", "domain_checkpoint_get_xml_desc" },
	{ "domain_checkpoint_delete", "checkpoint", NULL, "checkpoint", "domain_checkpoint_get_xml_desc" },
};

/* What stands in no document: the call that sets it, with the value behind the object, and the one that asks for it with the object alone. */
static const struct toggle {
	const char *set, *get, *member;
} toggles[] = {
	{ "domain_set_autostart", "domain_get_autostart", "autostart" },
	{ "domain_set_autostart_once", "domain_get_autostart_once", "autostart" },
	{ "network_set_autostart", "network_get_autostart", "autostart" },
	{ "storage_pool_set_autostart", "storage_pool_get_autostart", "autostart" },
	{ "node_device_set_autostart", "node_device_get_autostart", "autostart" },
};

/* Permissions, with their parts, that are about what documents say. */
static const enum vg_permission writing[] = { VG_PERM_domain_write, VG_PERM_domain_save, VG_PERM_domain_delete, VG_PERM_domain_block_write,
	VG_PERM_domain_snapshot, VG_PERM_domain_checkpoint, VG_PERM_network_write, VG_PERM_network_save, VG_PERM_network_delete,
	VG_PERM_storage_pool_write, VG_PERM_storage_pool_save, VG_PERM_storage_pool_delete, VG_PERM_storage_vol_create, VG_PERM_storage_vol_delete,
	VG_PERM_storage_vol_resize, VG_PERM_storage_vol_format, VG_PERM_nwfilter_write, VG_PERM_nwfilter_save, VG_PERM_nwfilter_delete,
	VG_PERM_secret_write, VG_PERM_secret_save, VG_PERM_secret_delete };

struct text {
	char *bytes;			/* NULL: libvirtd had none */
	size_t len;
};

/* One that is asked for. */
struct document {
	const char *name;		/* "definition", "running", or of a part or toggle */
	const char *ask;
	enum vg_class class;
	uint32_t flags;
	const char *reply;		/* where the reply has its object; NULL: nowhere */
	uint8_t object[MAX_OBJECT];	/* encoded as the question has it */
	size_t object_len;		/* 0: it is not known */
	struct text before, after;
};

struct difference {
	struct document documents[MAX_DOCUMENTS];
	unsigned num;
	unsigned at;			/* the one that is asked for */
	bool toggle;			/* the only document is one of toggles[]: "yes" or "no", and what was set is what is after */
	bool second_round, awaited, given_up;
	bool has_uuid;			/* of the object */
	uint8_t uuid[VG_UUID_LEN];
};

/* ---- which calls ---- */

static const struct source *
source_of(enum vg_class class)
{
	for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++)
		if (sources[i].class == class)
			return &sources[i];
	return NULL;
}

static const struct toggle *
toggle_of(const char *call)
{
	for (size_t i = 0; i < sizeof(toggles) / sizeof(toggles[0]); i++)
		if (strcmp(toggles[i].set, call) == 0)
			return &toggles[i];
	return NULL;
}

static bool
is_writing(enum vg_permission permission)
{
	if (permission == VG_PERM_domain_write_guest)	/* reaches into the guest: no document says so */
		return false;
	for (size_t i = 0; i < sizeof(writing) / sizeof(writing[0]); i++)
		if (permission == writing[i] || permission_whole(permission) == writing[i])
			return true;
	return false;
}

static bool
is_wanted(const struct call *call, enum vg_class class)
{
	if (call->proc->kind != RPC_KIND_CHANGE || call->proc->stream != RPC_STREAM_NONE || source_of(class) == NULL)
		return false;
	for (const struct rpc_need *need = call->proc->needs; need->permission != VG_PERM_NONE; need++)
		if (permission_class(need->permission) == class && is_writing(need->permission))
			return true;
	return false;
}

/* ---- asking ---- */

static size_t
put_object(uint8_t *buf, size_t size, const struct vg_object *object, int32_t id)
{
	const char *name = object->name == NULL ? "" : object->name;
	struct xdr_out out;

	xdr_out_init(&out, buf, size);
	if (object->class == VG_CLASS_storage_vol) {
		xdr_put_string(&out, object->parent == NULL ? "" : object->parent);
		xdr_put_string(&out, name);
		xdr_put_string(&out, "");	/* the key: libvirtd goes by the names */
	} else if (object->class == VG_CLASS_secret) {
		xdr_put_raw(&out, object->uuid, VG_UUID_LEN);
		xdr_put_i32(&out, 0);		/* VIR_SECRET_USAGE_TYPE_NONE: libvirtd goes by the UUID */
		xdr_put_string(&out, "");
	} else {
		xdr_put_string(&out, name);
		xdr_put_raw(&out, object->uuid, VG_UUID_LEN);
		if (object->class == VG_CLASS_domain)
			xdr_put_i32(&out, id);
	}
	return out.failed ? 0 : out.len;
}

size_t
difference_question(const struct vg_object *object, int32_t id, bool running, uint8_t *body, size_t size, const struct rpc_proc **proc)
{
	bool named = object->class == VG_CLASS_storage_vol && object->name != NULL && object->parent != NULL;
	const struct source *source = object->has_uuid || named ? source_of(object->class) : NULL;
	struct xdr_out out;
	size_t len;

	if (source == NULL || (running && !source->two) || size < MAX_OBJECT + 4 || (len = put_object(body, MAX_OBJECT, object, id)) == 0)
		return 0;
	xdr_out_init(&out, body + len, 4);
	xdr_put_u32(&out, running ? source->running : source->definition);
	*proc = rpc_proc_by_name(source->ask);
	return len + out.len;
}

size_t
difference_toggle_question(const char *call, const struct vg_object *object, int32_t id, uint8_t *body, size_t size, const struct rpc_proc **proc)
{
	const struct toggle *toggle = toggle_of(call);

	if (toggle == NULL || !object->has_uuid || source_of(object->class) == NULL)
		return 0;
	*proc = rpc_proc_by_name(toggle->get);
	return put_object(body, size, object, id);
}

static void on_text(const char *text, size_t len, void *arg);

/* The next document of this round, from the one at hand on. False: there is none, or it cannot be asked for. */
static bool
ask_next(struct call *call)
{
	struct difference *difference = call->difference;
	uint8_t body[MAX_OBJECT + 4];
	struct document *document;
	struct xdr_out out;
	size_t len;

	while (difference->at < difference->num && difference->documents[difference->at].object_len == 0)
		difference->at++;
	if (difference->at == difference->num)
		return false;
	document = &difference->documents[difference->at];
	len = document->object_len;
	memcpy(body, document->object, len);
	if (!difference->toggle) {
		xdr_out_init(&out, body + len, 4);
		xdr_put_u32(&out, document->flags);
		len += out.len;
	}
	call->lookup_ticket = inventory_ask(call->session->inventory, rpc_proc_by_name(document->ask), body, len, on_text, call);
	return call->lookup_ticket != 0;
}

/* Nobody defined these: how much space is taken and when a volume was read change by themselves. libvirt writes each on a line of its own. */
static bool
is_measured(enum vg_class class, const char *line, size_t len)
{
	static const struct { enum vg_class class; const char *begins; } measured[] = {
		{ VG_CLASS_storage_pool, "  <capacity " }, { VG_CLASS_storage_pool, "  <allocation " }, { VG_CLASS_storage_pool, "  <available " },
		{ VG_CLASS_storage_vol, "  <allocation " }, { VG_CLASS_storage_vol, "  <physical " }, { VG_CLASS_storage_vol, "      <atime>" }, { VG_CLASS_storage_vol, "      <mtime>" }, { VG_CLASS_storage_vol, "      <ctime>" },
		{ VG_CLASS_storage_vol, "      <btime>" } };

	for (size_t i = 0; i < sizeof(measured) / sizeof(measured[0]); i++)
		if (class == measured[i].class && len >= strlen(measured[i].begins) && memcmp(line, measured[i].begins, strlen(measured[i].begins)) == 0)
			return true;
	return false;
}

/* libvirtd leaves passwords out unless it is asked for them; what it should leave in is taken out here. */
char *
difference_text(enum vg_class class, const char *text, size_t len, size_t *out_len)
{
	char *clean, *out;
	size_t left = 0;

	if (text == NULL || secrets_clean(text, len, &clean, &left) < 0)
		return NULL;
	out = clean != NULL ? clean : strndup(text, len);
	if (out == NULL)
		return NULL;
	left = strlen(out);
	*out_len = 0;
	for (const char *line = out; left > 0;) {
		const char *end = memchr(line, '\n', left);
		size_t line_len = end == NULL ? left : (size_t)(end + 1 - line);

		if (!is_measured(class, line, line_len)) {
			memmove(out + *out_len, line, line_len);
			*out_len += line_len;
		}
		line += line_len;
		left -= line_len;
	}
	out[*out_len] = '\0';
	return out;
}

static void
set_toggle(struct text *into, const char *value)
{
	char line[8];
	int n = value == NULL ? 0 : snprintf(line, sizeof(line), "%s\n", value);

	into->bytes = n <= 0 ? NULL : strdup(line);
	into->len = into->bytes == NULL ? 0 : (size_t)n;
}

static void
on_text(const char *text, size_t len, void *arg)
{
	struct call *call = arg;
	struct difference *difference = call->difference;
	struct document *document = &difference->documents[difference->at++];
	struct text *into = difference->second_round ? &document->after : &document->before;

	call->lookup_ticket = 0;
	if (difference->toggle)
		set_toggle(into, text);
	else
		into->bytes = difference_text(document->class, text, len, &into->len);
	if (!difference->second_round && !difference->toggle && document == &difference->documents[0] && difference->has_uuid)
		roll_saw(inventory_roll(call->session->inventory), document->class, difference->uuid, into->bytes, into->len);
	if (ask_next(call))
		return;
	difference->awaited = false;
	if (difference->second_round)
		reply_outcome(call);
	else
		call_looked_up(call);
}

/* A definition may leave the UUID out: then it is about what has the name, if anything has. */
static struct vg_object
with_uuid(const struct inventory *inventory, const struct vg_object *object)
{
	struct vg_object named = *object;
	const struct inventory_domain *domain;
	const uint8_t *uuid = NULL;

	if (named.has_uuid || named.name == NULL)
		return named;
	if (named.class == VG_CLASS_domain)
		uuid = (domain = inventory_by_name(inventory, named.name)) == NULL ? NULL : domain->uuid;
	else
		uuid = inventory_uuid_of(inventory, named.class, named.name);
	if (uuid != NULL)
		memcpy(named.uuid, uuid, VG_UUID_LEN);
	named.has_uuid = uuid != NULL;
	return named;
}

static struct document *
add_document(struct difference *difference, const char *name, const char *ask, enum vg_class class, uint32_t flags, const char *reply)
{
	struct document *document = &difference->documents[difference->num++];

	document->name = name;
	document->ask = ask;
	document->class = class;
	document->flags = flags;
	document->reply = reply;
	return document;
}

/* A snapshot's or checkpoint's document, where the call is about one. */
static void
add_part(struct call *call, const uint8_t *body, size_t len)
{
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		const struct part *part = &parts[i];
		struct document *document;
		struct xdr_span span;

		if (strcmp(call->proc->name, part->call) != 0)
			continue;
		document = add_document(call->difference, part->name, part->ask, VG_CLASS_domain, 0, part->reply);
		if (part->argument != NULL && xdr_find(call->proc->args, body, len, part->argument, &span) && span.len <= MAX_OBJECT) {
			memcpy(document->object, span.data, span.len);
			document->object_len = span.len;
		}
	}
}

/* Its definition, and what runs of it. */
static void
add_object(struct call *call, const struct source *source, const struct vg_object *object)
{
	const struct inventory_domain *domain = object->class == VG_CLASS_domain && object->has_uuid ?
	    inventory_by_uuid(call->session->inventory, object->uuid) : NULL;
	const struct rpc_object *returns = &call->proc->returns;
	const char *reply = returns->from == RPC_FROM_ARG && returns->class == source->class ? returns->path : NULL;
	/* A volume that is asked for is not there yet. */
	bool there = source->class == VG_CLASS_storage_vol ? reply == NULL && object->name != NULL && object->parent != NULL : object->has_uuid;
	struct document *document = add_document(call->difference, "definition", source->ask, source->class, source->definition, reply), *second;

	if (there)
		document->object_len = put_object(document->object, sizeof(document->object), object, domain == NULL ? -1 : domain->id);
	/* Of networks and pools it is not known here whether they run. */
	if (!source->two || (object->class == VG_CLASS_domain && (domain == NULL || domain->id == -1)))
		return;
	second = add_document(call->difference, "running", source->ask, source->class, source->running, reply);
	memcpy(second->object, document->object, document->object_len);
	second->object_len = document->object_len;
}

/* Asked for as it is set, without the value behind. */
static void
add_toggle(struct call *call, const struct toggle *toggle, const uint8_t *body, size_t len)
{
	struct document *document = add_document(call->difference, toggle->member, toggle->get, VG_CLASS_none, 0, NULL);
	struct xdr_span span;

	call->difference->toggle = true;
	if (!xdr_find(call->proc->args, body, len, toggle->member, &span) || len - span.len > MAX_OBJECT)
		return;
	document->object_len = len - span.len;
	memcpy(document->object, body, document->object_len);
	set_toggle(&document->after, xdr_span_i32(span) != 0 ? "yes" : "no");
}

bool
difference_before(struct call *call, const struct vg_object *about, const uint8_t *body, size_t len)
{
	const struct toggle *toggle = toggle_of(call->proc->name);
	struct vg_object object;

	if (call->difference != NULL || (toggle == NULL && !is_wanted(call, about->class)))
		return false;
	object = with_uuid(call->session->inventory, about);
	call->difference = calloc(1, sizeof(*call->difference));
	if (call->difference == NULL)
		return false;
	call->difference->has_uuid = object.has_uuid;
	memcpy(call->difference->uuid, object.uuid, VG_UUID_LEN);
	if (toggle != NULL) {
		add_toggle(call, toggle, body, len);
	} else {
		add_object(call, source_of(object.class), &object);
		add_part(call, body, len);
	}
	return ask_next(call);
}

/* What was defined or created has its name and UUID in the reply. */
static void
take_object_of_reply(struct call *call, struct document *document, const uint8_t *reply, size_t len)
{
	struct xdr_object object;
	struct xdr_span span;

	if (document->object_len > 0 || document->reply == NULL || !xdr_find(call->proc->ret, reply, len, document->reply, &span) || span.len > MAX_OBJECT)
		return;
	memcpy(document->object, span.data, span.len);
	document->object_len = span.len;
	if (document == &call->difference->documents[0] && xdr_get_object(document->class, span, &object) && object.uuid != NULL) {
		memcpy(call->difference->uuid, object.uuid, VG_UUID_LEN);
		call->difference->has_uuid = true;
	}
}

bool
difference_after(struct call *call, const uint8_t *reply, size_t len)
{
	struct difference *difference = call->difference;

	if (difference == NULL)
		return false;
	for (unsigned i = 0; i < difference->num; i++)
		take_object_of_reply(call, &difference->documents[i], reply, len);
	difference->second_round = true;
	difference->at = 0;
	difference->awaited = !difference->toggle && ask_next(call);
	return difference->awaited;
}

bool
difference_awaited(const struct call *call)
{
	return call->difference != NULL && call->difference->awaited;
}

void
difference_give_up(struct call *call)
{
	inventory_cancel(call->session->inventory, call->lookup_ticket);
	call->lookup_ticket = 0;
	call->difference->awaited = false;
	call->difference->given_up = true;
}

/* ---- the record ---- */

/* "--- definition", "+++ definition", and what differs, where it does. -1: out of memory. */
static int
put_document(struct buf *out, const char *name, const char *text)
{
	char head[64];
	int n = snprintf(head, sizeof(head), "--- %s\n+++ %s\n", name, name);

	if (text[0] == '\0')
		return 0;
	return buf_add(out, head, (size_t)n) < 0 || buf_add(out, text, strlen(text)) < 0 ? -1 : 0;
}

void
difference_add(const struct call *call, json_t *record)
{
	const struct difference *difference = call->difference;
	char *texts[MAX_DOCUMENTS] = { NULL };
	struct buf out = { 0 };
	int r = 0;

	if (difference == NULL || !difference->second_round || difference->awaited || difference->given_up)
		return;
	for (unsigned i = 0; i < difference->num && r == 0; i++) {
		const struct text *before = &difference->documents[i].before, *after = &difference->documents[i].after;

		texts[i] = linediff(before->bytes, before->len, after->bytes, after->len, MAX_DIFF);
		if (texts[i] == NULL)
			r = -1;
		else if (i == 0 || strcmp(texts[i], texts[0]) != 0)	/* what runs is what is defined: told once */
			r = put_document(&out, difference->documents[i].name, texts[i]);
	}
	if (r == 0 && buf_len(&out) > 0)
		(void)json_object_set_new(record, "diff", audit_text(buf_head(&out), buf_len(&out)));
	for (unsigned i = 0; i < MAX_DOCUMENTS; i++)
		free(texts[i]);
	buf_free(&out);
}

/* "before" or "after", of the others with their names. What runs is what is defined: kept once. */
static void
put_text(struct documents *documents, const struct document *document, const char *side, const struct text *text, const struct text *definition)
{
	char member[40];

	if (text == definition) {
		documents_put(documents, side, text->bytes, text->len);
	} else if (text->len != definition->len || text->bytes == NULL || definition->bytes == NULL ||
	    memcmp(text->bytes, definition->bytes, text->len) != 0) {
		(void)snprintf(member, sizeof(member), "%s_%s", side, document->name);
		documents_put(documents, member, text->bytes, text->len);
	}
}

void
difference_put_documents(const struct call *call, struct documents *documents)
{
	const struct difference *difference = call->difference;

	if (difference == NULL || difference->toggle)
		return;
	for (unsigned i = 0; i < difference->num; i++) {
		const struct document *document = &difference->documents[i], *definition = &difference->documents[0];

		put_text(documents, document, "before", &document->before, &definition->before);
		if (difference->second_round && !difference->awaited && !difference->given_up)
			put_text(documents, document, "after", &document->after, &definition->after);
	}
}

char *
difference_take_left(struct call *call, uint8_t uuid[VG_UUID_LEN], size_t *len)
{
	struct difference *difference = call->difference;
	char *text;

	if (difference == NULL || difference->toggle || !difference->second_round || difference->awaited || difference->given_up || !difference->has_uuid)
		return NULL;
	memcpy(uuid, difference->uuid, VG_UUID_LEN);
	text = difference->documents[0].after.bytes;
	*len = difference->documents[0].after.len;
	difference->documents[0].after.bytes = NULL;
	return text;
}

void
difference_destroy(struct difference *difference)
{
	if (difference == NULL)
		return;
	for (size_t i = 0; i < MAX_DOCUMENTS; i++) {
		free(difference->documents[i].before.bytes);
		free(difference->documents[i].after.bytes);
	}
	free(difference);
}
