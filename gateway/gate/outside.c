/*
 * outside.c: which of libvirtd's events no call of ours explains. Changes under way stand in a hash table by their object; an event
 * looks there for its own.
 */
#include "gateway/gate/outside.h"

#include <stdlib.h>
#include <string.h>

#include "gateway/core/log.h"
#include "gateway/gate/difference.h"
#include "gateway/gate/inventory.h"
#include "gateway/gate/roll.h"
#include "gateway/gate/upstream.h"

#define NUM_BUCKETS	1024u
#define SHADOW_SECONDS	5	/* an event may come so long after the answer to what caused it */
#define BEGUN_SECONDS	300	/* the same of calls that only begin something */

/* A change of ours, and what it is about. */
struct shadow {
	struct shadow *next;
	const struct inventory *inventory;
	enum vg_class class;
	bool has_uuid;
	uint8_t uuid[VG_UUID_LEN];
	time_t until;			/* 0: under way */
	uint64_t begun, ended;		/* by outside->clock */
	unsigned tells;			/* set of enum tells: what events it explains */
	unsigned explains;		/* set of enum roll_change: what else that is found */
	char name[];
};

struct outside {
	struct gate *gate;
	uint64_t clock;			/* beginnings and ends of changes so far */
	struct shadow *buckets[NUM_BUCKETS];
};

/* By whom it was done. */
enum by { BY_HOST, BY_DEFINER, BY_GUEST };

static const struct row {
	const char *event;
	int number, detail;		/* -1: any */
	enum by by;
	const char *what;
} rows[] = {
#define OUTSIDE(event, number, detail, by, what) { #event, number, detail, BY_##by, what },
#include "gateway/gate/outside.def"
#undef OUTSIDE
};

/* Calls that are answered when something has only begun. */
static const char *const beginnings[] = { "domain_shutdown", "domain_shutdown_flags", "domain_reboot", "domain_pm_suspend_for_duration",
	"domain_pm_wakeup", "domain_send_key", "domain_detach_device", "domain_detach_device_flags", "domain_detach_device_alias",
	"domain_migrate_perform", "domain_migrate_perform3", "domain_migrate_perform3_params", "domain_migrate_prepare2",
	"domain_migrate_prepare3", "domain_migrate_prepare3_params", "domain_migrate_prepare_tunnel3_params" };

/* What an event tells of. */
enum tells { TELLS_STATE = 1, TELLS_DEFINITION = 2 };

/* Calls of which libvirtd tells only the one or the other; of all others it may tell both. */
static const struct { const char *call; enum tells tells; } tellings[] = {
	{ "domain_create", TELLS_STATE }, { "domain_create_with_flags", TELLS_STATE }, { "domain_create_with_files", TELLS_STATE },
	{ "domain_destroy", TELLS_STATE }, { "domain_destroy_flags", TELLS_STATE }, { "domain_suspend", TELLS_STATE }, { "domain_resume", TELLS_STATE },
	{ "domain_shutdown", TELLS_STATE }, { "domain_shutdown_flags", TELLS_STATE }, { "domain_reboot", TELLS_STATE }, { "domain_reset", TELLS_STATE },
	{ "network_create", TELLS_STATE }, { "network_destroy", TELLS_STATE }, { "storage_pool_create", TELLS_STATE },
	{ "storage_pool_destroy", TELLS_STATE },
	{ "domain_define_xml", TELLS_DEFINITION }, { "domain_define_xml_flags", TELLS_DEFINITION }, { "domain_undefine", TELLS_DEFINITION },
	{ "domain_undefine_flags", TELLS_DEFINITION }, { "domain_set_metadata", TELLS_DEFINITION },
	{ "network_define_xml", TELLS_DEFINITION }, { "network_define_xml_flags", TELLS_DEFINITION }, { "network_undefine", TELLS_DEFINITION },
	{ "storage_pool_define_xml", TELLS_DEFINITION }, { "storage_pool_undefine", TELLS_DEFINITION },
};

