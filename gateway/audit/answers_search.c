/*
 * answers_search.c: verbs that find records: audit.search, audit.show, audit.export.
 */
#include "gateway/audit/answers_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/audit/export.h"

#define MAX_SEARCH	500u
#define MAX_BYTES	(512u * 1024u)	/* of records, or of an export as it stands in JSON, in an answer */

/* ---- reading a request ---- */

static int
read_string(const json_t *request, const char *key, const char **value, struct vg_error *error)
{
	const json_t *member = json_object_get(request, key);

	*value = json_string_value(member);
	return member == NULL || json_is_null(member) || *value != NULL ? 0 : vg_fail(error, "\"%s\" must be a string", key);
}

static int
read_time(const json_t *request, const char *key, char out[AUDIT_MATCH_TIME], struct vg_error *error)
{
	const char *text;

	if (read_string(request, key, &text, error) < 0)
		return -1;
	return text == NULL || text[0] == '\0' || audit_match_time(text, out) ? 0 :
	    vg_fail(error, "\"%s\": '%.60s' is no time: 2026-11-23T19:50 (UTC), or 2h, 7d ago", key, text);
}

static int
one_of(const char *key, const char *value, const char *const *known, struct vg_error *error)
{
	for (size_t i = 0; known[i] != NULL; i++)
		if (value == NULL || strcmp(known[i], value) == 0)
			return 0;
	return vg_fail(error, "\"%s\": '%.60s' is none that there is", key, value);
}

/* The keys that search and export share. */
static int
read_match(struct question *question, struct vg_error *error)
{
	struct audit_match *match = &question->match;
	const json_t *request = question->request;
	const struct { const char *key, **value; } strings[] = { { "user", &match->user }, { "object", &match->object }, { "code", &match->code },
		{ "event", &match->event }, { "call", &match->call }, { "result", &match->result }, { "stage", &match->stage } };

	for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++) {
		if (read_string(request, strings[i].key, strings[i].value, error) < 0)
			return -1;
		if (*strings[i].value != NULL && **strings[i].value == '\0')	/* an empty field of a form */
			*strings[i].value = NULL;
	}
	if (one_of("result", match->result, audit_match_results, error) < 0 || one_of("stage", match->stage, audit_match_stages, error) < 0 ||
	    read_time(request, "since", match->since, error) < 0 || read_time(request, "until", match->until, error) < 0 ||
	    answers_number(request, "before", INT64_MAX, &question->query.before, error) < 0)
		return -1;
	question->query.match = match;
	return answers_number(request, "after", INT64_MAX, &question->query.after, error);
}

/* ---- audit.search ---- */

static enum step
end_search(struct question *question, bool more)
{
	static const char head[] = "{\"records\":[";
	struct buf out = { .data = NULL };
	json_t *index = answers_index_json(question->answers);
	char *tail = json_dumps(index, JSON_COMPACT);
	bool made = tail != NULL && buf_add(&out, head, sizeof(head) - 1) == 0 &&
	    (buf_len(&question->out) == 0 || buf_add(&out, buf_head(&question->out), buf_len(&question->out)) == 0) &&
	    export_plain(&out, more ? "],\"more\":true,\"index\":" : "],\"more\":false,\"index\":") == 0 && export_plain(&out, tail) == 0 &&
	    export_plain(&out, "}") == 0;

	if (made)
		question->send(question->ticket, true, (const char *)buf_head(&out), buf_len(&out), question->arg);
	buf_free(&out);
	free(tail);
	json_decref(index);
	return made ? STEP_DONE : answers_refuse(question, "out of memory");
}

/* Records are put in as they stand in the trail: canonical JSON. */
static enum step
take_record(struct question *question, const struct audit_place *place, const char *line, const struct audit_fields *record)
{
	(void)record;
	if (question->num == question->limit || (question->num > 0 && buf_len(&question->out) + place->len > MAX_BYTES))
		return end_search(question, true);
	if ((question->num > 0 && buf_add(&question->out, ",", 1) < 0) || buf_add(&question->out, line, place->len) < 0)
		return answers_refuse(question, "out of memory");
	question->num++;
	return STEP_AGAIN;
}

