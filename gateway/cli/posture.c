/*
 * posture.c: `virtgate posture`: looks at the host and says what is weak. Changes nothing: the commands of --fix-hints and the rules of
 * --audit-rules are printed, for an administrator to read first.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/cli/cli.h"
#include "gateway/cli/harmless.h"
#include "gateway/posture/host.h"
#include "gateway/posture/posture.h"

#define SHOWN_NAMES 5

static void
print_result(const struct posture_result *result)
{
	printf("%s  %s: ", posture_level_name(result->level), result->check->id);
	harmless_put(stdout, result->what);
	for (size_t i = 0; i < result->num_names && i < SHOWN_NAMES; i++) {
		fputs(i == 0 ? ": " : ", ", stdout);
		harmless_put(stdout, result->names[i]);
	}
	if (result->num_names > SHOWN_NAMES)
		printf(" and %zu more", result->num_names - SHOWN_NAMES);
	if (result->level >= POSTURE_WARN)
		printf("; hint: %s", result->check->hint);
	putchar('\n');
}

/* Each line of the commands; as comments what a person has to decide. */
static void
print_fix(const struct posture_result *result)
{
	const char *fix = result->fix[0] != '\0' ? result->fix : result->check->fix;

	if (result->level < POSTURE_WARN)
		return;
	printf("# %s %s: ", posture_level_name(result->level), result->check->id);
	harmless_put(stdout, result->what);
	printf("\n# %s\n", result->check->hint);
	for (; *fix != '\0'; fix += *fix == '\n') {
		size_t len = strcspn(fix, "\n");
		char line[sizeof(result->fix)];

		(void)snprintf(line, sizeof(line), "%.*s", (int)len, fix);
		harmless_put(stdout, line);
		putchar('\n');
		fix += len;
	}
	putchar('\n');
}

/* Jansson takes only UTF-8; a name of a file may be anything. */
static json_t *
text_json(const char *text)
{
	json_t *value = json_string(text);
	char clean[512];
	size_t len;

	if (value != NULL)
		return value;
	for (len = 0; text[len] != '\0' && len < sizeof(clean) - 1; len++)
		clean[len] = (unsigned char)text[len] < 0x80 ? text[len] : '?';
	clean[len] = '\0';
	return json_string(clean);
}

static json_t *
result_json(const struct posture_result *result)
{
	const struct posture_check *check = result->check;
	bool bad = result->level >= POSTURE_WARN;
	json_t *names = json_array();

	for (size_t i = 0; i < result->num_names && i < POSTURE_MAX_NAMES; i++)
		json_array_append_new(names, text_json(result->names[i]));
	return json_pack("{s:s, s:s, s:s, s:o, s:o, s:I, s:s*, s:s*, s:s*}", "id", check->id, "level", posture_level_name(result->level), "title",
	    check->title, "what", text_json(result->what), "names", names, "num_names", (json_int_t)result->num_names, "srg",
	    check->srg[0] != '\0' ? check->srg : NULL, "hint", bad ? check->hint : NULL, "fix",
	    !bad ? NULL : result->fix[0] != '\0' ? result->fix : check->fix[0] != '\0' ? check->fix : NULL);
}

/* Is it one of those that were asked for? Without any, all are. */
static bool
is_asked(const struct cli *cli, const struct posture_check *check)
{
	if (cli->num_args == 0)
		return true;
	for (size_t i = 0; i < cli->num_args; i++)
		if (strcmp(cli->args[i], check->id) == 0)
			return true;
	return false;
}

static int
check_names(const struct cli *cli)
{
	struct vg_error error;

	for (size_t i = 0; i < cli->num_args; i++) {
		size_t at = 0;

		while (posture_check(at) != NULL && strcmp(posture_check(at)->id, cli->args[i]) != 0)
			at++;
		if (posture_check(at) != NULL)
			continue;
		vg_fail(&error, "there is no check '%s'", cli->args[i]);
		vg_hint(&error, "`virtgate posture` without a name shows all of them");
		return cli_fail(&error, CLI_USAGE);
	}
	return CLI_DONE;
}

static int
look_at_all(const struct cli *cli, const struct posture_host *host)
{
	bool fixes = cli_option(cli, "fix-hints", 0) != NULL;
	json_t *list = cli->json ? json_array() : NULL;
	int count[POSTURE_NUM_LEVELS] = { 0 };
	const struct posture_check *check;
	int status;

	for (size_t i = 0; (check = posture_check(i)) != NULL; i++) {
		struct posture_result result;

		if (!is_asked(cli, check))
			continue;
		posture_look(host, check, &result);
		count[result.level]++;
		if (cli->json)
			json_array_append_new(list, result_json(&result));
		else if (fixes)
			print_fix(&result);
		else
			print_result(&result);
	}
	status = count[POSTURE_FAIL] > 0 ? CLI_NO : CLI_DONE;
	if (cli->json)
		return cli_print_json(json_pack("{s:o, s:i, s:i, s:i, s:i}", "checks", list, "pass", count[POSTURE_PASS], "warn", count[POSTURE_WARN],
		    "fail", count[POSTURE_FAIL], "skip", count[POSTURE_SKIP]), status);
	if (!fixes)
		printf("%d passed, %d warnings, %d failed, %d could not be seen\n", count[POSTURE_PASS], count[POSTURE_WARN], count[POSTURE_FAIL],
		    count[POSTURE_SKIP]);
	return status;
}

int
verb_posture(const struct cli *cli)
{
	const char *root = cli_option(cli, "root", 0);
	struct posture_host *host;
	struct vg_error error;
	int status;

	if (check_names(cli) != CLI_DONE)
		return CLI_USAGE;
	host = malloc(sizeof(*host));
	if (host == NULL) {
		vg_fail(&error, "out of memory");
		return cli_fail(&error, CLI_USAGE);
	}
	if (posture_host_open(host, root != NULL ? root : "", cli->config != NULL ? cli->config : CLI_DEFAULT_CONFIG, &error) < 0) {
		free(host);
		return cli_fail(&error, CLI_USAGE);
	}
	if (cli_option(cli, "audit-rules", 0) == NULL)
		status = look_at_all(cli, host);
	else
		status = posture_audit_rules(host, stdout, &error) < 0 ? cli_fail(&error, CLI_USAGE) : CLI_DONE;
	posture_host_close(host);
	free(host);
	return status;
}
