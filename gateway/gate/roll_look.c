/*
 * roll_look.c: one round: which things there are, then each that is to be looked at, one after the other.
 */
#include "gateway/gate/roll_private.h"

#include <stdlib.h>
#include <string.h>

#include "gateway/core/log.h"
#include "gateway/gate/difference.h"
#include "gateway/gate/inventory.h"
#include "gateway/gate/outside.h"

#define MAX_TOUCHED	256u		/* of a round while calls change things all the time */
#define MAX_PUT		1000u		/* things, */
#define MAX_PUT_LEN	(256u * 1024u)	/* and bytes of definitions, that wait to be kept */
#define MAX_KEPT	(512u * 1024u)	/* of a longer definition only the digest is kept */
#define MAX_QUESTION	1300u

/* virConnectListAll…Flags: libvirt-domain.h, libvirt-network.h, libvirt-storage.h. Of domains the id tells whether they run. */
const struct roll_kind roll_kinds[ROLL_KINDS] = {
	{ .class = VG_CLASS_domain, .word = "domain", .missing = RPC_ERR_NO_DOMAIN, .list = "connect_list_all_domains",
	  .states = { { 1u << 2, THING_PERSISTENT }, { 1u << 10, THING_AUTOSTART } } },
	{ .class = VG_CLASS_network, .word = "network", .missing = RPC_ERR_NO_NETWORK, .list = "connect_list_all_networks",
	  .states = { { 1u << 1, THING_ACTIVE }, { 1u << 2, THING_PERSISTENT }, { 1u << 4, THING_AUTOSTART } } },
	{ .class = VG_CLASS_storage_pool, .word = "storage_pool", .missing = RPC_ERR_NO_STORAGE_POOL, .list = "connect_list_all_storage_pools",
	  .states = { { 1u << 1, THING_ACTIVE }, { 1u << 2, THING_PERSISTENT }, { 1u << 4, THING_AUTOSTART } } },
	{ .class = VG_CLASS_nwfilter, .word = "nwfilter", .missing = RPC_ERR_NO_NWFILTER, .list = "connect_list_all_nwfilters" },
	{ .class = VG_CLASS_secret, .word = "secret", .missing = RPC_ERR_NO_SECRET, .list = "connect_list_all_secrets" },
	{ .class = VG_CLASS_storage_pool, .word = "volumes", .missing = RPC_ERR_NO_STORAGE_POOL, .list = "connect_list_all_storage_pools", .which = 1u << 1,
	  .parts = { "storage_pool_list_all_volumes", "vols.name", "its volumes are not those that it had" } },
	{ .class = VG_CLASS_domain, .word = "snapshots", .missing = RPC_ERR_NO_DOMAIN, .list = "connect_list_all_domains", .which = 1u << 12,
	  .parts = { "domain_list_all_snapshots", "snapshots.name", "its snapshots are not those that it had" } },
	{ .class = VG_CLASS_domain, .word = "checkpoints", .missing = RPC_ERR_NO_DOMAIN, .list = "connect_list_all_domains", .which = 1u << 14,
	  .parts = { "domain_list_all_checkpoints", "checkpoints.name", "its checkpoints are not those that it had" } },
};

/* ---- ends of a round ---- */

/* libvirtd is gone: all is looked at when it is back. */
static void
give_up(struct roll *roll)
{
	roll->phase = ROLL_IDLE;
	roll->wants_all = true;
	roll->due = roll->at = NULL;
	roll->lap = 0;
}

static bool
is_gone(const struct rpc_error *error)
{
	return error != NULL && error->code == RPC_ERR_SYSTEM && error->origin == RPC_ORIGIN_RPC;
}

static bool
ask_libvirtd(struct roll *roll, const char *call, const void *body, size_t len, inventory_reply_cb *reply)
{
	roll->asked = inventory_call(roll->inventory, rpc_proc_by_name(call), body, len, reply, roll);
	if (!roll->asked)
		give_up(roll);
	return roll->asked;
}

/* ---- which there are ---- */

static bool
is_wanted(const struct roll *roll, unsigned kind)
{
	const char *key, *word = roll_kinds[kind].word;
	json_t *value;

	if (roll->all || roll->lapping)
		return true;
	for (size_t i = 0; i < ROLL_BUCKETS; i++)
		for (const struct thing *thing = roll->buckets[i]; thing != NULL; thing = thing->next)
			if (thing->touched && thing->kind == kind)
				return true;
	json_object_foreach(roll->named, key, value)
		if (strncmp(key, word, strlen(word)) == 0)
			return true;
	return false;
}

