/*
 * roll_parts.c: what belongs to a thing and is told by its names: the volumes of a pool that runs, the snapshots and checkpoints of a domain. Their
 * definition is the list of names, a line each.
 */
#include "gateway/gate/roll_private.h"

#include <stdlib.h>
#include <string.h>

#include "gateway/core/log.h"
#include "gateway/gate/inventory.h"
#include "gateway/gate/outside.h"

/* ---- the list ---- */

size_t
roll_parts_question(const struct thing *thing, const char *name, uint8_t *body, size_t size)
{
	struct xdr_out out;

	xdr_out_init(&out, body, size);
	xdr_put_string(&out, name);
	xdr_put_raw(&out, thing->uuid, VG_UUID_LEN);
	if (thing->class == VG_CLASS_domain)
		xdr_put_i32(&out, -1);	/* libvirtd goes by the UUID */
	xdr_put_i32(&out, 1);		/* need_results */
	xdr_put_u32(&out, 0);
	return out.failed ? 0 : out.len;
}

static int
compare(const void *a, const void *b)
{
	return strcmp(json_string_value(*(json_t *const *)a), json_string_value(*(json_t *const *)b));
}

/* As audit_text() has them. NULL: out of memory. */
static json_t **
names_of(struct xdr_items *items, size_t *num, size_t *len)
{
	json_t **names = calloc((size_t)items->count + 1, sizeof(json_t *));
	struct xdr_span item, member, text;

	*num = *len = 0;
	while (names != NULL && xdr_items_next(items, &item)) {
		if (!xdr_item_member(items, item, &member) || !xdr_span_string(member, &text) || *num == items->count)
			continue;
		names[*num] = audit_text_bounded(text.data, text.len);
		if (json_is_string(names[*num]))
			*len += json_string_length(names[(*num)++]) + 1;
	}
	return names;
}

struct text
roll_parts_text(const struct rpc_proc *proc, const uint8_t *body, size_t len, const char *path)
{
	struct text text = { .bytes = NULL };
	struct xdr_items items;
	json_t **names;
	size_t num;
	char *at;

	if (!xdr_items(proc->ret, body, len, path, &items) || (names = names_of(&items, &num, &text.len)) == NULL)
		return (struct text){ .bytes = NULL };
	qsort(names, num, sizeof(json_t *), compare);
	at = text.bytes = malloc(text.len + 1);
	for (size_t i = 0; i < num; i++) {
		size_t name_len = json_string_length(names[i]);

		if (at != NULL) {
			memcpy(at, json_string_value(names[i]), name_len);
			at[name_len] = '\n';
			at += name_len + 1;
		}
		json_decref(names[i]);
	}
	free(names);
	if (at == NULL)
		return (struct text){ .bytes = NULL };
	*at = '\0';
	return text;
}

/* ---- what is news ---- */

unsigned
roll_parts_changes(const struct roll *roll)
{
	const struct thing *thing = roll->at, *owner = roll_find(roll, thing->class, thing->uuid);
	bool listed = thing->listed >= roll->least;

	/* Which volumes there are is not known of a pool that does not run. */
	if (thing->class == VG_CLASS_storage_pool && (!listed || !thing->known))
		return 0;
	if (!listed)		/* it has none any more, or it is gone itself */
		return thing->known && owner != NULL && owner->listed >= roll->least ? CHANGE_GONE : 0;
	if (!thing->known)	/* at a start that never looked for such before, they may have been there */
		return roll->all && !roll->had[thing->kind] ? 0 : CHANGE_APPEARED;
	return roll->digest[0] != '\0' && thing->digest[0] != '\0' && strcmp(roll->digest, thing->digest) != 0 ? CHANGE_DEFINITION : 0;
}

unsigned
roll_parts_explained(const struct roll *roll, const struct thing *thing)
{
	const char *name = thing->name_now != NULL ? thing->name_now : thing->name != NULL ? thing->name : "";
	struct xdr_object object = { .class = thing->class, .uuid = thing->uuid, .name = { (const uint8_t *)name, strlen(name) } };
	unsigned explained = outside_explains(roll->gate->outside, roll->inventory, &object);

	if (thing->class == VG_CLASS_storage_pool) {	/* calls about volumes go by the pool's name */
		object.class = VG_CLASS_storage_vol;
		object.uuid = NULL;
		explained |= outside_explains(roll->gate->outside, roll->inventory, &object);
	}
	return (explained & CHANGE_PARTS) != 0 ? CHANGE_ALL : 0;
}

bool
roll_parts_explained_by(const struct thing *thing, const char *call)
{
	return thing->class == VG_CLASS_storage_pool || outside_may_change_parts(call);
}

void
roll_parts_touch(struct roll *roll, enum vg_class class, const uint8_t *uuid)
{
	for (unsigned kind = 0; kind < ROLL_KINDS; kind++) {
		struct thing *thing;

		if (roll_kinds[kind].parts.ask == NULL || roll_kinds[kind].class != class)
			continue;
		thing = roll_find_kind(roll, kind, uuid);
		if (thing != NULL || (thing = roll_add(roll, kind, uuid)) != NULL)
			roll_mark(roll, thing, CHANGE_ALL);
	}
}
