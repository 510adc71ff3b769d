/*
 * policy_suggest.c: `virtgate policy suggest`: from what people lacked, by the audit trail, to the least bindings that
 * give it to them: a binding for each person and set of permissions, on the very objects that were seen. Before it is
 * shown, the suggestion is put into the policy and asked whether it does what it is for.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/cli/audit_match.h"
#include "gateway/cli/audit_source.h"
#include "gateway/cli/harmless.h"
#include "gateway/cli/policy_also.h"
#include "gateway/cli/policy_load.h"
#include "gateway/cli/policy_wants.h"

#define FOLD_LEAST 5	/* objects with one beginning, to make a glob of it */
#define STEM_LEAST 2	/* letters of the beginning */

struct suggestion {
	struct wants wants;
	bool exact;
	json_t *policy;		/* today's, as JSON; empty when it is not known */
	json_t *roles, *bindings;
	json_t *role_names;	/* by their permissions in one text */
	json_t *also;		/* what each binding opens beyond what was asked for */
	json_t *groups;		/* what the bindings are made of, by their ids */
	json_t *warnings, *notes;
	char prefix[32];	/* of every name: "suggested-20261123" */
	unsigned next_role, next_binding;
};

__attribute__((format(printf, 2, 3)))
static void
tell(json_t *list, const char *format, ...)
{
	char text[2048];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	/* Cut in the middle of a character it is no UTF-8 any more. */
	for (size_t len = strlen(text); len > 0 && json_array_append_new(list, json_string(text)) != 0; len--)
		text[len - 1] = '\0';
}

/* ---- wants to groups: one person, one set of permissions, all objects that it was wanted on ---- */

static bool
by_name_only(enum vg_permission permission)
{
	return permission == VG_PERM_domain_monitor || permission == VG_PERM_domain_agent;
}

/* What belongs on one object of one person comes together; raw ways into a guest stay apart. */
static int
compare_target(const struct want *a, const struct want *b)
{
	int order = strcmp(a->who, b->who);

	if (order == 0 && a->proofs != b->proofs)
		order = a->proofs < b->proofs ? -1 : 1;
	if (order == 0 && by_name_only(a->permission) != by_name_only(b->permission))
		order = by_name_only(a->permission) ? 1 : -1;
	return order != 0 ? order : strcmp(a->on, b->on);
}

static int
compare_want(const void *a, const void *b)
{
	const struct want *x = a, *y = b;
	int order = compare_target(x, y);

	return order != 0 ? order : x->permission < y->permission ? -1 : x->permission > y->permission;
}

/* A binding to be; `first` is where its first want stands. */
static json_t *
find_group(json_t *groups, const struct want *want, size_t first, json_t *permissions)
{
	char *text = json_dumps(permissions, JSON_COMPACT), *key = NULL;
	json_t *group = NULL;

	if (text == NULL || asprintf(&key, "%u %s %s", want->proofs, want->who, text) < 0) {
		free(text);
		return NULL;
	}
	group = json_object_get(groups, key);
	if (group == NULL) {
		group = json_pack("{s:s, s:i, s:O, s:s, s:{}, s:i, s:s, s:{}, s:I}", "who", want->who, "proofs", (int)want->proofs,
		    "permissions", permissions, "key", text, "on", "count", 0, "last", "", "calls", "first", (json_int_t)first);
		if (json_object_set_new(groups, key, group) != 0)
			group = NULL;
	}
	free(text);
	free(key);
	return group;
}

