/*
 * audit_search.c: verbs that find records: audit search, show. They read the files themselves, so they work also when the gateway does not run;
 * nothing here writes.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/cli/audit_document.h"
#include "gateway/cli/audit_match.h"
#include "gateway/cli/audit_open.h"
#include "gateway/cli/audit_source.h"
#include "gateway/cli/audit_view.h"
#include "gateway/core/audit_wire.h"

/* With --limit, so many candidates for each record wanted are read at first; four times as many when that was not enough. */
#define CANDIDATES_FOR_ONE 4u
#define CANDIDATES_AT_LEAST 1000u

/* What is not in the index yet; without one, all. */
static int
read_rest(struct audit_source *source, struct audit_view *view, struct vg_error *error)
{
	struct audit_reader *reader = audit_source_rest(source, error);
	struct audit_line line;
	int result = -1;

	while (reader != NULL && (result = audit_reader_next(reader, &line, error)) == 1) {
		if (line.whole)
			audit_view_line(view, line.text, line.len);
		else
			view->no_records++;
	}
	audit_reader_close(reader);
	return result;
}

/* Feeds the records of this operation that are in this stage. */
static int
feed_stage(struct audit_source *source, const char *op, enum audit_stage stage, struct audit_view *view, struct vg_error *error)
{
	struct audit_place places[8];
	struct scan_line facts;
	int num = audit_query_op(source->index, op, places, sizeof(places) / sizeof(places[0]), error);

	for (int i = 0; i < num; i++) {
		const char *line = audit_source_line(source, &places[i], error);

		if (error->what[0] != '\0')
			return -1;
		if (line != NULL && scan_line(line, places[i].len, &facts) && facts.stage == (unsigned)stage && strcmp(facts.op, op) == 0)
			audit_view_line(view, line, places[i].len);
	}
	return num < 0 ? -1 : 0;
}

/* A candidate; before an outcome its intent, which may have met no filter: the two are shown as one. */
static int
feed(struct audit_source *source, const struct audit_place *place, struct audit_view *view, struct vg_error *error)
{
	const char *line = audit_source_line(source, place, error);
	struct scan_line facts;

	if (line != NULL && !view->json && view->match.stage == NULL && scan_line(line, place->len, &facts) && facts.stage == AUDIT_STAGE_OUTCOME &&
	    json_object_get(view->open, facts.op) == NULL) {
		if (feed_stage(source, facts.op, AUDIT_STAGE_INTENT, view, error) < 0)
			return -1;
		line = audit_source_line(source, place, error);
	}
	if (line != NULL)
		audit_view_line(view, line, place->len);
	return error->what[0] == '\0' ? 0 : -1;
}

/* Outcomes that met no filter, of intents that did: their operations are by no means open. */
static int
settle_open(struct audit_source *source, struct audit_view *view, struct vg_error *error)
{
	json_t *open = json_copy(view->open), *intent;
	const char *op;
	int result = 0;

	json_object_foreach(open, op, intent) {
		result = feed_stage(source, op, AUDIT_STAGE_OUTCOME, view, error);
		if (result < 0)
			break;
	}
	json_decref(open);
	return result;
}

static int
view_again(struct audit_view *view)
{
	audit_view_free(view);
	return audit_view_init(view);
}

/* The candidates, and what came after them. */
static int
read_found(struct audit_source *source, const struct audit_place *places, size_t num, struct audit_view *view, struct vg_error *error)
{
	for (size_t i = 0; i < num; i++)
		if (feed(source, &places[i], view, error) < 0)
			return -1;
	return read_rest(source, view, error) < 0 ? -1 : settle_open(source, view, error);
}

/* By the index: the newest candidates first, where only some are wanted. */
static int
search_index(struct audit_source *source, struct audit_view *view, struct vg_error *error)
{
	size_t most = view->limit * CANDIDATES_FOR_ONE, num;
	struct audit_place *places;
	int result;

	if (view->limit > 0 && most < CANDIDATES_AT_LEAST)
		most = CANDIDATES_AT_LEAST;
	for (;; most *= 4) {
		if (audit_source_find(source, &view->match, most, &places, &num, error) < 0)
			return -1;
		error->what[0] = '\0';
		result = view_again(view) < 0 ? vg_fail(error, "out of memory") : read_found(source, places, num, view, error);
		free(places);
		if (result < 0 || num != most || view->shown >= view->limit)
			return result;
	}
}

int
verb_audit_search(const struct cli *cli)
{
	struct vg_error error = { "", "" };
	struct audit_view view = { .json = cli->json, .utc = cli_option(cli, "utc", 0) != NULL };
	struct audit_source source = { .dir = NULL };
	int status = CLI_USAGE;

	if (audit_match_read(&view.match, cli, &error) == -1 || audit_open_number(cli, "limit", 0, &view.limit, &error) == -1 ||
	    audit_source_open(&source, cli, &error) == -1)
		goto out;
	if (view.limit == 0 && !audit_match_is_narrow(&view.match))
		audit_source_forget_index(&source);
	if (audit_view_init(&view) == -1 ||
	    (source.index != NULL ? search_index(&source, &view, &error) : read_rest(&source, &view, &error)) == -1)
		goto out;
	audit_view_flush(&view, true);
	source.no_records = view.no_records;
	audit_source_tell(&source);
	status = view.shown > 0 ? CLI_DONE : CLI_NO;
	if (status == CLI_NO)
		fprintf(stderr, "virtgate: no record matches in %s\n", source.dir);
out:
	if (error.what[0] != '\0')
		status = cli_fail(&error, CLI_USAGE);
	audit_view_free(&view);
	audit_source_close(&source);
	return status;
}

/* ---- show ---- */

struct showing {
	const struct cli *cli;
	const char *which;		/* document that is asked for; NULL: the records are */
	int printed;			/* a document is told once, though intent and outcome name it */
	struct audit_source source;
	struct vg_error *error;
};

static int
show(const char *line, size_t len, const struct audit_fields *fields, void *arg)
{
	struct showing *showing = arg;
	json_t *record = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);

	(void)fields;
	if (record == NULL) {
		showing->source.no_records++;
	} else if (showing->which != NULL) {
		if (showing->printed == 0)
			showing->printed = audit_document_print(&showing->source, record, showing->which, showing->error);
	} else if (showing->cli->json) {
		printf("%.*s\n", (int)len, line);
	} else {
		audit_document_complete(&showing->source, record);
		audit_view_record(record);
	}
	json_decref(record);
	return showing->printed < 0 ? -1 : 0;
}

int
verb_audit_show(const struct cli *cli)
{
	struct vg_error error = { "", "" };
	struct showing showing = { .cli = cli, .which = cli_option(cli, "document", 0), .error = &error };
	int found = showing.which != NULL && !audit_document_word(showing.which, &error) ? -1 : audit_source_open(&showing.source, cli, &error);

	if (found == 0)
		found = audit_source_id(&showing.source, cli->args[0], show, &showing, &error);
	if (found == 0)
		fprintf(stderr, "virtgate: no record has the operation id or number '%s'\n", cli->args[0]);
	audit_source_close(&showing.source);
	if (found < 0)
		return cli_fail(&error, CLI_USAGE);
	if (found > 0 && showing.which != NULL && showing.printed == 0) {
		fprintf(stderr, "virtgate: no record of '%s' names a document '%s'\n",
		    cli->args[0], showing.which);
		found = 0;
	}
	return found > 0 ? CLI_DONE : CLI_NO;
}
