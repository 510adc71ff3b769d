/*
 * difference.c: an object's documents before and after a change. A domain that runs has two, the one that runs and its definition.
 */
#include "gateway/gate/difference.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/core/linediff.h"
#include "gateway/gate/inventory.h"
#include "gateway/gate/secrets.h"

#define MAX_DOCUMENTS	2
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
	{ VG_CLASS_nwfilter, "nwfilter_get_xml_desc", 0, 0, false },
	{ VG_CLASS_secret, "secret_get_xml_desc", 0, 0, false },
};

static const char *const names[MAX_DOCUMENTS] = { "definition", "running" };

/* Permissions, with their parts, that are about what documents say. */
static const enum vg_permission writing[] = { VG_PERM_domain_write, VG_PERM_domain_save, VG_PERM_domain_delete, VG_PERM_domain_block_write,
	VG_PERM_domain_snapshot, VG_PERM_network_write, VG_PERM_network_save, VG_PERM_network_delete, VG_PERM_storage_pool_write,
	VG_PERM_storage_pool_save, VG_PERM_storage_pool_delete, VG_PERM_nwfilter_write, VG_PERM_nwfilter_save, VG_PERM_nwfilter_delete,
	VG_PERM_secret_write, VG_PERM_secret_save, VG_PERM_secret_delete };

struct text {
	char *bytes;			/* NULL: libvirtd had none */
	size_t len;
};