/* Takes the wants from `from` to before `to`: one person on one object. */
static int
group_target(json_t *groups, const struct want *list, size_t from, size_t to)
{
	json_t *permissions = json_array(), *group;
	const char *last;
	json_int_t num = 0;

	for (size_t i = from; i < to; i++) {
		if (i == from || list[i].permission != list[i - 1].permission)
			json_array_append_new(permissions, json_string(permission_name(list[i].permission)));
	}
	group = find_group(groups, &list[from], from, permissions);
	json_decref(permissions);
	if (group == NULL)
		return -1;
	for (size_t i = from; i < to; i++) {
		num += (json_int_t)list[i].count;
		json_object_update(json_object_get(group, "calls"), list[i].calls);
		last = json_string_value(json_object_get(group, "last"));
		if (strcmp(last, list[i].last) < 0)
			json_object_set_new(group, "last", json_string(list[i].last));
	}
	json_object_set_new(group, "count", json_integer(json_integer_value(json_object_get(group, "count")) + num));
	return json_object_set_new(json_object_get(group, "on"), list[from].on, json_integer((json_int_t)list[from].name));
}

static json_t *
group_wants(struct wants *wants)
{
	json_t *groups = json_object();
	size_t from = 0;

	if (wants->num > 0)
		qsort(wants->list, wants->num, sizeof(*wants->list), compare_want);
	for (size_t i = 1; i <= wants->num; i++) {
		if (i < wants->num && compare_target(&wants->list[from], &wants->list[i]) == 0)
			continue;
		if (group_target(groups, wants->list, from, i) != 0)
			wants->out_of_memory = true;
		from = i;
	}
	return groups;
}

/* ---- folding ---- */

/* "web-12" begins with "web-", "web-a" too, "web" with nothing: 0. */
static size_t
stem_len(const char *name)
{
	size_t len = strlen(name), all = len;

	while (len > 0 && name[len - 1] >= '0' && name[len - 1] <= '9')
		len--;
	if (len == all) {
		while (len > 0 && strchr("-_.", name[len - 1]) == NULL)
			len--;
	}
	return len >= STEM_LEAST && len < all ? len : 0;
}

static char *
stem_of(const char *on, size_t name)
{
	size_t len = name > 0 ? stem_len(on + name) : 0;

	return len > 0 ? strndup(on, name + len) : NULL;
}

/* What the binding is on: the objects, many with one beginning as a glob. */
static json_t *
fold(struct suggestion *suggestion, json_t *objects, const char *id)
{
	json_t *stems = json_object(), *list = json_array(), *value;
	const char *on;
	char *stem, glob[1300];

	json_object_foreach(objects, on, value) {
		stem = suggestion->exact ? NULL : stem_of(on, (size_t)json_integer_value(value));
		if (stem != NULL)
			json_object_set_new(stems, stem, json_integer(json_integer_value(json_object_get(stems, stem)) + 1));
		free(stem);
	}
	json_object_foreach(objects, on, value) {
		json_int_t seen;

		stem = suggestion->exact ? NULL : stem_of(on, (size_t)json_integer_value(value));
		seen = stem != NULL ? json_integer_value(json_object_get(stems, stem)) : 0;
		if (seen == 0 || (seen > 0 && seen < FOLD_LEAST)) {
			json_array_append_new(list, json_string(on));
		} else if (seen >= FOLD_LEAST) {
			snprintf(glob, sizeof(glob), "%s*", stem);
			json_array_append_new(list, json_string(glob));
			tell(suggestion->warnings, "%s is on '%s': %lld that were seen stand for every other whose name begins so "
			    "(--exact names each)", id, glob, (long long)seen);
			json_object_set_new(stems, stem, json_integer(-1));
		}
		free(stem);
	}
	json_decref(stems);
	return list;
}

/* ---- roles and bindings ---- */

static bool
has_binding(json_t *list, const char *id)
{
	json_t *binding;
	size_t i;

	json_array_foreach(list, i, binding) {
		const char *text = json_string_value(json_object_get(binding, "id"));

		if (text != NULL && strcmp(text, id) == 0)
			return true;
	}
	return false;
}

static bool
is_raw(json_t *permissions)
{
	return by_name_only(permission_find(json_string_value(json_array_get(permissions, 0))));
}

