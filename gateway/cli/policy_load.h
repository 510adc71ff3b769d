/*
 * policy_load.h: the policy that a verb asks.
 */
#ifndef CLI_POLICY_LOAD_H
#define CLI_POLICY_LOAD_H

#include <stddef.h>

#include <jansson.h>

#include "gateway/cli/cli.h"
#include "gateway/policy/words.h"

/* Mistakes of a policy, as lines on standard error or as a JSON array. */
struct mistakes {
	json_t *list;		/* NULL: print */
	unsigned num;
};

/* The whole file in memory, terminated; of a longer one POLICY_LOAD_MAX + 1 bytes. NULL with `error`. Caller frees. */
#define POLICY_LOAD_MAX (16u * 1024u * 1024u)
char *policy_load_text(const char *file, size_t *len, struct vg_error *error);
/* The file of --policy, else the policy_file of the settings. Caller frees; NULL with `error`. */
char *policy_load_name(const struct cli *cli, struct vg_error *error);
/* NULL: told; *status is the exit code. `json` (may be NULL): the file as it stands, for the caller to drop. */
struct policy *policy_load(const char *file, json_t **json, struct mistakes *mistakes, int *status);
/*
 * The same policy, whose JSON is `json`, as if its mode were enforce: "mode" is taken out of `json`, `policy` is destroyed. NULL:
 * told, with *status.
 */
struct policy *policy_load_enforcing(struct policy *policy, json_t *json, int *status);
/* The one that policy_load_name names; with --enforce as if its mode were enforce. */
struct policy *policy_load_configured(const struct cli *cli, int *status);
/* The same, with the file as it stands, for the caller to drop. */
struct policy *policy_load_with_json(const struct cli *cli, json_t **json, int *status);

#endif