/*
 * {"since", "until", "user", "object", "code", "event", "call", "result", "stage": as of `virtgate audit search`, "limit": 1 to 500, else 100,
 * "before": seq, "after": seq} -> {"records": [newest first], "more": bool, "index": {"last_seq", "lag_bytes", "rebuilt", "why"?}}. The next page
 * is asked for with the last seq as "before".
 */
enum step
answers_search(struct question *question)
{
	struct vg_error error;
	uint64_t limit = 100;

	if (!question->begun && (read_match(question, &error) < 0 || answers_number(question->request, "limit", MAX_SEARCH, &limit, &error) < 0))
		return answers_refuse(question, error.what);
	if (!question->begun)
		question->limit = limit;
	question->begun = true;
	question->query.newest_first = true;
	return answers_go_on(question, take_record, end_search);
}

/* ---- audit.show ---- */

/* {"id": an op, or a seq} -> {"records": [oldest first]}; none where there is none. */
enum step
answers_show(struct question *question)
{
	struct answers *answers = question->answers;
	const char *id = json_string_value(json_object_get(question->request, "id"));
	struct audit_place places[32];
	struct vg_error error;
	json_t *records;
	enum step step;
	char *end = NULL;
	int num;

	if (id == NULL || id[0] == '\0')
		return answers_refuse(question, "audit.show needs \"id\"");
	if (!answers_index_serves(question, &step))
		return step;
	if (strlen(id) < 20 && strspn(id, "0123456789") == strlen(id))
		num = audit_query_seq(answers->index, strtoull(id, &end, 10), places, &error);
	else
		num = audit_query_op(answers->index, id, places, sizeof(places) / sizeof(places[0]), &error);
	if (num < 0)
		return answers_refuse(question, error.what);
	records = json_array();
	for (int i = 0; i < num; i++) {
		bool wrong;
		const char *line = answers_line_at(answers, &places[i], &wrong);

		if (line != NULL && audit_fields_read(answers->record, line, places[i].len) && audit_fields_id(answers->record, id))
			(void)json_array_append_new(records, json_loadb(line, places[i].len, JSON_REJECT_DUPLICATES, NULL));
		if (wrong) {
			json_decref(records);
			return answers_refuse(question, "the index was wrong and is made anew: ask again");
		}
	}
	return answers_reply(question, json_pack("{s:o}", "records", records));
}

/* ---- audit.export ---- */

static enum step
end_export(struct question *question, bool more)
{
	const char *text = buf_len(&question->out) == 0 ? "" : (const char *)buf_head(&question->out);

	return answers_reply(question, json_pack("{s:s%, s:o}", "text", text, buf_len(&question->out), "next",
	    more ? json_integer((json_int_t)question->last_seq) : json_null()));
}

/* How long bytes become as a JSON string: '"' and '\' take two, controls six. */
static size_t
weight_of(const uint8_t *text, size_t len)
{
	size_t weight = len;

	for (size_t i = 0; i < len; i++)
		weight += text[i] == '"' || text[i] == '\\' || text[i] == '\n' ? 1 : text[i] < 0x20 ? 5 : 0;
	return weight;
}

static enum step
take_export(struct question *question, const struct audit_place *place, const char *line, const struct audit_fields *record)
{
	size_t before = buf_len(&question->out);

	if (question->format->put(&question->out, record, line, place->len) < 0)
		return answers_refuse(question, "out of memory");
	question->weight += weight_of(buf_head(&question->out) + before, buf_len(&question->out) - before);
	question->last_seq = place->seq;
	return question->weight >= MAX_BYTES ? end_export(question, true) : STEP_AGAIN;
}

/*
 * The keys of audit.search but limit, and {"format": jsonl, cef, ocsf or rfc5424} -> {"text", "next": seq or null}: oldest first, a page at a time; the
 * next page is asked for with "next" as "after".
 */
enum step
answers_export(struct question *question)
{
	struct vg_error error;
	const char *format = NULL;

	if (!question->begun) {
		if (read_match(question, &error) < 0 || read_string(question->request, "format", &format, &error) < 0)
			return answers_refuse(question, error.what);
		question->format = format == NULL ? NULL : audit_format_find(format);
		if (question->format == NULL)
			return answers_refuse(question, "\"format\" must be one of jsonl, cef, ocsf, rfc5424");
	}
	question->begun = true;
	return answers_go_on(question, take_export, end_export);
}