/* The role of these permissions, made when it is not there yet. Borrowed. */
static const char *
role_for(struct suggestion *suggestion, const char *key, json_t *permissions)
{
	const char *known = json_string_value(json_object_get(suggestion->role_names, key));
	char name[64], meaning[2048];
	json_t *item;
	size_t i, len = 0;

	if (known != NULL)
		return known;
	do {
		snprintf(name, sizeof(name), "%s-%u%s", suggestion->prefix, ++suggestion->next_role,
		    is_raw(permissions) ? "-raw" : "");
	} while (json_object_get(json_object_get(suggestion->policy, "roles"), name) != NULL);
	len = (size_t)snprintf(meaning, sizeof(meaning), "%s", is_raw(permissions) ? "DANGEROUS: " : "");
	json_array_foreach(permissions, i, item) {
		if (len < sizeof(meaning))
			len += (size_t)snprintf(meaning + len, sizeof(meaning) - len, "%s%s", i > 0 ? "; " : "",
			    permission_meaning(permission_find(json_string_value(item))));
	}
	json_object_set_new(suggestion->roles, name, json_pack("{s:s, s:O}", "description", meaning, "allow", permissions));
	json_object_set_new(suggestion->role_names, key, json_string(name));
	return json_string_value(json_object_get(suggestion->role_names, key));
}

static void
add_binding(struct suggestion *suggestion, json_t *group)
{
	json_t *permissions = json_object_get(group, "permissions"), *on, *binding, *item;
	const char *who = json_string_value(json_object_get(group, "who")), *role, *star;
	char id[64], description[256];
	bool raw = is_raw(permissions);
	size_t i;

	role = role_for(suggestion, json_string_value(json_object_get(group, "key")), permissions);
	do {
		snprintf(id, sizeof(id), "%s-%u%s", suggestion->prefix, ++suggestion->next_binding, raw ? "-raw" : "");
	} while (has_binding(json_object_get(suggestion->policy, "bindings"), id));
	on = fold(suggestion, json_object_get(group, "on"), id);
	snprintf(description, sizeof(description), "%slacked %lld times, last %s",
	    raw ? "DANGEROUS, past every other rule of this policy; " : "",
	    (long long)json_integer_value(json_object_get(group, "count")), json_string_value(json_object_get(group, "last")));
	binding = json_pack("{s:s, s:s, s:[s], s:s?, s:O}", "id", id, "description", description, "who", who, "role", role,
	    "on", on);
	if (json_integer_value(json_object_get(group, "proofs")) != 0)
		json_object_set_new(binding, "when", json_pack("{s:[ss]}", "proof", "x509", "sasl"));
	json_object_set(suggestion->groups, id, group);
	if (json_array_append_new(suggestion->bindings, binding) != 0)
		suggestion->wants.out_of_memory = true;
	json_array_foreach(permissions, i, item) {
		if (raw)
			tell(suggestion->warnings, "DANGER: %s gives %s %s: %s. This goes straight to QEMU or into the guest, past "
			    "every other rule. Leave it out unless you mean it", id, who, json_string_value(item),
			    permission_meaning(permission_find(json_string_value(item))));
	}
	json_array_foreach(on, i, item) {
		star = strstr(json_string_value(item), ":*");
		if (star != NULL && star[2] == '\0')
			tell(suggestion->warnings, "%s is on every %.*s: a call that was refused needs that, because its content is "
			    "not checked or it names no object", id, (int)(star - json_string_value(item)), json_string_value(item));
	}
	json_decref(on);
}

static void
make_bindings(struct suggestion *suggestion)
{
	const char *last = "", *key;
	json_t *groups, *group;

	for (size_t i = 0; i < suggestion->wants.num; i++) {
		if (strcmp(suggestion->wants.list[i].last, last) > 0)
			last = suggestion->wants.list[i].last;
	}
	if (strlen(last) >= 10)
		snprintf(suggestion->prefix, sizeof(suggestion->prefix), "suggested-%.4s%.2s%.2s", last, last + 5, last + 8);
	else
		snprintf(suggestion->prefix, sizeof(suggestion->prefix), "suggested");
	groups = group_wants(&suggestion->wants);
	json_object_foreach(groups, key, group)
		add_binding(suggestion, group);
	json_decref(groups);
}

/* ---- does it do what it is for? ---- */