/* What is asked for beside the lifecycle of domains, networks and pools; `id` is that of the event within its class. */
static const struct { const char *call; int id; } subscriptions[] = {
	{ "connect_domain_event_callback_register_any", 19 },	/* VIR_DOMAIN_EVENT_ID_DEVICE_ADDED */
	{ "connect_domain_event_callback_register_any", 15 },	/* …_DEVICE_REMOVED */
	{ "connect_domain_event_callback_register_any", 23 },	/* …_METADATA_CHANGE */
	{ "connect_domain_event_callback_register_any", 17 },	/* …_TUNABLE */
	{ "connect_domain_event_callback_register_any", 10 },	/* …_TRAY_CHANGE */
	{ "connect_domain_event_callback_register_any", 16 },	/* …_BLOCK_JOB_2 */
	{ "connect_secret_event_register_any", 0 },		/* VIR_SECRET_EVENT_ID_LIFECYCLE */
	{ "connect_secret_event_register_any", 1 },		/* …_VALUE_CHANGED */
	{ "connect_node_device_event_register_any", 0 },	/* VIR_NODE_DEVICE_EVENT_ID_LIFECYCLE */
};

/* ---- what explains ---- */

/* FNV-1a. */
static struct shadow **
bucket_of(struct outside *outside, const void *key, size_t len)
{
	const uint8_t *bytes = key;
	uint32_t hash = 2166136261u;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ bytes[i]) * 16777619u;
	return &outside->buckets[hash % NUM_BUCKETS];
}

static bool
has_word(const char *call, const char *const words[], size_t num)
{
	for (size_t i = 0; i < num; i++)
		if (strstr(call, words[i]) != NULL)
			return true;
	return false;
}

bool
outside_may_autostart(const char *call)
{
	static const char *const words[] = { "autostart", "undefine", "migrate" };

	return has_word(call, words, sizeof(words) / sizeof(words[0]));
}

bool
outside_may_change_parts(const char *call)
{
	static const char *const words[] = { "snapshot", "checkpoint", "backup", "undefine", "migrate" };

	return has_word(call, words, sizeof(words) / sizeof(words[0]));
}

int
outside_begin(struct call *call, const struct vg_object *object)
{
	struct outside *outside = call->session->gate->outside;
	/* What changes the volumes of a pool is about all of them. */
	bool volume = object->class == VG_CLASS_storage_vol && object->parent != NULL;
	const char *name = volume ? object->parent : object->name == NULL ? "" : object->name;
	struct shadow *shadow, **bucket;

	if (call->shadow != NULL || (!object->has_uuid && name[0] == '\0'))
		return 0;
	shadow = calloc(1, sizeof(*shadow) + strlen(name) + 1);
	if (shadow == NULL)
		return -1;
	shadow->begun = ++outside->clock;
	shadow->tells = TELLS_STATE | TELLS_DEFINITION;
	for (size_t i = 0; i < sizeof(tellings) / sizeof(tellings[0]); i++)
		if (strcmp(call->proc->name, tellings[i].call) == 0)
			shadow->tells = tellings[i].tells;
	shadow->explains = outside_may_autostart(call->proc->name) ? CHANGE_ALL : CHANGE_MOST;
	if (strstr(call->proc->name, "set_autostart") != NULL) {	/* libvirtd tells nothing of it */
		shadow->tells = 0;
		shadow->explains = CHANGE_AUTOSTART;
	} else if (volume || object->class == VG_CLASS_storage_pool || outside_may_change_parts(call->proc->name)) {
		shadow->explains |= CHANGE_PARTS;
	}
	shadow->inventory = call->session->inventory;
	shadow->class = object->class;
	shadow->has_uuid = object->has_uuid;
	memcpy(shadow->uuid, object->uuid, VG_UUID_LEN);
	memcpy(shadow->name, name, strlen(name) + 1);
	bucket = object->has_uuid ? bucket_of(outside, object->uuid, VG_UUID_LEN) : bucket_of(outside, name, strlen(name));
	shadow->next = *bucket;
	*bucket = shadow;
	call->shadow = shadow;
	return 0;
}

static bool
is_about(const struct shadow *shadow, const struct inventory *inventory, const struct xdr_object *object)
{
	if (shadow->inventory != inventory || shadow->class != object->class)
		return false;
	if (shadow->has_uuid)
		return object->uuid != NULL && memcmp(shadow->uuid, object->uuid, VG_UUID_LEN) == 0;
	return strlen(shadow->name) == object->name.len && memcmp(shadow->name, object->name.data, object->name.len) == 0;
}

/* All that is about one object, taken together. */
struct reasons {
	unsigned tells, explains;
	bool overlap;			/* another was there while `own` was under way */
};

static void
add_reason(struct reasons *reasons, const struct shadow *shadow, const struct shadow *own)
{
	reasons->tells |= shadow->tells;
	reasons->explains |= shadow->explains;
	if (own != NULL && shadow != own && (shadow->until == 0 || shadow->ended > own->begun))
		reasons->overlap = true;
}

