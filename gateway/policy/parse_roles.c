/*
 * parse_roles.c: the built-in roles, and "roles": sets of permissions put together from names, globs and other roles.
 */
#include <stdlib.h>
#include <string.h>

#include "gateway/policy/parse.h"

/* Objects of libvirt as a viewer sees them; not "*:read", which would take in audit:read and policy:read. */
#define SEE_OBJECTS \
	"domain:getattr domain:read interface:getattr interface:read network:getattr network:read network_port:getattr " \
	"network_port:read node_device:getattr node_device:read nwfilter:getattr nwfilter:read nwfilter_binding:getattr " \
	"nwfilter_binding:read secret:getattr secret:read storage_pool:getattr storage_pool:read storage_vol:getattr " \
	"storage_vol:read"

/* In an order in which every role stands behind what it includes. */
static const struct {
	const char *name, *include;	/* include: another built-in role or NULL */
	const char *allow, *except;	/* names and globs; except is what the globs must not give */
} builtin[] = {
	{ "viewer", NULL, "connect:getattr connect:read connect:search_* " SEE_OBJECTS, NULL },
	{ "console-viewer", "viewer", "domain:screenshot domain:view_graphics", NULL },
	{ "operator", "viewer", "domain:start domain:stop domain:reset domain:suspend domain:init_control "
	    "domain:pm_control domain:send_input domain:send_signal domain:screenshot domain:open_graphics "
	    "domain:share_graphics domain:paste_graphics domain:open_device", NULL },
	{ "vm-admin", "operator", "domain:* storage_vol:* storage_pool:* network:* network_port:* nwfilter:* secret:*",
	    "*:read_secure" },
	{ "auditor", "viewer", "audit:read policy:read session:read", NULL },
	{ "admin", NULL, "*", NULL },
};

#define NUM_BUILTIN (sizeof(builtin) / sizeof(builtin[0]))

/* A role while it is put together. */
struct draft {
	struct role *role;
	json_t *object;
	json_t *include;	/* array or NULL */
	size_t next_include;
	enum { DRAFT_NEW, DRAFT_OPEN, DRAFT_DONE } state;
};

static struct role *
add_role(struct parse *parse, const char *name)
{
	struct role *role = parse_alloc(parse, 1, sizeof(*role));

	if (role == NULL)
		return NULL;
	role->name = parse_text(parse, name, strlen(name));
	if (role->name == NULL)
		return NULL;
	role->next = parse->roles;
	parse->roles = role;
	return role;
}

static const struct role *
look_up(const struct parse *parse, const char *name)
{
	for (const struct role *role = parse->roles; role != NULL; role = role->next) {
		if (strcmp(role->name, name) == 0)
			return role;
	}
	return NULL;
}

const struct role *
find_role(struct parse *parse, const struct at *at, const char *name)
{
	const struct role *role = look_up(parse, name);
	struct advice advice;

	if (role != NULL)
		return role;
	advice_start(&advice, name, "roles");
	for (const struct role *known = parse->roles; known != NULL; known = known->next)
		advice_offer(&advice, known->name);
	problem(parse, at, advice_text(&advice), "unknown role '%.*s'", (int)POLICY_MAX_NAME, name);
	return NULL;
}

/* Every space-separated name or glob of one of the texts above. */
static void
add_words(struct permset *set, const char *words)
{
	char word[PERMISSION_MAX_NAME];
	size_t len;

	for (; *words != '\0'; words += len) {
		words += strspn(words, " ");
		len = strcspn(words, " ");
		snprintf(word, sizeof(word), "%.*s", (int)nearest_min(len, sizeof(word) - 1), words);
		(void)permset_add_matching(set, word, false);
	}
	permset_add_parts(set);
}

static void
add_builtin_roles(struct parse *parse)
{
	for (size_t i = 0; i < NUM_BUILTIN; i++) {
		const struct role *included = builtin[i].include != NULL ? look_up(parse, builtin[i].include) : NULL;
		struct role *role = add_role(parse, builtin[i].name);
		struct permset except = { 0 };

		if (role == NULL)
			return;
		role->builtin = true;
		if (builtin[i].except != NULL)
			add_words(&except, builtin[i].except);
		add_words(&role->allow, builtin[i].allow);
		permset_remove_all(&role->allow, &except);
		if (included != NULL)
			permset_add_all(&role->allow, &included->allow);
	}
}

static bool
is_builtin(const char *name)
{
	for (size_t i = 0; i < NUM_BUILTIN; i++) {
		if (strcmp(builtin[i].name, name) == 0)
			return true;
	}
	return false;
}

static void
unknown_permission(struct parse *parse, const struct at *at, const char *written)
{
	const char *colon = strchr(written, ':');
	struct nearest nearest = { .word = written };
	struct advice advice;
	bool any = false;
	char hint[128];

	advice_start(&advice, written, "permissions of this class");
	for (unsigned i = VG_PERM_NONE + 1; i < VG_NUM_PERMISSIONS; i++) {
		const char *name = permission_name((enum vg_permission)i);

		nearest_offer(&nearest, name);
		if (colon != NULL && strncmp(name, written, (size_t)(colon + 1 - written)) == 0) {
			advice_offer(&advice, strchr(name, ':') + 1);
			any = true;
		}
	}
	snprintf(hint, sizeof(hint), "did you mean '%s'?", nearest.best != NULL ? nearest.best : "");
	problem(parse, at, nearest.best != NULL ? hint : any ? advice_text(&advice) :
	    "`virtgate policy permissions` lists them all", "%s '%.*s'",
	    strpbrk(written, "*?") != NULL ? "no permission matches" : "unknown permission", (int)POLICY_MAX_NAME, written);
}