static void
take_problem(const struct vg_error *error, void *arg)
{
	*(struct vg_error *)arg = *error;
}

/* Today's policy with the suggestion in it. NULL with `error`. */
static struct policy *
merge(struct suggestion *suggestion, struct vg_error *error)
{
	json_t *merged = json_deep_copy(suggestion->policy);
	struct policy *policy = NULL;
	char *text;

	if (json_object_get(merged, "roles") == NULL)
		json_object_set_new(merged, "roles", json_object());
	json_object_update(json_object_get(merged, "roles"), suggestion->roles);
	json_array_extend(json_object_get(merged, "bindings"), suggestion->bindings);
	text = json_dumps(merged, 0);
	json_decref(merged);
	vg_fail(error, "out of memory");
	if (text != NULL)
		policy = policy_parse(text, strlen(text), "the policy with the suggestion in it", take_problem, error);
	free(text);
	return policy;
}

/* Objects of a binding that stand for more than was seen, in words. */
static json_t *
other_objects(json_t *on)
{
	json_t *list = json_array(), *item;
	size_t i;

	json_array_foreach(on, i, item) {
		const char *text = json_string_value(item), *colon = strchr(text, ':');
		size_t len = strlen(text);

		if (colon == NULL || text[len - 1] != '*')
			continue;
		if (colon[1] == '*')
			json_array_append_new(list, json_sprintf("every other %.*s", (int)(colon - text), text));
		else
			json_array_append_new(list, json_sprintf("every other %.*s whose name begins with '%.*s'", (int)(colon - text), text,
			    (int)(len - 2 - (size_t)(colon - text)), colon + 1));
	}
	return list;
}

/* A policy of this binding alone. NULL: out of memory. */
static struct policy *
alone(struct suggestion *suggestion, json_t *binding)
{
	const char *role = json_string_value(json_object_get(binding, "role"));
	json_t *json = json_pack("{s:i, s:{s:O}, s:[O]}", "version", 1, "roles", role, json_object_get(suggestion->roles, role), "bindings",
	    binding);
	char *text = json_dumps(json, 0);
	struct policy *policy = text != NULL ? policy_parse(text, strlen(text), role, NULL, NULL) : NULL;

	json_decref(json);
	free(text);
	return policy;
}

/* What each binding opens beyond what was asked for. */
static void
find_also(struct suggestion *suggestion)
{
	json_t *binding;
	size_t i;

	json_array_foreach(suggestion->bindings, i, binding) {
		const char *id = json_string_value(json_object_get(binding, "id"));
		json_t *group = json_object_get(suggestion->groups, id), *also;
		struct policy *with = alone(suggestion, binding);
		const struct want *want = &suggestion->wants.list[json_integer_value(json_object_get(group, "first"))];

		if (with == NULL) {
			suggestion->wants.out_of_memory = true;
			return;
		}
		also = policy_also(suggestion->wants.policy, with, want, json_object_get(group, "permissions"), json_object_get(group, "calls"));
		policy_destroy(with);
		json_object_set_new(also, "binding", json_string(id));
		json_object_set_new(also, "objects", other_objects(json_object_get(binding, "on")));
		json_array_append_new(suggestion->also, also);
	}
}

static int
check(struct suggestion *suggestion, struct vg_error *error)
{
	struct policy *policy = merge(suggestion, error);

	if (policy == NULL)
		return -1;
	for (size_t i = 0; i < suggestion->wants.num; i++) {
		const struct want *want = &suggestion->wants.list[i];
		struct decision decision = wants_decide(policy, want);

		if (decision.verdict == VERDICT_ALLOW)
			continue;
		tell(suggestion->warnings, "this is not enough for %s, %s on %s: %s%s%s", want->who,
		    permission_name(want->permission), want->on,
		    decision.verdict == VERDICT_DENY ? "denied" : "recorded as would-be denied",
		    decision.binding != NULL ? " by binding " : "", decision.binding != NULL ? decision.binding : "");
	}
	find_also(suggestion);
	policy_destroy(policy);
	return 0;
}

