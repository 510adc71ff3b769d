/*
 * policy_role.c: `virtgate policy role`: what a role may, down to libvirt's calls. The page is worked out from the procedure
 * table that the gate decides by, so that it cannot tell anything else. doc/roles is made of it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/cli/calls.h"
#include "gateway/cli/policy_load.h"
#include "gateway/gate/rules.h"
#include "virtgate/nearest.h"

/* What each built-in role is for. */
static const struct {
	const char *name, *purpose;
} purposes[] = {
	{ "viewer", "Looks, and changes nothing: the host's facts, and configuration and state of what it is bound to. No screens, no passwords." },
	{ "console-viewer", "A viewer who also sees screens, without touching them." },
	{ "operator", "Keeps domains running: on, off, pause, consoles and screens. Changes no configuration." },
	{ "vm-admin", "Everything on the domains, volumes, pools, networks, filters and secrets that it is bound to, but for passwords and values "
	    "(read_secure), the raw ways into QEMU and the guest (monitor, agent), and the host." },
	{ "auditor", "A viewer who also reads the audit trail, the policy and the list of sessions. No consoles, no change." },
	{ "admin", "Everything but domain:monitor and domain:agent, which must be granted by name." },
};

static const char *
kind_name(const struct rpc_proc *proc)
{
	return proc->kind == RPC_KIND_READ ? "read" : proc->kind == RPC_KIND_ACCESS ? "access" : "change";
}

static bool
holds(enum vg_permission permission, void *arg)
{
	return policy_role_allows(arg, permission);
}

/* call_may's arguments are not const; a role is only read. */
static enum call_may
may(const struct rpc_proc *proc, const struct role *role)
{
	return call_may(proc, holds, (void *)(uintptr_t)role);
}

/* ---- one call ---- */

/* Permissions of the call as a list, with their conditions; `held`: those that the role has, or those that it has not. */
static json_t *
needs_json(const struct rpc_proc *proc, const struct role *role, bool held)
{
	json_t *list = json_array();
	char condition[CALL_CONDITION_SIZE];

	for (const struct rpc_need *need = proc->needs; need->permission != VG_PERM_NONE; need++) {
		if (policy_role_allows(role, need->permission) == held)
			json_array_append_new(list, json_pack("{s:s, s:s}", "permission", permission_name(need->permission), "condition",
			    call_condition(need, condition)));
	}
	return list;
}

static json_t *
call_json(const struct rpc_proc *proc, const struct role *role)
{
	char name[CALL_NAME_SIZE];
	const char *public_name = call_public_name(proc, name);
	bool lists = proc->list.form != RPC_LIST_NONE && proc->filter != VG_PERM_NONE;

	return json_pack("{s:s?, s:s, s:s, s:s, s:o, s:o, s:b, s:b, s:s?}", "call", public_name, "rpc", proc->name, "class",
	    class_name(proc->about.class == VG_CLASS_none ? VG_CLASS_connect : proc->about.class), "kind", kind_name(proc), "needs",
	    needs_json(proc, role, true), "not", needs_json(proc, role, false), "needs_everything", call_needs_everything(proc), "recorded",
	    proc->kind != RPC_KIND_READ, "shows", lists ? permission_name(proc->filter) : NULL);
}

static void
print_needs(json_t *list, const char *between)
{
	json_t *need;
	size_t i;

	json_array_foreach(list, i, need) {
		const char *condition = json_string_value(json_object_get(need, "condition"));

		printf("%s%s%s%s", i > 0 ? between : "", json_string_value(json_object_get(need, "permission")), *condition != '\0' ? " " : "",
		    condition);
	}
}

/* What the gate asks of the arguments, whoever sends them; each rule once. Returns what stands between this and more. */
static const char *
print_rules(const struct rpc_proc *proc, const char *between)
{
	static const char *const texts[] = { [RULE_HOST] = "takes connect:write as well", [RULE_SAVE_FILE] = "files in save_dirs",
		[RULE_DUMP_FILE] = "new files in save_dirs", [RULE_IMAGE_FILE] = "images in save_dirs, of domains that it is bound to",
		[RULE_OWN_DISK] = "the domain's own disks", [RULE_MIGRATION_URI] = "to migration_uris",
		[RULE_NEW_NAME] = "under the new name too" };
	const struct argument *argument;
	unsigned told = 0;

	for (size_t i = 0; (argument = argument_at(i)) != NULL; i++) {
		const char *text = argument->rule == RULE_POOL_XML ? "in pool_dirs, unless bound on \"*\" with connect:write" : argument_rule_is_document(argument->rule) ? "admission, unless bound on \"*\"" :
		    argument->rule < sizeof(texts) / sizeof(texts[0]) ? texts[argument->rule] : NULL;

		const enum argument_rule rule = argument_rule_is_document(argument->rule) ? RULE_DOMAIN_XML : argument->rule;

		if (strcmp(argument->proc, proc->name) != 0 || (told >> rule & 1) != 0)
			continue;
		if (argument->rule == RULE_EVERYTHING && !call_needs_everything(proc) && argument->path != NULL) {
			printf("%swith %s only bound on \"*\"", between, argument->path);
			between = "; ";
		} else if (text != NULL) {
			told |= 1u << rule;
			printf("%s%s", between, text);
			between = "; ";
		}
	}
	return between;
}

