/*
 * cli.h: `virtgate`, the tool for people. One row a verb in verbs.def; main.c reads the command line by that row, so
 * that a verb's function finds its arguments counted and its options known.
 *
 * Exit codes: 0 done, 1 no or not found, 2 usage or broken input. Results go to standard output, errors to standard error.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "virtgate/result.h"

enum { CLI_DONE = 0, CLI_NO = 1, CLI_USAGE = 2 };

#define CLI_MAX_OPTIONS 64
#define CLI_DEFAULT_CONFIG "/etc/virtgate/virtgated.conf"

struct cli_option {
	const char *name;	/* without the dashes */
	const char *value;	/* "" for one that takes none */
};

struct cli {
	const char *words;		/* of the verb: "policy check" */
	bool json;			/* --json: the result as JSON, one document or one object a line */
	const char *config;		/* --config FILE, or NULL when not given */
	const char *const *args;	/* behind the verb, without options; as many as the row allows */
	size_t num_args;
	struct cli_option options[CLI_MAX_OPTIONS];
	size_t num_options;
};

/* Value of the nth --NAME (0 the first), NULL when there are not so many. */
const char *cli_option(const struct cli *cli, const char *name, size_t nth);
/* Prints error and hint on standard error; returns `status`, so that a failing branch is one line. */
int cli_fail(const struct vg_error *error, int status);
/* Prints one JSON value and a newline, drops the reference, returns `status`. NULL counts as out of memory. */
int cli_print_json(json_t *value, int status);

/* A verb's function returns the exit code. */
#define VERB(words, function, arguments, options, help) int function(const struct cli *cli);
#include "gateway/cli/verbs.def"
#undef VERB

#endif