static struct reasons
reasons_for(struct outside *outside, const struct inventory *inventory, const struct xdr_object *object, const struct shadow *own)
{
	struct reasons reasons = { .tells = 0 };
	const struct shadow *shadow;

	for (shadow = object->uuid == NULL ? NULL : *bucket_of(outside, object->uuid, VG_UUID_LEN); shadow != NULL; shadow = shadow->next)
		if (is_about(shadow, inventory, object))
			add_reason(&reasons, shadow, own);
	/* What had no UUID yet when it was asked for: a definition without one. */
	for (shadow = object->name.len == 0 ? NULL : *bucket_of(outside, object->name.data, object->name.len); shadow != NULL; shadow = shadow->next)
		if (is_about(shadow, inventory, object))
			add_reason(&reasons, shadow, own);
	return reasons;
}

unsigned
outside_explains(struct outside *outside, const struct inventory *inventory, const struct xdr_object *object)
{
	return reasons_for(outside, inventory, object, NULL).explains;
}

/*
 * The definition that a change left is known when no other of ours was about the object meanwhile: then it is told to the roll, and the change explains no other.
 */
static bool
leave(struct call *call, struct shadow *shadow)
{
	struct xdr_object object = { .class = shadow->class, .name = { (const uint8_t *)shadow->name, strlen(shadow->name) } };
	size_t len;
	char *text = difference_take_left(call, shadow->uuid, &len);

	if (text == NULL)
		return false;
	shadow->has_uuid = true;
	object.uuid = shadow->uuid;
	if (!reasons_for(call->session->gate->outside, shadow->inventory, &object, shadow).overlap &&
	    roll_left(inventory_roll(shadow->inventory), shadow->class, shadow->uuid, text, len))
		return true;
	free(text);
	return false;
}

void
outside_end(struct call *call)
{
	struct shadow *shadow = call->shadow;
	int seconds = SHADOW_SECONDS;

	if (shadow == NULL)
		return;
	for (size_t i = 0; i < sizeof(beginnings) / sizeof(beginnings[0]); i++)
		if (strcmp(call->proc->name, beginnings[i]) == 0)
			seconds = BEGUN_SECONDS;
	if (seconds == SHADOW_SECONDS && leave(call, shadow))
		shadow->explains &= ~(unsigned)CHANGE_DEFINED;
	shadow->ended = ++call->session->gate->outside->clock;
	shadow->until = gate_steady() + seconds;
	roll_touch(inventory_roll(shadow->inventory), shadow->class, shadow->has_uuid ? shadow->uuid : NULL, shadow->name, strlen(shadow->name),
	    shadow->explains);
	call->shadow = NULL;
}

void
outside_tick(struct outside *outside, time_t now)
{
	for (size_t i = 0; i < NUM_BUCKETS; i++) {
		for (struct shadow **link = &outside->buckets[i]; *link != NULL;) {
			struct shadow *shadow = *link;

			if (shadow->until == 0 || shadow->until > now) {
				link = &shadow->next;
				continue;
			}
			*link = shadow->next;
			free(shadow);
		}
	}
}

/* ---- events ---- */

/* A number that stands in the event, at the top or in its `msg`; -1: there is none. */
static int
number_in(const struct rpc_proc *proc, const uint8_t *body, size_t len, const char *const paths[3])
{
	struct xdr_span span;

	for (size_t i = 0; i < 3; i++)
		if (xdr_find(proc->args, body, len, paths[i], &span))
			return xdr_span_i32(span);
	return -1;
}

static const struct row *
find_row(const struct rpc_proc *proc, const uint8_t *body, size_t len)
{
	static const char *const numbers[] = { "event", "msg.event", "msg.reason" }, *const details[] = { "detail", "msg.detail", "status" };
	int number = number_in(proc, body, len, numbers), detail = number_in(proc, body, len, details);

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (strcmp(rows[i].event, proc->name) == 0 && (rows[i].number == -1 || rows[i].number == number) &&
		    (rows[i].detail == -1 || rows[i].detail == detail))
			return &rows[i];
	return NULL;
}

/* The alias of a device, the namespace of metadata, a disk: what of the object it is about. */
static json_t *
part_in(const struct rpc_proc *proc, const uint8_t *body, size_t len)
{
	static const char *const paths[] = { "devAlias", "msg.devAlias", "nsuri", "dst" };
	struct xdr_span span, text;

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		const struct xdr_field *field;

		if (xdr_find_field(proc->args, body, len, paths[i], &span, &field) &&
		    (field->form != XDR_OPTIONAL || xdr_span_present(span, &span)) && xdr_span_string(span, &text))
			return audit_text_bounded(text.data, text.len);
	}
	return NULL;
}

