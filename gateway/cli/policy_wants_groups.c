/*
 * policy_wants_groups.c: what people wanted, by person and set of permissions.
 */
#include "gateway/cli/policy_wants.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/policy/permset.h"

/* What belongs on one object of one person comes together; raw ways into a guest stay apart. */
static int
compare_target(const struct want *a, const struct want *b)
{
	int order = strcmp(a->who, b->who);

	if (order == 0 && a->proofs != b->proofs)
		order = a->proofs < b->proofs ? -1 : 1;
	if (order == 0 && permission_by_name_only(a->permission) != permission_by_name_only(b->permission))
		order = permission_by_name_only(a->permission) ? 1 : -1;
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

json_t *
wants_groups(struct wants *wants)
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
