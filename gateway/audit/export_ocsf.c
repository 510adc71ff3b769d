/*
 * export_ocsf.c: Open Cybersecurity Schema Framework 1.3.0, class API Activity (category 6, class 6003), one JSON object a line. What the class has
 * no place for is in `unmapped`, under the record's own names.
 */
#include <stdlib.h>
#include <string.h>

#include "gateway/audit/export.h"
#include "virtgate/member.h"

#define CATEGORY 6
#define CLASS 6003

enum { CREATE = 1, READ, UPDATE, DELETE, OTHER = 99 };

/* Of another activity the name is the source's own. */
static const char *
activity_name(int activity, json_t *record)
{
	return activity == CREATE ? "Create" : activity == READ ? "Read" : activity == UPDATE ? "Update" : activity == DELETE ? "Delete" :
	    audit_member(record, "event", NULL);
}

/* By the event's verb: "class.verb". libvirt's "create" starts a domain, network or pool that is there; of the rest it makes one. */
static int
activity_of(json_t *record)
{
	static const struct { const char *verb; int activity; } verbs[] = { { "define", CREATE }, { "undefine", DELETE }, { "delete", DELETE },
		{ "screenshot", READ }, { "download", READ }, { "search", READ }, { "export", READ }, { "open_console", READ } };
	static const char *const made[] = { "storage_vol.create", "node_device.create", "domain.snapshot_create", "domain.checkpoint_create" };
	const char *event = audit_member(record, "event", NULL), *verb = strrchr(event, '.');

	for (size_t i = 0; i < sizeof(made) / sizeof(made[0]); i++)
		if (strcmp(event, made[i]) == 0)
			return CREATE;
	for (size_t i = 0; verb != NULL && i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strcmp(verb + 1, verbs[i].verb) == 0)
			return verbs[i].activity;
	if (verb != NULL && strncmp(verb + 1, "get_", 4) == 0)
		return READ;
	return *audit_member(record, "call", NULL) == '\0' ? OTHER : UPDATE;
}

/* Adds a string that the record has. */
static void
add(json_t *to, const char *key, json_t *record, const char *first, const char *second)
{
	const char *text = audit_member(record, first, second);

	if (*text != '\0')
		(void)json_object_set_new(to, key, json_string(text));
}

/* A person; of what nobody asked for the program that tells of it. */
static json_t *
actor_json(json_t *record)
{
	json_t *user = json_object(), *actor = json_object(), *session;

	add(user, "name", record, "user", "name");
	add(user, "uid", record, "user", "x509");
	if (json_object_size(user) > 0) {
		(void)json_object_set_new(user, "type_id", json_integer(1));	/* user */
		(void)json_object_set(actor, "user", user);
	} else {
		(void)json_object_set_new(actor, "app_name",
		    json_string(strncmp(audit_member(record, "event", NULL), "outside.", 8) == 0 ? "libvirt" : "virtgate"));
	}
	json_decref(user);
	if (*audit_member(record, "session", NULL) != '\0') {
		session = json_object();
		add(session, "uid", record, "session", NULL);
		(void)json_object_set_new(actor, "session", session);
	}
	return actor;
}

static json_t *
api_json(json_t *record)
{
	json_t *api = json_object(), *request = json_object(), *response = json_object(), *service = json_object();
	bool call = *audit_member(record, "call", NULL) != '\0';

	add(api, "operation", record, call ? "call" : "event", NULL);
	(void)json_object_set_new(service, "name", json_string(call ? "libvirt" : "virtgate"));
	(void)json_object_set_new(api, "service", service);
	add(request, "uid", record, "op", NULL);
	(void)json_object_set_new(api, "request", request);
	if (json_object_get(record, "result") != NULL) {
		(void)json_object_set_new(response, "code", json_integer(json_integer_value(json_object_get(json_object_get(record, "result"), "code"))));
		add(response, "message", record, "result", "message");
		(void)json_object_set(api, "response", response);
	}
	json_decref(response);
	return api;
}