struct difference {
	const struct source *source;
	uint8_t object[MAX_OBJECT];	/* encoded as the question has it */
	size_t object_len;		/* 0: it is not there before the call */
	unsigned num;			/* documents that are asked for */
	unsigned asked, answered;	/* of the round at hand */
	bool second_round, awaited, given_up;
	struct text before[MAX_DOCUMENTS], after[MAX_DOCUMENTS];
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
	if (object->class == VG_CLASS_secret) {
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
	const struct source *source = object->has_uuid ? source_of(object->class) : NULL;
	struct xdr_out out;
	size_t len;

	if (source == NULL || (running && !source->two) || size < MAX_OBJECT + 4 || (len = put_object(body, MAX_OBJECT, object, id)) == 0)
		return 0;
	xdr_out_init(&out, body + len, 4);
	xdr_put_u32(&out, running ? source->running : source->definition);
	*proc = rpc_proc_by_name(source->ask);
	return len + out.len;
}

static void on_text(const char *text, size_t len, void *arg);

/* The next document of this round. False: there is none, or it cannot be asked for. */
static bool
ask_next(struct call *call)
{
	struct difference *difference = call->difference;
	uint8_t body[MAX_OBJECT + 4];
	struct xdr_out out;

	if (difference->object_len == 0 || difference->asked == difference->num)
		return false;
	memcpy(body, difference->object, difference->object_len);
	xdr_out_init(&out, body + difference->object_len, 4);
	xdr_put_u32(&out, difference->asked == 0 ? difference->source->definition : difference->source->running);
	call->lookup_ticket = inventory_ask(call->session->inventory, rpc_proc_by_name(difference->source->ask), body,
	    difference->object_len + out.len, on_text, call);
	if (call->lookup_ticket == 0)
		return false;
	difference->asked++;
	return true;
}

/* Nobody defined these: how full a pool is changes by itself. libvirt writes each on a line of its own. */
static bool
is_measured(enum vg_class class, const char *line, size_t len)
{
	static const char *const measured[] = { "  <capacity ", "  <allocation ", "  <available " };

	for (size_t i = 0; class == VG_CLASS_storage_pool && i < sizeof(measured) / sizeof(measured[0]); i++)
		if (len >= strlen(measured[i]) && memcmp(line, measured[i], strlen(measured[i])) == 0)
			return true;
	return false;
}

/* libvirtd leaves passwords out unless it is asked for them; what it should leave in is taken out here. */
char *
difference_text(enum vg_class class, const char *text, size_t len, size_t *out_len)
{
	char *clean, *out;
	size_t left = 0;

	if (text == NULL || secrets_strip(text, len, &clean, &left) < 0)
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
take_text(const struct difference *difference, struct text *into, const char *text, size_t len)
{
	into->bytes = difference_text(difference->source->class, text, len, &into->len);
}

static void
on_text(const char *text, size_t len, void *arg)
{
	struct call *call = arg;
	struct difference *difference = call->difference;
	unsigned at = difference->answered++;

	call->lookup_ticket = 0;
	take_text(difference, difference->second_round ? &difference->after[at] : &difference->before[at], text, len);
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

bool
difference_before(struct call *call, const struct vg_object *about)
{
	const struct inventory_domain *domain;
	struct difference *difference;
	struct vg_object named;
	const struct vg_object *object = &named;

	if (call->difference != NULL || !is_wanted(call, about->class))
		return false;
	named = with_uuid(call->session->inventory, about);
	difference = call->difference = calloc(1, sizeof(*difference));
	if (difference == NULL)
		return false;
	difference->source = source_of(object->class);
	domain = object->class == VG_CLASS_domain && object->has_uuid ? inventory_by_uuid(call->session->inventory, object->uuid) : NULL;
	if (object->has_uuid)
		difference->object_len = put_object(difference->object, sizeof(difference->object), object, domain == NULL ? -1 : domain->id);
	/* Of networks and pools it is not known here whether they run. */
	difference->num = difference->source->two && (object->class != VG_CLASS_domain || (domain != NULL && domain->id != -1)) ? 2 : 1;
	return ask_next(call);
}

/* What was defined or created has its UUID in the reply. */
static void
take_object_of_reply(struct call *call, const uint8_t *reply, size_t len)
{
	struct difference *difference = call->difference;
	const struct rpc_object *returns = &call->proc->returns;
	struct xdr_span span;

	if (difference->object_len > 0 || returns->from != RPC_FROM_ARG || returns->class != difference->source->class ||
	    !xdr_find(call->proc->ret, reply, len, returns->path, &span) || span.len > MAX_OBJECT)
		return;
	memcpy(difference->object, span.data, span.len);
	difference->object_len = span.len;
}

bool
difference_after(struct call *call, const uint8_t *reply, size_t len)
{
	struct difference *difference = call->difference;

	if (difference == NULL)
		return false;
	take_object_of_reply(call, reply, len);
	difference->second_round = true;
	difference->asked = difference->answered = 0;
	difference->awaited = ask_next(call);
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
		const struct text *before = &difference->before[i], *after = &difference->after[i];

		texts[i] = linediff(before->bytes, before->len, after->bytes, after->len, MAX_DIFF);
		if (texts[i] == NULL)
			r = -1;
		else if (i == 0 || strcmp(texts[i], texts[0]) != 0)	/* what runs is what is defined: told once */
			r = put_document(&out, names[i], texts[i]);
	}
	if (r == 0 && buf_len(&out) > 0)
		(void)json_object_set_new(record, "diff", audit_text(buf_head(&out), buf_len(&out)));
	for (unsigned i = 0; i < MAX_DOCUMENTS; i++)
		free(texts[i]);
	buf_free(&out);
}

/* What runs is what is defined: kept once. */
static void
put_side(struct documents *documents, const struct text texts[MAX_DOCUMENTS], const char *definition, const char *running)
{
	bool same = texts[0].len == texts[1].len && texts[0].bytes != NULL && texts[1].bytes != NULL &&
	    memcmp(texts[0].bytes, texts[1].bytes, texts[0].len) == 0;

	documents_put(documents, definition, texts[0].bytes, texts[0].len);
	if (!same)
		documents_put(documents, running, texts[1].bytes, texts[1].len);
}

void
difference_put_documents(const struct call *call, struct documents *documents)
{
	const struct difference *difference = call->difference;

	if (difference == NULL)
		return;
	put_side(documents, difference->before, "before", "before_running");
	if (difference->second_round && !difference->awaited && !difference->given_up)
		put_side(documents, difference->after, "after", "after_running");
}

void
difference_destroy(struct difference *difference)
{
	if (difference == NULL)
		return;
	for (size_t i = 0; i < MAX_DOCUMENTS; i++) {
		free(difference->before[i].bytes);
		free(difference->after[i].bytes);
	}
	free(difference);
}
