/*
 * audit_verify.c: `virtgate audit verify`: is the trail whole, who vouches for it, and what of it still holds when not.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/audit/checkpoint.h"
#include "gateway/audit/reader.h"
#include "gateway/cli/audit_open.h"
#include "gateway/cli/cli.h"

static void
show_progress(uint64_t done, uint64_t all, void *arg)
{
	(void)arg;
	fprintf(stderr, "\r%3u %% of %llu MiB", all > 0 ? (unsigned)(done * 100 / all) : 100, (unsigned long long)(all >> 20));
}

static void
add_number(json_t *json, const char *key, uint64_t number)
{
	(void)json_object_set_new(json, key, json_integer((json_int_t)number));
}

static json_t *
verdict_json(const struct audit_verdict *verdict)
{
	json_t *json = json_pack("{s:b, s:I, s:I, s:I, s:I, s:s}", "whole", (int)verdict->whole, "records",
	    (json_int_t)verdict->records, "segments", (json_int_t)verdict->segments, "bytes", (json_int_t)verdict->bytes,
	    "last_seq", (json_int_t)verdict->last_seq, "last_hash", verdict->last_hash);

	if (json == NULL)
		return NULL;
	add_number(json, "checkpoints", verdict->checkpoints);
	add_number(json, "signed_seq", verdict->signed_seq);
	add_number(json, "confirmed_seq", verdict->confirmed_seq);
	add_number(json, "removed", verdict->removed);
	add_number(json, "open_intents", verdict->open_intents);
	add_number(json, "refused_intents", verdict->refused_intents);
	add_number(json, "clock_steps", verdict->clock_steps);
	if (verdict->checkpoints > 0) {
		(void)json_object_set_new(json, "signed_time", json_string(verdict->signed_time));
		(void)json_object_set_new(json, "root", json_string(verdict->root));
	}
	if (verdict->num_notes > 0)
		(void)json_object_set_new(json, "note", json_string(verdict->note));
	if (!verdict->whole)
		(void)json_object_set_new(json, "bad", json_pack("{s:s, s:I, s:I, s:s}", "file", verdict->file, "line",
		    (json_int_t)verdict->line, "seq", (json_int_t)verdict->seq, "what", verdict->what));
	return json;
}

/* What stands behind the records, from the strongest to the weakest. */
static void
print_trust(const struct audit_verdict *verdict, bool has_outside)
{
	if (has_outside && verdict->confirmed_seq > 0)
		printf("confirmed: up to record %llu, by a checkpoint from outside\n", (unsigned long long)verdict->confirmed_seq);
	else if (has_outside)
		printf("confirmed: nothing; no checkpoint from outside is about a record that is here as it was\n");
	if (verdict->checkpoints > 0)
		printf("signed: up to record %llu, at %s, by keys that begin with %s\n", (unsigned long long)verdict->signed_seq,
		    verdict->signed_time, verdict->root);
	else
		printf("signed: nothing\n");
	if (!verdict->whole && verdict->last_seq > 0)
		printf("chained: up to record %llu; nothing can be said about what is behind it\n",
		    (unsigned long long)verdict->last_seq);
}

static void
print_verdict(const char *dir, const struct audit_verdict *verdict, bool has_outside)
{
	if (verdict->num_notes > 0)
		fprintf(stderr, "virtgate: %s\n", verdict->note);
	if (verdict->whole)
		printf("whole: %llu records in %llu files, the last is %llu with hash %s\n", (unsigned long long)verdict->records,
		    (unsigned long long)verdict->segments, (unsigned long long)verdict->last_seq, verdict->last_hash);
	else
		printf("%s/%s:%llu: record %llu: %s\n", dir, verdict->file, (unsigned long long)verdict->line,
		    (unsigned long long)verdict->seq, verdict->what);
	print_trust(verdict, has_outside);
	if (verdict->removed > 0)
		printf("removed: records 1 to %llu, which were kept for as long as the settings say\n", (unsigned long long)verdict->removed);
	if (verdict->clock_steps > 0)
		printf("clock: the host's clock stepped %llu times, the last time at record %llu (`virtgate audit search --event clock.step`): records are in order of "
		    "their numbers\n", (unsigned long long)verdict->clock_steps, (unsigned long long)verdict->clock_seq);
	if (verdict->open_intents > 0)
		printf("open: %llu changes have no outcome (yet)\n", (unsigned long long)verdict->open_intents);
	if (verdict->refused_intents > 0)
		printf("refused: %llu changes were not made, because their intent could not be recorded\n",
		    (unsigned long long)verdict->refused_intents);
}

/* --root and --checkpoint, each as often as one likes. */
static int
read_options(const struct cli *cli, struct audit_verify_options *options, const char *roots[CLI_MAX_OPTIONS],
    struct checkpoints *outside, struct vg_error *error)
{
	unsigned char key[CHECKPOINT_KEY_LEN / 2];
	const char *value;

	for (size_t i = 0; (value = cli_option(cli, "root", i)) != NULL; i++) {
		if (!checkpoint_unhex(value, key, sizeof(key)))
			return vg_fail(error, "--root: '%.100s' is no key of %d hex digits", value, CHECKPOINT_KEY_LEN);
		roots[options->num_roots++] = value;
	}
	options->roots = roots;
	for (size_t i = 0; (value = cli_option(cli, "checkpoint", i)) != NULL; i++)
		if (checkpoints_read(outside, value, error) == -1)
			return -1;
	if (outside->num > 0)
		options->outside = outside;
	return 0;
}

int
verb_audit_verify(const struct cli *cli)
{
	struct vg_error error = { "", "" };
	struct audit_verify_options options = { 0 };
	struct checkpoints outside = { NULL, 0 };
	struct audit_verdict verdict;
	bool terminal = isatty(STDERR_FILENO) && !cli->json;
	const char *roots[CLI_MAX_OPTIONS];
	char *dir = cli->num_args > 0 ? strdup(cli->args[0]) : audit_open_dir(cli, &error);
	int status;

	if (dir == NULL || read_options(cli, &options, roots, &outside, &error) == -1 ||
	    audit_verify(dir, &options, &verdict, terminal ? show_progress : NULL, NULL, &error) == -1) {
		status = cli_fail(&error, CLI_USAGE);
		goto out;
	}
	if (terminal)
		fprintf(stderr, "\r%30s\r", "");
	status = verdict.whole ? CLI_DONE : CLI_NO;
	if (cli->json)
		status = cli_print_json(verdict_json(&verdict), status);
	else
		print_verdict(dir, &verdict, options.outside != NULL);
out:
	checkpoints_free(&outside);
	free(dir);
	return status;
}
