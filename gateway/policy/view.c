/*
 * view.c: the bindings about one identity, picked once. Of a thousand bindings a few are about any one person: what is
 * asked again and again for a session costs by those.
 */
#include <stdlib.h>

#include "gateway/policy/pairs.h"
#include "gateway/policy/weigh.h"

/* Beside each other, so that a thousand of them are walked within the cache. */
struct view_entry {
	uint64_t pairs;		/* that every pattern of `on` asks for: a name without them is none of this binding's */
	const struct binding *binding;
};

struct policy_view {
	const struct policy *policy;
	uint64_t serial;	/* of its policy, should another come to the same address */
	const struct vg_identity *identity;
	size_t num_entries;
	struct view_entry entries[];
};

static uint64_t
common_pairs(const struct binding *binding)
{
	uint64_t pairs = UINT64_MAX;

	for (size_t i = 0; i < binding->num_on; i++)
		pairs &= binding->on[i].name_pairs;
	return binding->num_on == 0 ? 0 : pairs;
}

struct policy_view *
policy_view_create(const struct policy *policy, const struct vg_identity *identity)
{
	struct request request = request_make(identity, VG_PERM_NONE, NULL, 0);
	struct policy_view *view;
	size_t n = 0;

	for (size_t i = 0; i < policy->num_bindings; i++)
		n += binding_is_about(&policy->bindings[i], &request, true) != NOT_WHO;
	view = malloc(sizeof(*view) + n * sizeof(view->entries[0]));
	if (view == NULL)
		return NULL;
	view->policy = policy;
	view->serial = policy->serial;
	view->identity = identity;
	view->num_entries = 0;
	for (size_t i = 0; i < policy->num_bindings; i++) {
		const struct binding *binding = &policy->bindings[i];

		if (binding_is_about(binding, &request, true) != NOT_WHO)
			view->entries[view->num_entries++] = (struct view_entry){ common_pairs(binding), binding };
	}
	return view;
}

void
policy_view_destroy(struct policy_view *view)
{
	free(view);
}

bool
policy_view_is_of(const struct policy_view *view, const struct policy *policy)
{
	return view->serial == policy->serial;
}

struct decision
policy_view_decide(const struct policy_view *view, enum vg_permission permission, const struct vg_object *object, time_t now)
{
	struct request request = request_make(view->identity, permission, object, now);
	/* A pattern is about the object itself or about its pool or network. */
	const uint64_t known = request.name_pairs | (class_parent(request.class) != VG_CLASS_none ? request.parent_pairs : 0);
	struct weighing weighing = { 0 };

	request.who_is_known = true;
	if (!is_well_formed(permission, object))
		return (struct decision){ VERDICT_DENY, NULL };
	for (size_t i = 0; i < view->num_entries; i++) {
		const struct view_entry *entry = &view->entries[i];

		if (pairs_may_match(entry->pairs, known) && weigh_binding(&weighing, entry->binding, &request))
			break;
	}
	return weighing_conclude(&weighing, view->policy, &request);
}