/* Was one of that name asked for without a UUID? */
static bool
is_named(const struct roll *roll, enum vg_class class, const char *name)
{
	json_t *key = json_object_size(roll->named) == 0 ? NULL : json_sprintf("%s:%s", class_name(class), name);
	bool found = key != NULL && json_object_get(roll->named, json_string_value(key)) != NULL;

	json_decref(key);
	return found;
}

static void
take_listed(struct roll *roll, const struct xdr_object *object)
{
	const struct roll_kind *kind = &roll_kinds[roll->kind];
	struct thing *thing = roll_find_kind(roll, roll->kind, object->uuid);
	json_t *text = audit_text_bounded(object->name.data, object->name.len);
	const char *name = json_is_string(text) ? json_string_value(text) : "";

	if (roll->list > 0) {
		if (thing != NULL && thing->listed == roll->round)
			thing->flags_now |= kind->states[roll->list - 1].flag;
	} else {
		bool named = kind->parts.ask == NULL && is_named(roll, kind->class, name);

		if (thing == NULL && (named || roll->all || roll->lapping))
			thing = roll_add(roll, roll->kind, object->uuid);
		if (thing != NULL && named) {
			thing->touched = true;
			thing->explained = CHANGE_ALL;
		}
		if (thing != NULL) {
			thing->listed = roll->round;
			thing->flags_now = kind->class == VG_CLASS_domain && kind->parts.ask == NULL && object->id != -1 ? THING_ACTIVE : 0;
			free(thing->name_now);
			thing->name_now = strdup(name);
		}
	}
	json_decref(text);
}

static void
on_listed(const struct rpc_proc *proc, const uint8_t *body, size_t len, const struct rpc_error *error, void *arg)
{
	struct roll *roll = arg;
	const struct roll_kind *kind = &roll_kinds[roll->kind];
	struct xdr_object object;
	struct xdr_items items;
	struct xdr_span item;

	roll->asked = false;
	if (is_gone(error)) {
		give_up(roll);
		return;
	}
	if (error == NULL && xdr_items(proc->ret, body, len, proc->list.items, &items)) {
		while (xdr_items_next(&items, &item))
			if (xdr_get_object(kind->class, item, &object) && object.uuid != NULL)
				take_listed(roll, &object);
		roll->has[roll->kind] = true;
	} else {
		roll->has[roll->kind] = false;	/* this driver has none; or not all of them are known */
	}
	if (!roll->has[roll->kind] || roll->list == 3 || kind->states[roll->list].flags == 0) {
		roll->kind++;
		roll->list = 0;
	} else {
		roll->list++;
	}
	roll_go_on(roll);
}

/* Everything that is to be looked at. */
static void
make_due(struct roll *roll)
{
	size_t num = 0;

	roll->due = NULL;
	roll->touched = false;
	for (size_t i = 0; i < ROLL_BUCKETS; i++)
		for (struct thing *thing = roll->buckets[i]; thing != NULL; thing = thing->next) {
			if (!roll->all && !thing->touched)
				continue;
			if (!roll->all && num == MAX_TOUCHED) {
				roll->touched = true;	/* in the next round */
				continue;
			}
			if (!roll->has[thing->kind]) {
				thing->touched = false;
				thing->explained = 0;
				free(roll_take_left(roll, thing).bytes);
				roll_release(roll, thing);
				continue;
			}
			thing->next_due = roll->due;
			roll->due = thing;
			num++;
		}
}

void
roll_begin(struct roll *roll)
{
	json_t *names = roll->named;

	roll->all = roll->wants_all;
	roll->wants_all = roll->lapping = false;
	if (roll->all)
		roll->lap = 0;
	roll->named = roll->names;	/* what comes from now on is for the next */
	roll->names = names;
	roll_list_anew(roll);
}

void
roll_list_anew(struct roll *roll)
{
	roll->least = ++roll->round;
	roll->began = roll_now();
	roll->kind = roll->list = 0;
	roll->num_looked = roll->num_told = 0;
	memset(roll->has, 0, sizeof(roll->has));
	roll->phase = ROLL_LISTING;
	roll_go_on(roll);
}

void
roll_list(struct roll *roll)
{
	uint8_t body[8];
	struct xdr_out out;

	while (roll->kind < ROLL_KINDS && roll->list == 0 && !is_wanted(roll, roll->kind))
		roll->kind++;
	if (roll->kind == ROLL_KINDS) {
		json_object_clear(roll->named);
		if (roll->lapping) {
			roll_lap_listed(roll);
			return;
		}
		make_due(roll);
		roll->phase = ROLL_LOOKING;
		roll_go_on(roll);
		return;
	}
	xdr_out_init(&out, body, sizeof(body));
	xdr_put_i32(&out, 1);		/* need_results */
	xdr_put_u32(&out, roll->list == 0 ? roll_kinds[roll->kind].which : roll_kinds[roll->kind].states[roll->list - 1].flags);
	(void)ask_libvirtd(roll, roll_kinds[roll->kind].list, body, out.len, on_listed);
}

