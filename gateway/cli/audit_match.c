/*
 * audit_match.c: filters of `virtgate audit`.
 */
#include "gateway/cli/audit_match.h"
#include "gateway/cli/audit_time.h"

#include <stdio.h>
#include <string.h>

static int
read_time(const struct cli *cli, const char *option, char out[AUDIT_MATCH_TIME], struct vg_error *error)
{
	const char *text = cli_option(cli, option, 0);

	out[0] = '\0';
	if (text == NULL || audit_time_read(text, cli_option(cli, "utc", 0) != NULL, strcmp(option, "until") == 0, out))
		return 0;
	vg_fail(error, "--%s: '%s' is no time", option, text);
	return vg_hint(error, "in your zone, or with Z or --utc in UTC: 2026-11-23, 2026-11-23T19:50, 2026-11-23T19:50:12; or so long ago: 30m, 2h, 7d");
}

static int
one_of(const char *option, const char *value, const char *const *known, struct vg_error *error)
{
	if (value == NULL)
		return 0;
	for (size_t i = 0; known[i] != NULL; i++)
		if (strcmp(known[i], value) == 0)
			return 0;
	vg_fail(error, "--%s: '%s' is none of them", option, value);
	vg_hint(error, "one of:");
	for (size_t i = 0; known[i] != NULL; i++) {
		size_t len = strlen(error->hint);

		(void)snprintf(error->hint + len, sizeof(error->hint) - len, " %s", known[i]);
	}
	return -1;
}

int
audit_match_read(struct audit_match *match, const struct cli *cli, struct vg_error *error)
{
	match->user = cli_option(cli, "user", 0);
	match->object = cli_option(cli, "object", 0);
	match->code = cli_option(cli, "code", 0);
	match->event = cli_option(cli, "event", 0);
	match->call = cli_option(cli, "call", 0);
	match->result = cli_option(cli, "result", 0);
	match->stage = cli_option(cli, "stage", 0);
	if (one_of("result", match->result, audit_match_results, error) == -1 || one_of("stage", match->stage, audit_match_stages, error) == -1)
		return -1;
	if (read_time(cli, "since", match->since, error) == -1)
		return -1;
	return read_time(cli, "until", match->until, error);
}
