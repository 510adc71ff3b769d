/*
 * admission_fix.c: `virtgate admission fix`: what a document needs to be admitted, as a difference to read, or written.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <libxml/parser.h>

#include "gateway/admission/fix.h"
#include "gateway/cli/admission_judge.h"
#include "gateway/cli/harmless.h"
#include "gateway/core/linediff.h"

/* One change at a time; rows that ask for what others refuse would go on for ever. */
#define MAX_CHANGES	500u
#define MAX_DIFF	(4u * 1024u * 1024u)

/* Judged again after each change: what remains is of the last time. */
struct fixing {
	struct admission_fix *fix;
	json_t *rest;		/* findings that no change takes away */
	unsigned changes;
};

static void
take(struct check *check, const struct admission_finding *finding)
{
	struct fixing *fixing = check->arg;

	if (strcmp(check->mode, "enforce") != 0)
		return;
	check->num_refusals++;
	if (fixing->changes < MAX_CHANGES && admission_fix_note(fixing->fix, finding, check->limits))
		return;
	(void)json_array_append_new(fixing->rest, json_pack("{s:s, s:I, s:s, s:s, s:s, s:s*}", "rule", finding->rule, "line", (json_int_t)finding->line,
	    "path", finding->path, "message", finding->message, "hint", finding->hint, "row", check->row[0] == '\0' ? NULL : check->row));
}

/* The changed text is judged in place of the one before. -1 with error text. */
static int
take_text(struct check *check, struct fixing *fixing, struct vg_error *error)
{
	char *text = admission_fix_text(fixing->fix);
	struct admission_document *document = text == NULL ? NULL : admission_parse(check_kind(text), text, strlen(text), error);
	struct admission_fix *fix = document == NULL ? NULL : admission_fix_create(text, strlen(text), error);

	if (fix == NULL) {
		admission_destroy(document);
		free(text);
		return -1;
	}
	admission_destroy(check->document);
	check->document = document;
	free(check->text);
	check->text = text;
	check->len = strlen(text);
	admission_fix_destroy(fixing->fix);
	fixing->fix = fix;
	return 0;
}

/* Until nothing is refused that a change takes away. -1: told, with the exit status. */
static int
fix_all(const struct cli *cli, struct check *check, struct fixing *fixing, int *status)
{
	struct vg_error error = { .what = "out of memory" };

	for (;;) {
		(void)json_array_clear(fixing->rest);
		check->num_refusals = 0;
		check->freed = false;
		if (check_judge(cli, check, status) < 0)
			return -1;
		if (!admission_fix_apply(fixing->fix))
			return 0;
		fixing->changes++;
		if (take_text(check, fixing, &error) < 0) {
			*status = cli_fail(&error, CLI_USAGE);
			return -1;
		}
	}
}

/* In place of `path` at once, with its mode if it is there. -1 with error text. */
static int
write_file(const char *path, const char *text, size_t len, struct vg_error *error)
{
	char temporary[PATH_MAX];
	struct stat st;
	ssize_t n = -1;
	int fd;

	if (snprintf(temporary, sizeof(temporary), "%s.XXXXXX", path) >= (int)sizeof(temporary) || (fd = mkostemp(temporary, O_CLOEXEC)) < 0)
		return vg_fail(error, "%s: cannot be written: %s", path, strerror(errno));
	if (fchmod(fd, stat(path, &st) == 0 ? st.st_mode & 07777 : 0644) == 0)
		n = write(fd, text, len);
	if (n != (ssize_t)len || fsync(fd) < 0 || close(fd) < 0 || rename(temporary, path) < 0) {
		(void)vg_fail(error, "%s: cannot be written: %s", path, strerror(errno));
		(void)unlink(temporary);
		return -1;
	}
	return 0;
}

static void
tell_rest(const struct check *check, const json_t *rest)
{
	const json_t *finding;
	size_t i;

	json_array_foreach(rest, i, finding) {
		const char *hint = json_string_value(json_object_get(finding, "hint")), *row = json_string_value(json_object_get(finding, "row"));

		harmless_line(stderr, "%s:%lld: %s: %s: %s%s%s%s%s%s", check->file, (long long)json_integer_value(json_object_get(finding, "line")),
		    json_string_value(json_object_get(finding, "rule")), json_string_value(json_object_get(finding, "path")),
		    json_string_value(json_object_get(finding, "message")), hint[0] == '\0' ? "" : "; ", hint, row == NULL ? "" : " (row '",
		    row == NULL ? "" : row, row == NULL ? "" : "')");
	}
	if (json_array_size(rest) > 0)
		fprintf(stderr, "virtgate: %s: %zu finding%s that no change would take away without making it another guest\n", check->file, json_array_size(rest),
		    json_array_size(rest) == 1 ? "" : "s");
}

/* -1 with error text. */
static int
tell_all(const struct cli *cli, const struct check *check, const struct fixing *fixing, const char *original, size_t len, int *status, struct vg_error *error)
{
	const char *to = cli_option(cli, "apply", 0) != NULL ? check->file : cli_option(cli, "output", 0);
	char *diff = linediff(original, len, check->text, check->len, MAX_DIFF);
	int r = diff == NULL ? vg_fail(error, "out of memory") : 0;

	*status = json_array_size(fixing->rest) == 0 ? CLI_DONE : CLI_NO;
	if (r == 0 && to != NULL)
		r = write_file(to, check->text, check->len, error);
	if (r == 0 && cli->json) {
		*status = cli_print_json(json_pack("{s:s, s:b, s:i, s:s, s:O}", "file", check->file, "admitted", *status == CLI_DONE, "changes", (int)fixing->changes,
		    "diff", diff, "findings", fixing->rest), *status);
	} else if (r == 0) {
		if (diff[0] != '\0' && to == NULL)
			printf("--- %s\n+++ %s\n%s", check->file, check->file, diff);
		tell_rest(check, fixing->rest);
	}
	free(diff);
	return r;
}

int
verb_admission_fix(const struct cli *cli)
{
	struct fixing fixing = { .rest = json_array() };
	struct check check = { .file = cli->args[0], .take = take, .arg = &fixing, .quiet = true };
	struct vg_error error = { 0 };
	int status = CLI_USAGE;
	char *original = NULL;
	size_t len = 0;

	xmlInitParser();
	if (cli_option(cli, "apply", 0) != NULL && cli_option(cli, "output", 0) != NULL)
		(void)vg_fail(&error, "--apply writes the file itself, --output another: not both");
	else if (check_read(&check, &error) == 0) {
		len = check.len;
		original = strndup(check.text, len);
		fixing.fix = original == NULL ? NULL : admission_fix_create(check.text, check.len, &error);
		if (fixing.fix != NULL && fix_all(cli, &check, &fixing, &status) == 0)
			(void)tell_all(cli, &check, &fixing, original, len, &status, &error);
	}
	if (error.what[0] != '\0')
		status = cli_fail(&error, CLI_USAGE);
	admission_fix_destroy(fixing.fix);
	json_decref(fixing.rest);
	check_clear(&check);
	free(original);
	return status;
}
