/*
 * settle.c: one change after another: the reader is asked which there are, then for each intent; libvirtd for what is there now.
 */
#include "gateway/gate/settle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/core/document.h"
#include "gateway/core/log.h"
#include "gateway/gate/difference.h"
#include "gateway/gate/inventory.h"
#include "gateway/gate/secrets.h"
#include "gateway/gate/trail.h"

/* What libvirtd was told when we ended it may still be doing; it is not asked before. */
#define GRACE_SECONDS	2
/* The reader or libvirtd may be away at first. */
#define GIVE_UP_SECONDS	60
/* "Unknown" is written when a gate starts: older ones were settled then. */
#define LOOK_BACK	"10m"
#define MAX_QUESTION	1300u

enum know { RUNS, RUNS_NOT, GONE, CHANGED, SET };

static const struct row {
	const char *call;
	enum know know;
} rows[] = {
#define SETTLE(call, know) { call, know },
#include "gateway/gate/settle.def"
#undef SETTLE
};

enum phase { PHASE_GRACE, PHASE_UNKNOWN, PHASE_SETTLED, PHASE_INTENT, PHASE_LOOKING, PHASE_OVER };

struct settle {
	struct gate *gate;
	enum phase phase;
	time_t begun;
	uint64_t ticket;		/* of a question to the reader */
	json_t *ops;			/* of changes that are unknown: op to true */
	json_t *intent;			/* of the one at hand */
	const struct row *row;
	struct inventory *inventory;
	uint64_t lookup;
	bool second;			/* the document of what runs is awaited */
	struct documents documents;
};

static void go_on(struct settle *settle);

static const char *
text_of(const json_t *record, const char *first, const char *second)
{
	const json_t *member = json_object_get(record, first);
	const char *text = json_string_value(second == NULL ? member : json_object_get(member, second));

	return text == NULL ? "" : text;
}

/* ---- the record ---- */

/* The end of the one at hand. */
static void
tell(struct settle *settle, const char *status, const char *message)
{
	static const char *const carried[] = { "user", "source", "session", "connection", "call", "object" };
	json_t *record = audit_record_event(AUDIT_SETTLED);

	for (size_t i = 0; record != NULL && i < sizeof(carried) / sizeof(carried[0]); i++)
		if (json_object_get(settle->intent, carried[i]) != NULL)
			(void)json_object_set(record, carried[i], json_object_get(settle->intent, carried[i]));
	if (record != NULL) {
		(void)json_object_set_new(record, "of", json_string(text_of(settle->intent, "op", NULL)));
		audit_add_result(record, status, 0, message);
	}
	documents_add(&settle->documents, record, settle->gate->audit, AUDIT_KEEP);
	(void)audit_submit_with(settle->gate->audit, record, &settle->documents.packed, AUDIT_KEEP, NULL, NULL);
	(void)json_object_del(settle->ops, text_of(settle->intent, "op", NULL));
	json_decref(settle->intent);
	settle->intent = NULL;
	settle->phase = PHASE_INTENT;
	go_on(settle);
}

/* ---- what is there now ---- */

static struct vg_object
object_of(const struct settle *settle)
{
	const char *name = text_of(settle->intent, "object", "name"), *class = text_of(settle->intent, "object", "class");
	const char *parent = text_of(settle->intent, "object", "parent");
	struct vg_object object = { .class = VG_CLASS_none, .name = *name == '\0' ? NULL : name, .parent = *parent == '\0' ? NULL : parent };
	const struct inventory_domain *domain;
	const uint8_t *known;

	for (unsigned i = 0; i < VG_NUM_CLASSES; i++)
		if (strcmp(class_name((enum vg_class)i), class) == 0)
			object.class = (enum vg_class)i;
	if (uuid_parse(text_of(settle->intent, "object", "uuid"), object.uuid)) {
		object.has_uuid = true;
	} else if (object.class == VG_CLASS_domain && (domain = inventory_by_name(settle->inventory, name)) != NULL) {
		memcpy(object.uuid, domain->uuid, VG_UUID_LEN);
		object.has_uuid = true;
	} else if (object.class != VG_CLASS_domain && (known = inventory_uuid_of(settle->inventory, object.class, name)) != NULL) {
		memcpy(object.uuid, known, VG_UUID_LEN);
		object.has_uuid = true;
	}
	return object;
}

static void
tell_runs(struct settle *settle, const struct inventory_domain *domain)
{
	bool runs = domain != NULL && domain->id != -1;

	tell(settle, runs == (settle->row->know == RUNS) ? "ok" : "error", runs ? "found after a crash: it runs" : "found after a crash: it does not run");
}