static json_t *
metadata_json(json_t *record)
{
	json_t *metadata = json_pack("{s:s, s:s, s:{s:s, s:s, s:s}, s:I}", "version", "1.3.0", "log_name", "audit", "product", "name", "virtgate",
	    "vendor_name", "virtgate", "version", PACKAGE_VERSION, "sequence", json_integer_value(json_object_get(record, "seq")));

	add(metadata, "uid", record, "hash", NULL);
	add(metadata, "correlation_uid", record, "op", NULL);	/* an intent and its outcome have one */
	add(metadata, "event_code", record, "code", NULL);
	add(metadata, "original_time", record, "time", NULL);
	return metadata;
}

static json_t *
source_json(json_t *record)
{
	json_t *source = json_object();
	json_t *port = json_object_get(json_object_get(record, "source"), "port");

	add(source, "ip", record, "source", "address");
	if (json_object_size(source) == 0)	/* the class asks for one */
		(void)json_object_set_new(source, "name", json_string("local"));
	if (json_integer_value(port) > 0)
		(void)json_object_set(source, "port", port);
	return source;
}

static json_t *
resources_json(json_t *record)
{
	json_t *resource = json_object();

	add(resource, "type", record, "object", "class");
	add(resource, "name", record, "object", "name");
	add(resource, "uid", record, "object", "uuid");
	if (json_object_size(resource) > 0)
		return json_pack("[o]", resource);
	json_decref(resource);
	return NULL;
}

static void
add_status(json_t *json, json_t *record)
{
	const char *status = audit_member(record, "result", "status");
	int id = strcmp(status, "ok") == 0 ? 1 : strcmp(status, "error") == 0 || strcmp(status, "denied") == 0 ? 2 : 0;

	(void)json_object_set_new(json, "status_id", json_integer(id));
	(void)json_object_set_new(json, "status", json_string(id == 1 ? "Success" : id == 2 ? "Failure" : "Unknown"));
	add(json, "status_detail", record, "result", "status");
	add(json, "message", record, "result", "message");
}

/* The rest, under its own names. */
static json_t *
unmapped_json(json_t *record)
{
	static const char *const names[] = { "stage", "event", "connection", "decision", "args", "diff", "by", "duration_us", "prev", "hash" };
	json_t *unmapped = json_object();

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (json_object_get(record, names[i]) != NULL)
			(void)json_object_set(unmapped, names[i], json_object_get(record, names[i]));
	add(unmapped, "via", record, "source", "via");
	return unmapped;
}

static json_t *
event_json(json_t *record, const struct audit_fields *fields)
{
	int activity = activity_of(record);
	char severity = export_severity(fields);
	json_t *json = json_pack("{s:i, s:s, s:i, s:s, s:i, s:s, s:i, s:i, s:s, s:I, s:o, s:o, s:o, s:o, s:o, s:o*}", "category_uid", CATEGORY,
	    "category_name", "Application Activity", "class_uid", CLASS, "class_name", "API Activity", "activity_id", activity, "activity_name",
	    activity_name(activity, record), "type_uid", CLASS * 100 + activity, "severity_id", severity == 'E' ? 4 : severity == 'W' ? 3 : 1, "severity",
	    severity == 'E' ? "High" : severity == 'W' ? "Medium" : "Informational", "time", (json_int_t)export_milliseconds(fields), "metadata",
	    metadata_json(record), "actor", actor_json(record), "api", api_json(record), "src_endpoint", source_json(record), "unmapped",
	    unmapped_json(record), "resources", resources_json(record));

	if (json != NULL)
		add_status(json, record);
	return json;
}

int
export_ocsf(struct buf *out, const struct audit_fields *fields, const char *line, size_t len)
{
	json_t *record = json_loadb(line, len, 0, NULL), *json = event_json(record, fields);
	char *text = json == NULL ? NULL : json_dumps(json, JSON_COMPACT | JSON_ENSURE_ASCII | JSON_SORT_KEYS);
	int result = text != NULL && export_plain(out, text) == 0 ? export_plain(out, "\n") : -1;

	free(text);
	json_decref(json);
	json_decref(record);
	return result;
}