static void
parse_permissions(struct parse *parse, const struct at *at, const json_t *object, const char *key, struct permset *set)
{
	bool deny = strcmp(key, "deny") == 0;
	struct at here = { .up = at, .key = key };
	json_t *strings = get_strings(parse, at, object, key, false), *item;
	size_t i;

	json_array_foreach(strings, i, item) {
		struct at element = { .up = &here, .index = i };

		/* In a deny list a glob means everything that it matches. */
		if (permset_add_matching(set, json_string_value(item), deny) == 0)
			unknown_permission(parse, &element, json_string_value(item));
	}
	/* In this order: the wholes of parts that are denied must not bring the other parts with them. */
	permset_add_parts(set);
	if (deny)
		permset_add_wholes(set);
}

static struct draft *
find_draft(struct draft *drafts, size_t num, const struct role *role)
{
	for (size_t i = 0; i < num; i++) {
		if (drafts[i].role == role)
			return &drafts[i];
	}
	return NULL;
}

/* Tells a circle of includes: the drafts from `again` to the top of the stack include one another. */
static void
tell_cycle(struct parse *parse, const struct at *roles, struct draft *const *stack, size_t depth, const struct draft *again)
{
	struct at role = { .up = roles, .key = stack[depth - 1]->role->name };
	struct at include = { .up = &role, .key = "include" };
	struct at element = { .up = &include, .index = stack[depth - 1]->next_include - 1 };
	char text[256];
	size_t len = 0, first = 0;

	while (stack[first] != again)
		first++;
	for (size_t i = first; i < depth && len < sizeof(text); i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s -> ", stack[i]->role->name);
	problem(parse, &element, "take one of the includes out", "roles include one another: %s%s", text, again->role->name);
}

/*
 * Resolves one role and all that it includes, depth first with a stack of its own: a role is done when everything it
 * includes is done.
 */
static void
resolve(struct parse *parse, const struct at *roles, struct draft *drafts, size_t num, struct draft *start,
    struct draft **stack)
{
	size_t depth = 0;

	start->state = DRAFT_OPEN;
	stack[depth++] = start;
	while (depth > 0) {
		struct draft *top = stack[depth - 1], *child;
		struct at role = { .up = roles, .key = top->role->name };
		struct at include = { .up = &role, .key = "include" };
		struct at element = { .up = &include, .index = top->next_include };
		const struct role *included;

		if (top->next_include == json_array_size(top->include)) {
			permset_remove_all(&top->role->allow, &top->role->deny);
			top->state = DRAFT_DONE;
			depth--;
			continue;
		}
		included = find_role(parse, &element, json_string_value(json_array_get(top->include, top->next_include)));
		child = included != NULL ? find_draft(drafts, num, included) : NULL;
		if (child != NULL && child->state == DRAFT_NEW) {	/* first the child; then this include again */
			child->state = DRAFT_OPEN;
			stack[depth++] = child;
			continue;
		}
		top->next_include++;
		if (child != NULL && child->state == DRAFT_OPEN) {
			tell_cycle(parse, roles, stack, depth, child);
		} else if (included != NULL) {
			permset_add_all(&top->role->allow, &included->allow);
			permset_add_all(&top->role->deny, &included->deny);
		}
	}
}

static void
parse_role(struct parse *parse, const struct at *at, struct draft *draft)
{
	if (!is_object(parse, at, draft->object, "a role", "include allow deny description"))
		return;
	draft->include = get_strings(parse, at, draft->object, "include", false);
	parse_permissions(parse, at, draft->object, "allow", &draft->role->allow);
	parse_permissions(parse, at, draft->object, "deny", &draft->role->deny);
}

static size_t
make_drafts(struct parse *parse, const struct at *at, json_t *roles, struct draft *drafts)
{
	const char *name;
	json_t *object;
	size_t num = 0;

	json_object_foreach(roles, name, object) {
		struct at here = { .up = at, .key = name };

		if (strcmp(name, "description") == 0 && json_is_string(object))
			continue;
		if (is_builtin(name)) {
			problem(parse, &here, "give it another name and include the built-in one",
			    "role '%s' is built in and cannot be redefined", name);
			continue;
		}
		drafts[num] = (struct draft){ .role = add_role(parse, name), .object = object };
		if (drafts[num].role != NULL)
			num++;
	}
	return num;
}

void
parse_roles(struct parse *parse, const struct at *at, json_t *roles)
{
	struct draft *drafts = NULL, **stack = NULL;
	size_t num = roles != NULL ? json_object_size(roles) : 0;

	add_builtin_roles(parse);
	add_words(&parse->policy->reads, "*:getattr *:read *:search_* domain:view_graphics");
	if (roles == NULL || !is_named_object(parse, at, roles, "role"))
		return;
	drafts = calloc(num + 1, sizeof(*drafts));
	stack = calloc(num + 1, sizeof(struct draft *));
	if (drafts == NULL || stack == NULL) {
		parse->out_of_memory = true;
		goto out;
	}
	num = make_drafts(parse, at, roles, drafts);
	for (size_t i = 0; i < num; i++) {
		struct at here = { .up = at, .key = drafts[i].role->name };

		parse_role(parse, &here, &drafts[i]);
	}
	for (size_t i = 0; i < num; i++) {
		if (drafts[i].state == DRAFT_NEW)
			resolve(parse, at, drafts, num, &drafts[i], stack);
	}
out:
	free(drafts);
	free(stack);
}
