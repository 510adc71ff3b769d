/*
 * groups.c: who is in a group of a policy.
 */
#include "gateway/policy/groups.h"

#include <stdlib.h>
#include <string.h>

/* A fingerprint may be written in capitals and with colons; the policy knows it without. */
static void
add_person(json_t *people, const char *text)
{
	static const char prefix[] = "x509-sha256:";
	size_t start = strncmp(text, prefix, sizeof(prefix) - 1) == 0 ? sizeof(prefix) - 1 : strlen(text), len = start;
	char *copy = strdup(text);

	if (copy == NULL)
		return;
	for (const char *c = text + start; *c != '\0'; c++) {
		if (*c != ':')
			copy[len++] = *c >= 'A' && *c <= 'F' ? (char)(*c - 'A' + 'a') : *c;
	}
	copy[len] = '\0';
	json_object_set_new(people, copy, json_true());
	free(copy);
}

json_t *
policy_group_members(json_t *groups, const char *name)
{
	json_t *found = json_object(), *waiting = json_pack("[s]", name), *seen = json_object(), *item;
	size_t i;

	for (size_t next = 0; next < json_array_size(waiting); next++) {
		const char *group = json_string_value(json_array_get(waiting, next));

		if (group == NULL || json_object_get(seen, group) != NULL)
			continue;
		json_object_set_new(seen, group, json_true());
		json_array_foreach(json_object_get(groups, group), i, item) {
			const char *text = json_string_value(item);

			if (text != NULL && strncmp(text, "group:", 6) == 0)
				json_array_append_new(waiting, json_string(text + 6));
			else if (text != NULL)
				add_person(found, text);
		}
	}
	json_decref(waiting);
	json_decref(seen);
	return found;
}