static void
tell_set(struct settle *settle, bool on)
{
	bool asked = json_integer_value(json_object_get(json_object_get(settle->intent, "args"), "autostart")) != 0;

	tell(settle, on == asked ? "ok" : "error", on == asked ? "found after a crash: it is as it was to be" : "found after a crash: it is as it was before");
}

/* A document of the object's as it is now, against the one of before. */
static void
compare(struct settle *settle, const char *text, size_t len)
{
	const char *before = text_of(settle->intent, "documents", "before"), *running = text_of(settle->intent, "documents", "before_running");
	const char *member = settle->second ? "after_running" : "after", *was = settle->second && *running != '\0' ? running : before;
	size_t clean_len = 0;
	char *clean = difference_text(object_of(settle).class, text, len, &clean_len);
	bool same, hides;

	if (clean == NULL) {
		tell(settle, "unknown", "libvirtd's document of it cannot be read");
		return;
	}
	documents_put(&settle->documents, member, clean, clean_len);
	hides = memmem(clean, clean_len, SECRETS_HIDDEN, strlen(SECRETS_HIDDEN)) != NULL;
	free(clean);
	same = strcmp(text_of(settle->documents.names, member, NULL), was) == 0;
	if (same && !settle->second && *running != '\0') {
		settle->second = true;
		go_on(settle);
	} else if (same && hides) {
		tell(settle, "unknown", "found after a crash: it is as it was before, but for the secrets in it, which are not kept");
	} else {
		tell(settle, same ? "error" : "ok", same ? "found after a crash: it is as it was before" :
		    *before == '\0' ? "found after a crash: it is there, and was not before" : "found after a crash: it is not as it was before");
	}
}

static void
on_text(const char *text, size_t len, void *arg)
{
	struct settle *settle = arg;

	settle->lookup = 0;
	if (settle->row->know == GONE)
		tell(settle, text == NULL ? "ok" : "error", text == NULL ? "found after a crash: it is gone" : "found after a crash: it is still there");
	else if (text == NULL)
		tell(settle, "error", "found after a crash: it is not there");
	else if (settle->row->know == SET)
		tell_set(settle, strcmp(text, "yes") == 0);
	else
		compare(settle, text, len);
}

static void
look(struct settle *settle)
{
	uint8_t body[MAX_QUESTION];
	struct vg_object object = object_of(settle);
	const struct inventory_domain *domain = object.class == VG_CLASS_domain && object.has_uuid ?
	    inventory_by_uuid(settle->inventory, object.uuid) : NULL;
	const struct rpc_proc *proc = NULL;
	size_t len;

	if (settle->row->know == RUNS || settle->row->know == RUNS_NOT) {
		tell_runs(settle, domain);
		return;
	}
	if (object.class == VG_CLASS_domain && domain == NULL) {	/* of domains the inventory has all */
		on_text(NULL, 0, settle);
		return;
	}
	if (settle->row->know == SET)
		len = difference_toggle_question(settle->row->call, &object, domain == NULL ? -1 : domain->id, body, sizeof(body), &proc);
	else
		len = difference_question(&object, domain == NULL ? -1 : domain->id, settle->second, body, sizeof(body), &proc);
	settle->lookup = len == 0 ? 0 : inventory_ask(settle->inventory, proc, body, len, on_text, settle);
	if (settle->lookup == 0)
		tell(settle, "unknown", "libvirtd cannot be asked about it");
}

/* ---- which there are ---- */

static json_t *
records_in(const char *text, size_t len, json_t **answer)
{
	*answer = json_loadb(text, len, 0, NULL);
	return json_object_get(*answer, "records");
}

/* Those that are unknown; then of these are left out that were told already. */
static void
on_found(enum trail_result result, const char *text, size_t len, void *arg)
{
	struct settle *settle = arg;
	bool unknown = settle->phase == PHASE_UNKNOWN;
	json_t *answer, *record, *records = records_in(text, len, &answer);
	size_t i;

	settle->ticket = 0;
	if (result != TRAIL_ANSWERED) {		/* asked again */
		json_decref(answer);
		return;
	}
	json_array_foreach(records, i, record) {
		if (unknown)
			(void)json_object_set_new(settle->ops, text_of(record, "op", NULL), json_true());
		else
			(void)json_object_del(settle->ops, text_of(record, "of", NULL));
	}
	settle->phase = !unknown ? PHASE_INTENT : json_object_size(settle->ops) == 0 ? PHASE_OVER : PHASE_SETTLED;
	json_decref(answer);
	go_on(settle);
}

