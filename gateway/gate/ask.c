/*
 * ask.c: what a judgement has to know from libvirtd: objects, volumes by their path, documents. The call is parked until the answer is
 * there, and then judged again from its beginning, so that the answers stand in the order of the questions.
 */
#include <stdlib.h>
#include <string.h>

#include "gateway/gate/argument.h"
#include "gateway/gate/class.h"
#include "gateway/gate/inventory.h"

/* The next slot of a call's answers, with what was answered; the call is gone when there is no memory for it. */
static struct looked_up *
add_answer(struct call *call)
{
	struct looked_up *lookups = realloc(call->lookups, (call->num_lookups + 1) * sizeof(*lookups));

	call->lookup_ticket = 0;
	if (lookups == NULL) {
		session_close(call->session, CLOSE_NO_MEMORY);
		return NULL;
	}
	call->lookups = lookups;
	lookups[call->num_lookups] = (struct looked_up){ .class = call->looking_up };
	return &lookups[call->num_lookups++];
}

static char *
copy_span(struct xdr_span span)
{
	return strndup(span.len == 0 ? "" : (const char *)span.data, span.len);
}

static void
on_found(const struct xdr_object *object, void *arg)
{
	struct call *call = arg;
	struct looked_up *slot = add_answer(call);

	if (slot == NULL)
		return;
	if (object != NULL) {
		if (object->uuid != NULL)
			memcpy(slot->uuid, object->uuid, VG_UUID_LEN);
		slot->name = copy_span(object->name);
		slot->parent = copy_span(object->parent);
		slot->found = slot->name != NULL && slot->parent != NULL;
	}
	call_looked_up(call);
}

static void
on_text(const char *text, size_t len, void *arg)
{
	struct call *call = arg;
	struct looked_up *slot = add_answer(call);

	if (slot == NULL)
		return;
	slot->text = text == NULL ? NULL : strndup(text, len);
	slot->text_len = slot->text == NULL ? 0 : len;
	slot->found = slot->text != NULL;
	call_looked_up(call);
}

/*
 * The answer from number `index` on that is of this class, when it is there already; then the one behind it is counted on. Those before it
 * told the inventory something, and are not asked for any more. NULL: it must be asked for, or is one too many.
 */
static const struct looked_up *
answered(struct call *call, struct judgement *judgement, unsigned *index, enum vg_class class)
{
	while (*index < call->num_lookups) {
		const struct looked_up *answer = &call->lookups[(*index)++];

		if (answer->class == class)
			return answer;
	}
	judgement->verdict = DECIDE_WAIT;
	if (*index >= CALL_MAX_LOOKUPS)
		(void)resolve_malformed(judgement, "too many objects in one call");
	return NULL;
}

static const struct looked_up *
asked(struct judgement *judgement, uint64_t ticket, struct call *call, enum vg_class class)
{
	call->lookup_ticket = ticket;
	call->looking_up = class;
	if (ticket == 0 && class == VG_CLASS_none)
		(void)decide_refuse(judgement, "document", "libvirtd cannot be asked about it now");
	else if (ticket == 0) {
		class_missing(&judgement->error, class, "name", "(libvirtd is away)");
		judgement->verdict = DECIDE_MISSING;
	}
	return NULL;
}

void
resolve_put_domain(struct xdr_out *out, const char *name, const uint8_t uuid[VG_UUID_LEN], int32_t id)
{
	xdr_put_string(out, name);
	xdr_put_raw(out, uuid, VG_UUID_LEN);
	xdr_put_i32(out, id);
}

const struct looked_up *
resolve_look_up(struct call *call, struct judgement *judgement, unsigned *index, enum vg_class class, const uint8_t *uuid, const char *name)
{
	struct inventory *inventory = call->session->inventory;
	const struct looked_up *answer = answered(call, judgement, index, class);

	if (answer != NULL || judgement->verdict != DECIDE_WAIT)
		return answer;
	return asked(judgement, uuid != NULL ? inventory_lookup_uuid(inventory, class, uuid, on_found, call) :
	    inventory_lookup_name(inventory, class, name, on_found, call), call, class);
}

const struct looked_up *
resolve_path(struct call *call, struct judgement *judgement, unsigned *index, const char *path)
{
	const struct looked_up *answer = answered(call, judgement, index, VG_CLASS_storage_vol);

	if (answer != NULL || judgement->verdict != DECIDE_WAIT)
		return answer;
	return asked(judgement, inventory_lookup_path(call->session->inventory, path, on_found, call), call, VG_CLASS_storage_vol);
}

const struct looked_up *
resolve_document(struct call *call, struct judgement *judgement, unsigned *index, const char *proc, const void *body, size_t len)
{
	const struct looked_up *answer = answered(call, judgement, index, VG_CLASS_none);

	if (answer != NULL || judgement->verdict != DECIDE_WAIT)
		return answer;
	return asked(judgement, inventory_ask(call->session->inventory, rpc_proc_by_name(proc), body, len, on_text, call), call,
	    VG_CLASS_none);
}
