/*
 * policy_test.c: `virtgate policy test`: a table of expected verdicts, kept beside the policy.
 *
 *     # who          | permission   | object       [| from ADDRESS, at TIME, …] -> verdict [binding]
 *     sasl:alice     | domain:start | domain:web-1                                      -> allow web-team-on-web
 *     sasl:alice     | domain:start | domain:db-1                                       -> deny
 *     x509-cn:admin  | domain:stop  | domain:db-1   | from 10.0.0.7                     -> allow
 *
 * '|' and "->" stand between blanks, so that names may hold them. A binding of "-" says that none decided.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/cli/policy_args.h"
#include "gateway/cli/policy_load.h"
#include "virtgate/nearest.h"

enum { FIELD_WHO, FIELD_PERMISSION, FIELD_OBJECT, FIELD_WHERE, NUM_FIELDS };

/* One row; texts point into the line. */
struct row {
	char *fields[NUM_FIELDS];
	struct question_words words;
	enum verdict expected;
	const char *binding;	/* NULL: whichever; "-": none */
};

struct table {
	const struct policy *policy;
	const char *file;
	struct question_words otherwise;	/* for rows that do not say from where and when */
	size_t line, rows, missed, broken;
	json_t *misses;		/* NULL: print */
};

/* ---- reading a row ---- */

static char *
trim(char *text)
{
	char *end;

	text += strspn(text, " \t\r");
	for (end = text + strlen(text); end > text && strchr(" \t\r", end[-1]) != NULL; end--)
		;
	*end = '\0';
	return text;
}

/* Cuts at the first `sign` that stands between blanks; what is behind it, NULL when it is not there. */
static char *
cut(char *text, const char *sign)
{
	size_t len = strlen(sign);

	for (char *at = strstr(text, sign); at != NULL; at = strstr(at + 1, sign)) {
		if (at == text || !isblank((unsigned char)at[-1]) || (at[len] != '\0' && !isblank((unsigned char)at[len])))
			continue;
		*at = '\0';
		return at + len;
	}
	return NULL;
}

static int
read_expected(struct row *row, char *text, struct vg_error *error)
{
	struct nearest nearest;
	char *word = trim(text), *rest = word + strcspn(word, " \t");

	if (*rest != '\0')
		*rest++ = '\0';
	rest = trim(rest);
	row->binding = *rest != '\0' ? rest : NULL;
	nearest = (struct nearest){ .word = word };
	for (enum verdict verdict = VERDICT_DENY; verdict <= VERDICT_WOULD_DENY; verdict++) {
		if (strcmp(word, policy_verdict_name(verdict)) == 0) {
			row->expected = verdict;
			return 0;
		}
		nearest_offer(&nearest, policy_verdict_name(verdict));
	}
	vg_fail(error, "'%s' is no verdict: expected allow, deny or would-deny, then the id of the binding if you like", word);
	return nearest.best != NULL ? vg_hint(error, "did you mean '%s'?", nearest.best) : -1;
}

/* "from ADDRESS, at TIME, uuid UUID, proof PROOF". */
static int
read_where(struct row *row, char *text, struct vg_error *error)
{
	char *next;

	for (char *part = text; part != NULL; part = next) {
		char *word, *value;

		next = strchr(part, ',');
		if (next != NULL)
			*next++ = '\0';
		word = trim(part);
		value = word + strcspn(word, " \t=");
		if (*value != '\0')
			*value++ = '\0';
		value = trim(value);
		if (*word == '\0' && *value == '\0')
			continue;
		if (strcmp(word, "from") == 0 && *value != '\0')
			row->words.from = value;
		else if (strcmp(word, "at") == 0 && *value != '\0')
			row->words.at = value;
		else if (strcmp(word, "uuid") == 0 && *value != '\0')
			row->words.uuid = value;
		else if (strcmp(word, "proof") == 0 && *value != '\0')
			row->words.proof = value;
		else
			return vg_fail(error, "'%s' is none of: from ADDRESS, at TIME, uuid UUID, proof PROOF", word);
	}
	return 0;
}

static int
read_row(struct row *row, char *line, struct vg_error *error)
{
	static const char shape[] = "WHO | PERMISSION | OBJECT [| from ADDRESS, at TIME, uuid UUID, proof PROOF] -> VERDICT [BINDING]";
	char *expected = cut(line, "->");
	size_t num = 0;

	if (expected == NULL) {
		vg_fail(error, "no \"->\" between blanks, so no verdict is expected");
		return vg_hint(error, "a row is %s", shape);
	}
	for (char *field = line; field != NULL && num < NUM_FIELDS; num++) {
		char *next = cut(field, "|");

		row->fields[num] = trim(field);
		field = next;
		if (num == NUM_FIELDS - 1 && next != NULL)
			num = NUM_FIELDS;
	}
	if (num <= FIELD_OBJECT || num > NUM_FIELDS || *row->fields[FIELD_WHO] == '\0' ||
	    *row->fields[FIELD_PERMISSION] == '\0' || *row->fields[FIELD_OBJECT] == '\0') {
		vg_fail(error, "%s", num > NUM_FIELDS ? "too many '|'" : "who, permission and object are not all there");
		return vg_hint(error, "a row is %s", shape);
	}
	if (row->fields[FIELD_WHERE] != NULL && read_where(row, row->fields[FIELD_WHERE], error) != 0)
		return -1;
	return read_expected(row, expected, error);
}