static json_t *
object_json(const struct xdr_object *object)
{
	json_t *json = json_pack("{s:s}", "class", class_name(object->class));
	char uuid[VG_UUID_TEXT_LEN + 1];

	if (object->name.len > 0)
		(void)json_object_set_new(json, "name", audit_text_bounded(object->name.data, object->name.len));
	if (object->uuid != NULL) {
		uuid_text(object->uuid, uuid);
		(void)json_object_set_new(json, "uuid", json_string(uuid));
	}
	return json;
}

/* `what` happened, without a call of ours. `part` and `args` are taken, NULL is fine. */
static void
record(struct outside *outside, const struct inventory *inventory, enum by by, const struct xdr_object *object, const char *what, json_t *part,
    json_t *args)
{
	json_t *json = audit_record_event(by == BY_GUEST ? AUDIT_OUTSIDE_GUEST : AUDIT_OUTSIDE_HOST);

	if (json == NULL) {
		json_decref(part);
		json_decref(args);
		return;
	}
	(void)json_object_set_new(json, "connection", json_pack("{s:s}", "uri", inventory_uri(inventory)));
	(void)json_object_set_new(json, "object", object_json(object));
	if (args != NULL)
		(void)json_object_set_new(json, "args", args);
	if (part != NULL)
		(void)json_object_set_new(json, "part", part);
	audit_add_result(json, "ok", 0, what);
	outside->gate->counters.outside++;
	if (by != BY_DEFINER || !roll_hold(inventory_roll(inventory), object->class, object->uuid, json))
		(void)audit_submit(outside->gate->audit, json, AUDIT_KEEP, NULL, NULL);
}

void
outside_event(struct outside *outside, const struct inventory *inventory, const struct rpc_proc *proc, const uint8_t *body, size_t len)
{
	const struct row *row = find_row(proc, body, len);
	struct xdr_object object;
	unsigned explained = CHANGE_MOST;
	struct xdr_span span;
	bool ours;

	if (row == NULL || !xdr_find(proc->args, body, len, proc->about.path, &span) || !xdr_get_object(proc->about.class, span, &object))
		return;
	ours = (reasons_for(outside, inventory, &object, NULL).tells & (row->by == BY_DEFINER ? TELLS_DEFINITION : TELLS_STATE)) != 0;
	if (ours && row->by == BY_DEFINER)
		explained = 0;		/* the roll sees whether it is what our change left */
	else if (strncmp(row->what, "undefined", strlen("undefined")) == 0)
		explained = CHANGE_ALL;
	else if (object.class == VG_CLASS_storage_pool)
		explained |= CHANGE_PARTS;
	roll_touch(inventory_roll(inventory), object.class, object.uuid, (const char *)object.name.data, object.name.len, explained);
	if (ours)
		return;
	record(outside, inventory, row->by, &object, row->what, part_in(proc, body, len), record_args(proc, body, len));
}

/* ---- beginning and end ---- */

/* A driver without such events, or too old for them, has nothing to tell. */
static void
on_subscribed(const struct rpc_proc *proc, const uint8_t *body, size_t len, const struct rpc_error *error, void *arg)
{
	(void)body;
	(void)len;
	(void)arg;
	if (error != NULL)
		log_info("%s: %s; such changes behind the gateway's back are not noticed", proc->name, error->message);
}

void
outside_subscribe(struct upstream *upstream)
{
	for (size_t i = 0; i < sizeof(subscriptions) / sizeof(subscriptions[0]); i++) {
		uint8_t body[8];
		struct xdr_out out;

		xdr_out_init(&out, body, sizeof(body));
		xdr_put_i32(&out, subscriptions[i].id);
		xdr_put_u32(&out, 0);		/* of any object */
		(void)upstream_call(upstream, rpc_proc_by_name(subscriptions[i].call), body, out.len, on_subscribed, NULL);
	}
}

struct outside *
outside_create(struct gate *gate)
{
	struct outside *outside = calloc(1, sizeof(*outside));

	if (outside != NULL)
		outside->gate = gate;
	return outside;
}

void
outside_destroy(struct outside *outside)
{
	if (outside == NULL)
		return;
	for (size_t i = 0; i < NUM_BUCKETS; i++) {
		while (outside->buckets[i] != NULL) {
			struct shadow *shadow = outside->buckets[i];

			outside->buckets[i] = shadow->next;
			free(shadow);
		}
	}
	free(outside);
}
