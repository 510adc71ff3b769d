/*
 * policy.c: the policy verbs.
 */
#include <stdio.h>
#include <string.h>

#include "gateway/cli/cli.h"
#include "gateway/policy/policy.h"
#include "virtgate/glob.h"

int
verb_policy_permissions(const struct cli *cli)
{
	const char *pattern = cli->num_args > 0 ? cli->args[0] : "*";
	json_t *list = json_array();
	unsigned num = 0;

	for (unsigned i = VG_PERM_NONE + 1; i < VG_NUM_PERMISSIONS; i++) {
		enum vg_permission permission = (enum vg_permission)i;

		if (!glob_match(pattern, permission_name(permission)))
			continue;
		num++;
		if (!cli->json)
			printf("%-34s %s\n", permission_name(permission), permission_meaning(permission));
		else
			json_array_append_new(list, json_pack("{s:s, s:s}", "permission", permission_name(permission),
			    "meaning", permission_meaning(permission)));
	}
	if (cli->json)
		return cli_print_json(list, num > 0 ? CLI_DONE : CLI_NO);
	json_decref(list);
	return num > 0 ? CLI_DONE : CLI_NO;
}