static void
print_call(const struct rpc_proc *proc, json_t *call)
{
	const char *name = json_string_value(json_object_get(call, "call")), *shows = json_string_value(json_object_get(call, "shows"));
	json_t *need, *lacks = json_object_get(call, "not");
	const char *between = "";
	size_t i;

	printf("| %s | %s | %s | ", name != NULL ? name : call_made_by(proc), proc->name, kind_name(proc));
	print_needs(json_object_get(call, "needs"), ", ");
	printf(" | ");
	json_array_foreach(lacks, i, need) {
		printf("%snot %s (%s)", between, json_string_value(json_object_get(need, "condition")),
		    json_string_value(json_object_get(need, "permission")));
		between = "; ";
	}
	if (json_is_true(json_object_get(call, "needs_everything"))) {
		printf("%sonly bound on \"*\"", between);
		between = "; ";
	}
	between = print_rules(proc, between);
	if (shows != NULL)
		printf("%sshows where it has %s", between, shows);
	printf(" |\n");
}

/* ---- the page ---- */

/* All calls about this class, in the table's order; counts those of each kind. */
static json_t *
calls_of_class(const struct role *role, enum vg_class class, bool print, unsigned counts[3])
{
	const struct rpc_proc *proc;
	json_t *list = json_array();
	bool began = false;

	for (size_t i = 0; (proc = rpc_proc_at(i)) != NULL; i++) {
		enum vg_class about = proc->about.class == VG_CLASS_none ? VG_CLASS_connect : proc->about.class;
		json_t *call;

		if (about != class || !call_is_decided(proc) || may(proc, role) == CALL_NEVER)
			continue;
		call = call_json(proc, role);
		if (print && !began)
			printf("\n### %s\n\n| call | RPC | kind | needs | limits |\n|---|---|---|---|---|\n", class_name(class));
		if (print)
			print_call(proc, call);
		began = true;
		counts[proc->kind]++;
		json_array_append_new(list, call);
	}
	return list;
}

static json_t *
all_calls(const struct role *role, bool print, unsigned counts[3])
{
	json_t *list = json_array();

	for (unsigned class = VG_CLASS_none + 1; class < VG_NUM_CLASSES; class++) {
		json_t *of_class = calls_of_class(role, (enum vg_class)class, print, counts);

		json_array_extend(list, of_class);
		json_decref(of_class);
	}
	return list;
}

static const char *
purpose_of(const struct role *role)
{
	for (size_t i = 0; policy_role_is_builtin(role) && i < sizeof(purposes) / sizeof(purposes[0]); i++) {
		if (strcmp(purposes[i].name, policy_role_name(role)) == 0)
			return purposes[i].purpose;
	}
	return "";
}

static void
print_permissions(const struct role *role)
{
	bool denies = false;

	printf("\n## Permissions\n\n| permission | allows to |\n|---|---|\n");
	for (unsigned i = VG_PERM_NONE + 1; i < VG_NUM_PERMISSIONS; i++) {
		enum vg_permission permission = (enum vg_permission)i;

		if (policy_role_allows(role, permission))
			printf("| %s | %s |\n", permission_name(permission), permission_meaning(permission));
		denies = denies || policy_role_denies(role, permission);
	}
	for (unsigned i = VG_PERM_NONE + 1; denies && i < VG_NUM_PERMISSIONS; i++) {
		if (policy_role_denies(role, (enum vg_permission)i))
			printf("| **denied:** %s | %s |\n", permission_name((enum vg_permission)i), permission_meaning((enum vg_permission)i));
	}
}

static void
print_page(const struct role *role)
{
	unsigned counts[3] = { 0 };
	json_t *calls = all_calls(role, false, counts);

	printf("# Role %s\n\n", policy_role_name(role));
	if (*purpose_of(role) != '\0')
		printf("%s\n\n", purpose_of(role));
	printf("It may make %zu of libvirt's calls: %u that read, %u that reach into a guest or at a secret, %u that change something.\n",
	    json_array_size(calls), counts[RPC_KIND_READ], counts[RPC_KIND_ACCESS], counts[RPC_KIND_CHANGE]);
	json_decref(calls);
	printf("Permissions of class connect hold for the host as a whole; all others on what the role is bound to.\n");
	print_permissions(role);
	printf("\n## Calls\n\n"
	    "Changes are in the audit trail with intent and outcome, access as one event, reads only when they are refused. **only bound on \"*\"**:\n"
	    "the content of the call can reach the host and is not looked into, so that the permission is needed on everything. **admission**: what\n"
	    "the document asks for is judged by profile baseline (`virtgate admission check`), and what it uses must be granted. **shows where**: a list keeps only those objects. **not with**: this form of the call needs a permission that the\n"
	    "role has not.\n");
	memset(counts, 0, sizeof(counts));
	json_decref(all_calls(role, true, counts));
}