/* ---- asking ---- */

static bool
is_as_expected(const struct row *row, struct decision decision)
{
	if (decision.verdict != row->expected)
		return false;
	return row->binding == NULL || strcmp(row->binding, decision.binding != NULL ? decision.binding : "-") == 0;
}

static void
tell_miss(struct table *table, const struct row *row, struct decision decision)
{
	const char *expected = policy_verdict_name(row->expected), *verdict = policy_verdict_name(decision.verdict);

	table->missed++;
	if (table->misses != NULL) {
		json_array_append_new(table->misses, json_pack("{s:I, s:s, s:s, s:s, s:s, s:s?, s:s, s:s?}", "line",
		    (json_int_t)table->line, "who", row->fields[FIELD_WHO], "permission", row->fields[FIELD_PERMISSION], "object",
		    row->fields[FIELD_OBJECT], "expected", expected, "expected_binding", row->binding, "verdict", verdict,
		    "binding", decision.binding));
		return;
	}
	printf("%s:%zu: %s, %s on %s: expected %s%s%s, got %s", table->file, table->line, row->fields[FIELD_WHO],
	    row->fields[FIELD_PERMISSION], row->fields[FIELD_OBJECT], expected, row->binding != NULL ? " by " : "",
	    row->binding == NULL ? "" : strcmp(row->binding, "-") == 0 ? "no binding" : row->binding, verdict);
	if (decision.binding != NULL)
		printf(" by %s\n", decision.binding);
	else
		printf(": no binding allows it\n");
}

static void
tell_broken(struct table *table, const struct vg_error *error)
{
	table->broken++;
	fprintf(stderr, "%s:%zu: %s\n", table->file, table->line, error->what);
	if (error->hint[0] != '\0')
		fprintf(stderr, "  hint: %s\n", error->hint);
}

static void
test_line(struct table *table, char *line)
{
	struct row row = { .words = table->otherwise };
	struct question question = { 0 };
	struct vg_error error = { 0 };
	struct decision decision;

	line = trim(line);
	if (*line == '\0' || *line == '#')
		return;
	if (read_row(&row, line, &error) != 0 || question_user(&question, &row.words, row.fields[FIELD_WHO], &error) != 0 ||
	    question_object(&question, &row.words, row.fields[FIELD_PERMISSION], row.fields[FIELD_OBJECT], &error) != 0) {
		tell_broken(table, &error);
	} else {
		table->rows++;
		decision = policy_decide(table->policy, &question.identity, question.permission, &question.object, question.now);
		if (!is_as_expected(&row, decision))
			tell_miss(table, &row, decision);
	}
	question_clear(&question);
}

static void
test_text(struct table *table, char *text)
{
	char *next;

	for (char *line = text; line != NULL; line = next) {
		next = strchr(line, '\n');
		if (next != NULL)
			*next++ = '\0';
		table->line++;
		test_line(table, line);
	}
}

int
verb_policy_test(const struct cli *cli)
{
	struct table table = { .file = cli->args[0],
		.otherwise = { "", cli_option(cli, "from", 0), cli_option(cli, "at", 0), NULL, NULL, time(NULL) } };
	struct vg_error error = { 0 };
	struct policy *policy = NULL;
	size_t len = 0;
	char *text = policy_load_text(table.file, &len, &error);
	int status = CLI_USAGE;

	if (text != NULL && (len > POLICY_LOAD_MAX || strlen(text) != len))
		vg_fail(&error, "%s: %s", table.file,
		    len > POLICY_LOAD_MAX ? "too large for a table" : "is no text: it has NUL bytes");
	if (error.what[0] != '\0') {
		status = cli_fail(&error, CLI_USAGE);
		goto out;
	}
	policy = policy_load_configured(cli, &status);
	if (policy == NULL)
		goto out;
	table.policy = policy;
	table.misses = cli->json ? json_array() : NULL;
	test_text(&table, text);
	if (table.rows + table.broken == 0) {
		vg_fail(&error, "%s: has no rows", table.file);
		vg_hint(&error, "for example: sasl:alice | domain:start | domain:web-1 -> allow");
		status = cli_fail(&error, CLI_USAGE);
		json_decref(table.misses);
		goto out;
	}
	status = table.broken > 0 ? CLI_USAGE : table.missed > 0 ? CLI_NO : CLI_DONE;
	if (cli->json)
		status = cli_print_json(json_pack("{s:s, s:I, s:I, s:I, s:I, s:o}", "file", table.file, "rows", (json_int_t)table.rows,
		    "passed", (json_int_t)(table.rows - table.missed), "missed", (json_int_t)table.missed, "broken",
		    (json_int_t)table.broken, "misses", table.misses), status);
	else
		printf("%s: %zu rows, %zu as expected, %zu missed%s\n", table.file, table.rows, table.rows - table.missed,
		    table.missed, table.broken > 0 ? ", some could not be read" : "");
out:
	policy_destroy(policy);
	free(text);
	return status;
}
