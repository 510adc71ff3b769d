#include "web/admin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "web/session.h"

#define MAX_EXPORT	(64u * 1024u * 1024u)

static void
on_answer(const json_t *json, const struct rpc_error *error, void *arg)
{
	struct request *request = arg;

	request->call = NULL;
	if (error != NULL)
		reply_rpc_error(request, error);
	else
		reply_json(request, 200, json_deep_copy(json));
}

/* `question` is taken. */
static void
ask(struct request *request, json_t *question, rpc_json_cb *answer)
{
	request->call = question == NULL ? NULL : rpc_client_ask(request->session->rpc, question, answer, request);
	if (request->call == NULL)
		reply_error(request, 503, RPC_ERR_SYSTEM, "the session has ended");
}

void
admin_sessions(struct request *request)
{
	ask(request, json_pack("{s:s}", "verb", "sessions"), on_answer);
}

void
admin_kill(struct request *request)
{
	ask(request, json_pack("{s:s, s:s}", "verb", "kill", "id", request->segments[0]), on_answer);
}

/* The body is the question, but for its verb. */
static void
ask_body(struct request *request, const char *verb)
{
	json_t *json = request_json(request);

	if (json == NULL)
		return;
	(void)json_object_set_new(json, "verb", json_string(verb));
	ask(request, json, on_answer);
}

void
admin_can(struct request *request)
{
	ask_body(request, "can");
}

void
admin_who_can(struct request *request)
{
	ask_body(request, "who-can");
}

/* ---- the policy ---- */

void
admin_policy(struct request *request)
{
	ask(request, json_pack("{s:s}", "verb", "policy.show"), on_answer);
}

void
admin_draft_check(struct request *request)
{
	ask_body(request, "policy.check");
}

void
admin_draft_diff(struct request *request)
{
	ask_body(request, "policy.diff");
}

void
admin_draft_replay(struct request *request)
{
	ask_body(request, "policy.replay");
}

/* ---- the trail ---- */

/* A filter that cannot be read is not left out: more would be shown than was asked for. */
static json_t *
refuse_question(struct request *request, json_t *question, const char *key, const char *why)
{
	json_decref(question);
	reply_error(request, 400, RPC_ERR_INVALID_ARG, "%s %s", key, why);
	return NULL;
}

/* The conditions of a search, as they stand in the query. NULL: it is refused, and answered. */
static json_t *
search_question(struct request *request, const char *verb)
{
	static const char *const texts[] = { "since", "until", "user", "object", "code", "event", "call", "result", "stage", "format" };
	static const char *const numbers[] = { "limit", "before", "after" };
	json_t *question = json_pack("{s:s}", "verb", verb), *member;
	char value[300];

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		if (request_argument(request, texts[i], value, sizeof(value)) == NULL || value[0] == '\0')
			continue;
		member = json_string(value);
		if (member == NULL)
			return refuse_question(request, question, texts[i], "is no UTF-8");
		(void)json_object_set_new(question, texts[i], member);
	}
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		if (request_argument(request, numbers[i], value, sizeof(value)) == NULL || value[0] == '\0')
			continue;
		if (strlen(value) > 18 || strspn(value, "0123456789") != strlen(value))
			return refuse_question(request, question, numbers[i], "is no number");
		(void)json_object_set_new(question, numbers[i], json_integer((json_int_t)strtoull(value, NULL, 10)));
	}
	return question;
}

void
audit_search(struct request *request)
{
	json_t *question = search_question(request, "audit.search");

	if (question != NULL)
		ask(request, question, on_answer);
}

void
audit_show(struct request *request)
{
	ask(request, json_pack("{s:s, s:s}", "verb", "audit.show", "id", request->segments[0]), on_answer);
}

void
audit_state(struct request *request)
{
	ask(request, json_pack("{s:s}", "verb", "audit.state"), on_answer);
}

/* Page after page until there is no next one. */
static void
on_page(const json_t *json, const struct rpc_error *error, void *arg)
{
	struct request *request = arg;
	const json_t *next = json_object_get(json, "next");
	const char *text = json_string_value(json_object_get(json, "text"));
	size_t len = json_string_length(json_object_get(json, "text"));
	uint8_t *all;

	request->call = NULL;
	if (error != NULL) {
		reply_rpc_error(request, error);
		return;
	}
	if (buf_len(&request->events) + len > MAX_EXPORT) {
		reply_error(request, 413, RPC_ERR_OPERATION_FAILED, "more than %u MiB: ask for less, or use `virtgate audit export`", MAX_EXPORT >> 20);
		return;
	}
	if (buf_add(&request->events, text == NULL ? "" : text, len) < 0) {
		reply_error(request, 500, RPC_ERR_SYSTEM, "out of memory");
		return;
	}
	if (json_is_integer(next)) {
		(void)json_object_set(request->json, "after", (json_t *)(uintptr_t)next);
		ask(request, json_deep_copy(request->json), on_page);
		return;
	}
	all = malloc(buf_len(&request->events) + 1);
	if (all == NULL) {
		reply_error(request, 500, RPC_ERR_SYSTEM, "out of memory");
		return;
	}
	len = buf_len(&request->events);
	memcpy(all, len == 0 ? (const uint8_t *)"" : buf_head(&request->events), len);
	buf_free(&request->events);
	(void)snprintf(request->disposition, sizeof(request->disposition), "attachment; filename=\"virtgate-audit.txt\"");
	reply_bytes(request, 200, "text/plain; charset=utf-8", all, len);
}

void
audit_export(struct request *request)
{
	request->json = search_question(request, "audit.export");
	if (request->json == NULL)
		return;
	ask(request, json_deep_copy(request->json), on_page);
}