/* ---- notes ---- */

static void
add_notes(struct suggestion *suggestion)
{
	const struct wants *wants = &suggestion->wants;
	json_t *notes = suggestion->notes, *num;
	const char *name;

	if (wants->policy == NULL)
		tell(notes, "today's policy is not known (--policy FILE): what it allows by now may be among these");
	json_object_foreach(wants->on_purpose, name, num)
		tell(notes, "%lld left out: binding '%s' denies it, and an allow does not change that",
		    (long long)json_integer_value(num), name);
	json_object_foreach(wants->rules, name, num)
		tell(notes, "%lld left out: rule '%s' refuses what the call says; only a binding on \"*\" would let that through",
		    (long long)json_integer_value(num), name);
	json_object_foreach(wants->no_names, name, num)
		tell(notes, "%lld left out: no policy can name '%s' exactly", (long long)json_integer_value(num), name);
	if (wants->allowed_now > 0)
		tell(notes, "%lu left out: allowed by now", wants->allowed_now);
	if (wants->lists > 0)
		tell(notes, "%lu lists showed objects that would be hidden: what nobody asked for by its name is not among these", wants->lists);
	if (wants->unclear > 0)
		tell(notes, "%lu left out: the record does not say which permission was missing", wants->unclear);
	if (wants->no_records > 0)
		tell(notes, "%lu lines are no records; `virtgate audit verify` tells where the first bad one is", wants->no_records);
	if (wants->denied > 0 && json_array_size(suggestion->bindings) > 0)
		tell(notes, "a refused call was asked for its first missing permission only: it may lack another one then");
}

static void
print_all(const char *kind, json_t *list)
{
	json_t *item;
	size_t i;

	json_array_foreach(list, i, item) {
		fprintf(stderr, "virtgate: %s", kind);
		harmless_put(stderr, json_string_value(item));
		fprintf(stderr, "\n");
	}
}

/* "a, b, c and 4 more"; --json has them all. */
static void
print_some(json_t *list, size_t most, const char *before)
{
	size_t num = json_array_size(list);

	for (size_t i = 0; i < num && i < most; i++) {
		fprintf(stderr, "%s", i > 0 ? ", " : before);
		harmless_put(stderr, json_string_value(json_array_get(list, i)));
	}
	if (num > most)
		fprintf(stderr, " and %zu more", num - most);
}

static void
print_also(json_t *also)
{
	json_t *one;
	size_t i;

	json_array_foreach(also, i, one) {
		json_t *objects = json_object_get(one, "objects"), *calls = json_object_get(one, "calls"), *more = json_object_get(one, "permissions");

		fprintf(stderr, "virtgate: %s ", json_string_value(json_object_get(one, "binding")));
		if (json_array_size(objects) + json_array_size(calls) + json_array_size(more) == 0) {
			fprintf(stderr, "allows nothing but what was asked for\n");
			continue;
		}
		fprintf(stderr, "allows more than was asked for");
		print_some(objects, 4, ": on ");
		print_some(calls, 6, json_array_size(objects) > 0 ? "; the calls " : ": the calls ");
		print_some(more, 6, json_array_size(objects) + json_array_size(calls) > 0 ? "; the permissions " : ": the permissions ");
		fprintf(stderr, "\n");
	}
}

/* ---- the verb ---- */

/* Today's policy: of --policy or the settings; unknown when there are neither. -1: told, exit with *status. */
static int
load_today(const struct cli *cli, struct suggestion *suggestion, struct policy **policy, int *status)
{
	struct mistakes mistakes = { 0 };
	struct vg_error error = { 0 };
	char *file;

	suggestion->policy = json_pack("{s:i, s:[]}", "version", 1, "bindings");
	if (cli_option(cli, "policy", 0) == NULL && cli->config == NULL && access(CLI_DEFAULT_CONFIG, F_OK) != 0)
		return 0;
	file = policy_load_name(cli, &error);
	if (file == NULL) {
		*status = cli_fail(&error, CLI_USAGE);
		return -1;
	}
	json_decref(suggestion->policy);
	suggestion->policy = NULL;
	*policy = policy_load(file, &suggestion->policy, &mistakes, status);
	free(file);
	if (*policy != NULL && policy_only_watches(*policy)) {
		/* What it would deny once it counts is what is asked for. */
		tell(suggestion->notes, "today's policy only watches; it was asked as if it counted");
		*policy = policy_load_enforcing(*policy, suggestion->policy, status);
	}
	return *policy != NULL ? 0 : -1;
}

