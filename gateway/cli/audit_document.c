#include "gateway/cli/audit_document.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/audit/pack.h"
#include "gateway/cli/harmless.h"
#include "gateway/core/audit_client.h"
#include "gateway/core/linediff.h"
#include "virtgate/member.h"

/* The documents that a change may have, as the gate names them. */
static const struct { const char *head, *before, *after; } sides[] = {
	{ "--- definition\n+++ definition\n", "before", "after" },
	{ "--- running\n+++ running\n", "before_running", "after_running" },
	{ "--- snapshot\n+++ snapshot\n", "before_snapshot", "after_snapshot" },
	{ "--- checkpoint\n+++ checkpoint\n", "before_checkpoint", "after_checkpoint" },
};

bool
audit_document_word(const char *which, struct vg_error *error)
{
	if (strcmp(which, "asked") == 0 || strcmp(which, "asked_2") == 0)
		return true;
	for (size_t i = 0; i < sizeof(sides) / sizeof(sides[0]); i++)
		if (strcmp(sides[i].before, which) == 0 || strcmp(sides[i].after, which) == 0)
			return true;
	vg_fail(error, "--document: '%s' is none of them", which);
	vg_hint(error, "one of: before asked asked_2 after, and before and after with _running, _snapshot or _checkpoint");
	return false;
}

/* NULL: the record names none of that word, or it cannot be read; then `error` says why. */
static char *
read_document(const struct audit_source *source, json_t *record, const char *which, size_t *len, struct vg_error *error)
{
	const char *name = audit_member(record, "documents", which);

	*len = 0;
	return *name == '\0' ? NULL : pack_read(source->dir, source->segment, name, len, error);
}

int
audit_document_print(const struct audit_source *source, json_t *record, const char *which, struct vg_error *error)
{
	size_t len;
	char *text = read_document(source, record, which, &len, error);
	json_t *shown = text == NULL ? NULL : audit_text(text, len);

	if (text == NULL)
		return error->what[0] == '\0' ? 0 : -1;
	if (isatty(STDOUT_FILENO) && shown != NULL)
		harmless_text(stdout, json_string_value(shown), true);
	else
		(void)fwrite(text, 1, len, stdout);
	json_decref(shown);
	free(text);
	return 1;
}

/* What runs and is what is defined is named once. */
static const char *
named(json_t *record, const char *running, const char *definition)
{
	return *audit_member(record, "documents", running) != '\0' ? running : definition;
}

/* As the gate tells it, but whole. -1: a document cannot be read, or out of memory. */
static int
add_side(struct buf *out, const struct audit_source *source, json_t *record, const char *head, const char *before, const char *after)
{
	struct vg_error error = { "", "" };
	size_t before_len, after_len;
	char *was = read_document(source, record, before, &before_len, &error), *is = read_document(source, record, after, &after_len, &error);
	char *diff = error.what[0] != '\0' ? NULL : linediff(was == NULL ? "" : was, before_len, is == NULL ? "" : is, after_len, SIZE_MAX);
	int result = diff == NULL ? -1 : 0;

	if (diff != NULL && *diff != '\0' && (buf_add(out, head, strlen(head)) == -1 || buf_add(out, diff, strlen(diff)) == -1))
		result = -1;
	free(diff);
	free(was);
	free(is);
	return result;
}

static bool
is_cut(const char *diff)
{
	static const char end[] = " more lines)\n";
	size_t len = strlen(diff);

	return (len > sizeof(end) && strcmp(diff + len - sizeof(end) + 1, end) == 0) || strstr(diff, " more lines)\n--- ") != NULL;
}

void
audit_document_complete(const struct audit_source *source, json_t *record)
{
	json_t *diff = json_object_get(record, "diff");
	struct buf out = { 0 };
	bool made = true;

	if (diff == NULL || (json_is_string(diff) && !is_cut(json_string_value(diff))))
		return;
	for (size_t i = 0; i < sizeof(sides) / sizeof(sides[0]) && made; i++) {
		const char *before = sides[i].before, *after = sides[i].after;

		if (*audit_member(record, "documents", before) == '\0' && *audit_member(record, "documents", after) == '\0')
			continue;
		if (i == 1) {
			before = named(record, before, "before");
			after = named(record, after, "after");
		}
		made = add_side(&out, source, record, sides[i].head, before, after) == 0;
	}
	if (made && buf_len(&out) > 0)
		(void)json_object_set_new(record, "diff", audit_text(buf_head(&out), buf_len(&out)));
	buf_free(&out);
}