static json_t *
page_json(const struct role *role)
{
	json_t *allow = json_array(), *deny = json_array();
	unsigned counts[3] = { 0 };

	for (unsigned i = VG_PERM_NONE + 1; i < VG_NUM_PERMISSIONS; i++) {
		if (policy_role_allows(role, (enum vg_permission)i))
			json_array_append_new(allow, json_string(permission_name((enum vg_permission)i)));
		if (policy_role_denies(role, (enum vg_permission)i))
			json_array_append_new(deny, json_string(permission_name((enum vg_permission)i)));
	}
	return json_pack("{s:s, s:b, s:s, s:o, s:o, s:o}", "role", policy_role_name(role), "builtin", policy_role_is_builtin(role), "purpose",
	    purpose_of(role), "allow", allow, "deny", deny, "calls", all_calls(role, false, counts));
}

/* ---- the verb ---- */

static int
list_roles(const struct cli *cli, const struct policy *policy)
{
	json_t *list = json_array();
	const struct role *role;

	for (size_t i = 0; (role = policy_role_at(policy, i)) != NULL; i++) {
		unsigned counts[3] = { 0 };
		json_t *calls = all_calls(role, false, counts);

		if (cli->json)
			json_array_append_new(list, json_pack("{s:s, s:b, s:I}", "role", policy_role_name(role), "builtin", policy_role_is_builtin(role), "calls",
			    (json_int_t)json_array_size(calls)));
		else
			printf("%-24s %s%4zu calls%s%s\n", policy_role_name(role), policy_role_is_builtin(role) ? "built in  " : "          ",
			    json_array_size(calls), *purpose_of(role) != '\0' ? "  " : "", purpose_of(role));
		json_decref(calls);
	}
	if (cli->json)
		return cli_print_json(list, CLI_DONE);
	json_decref(list);
	return CLI_DONE;
}

static int
unknown_role(const struct policy *policy, const char *name, bool only_builtin)
{
	struct nearest nearest = { .word = name };
	const struct role *role;
	struct vg_error error;

	for (size_t i = 0; (role = policy_role_at(policy, i)) != NULL; i++)
		nearest_offer(&nearest, policy_role_name(role));
	vg_fail(&error, "there is no role '%s'%s", name, only_builtin ? " built in" : "");
	if (nearest.best != NULL)
		vg_hint(&error, "did you mean '%s'?", nearest.best);
	else
		vg_hint(&error, only_builtin ? "name the policy that has it: virtgate policy role NAME FILE" : "`virtgate policy role` lists them");
	return cli_fail(&error, CLI_NO);
}

/*
 * FILE, --policy, or the settings; without any of them, and for a built-in role, which no policy can redefine, only those
 * that are built in. NULL: told, exit with *status.
 */
static struct policy *
load(const struct cli *cli, bool *only_builtin, int *status)
{
	static const char nothing[] = "{ \"version\": 1, \"bindings\": [] }";
	struct policy *builtin = policy_parse(nothing, strlen(nothing), "built in", NULL, NULL);
	bool named = cli->num_args > 1 || cli_option(cli, "policy", 0) != NULL;
	struct mistakes mistakes = { 0 };

	*only_builtin = !named && cli->config == NULL && access(CLI_DEFAULT_CONFIG, F_OK) != 0;
	if (builtin == NULL || *only_builtin || (!named && cli->num_args > 0 && policy_role(builtin, cli->args[0]) != NULL))
		return builtin;
	policy_destroy(builtin);
	return cli->num_args > 1 ? policy_load(cli->args[1], NULL, &mistakes, status) : policy_load_configured(cli, status);
}

int
verb_policy_role(const struct cli *cli)
{
	const struct role *role;
	bool only_builtin;
	int status = CLI_USAGE;
	struct policy *policy = load(cli, &only_builtin, &status);

	if (policy == NULL)
		return status;
	if (cli->num_args == 0) {
		status = list_roles(cli, policy);
	} else if ((role = policy_role(policy, cli->args[0])) == NULL) {
		status = unknown_role(policy, cli->args[0], only_builtin);
	} else {
		status = CLI_DONE;
		if (cli->json)
			status = cli_print_json(page_json(role), CLI_DONE);
		else
			print_page(role);
	}
	policy_destroy(policy);
	return status;
}