/* ---- one of them ---- */

/* Of a domain without a definition that libvirtd keeps, it is what runs: the guest changes its balloon and its clock. */
static bool
can_change_by_itself(const struct thing *thing)
{
	return thing->class == VG_CLASS_domain && (thing->flags_now & THING_PERSISTENT) == 0;
}

static unsigned
changes_of(const struct roll *roll)
{
	static const struct { unsigned flag, change; } states[] = {
		{ THING_ACTIVE, CHANGE_ACTIVE }, { THING_PERSISTENT, CHANGE_PERSISTENT }, { THING_AUTOSTART, CHANGE_AUTOSTART } };
	const struct thing *thing = roll->at;
	unsigned changes = 0;

	if (roll_kinds[thing->kind].parts.ask != NULL)
		return roll_parts_changes(roll);
	if (thing->listed < roll->least)
		return thing->known ? CHANGE_GONE : 0;
	if (!thing->known)
		return CHANGE_APPEARED;
	if (thing->name_now != NULL && strcmp(thing->name, thing->name_now) != 0)
		changes |= CHANGE_RENAMED;
	if (roll->digest[0] != '\0' && thing->digest[0] != '\0' && strcmp(roll->digest, thing->digest) != 0 &&
	    !(roll->lapping && can_change_by_itself(thing)))
		changes |= CHANGE_DEFINITION;
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
		if ((thing->flags ^ thing->flags_now) & states[i].flag)
			changes |= states[i].change;
	return changes;
}

unsigned
roll_explained(const struct roll *roll, const struct thing *thing)
{
	const char *name = thing->name_now != NULL ? thing->name_now : thing->name != NULL ? thing->name : "";
	struct xdr_object object = { .class = thing->class, .uuid = thing->uuid, .name = { (const uint8_t *)name, strlen(name) } };

	if (roll_kinds[thing->kind].parts.ask != NULL)
		return roll_parts_explained(roll, thing);
	return outside_explains(roll->gate->outside, roll->inventory, &object);
}

/* What of the changes of a thing that was touched was not done by what touched it. */
static unsigned
news_of(const struct roll *roll)
{
	const struct thing *thing = roll->at;
	unsigned news = roll->changes & ~(roll->explained | thing->explained | roll_explained(roll, thing)) & (CHANGE_DEFINED | CHANGE_AUTOSTART);

	/* Touched since it was asked about: it may be as it was before that, or after. The next look tells. */
	if (!roll->known || (thing->touched && thing->touched_at >= roll->asked_at))
		return 0;
	if (roll->left.bytes != NULL && roll->left.len == roll->definition.len && roll->definition.bytes != NULL &&
	    memcmp(roll->left.bytes, roll->definition.bytes, roll->left.len) == 0)
		news &= ~(unsigned)CHANGE_DEFINED;
	return can_change_by_itself(thing) ? news & ~(unsigned)CHANGE_DEFINITION : news;
}

/* It is as it is: is that news? */
static void
judge(struct roll *roll)
{
	bool touched = !roll->all && !roll->lapping;

	if (roll_lap_leaves_out(roll))
		return;
	roll->num_looked++;
	roll->changes = changes_of(roll);
	if (roll->changes != 0 && roll_lap_doubts(roll))
		return;
	roll->at->doubted = 0;
	roll->quiet = roll->quiet || roll->at->touched || touched || !roll->known || roll_explained(roll, roll->at) != 0;
	roll->as_it_was = roll->changes == 0 && !roll->quiet;
	roll->news = touched ? news_of(roll) : 0;
	if (roll->at->held != NULL || roll->news != 0) {
		roll->phase = ROLL_RECALLING;
	} else if (roll->changes == 0 || roll->quiet) {
		roll_accept(roll);
	} else {
		roll->phase = ROLL_EXPLAINING;
		roll->by_name = false;
		roll->since = gate_steady();
	}
}

static void
on_definition(const struct rpc_proc *proc, const uint8_t *body, size_t len, const struct rpc_error *error, void *arg)
{
	struct roll *roll = arg;
	const struct roll_kind *kind = &roll_kinds[roll->at->kind];
	struct xdr_span span, text;

	roll->asked = false;
	if (is_gone(error)) {
		give_up(roll);
		return;
	}
	if (error != NULL && kind->missing == error->code)
		roll->at->listed = 0;		/* it went since */
	if (error == NULL && kind->parts.ask != NULL)
		roll->definition = roll_parts_text(proc, body, len, kind->parts.names);
	else if (error == NULL && xdr_find(proc->ret, body, len, "xml", &span) && xdr_span_string(span, &text))
		roll->definition.bytes = difference_text(roll->at->class, (const char *)text.data, text.len, &roll->definition.len);
	roll_text_digest(roll->definition.bytes, roll->definition.len, roll->digest);
	judge(roll);
	roll_go_on(roll);
}