static int
take_want(const char *line, size_t len, const struct audit_fields *fields, void *arg)
{
	json_t *record = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);

	(void)fields;
	if (record != NULL)
		wants_add(arg, record);
	json_decref(record);
	return 0;
}

static int
read_trail(const struct cli *cli, struct suggestion *suggestion, struct vg_error *error)
{
	struct audit_match match = { 0 };
	struct audit_source source = { .dir = NULL };
	int result = -1;

	if (audit_match_read(&match, cli, error) == 0 && audit_source_open(&source, cli, error) == 0)
		result = audit_source_each(&source, &match, take_want, &suggestion->wants, error);
	suggestion->wants.no_records = source.no_records;
	audit_source_close(&source);
	return result;
}

static int
print_suggestion(const struct cli *cli, struct suggestion *suggestion)
{
	int status = json_array_size(suggestion->bindings) > 0 ? CLI_DONE : CLI_NO;
	json_t *fragment = json_pack("{s:i, s:O, s:O}", "version", 1, "roles", suggestion->roles, "bindings",
	    suggestion->bindings);

	if (cli->json)
		return cli_print_json(json_pack("{s:o?, s:I, s:I, s:O, s:O, s:O}", "suggestion", fragment, "denied",
		    (json_int_t)suggestion->wants.denied, "would_deny", (json_int_t)suggestion->wants.would_deny, "warnings",
		    suggestion->warnings, "notes", suggestion->notes, "also", suggestion->also), status);
	if (status == CLI_DONE) {
		json_dumpf(fragment, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);
		putchar('\n');
	} else {
		fprintf(stderr, "virtgate: nothing to suggest: %lu refusals, %lu would-be refusals\n", suggestion->wants.denied,
		    suggestion->wants.would_deny);
	}
	json_decref(fragment);
	print_also(suggestion->also);
	print_all("WARNING: ", suggestion->warnings);
	print_all("note: ", suggestion->notes);
	return status;
}

int
verb_policy_suggest(const struct cli *cli)
{
	struct suggestion suggestion = { .exact = cli_option(cli, "exact", 0) != NULL, .roles = json_object(), .bindings = json_array(),
		.role_names = json_object(), .warnings = json_array(), .notes = json_array(), .also = json_array(),
		.groups = json_object() };
	struct policy *policy = NULL;
	struct vg_error error = { 0 };
	int status = CLI_USAGE;

	if (wants_init(&suggestion.wants) != 0)
		goto out;
	if (load_today(cli, &suggestion, &policy, &status) != 0)
		goto out;
	suggestion.wants.policy = policy;
	if (read_trail(cli, &suggestion, &error) != 0)
		goto out;
	make_bindings(&suggestion);
	if (suggestion.wants.out_of_memory)
		vg_fail(&error, "out of memory");
	else if (check(&suggestion, &error) == 0) {
		add_notes(&suggestion);
		error.what[0] = '\0';
		status = print_suggestion(cli, &suggestion);
	}
out:
	if (error.what[0] != '\0')
		status = cli_fail(&error, CLI_USAGE);
	wants_clear(&suggestion.wants);
	json_decref(suggestion.policy);
	json_decref(suggestion.roles);
	json_decref(suggestion.bindings);
	json_decref(suggestion.role_names);
	json_decref(suggestion.also);
	json_decref(suggestion.groups);
	json_decref(suggestion.warnings);
	json_decref(suggestion.notes);
	policy_destroy(policy);
	return status;
}