/* The intent: what was to be done, on what, and what was before. */
static void
on_records(enum trail_result result, const char *text, size_t len, void *arg)
{
	struct settle *settle = arg;
	json_t *answer, *record, *records = records_in(text, len, &answer);
	size_t i;

	settle->ticket = 0;
	if (result != TRAIL_ANSWERED) {
		json_decref(answer);
		return;
	}
	json_array_foreach(records, i, record)
		if (settle->intent == NULL && strcmp(text_of(record, "stage", NULL), "intent") == 0)
			settle->intent = json_incref(record);
	json_decref(answer);
	if (settle->intent == NULL) {	/* it is not kept any more */
		(void)json_object_del(settle->ops, json_object_iter_key(json_object_iter(settle->ops)));
	} else {
		settle->phase = PHASE_LOOKING;
		settle->row = NULL;
		settle->inventory = NULL;
		settle->second = false;
	}
	go_on(settle);
}

static void
ask_reader(struct settle *settle, json_t *question, trail_answer_cb *answer)
{
	settle->ticket = question == NULL ? 0 : trail_ask(settle->gate->trail, question, answer, settle);
	json_decref(question);
}

/* ---- one step ---- */

/* False: nothing can be known of it. */
static bool
find_row(struct settle *settle)
{
	const char *call = text_of(settle->intent, "call", NULL), *uri = text_of(settle->intent, "connection", "uri");

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (strcmp(rows[i].call, call) == 0)
			settle->row = &rows[i];
	for (size_t i = 0; i < settle->gate->num_inventories; i++)
		if (strcmp(inventory_uri(settle->gate->inventories[i]), uri) == 0)
			settle->inventory = settle->gate->inventories[i];
	return settle->row != NULL && settle->inventory != NULL;
}

static void
go_on(struct settle *settle)
{
	const char *op;

	if (settle->ticket != 0 || settle->lookup != 0)
		return;
	switch (settle->phase) {
	case PHASE_GRACE:
	case PHASE_UNKNOWN:
		settle->phase = PHASE_UNKNOWN;
		ask_reader(settle, json_pack("{s:s, s:s, s:s, s:s, s:i}", "verb", "audit.search", "result", "unknown", "stage", "outcome", "since",
		    LOOK_BACK, "limit", 500), on_found);
		return;
	case PHASE_SETTLED:
		ask_reader(settle, json_pack("{s:s, s:s, s:s, s:i}", "verb", "audit.search", "event", "change.settled", "since", LOOK_BACK, "limit",
		    500), on_found);
		return;
	case PHASE_INTENT:
		op = json_object_iter_key(json_object_iter(settle->ops));
		if (op == NULL)
			settle->phase = PHASE_OVER;
		else
			ask_reader(settle, json_pack("{s:s, s:s}", "verb", "audit.show", "id", op), on_records);
		return;
	case PHASE_LOOKING:
		if (!find_row(settle))
			tell(settle, "unknown", "nothing that is there now would tell whether it was done");
		else if (inventory_ready(settle->inventory))
			look(settle);
		return;
	case PHASE_OVER:
		return;
	}
}

void
settle_tick(struct settle *settle, time_t now)
{
	if (settle->phase == PHASE_OVER)
		return;
	if (settle->begun == 0)
		settle->begun = now;
	if (now < settle->begun + GRACE_SECONDS)
		return;
	if (now > settle->begun + GIVE_UP_SECONDS && settle->lookup == 0 && settle->ticket == 0) {
		log_warn("the outcome of %zu changes stays unknown: the audit reader or libvirtd did not answer", json_object_size(settle->ops));
		settle->phase = PHASE_OVER;
		return;
	}
	go_on(settle);
}

struct settle *
settle_create(struct gate *gate)
{
	struct settle *settle = calloc(1, sizeof(*settle));

	if (settle == NULL || (settle->ops = json_object()) == NULL) {
		free(settle);
		return NULL;
	}
	settle->gate = gate;
	return settle;
}

void
settle_destroy(struct settle *settle)
{
	if (settle == NULL)
		return;
	if (settle->ticket != 0)
		trail_forget(settle->gate->trail, settle->ticket);
	if (settle->lookup != 0)
		inventory_cancel(settle->inventory, settle->lookup);
	json_decref(settle->documents.names);
	buf_free(&settle->documents.packed);
	json_decref(settle->intent);
	json_decref(settle->ops);
	free(settle);
}