static bool
is_enough(const struct roll *roll)
{
	return json_array_size(roll->put) + json_array_size(roll->gone) >= MAX_PUT || roll->put_len >= MAX_PUT_LEN;
}

/* The next one: what is gone is judged at once, libvirtd is asked about the others. */
static void
look_at(struct roll *roll, struct thing *thing)
{
	struct vg_object object = { .class = thing->class, .has_uuid = true, .name = thing->name_now != NULL ? thing->name_now : thing->name };
	const char *parts = roll_kinds[thing->kind].parts.ask;
	const struct rpc_proc *proc = NULL;
	uint8_t body[MAX_QUESTION];
	size_t len;

	free(roll->definition.bytes);
	roll->definition = (struct text){ .bytes = NULL };
	roll->digest[0] = '\0';
	roll->at = thing;
	roll->due = thing->next_due;
	if (roll_lap_leaves_out(roll))
		return;
	roll->quiet = thing->touched;
	roll->explained = thing->explained;
	free(roll->left.bytes);
	roll->left = roll_take_left(roll, thing);
	roll->asked_at = roll_now();
	if (thing->touched_at < roll->began) {
		thing->touched = false;
		thing->explained = 0;
	} else {
		roll->touched = true;		/* its state may be that of before */
	}
	memcpy(object.uuid, thing->uuid, VG_UUID_LEN);
	if (thing->listed < roll->least || object.name == NULL)
		len = 0;
	else if (parts != NULL)
		len = roll_parts_question(thing, object.name, body, sizeof(body));
	else
		len = difference_question(&object, -1, false, body, sizeof(body), &proc);
	if (len == 0)
		judge(roll);
	else
		(void)ask_libvirtd(roll, parts != NULL ? parts : proc->name, body, len, on_definition);
}

void
roll_look(struct roll *roll)
{
	while (roll->phase == ROLL_LOOKING && !roll->asked) {
		if (roll->due == NULL && roll->lapping && json_array_size(roll->put) + json_array_size(roll->gone) == 0)
			roll->phase = ROLL_IDLE;	/* a slice without news */
		else if (roll->due == NULL || is_enough(roll))
			roll->phase = ROLL_RECORDING;
		else
			look_at(roll, roll->due);
	}
	if (!roll->asked)
		roll_go_on(roll);
}

static void
put_gone(struct roll *roll, struct thing *thing)
{
	char uuid[VG_UUID_TEXT_LEN + 1];

	uuid_text(thing->uuid, uuid);
	(void)json_array_append_new(roll->gone, json_pack("[s, s]", roll_kinds[thing->kind].word, uuid));
	roll_remove(roll, thing);
}

void
roll_accept(struct roll *roll)
{
	struct thing *thing = roll->at;
	bool fresh = !thing->known || (roll->digest[0] != '\0' && strcmp(roll->digest, thing->digest) != 0);
	char uuid[VG_UUID_TEXT_LEN + 1];
	json_t *row;

	roll->at = NULL;
	if (thing->listed < roll->least) {
		put_gone(roll, thing);
		return;
	}
	thing->known = true;
	thing->seen = roll->began;
	thing->accepted = roll_now();
	thing->flags = thing->flags_now;
	if (thing->name_now != NULL) {
		free(thing->name);
		thing->name = thing->name_now;
		thing->name_now = NULL;
	}
	if (roll->digest[0] != '\0')
		memcpy(thing->digest, roll->digest, sizeof(thing->digest));
	/* What a comparison found to be as it was is kept by the time of the comparison. */
	if (roll->as_it_was && !fresh)
		return;
	uuid_text(thing->uuid, uuid);
	row = json_pack("[s, s, s, I, s, I]", roll_kinds[thing->kind].word, uuid, thing->name, (json_int_t)thing->flags, thing->digest, (json_int_t)thing->seen);
	if (fresh && roll->definition.bytes != NULL && roll->definition.len <= MAX_KEPT) {
		(void)json_array_append_new(row, json_stringn(roll->definition.bytes, roll->definition.len));
		roll->put_len += roll->definition.len;
	}
	if (fresh && roll->definition.len > MAX_KEPT)
		log_warn("%s: the %s of %s '%s' is too long to be kept: its next change is told without a difference", inventory_uri(roll->inventory),
		    roll_kinds[thing->kind].parts.ask == NULL ? "definition" : roll_kinds[thing->kind].word, class_name(thing->class), thing->name);
	(void)json_array_append_new(roll->put, row);
}
