/*
 * diff.c: two policies side by side. See diff.h.
 */
#include <stdlib.h>
#include <string.h>

#include "gateway/policy/diff.h"
#include "gateway/policy/right.h"
#include "gateway/policy/texts.h"
#include "gateway/policy/witness.h"

#define WHO_MAX 1024
#define MOST_EXCEPTIONS 20

/* One policy as one person meets it. */
struct side {
	const struct policy *policy;
	const struct binding **mine;	/* about him, conditions aside */
	size_t num_mine;
	struct right right;
};

struct policy_differ {
	struct side sides[2];
	struct witnesses all;
	struct thing **own;		/* those that a pattern of this person's bindings tells from the rest of their class */
	size_t num_own;
	time_t now;
	policy_change_cb *each;
	void *arg;
	/* where it stands */
	size_t subject;			/* the next one */
	unsigned permission;		/* of the one before it the next; VG_NUM_PERMISSIONS: he is done */
	char who[WHO_MAX];
	unsigned given;			/* proofs */
	bool out_of_memory;
};

/* ---- one person ---- */

static bool
covers(const struct pattern *pattern, const struct thing *thing)
{
	const struct binding binding = { .on = pattern, .num_on = 1 };
	struct request request = request_make(NULL, VG_PERM_NONE, &thing->object, 0);

	return binding_covers(&binding, &request, false);
}

static bool
is_told_apart(const struct side *side, const struct thing *thing)
{
	for (size_t i = 0; i < side->num_mine; i++) {
		for (size_t j = 0; j < side->mine[i]->num_on; j++) {
			if (side->mine[i]->on[j].kind != PATTERN_ALL && covers(&side->mine[i]->on[j], thing))
				return true;
		}
	}
	return false;
}

/* Of whatever else there is he may the same as of everything of its class. */
static void
find_own(struct policy_differ *diff)
{
	diff->num_own = 0;
	for (size_t i = 0; i < diff->all.num_things; i++) {
		struct thing *thing = &diff->all.things[i];

		if (thing->pattern.kind == PATTERN_ALL || is_told_apart(&diff->sides[0], thing) || is_told_apart(&diff->sides[1], thing))
			diff->own[diff->num_own++] = thing;
	}
}

/* The bindings about him that have not ended. Conditions are terms of the right. */
static int
find_mine(struct side *side, const struct vg_identity *identity, time_t now)
{
	struct request request = request_make(identity, VG_PERM_NONE, NULL, now);

	side->num_mine = 0;
	for (size_t i = 0; i < side->policy->num_bindings; i++) {
		const struct binding *binding = &side->policy->bindings[i];

		if ((!binding->when.ends || now < binding->when.until) && binding_is_about(binding, &request, true) != NOT_WHO)
			side->mine[side->num_mine++] = binding;
	}
	return side->num_mine > 0;
}

static bool
anything_said(const struct side *side, enum vg_permission permission, time_t now)
{
	struct request request = request_make(NULL, permission, NULL, now);

	for (size_t i = 0; i < side->num_mine; i++) {
		if (binding_effect(side->mine[i], &request) != EFFECT_NONE)
			return true;
	}
	return false;
}

static void
compare_on(struct policy_differ *diff, enum vg_permission permission, struct thing *thing, unsigned given)
{
	const struct right *before = &diff->sides[0].right, *after = &diff->sides[1].right;
	int was, now;

	for (size_t i = 0; i < 2; i++) {
		struct side *side = &diff->sides[i];

		right_find(&side->right, side->mine, side->num_mine, permission, &thing->object, given, diff->now);
	}
	if (right_same(before, after, given))
		return;
	was = right_how_often(before);
	now = right_how_often(after);
	thing->direction = now > was ? POLICY_GAINS : now < was ? POLICY_LOSES : POLICY_CHANGES;
	thing->was = right_text(before, given);
	thing->now = right_text(after, given);
	diff->out_of_memory = diff->out_of_memory || thing->was == NULL || thing->now == NULL;
}

/* Does the next wider pattern tell the same? */
static bool
is_implied(const struct policy_differ *diff, const struct thing *thing)
{
	const struct thing *next = NULL;

	for (size_t i = 0; i < diff->num_own; i++) {
		const struct thing *other = diff->own[i];

		if (other == thing || other->object.class != thing->object.class || !covers(&other->pattern, thing) ||
		    (other > thing && covers(&thing->pattern, other)))
			continue;
		if (next == NULL || covers(&next->pattern, other))
			next = other;
	}
	return next != NULL && next->was != NULL && strcmp(next->was, thing->was) == 0 && strcmp(next->now, thing->now) == 0;
}

/* What the pattern covers and yet stays as it is. NULL when memory is out. */
static char *
except_text(const struct policy_differ *diff, const struct thing *thing)
{
	char *text = NULL;
	size_t len = 0, num = 0;
	FILE *out = open_memstream(&text, &len);

	if (out == NULL)
		return NULL;
	for (size_t i = 0; i < diff->num_own; i++) {
		const struct thing *other = diff->own[i];

		if (other->was != NULL || other->object.class != thing->object.class || !covers(&thing->pattern, other))
			continue;
		if (num++ < MOST_EXCEPTIONS)
			fprintf(out, "%s%s", num > 1 ? ", " : "", other->label);
	}
	if (num > MOST_EXCEPTIONS)
		fprintf(out, " and %zu more", num - MOST_EXCEPTIONS);
	if (fclose(out) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

static void
tell_changes(struct policy_differ *diff, const char *who, enum vg_permission permission)
{
	for (size_t i = 0; i < diff->num_own && !diff->out_of_memory; i++) {
		const struct thing *thing = diff->own[i];
		char *except;

		if (thing->was == NULL || is_implied(diff, thing))
			continue;
		except = except_text(diff, thing);
		if (except != NULL)
			diff->each(&(struct policy_change){ who, permission, thing->label, thing->direction, except, thing->was,
			    thing->now }, diff->arg);
		else
			diff->out_of_memory = true;
		free(except);
	}
}

static void
forget(struct thing *thing)
{
	free(thing->was);
	free(thing->now);
	thing->was = thing->now = NULL;
}

static void
compare_permission(struct policy_differ *diff, const char *who, enum vg_permission permission, unsigned given)
{
	struct thing host = { .object.class = permission_class(permission) };

	if (class_is_host(permission_class(permission))) {
		compare_on(diff, permission, &host, given);
		if (host.was != NULL && !diff->out_of_memory)
			diff->each(&(struct policy_change){ who, permission, NULL, host.direction, "", host.was, host.now }, diff->arg);
		forget(&host);
		return;
	}
	for (size_t i = 0; i < diff->num_own; i++) {
		if (diff->own[i]->object.class == permission_class(permission))
			compare_on(diff, permission, diff->own[i], given);
	}
	tell_changes(diff, who, permission);
	for (size_t i = 0; i < diff->num_own; i++)
		forget(diff->own[i]);
}

/* Proofs that the person has given by being who he is; of anyone none is known. */
static unsigned
given_proofs(const struct who *who, const struct vg_identity *identity)
{
	return who->kind == WHO_ANYONE ? 0 : identity->proofs;
}

/* The next of whom anything is said. False: there are no more. */
static bool
begin_subject(struct policy_differ *diff)
{
	while (diff->subject < diff->all.num_subjects && !diff->out_of_memory) {
		const struct who *who = &diff->all.subjects[diff->subject];
		struct vg_identity identity;
		int some = 0;

		if (witness_identity(&diff->all, who, &identity) < 0) {
			diff->out_of_memory = true;
			break;
		}
		diff->given = given_proofs(who, &identity);
		for (size_t side = 0; side < 2; side++)
			some |= find_mine(&diff->sides[side], &identity, diff->now);
		if (some != 0) {
			find_own(diff);
			who_text(who, diff->who, sizeof(diff->who));
			diff->permission = VG_PERM_NONE + 1;
			return true;
		}
		diff->subject++;
	}
	return false;
}

struct policy_differ *
policy_diff_begin(const struct policy *before, const struct policy *after, time_t now, policy_change_cb *each, void *arg)
{
	const struct policy *const policies[2] = { before, after };
	struct policy_differ *diff = calloc(1, sizeof(*diff));

	if (diff == NULL)
		return NULL;
	*diff = (struct policy_differ){ .sides = { { .policy = before }, { .policy = after } }, .now = now, .each = each, .arg = arg,
		.permission = VG_NUM_PERMISSIONS };
	for (size_t i = 0; i < 2; i++) {
		struct side *side = &diff->sides[i];

		side->mine = calloc(side->policy->num_bindings + 1, sizeof(*side->mine));
		side->right.terms = calloc(side->policy->num_bindings + 1, sizeof(*side->right.terms));
		diff->out_of_memory = diff->out_of_memory || side->mine == NULL || side->right.terms == NULL;
	}
	if (!diff->out_of_memory && witnesses_collect(&diff->all, policies) == 0 &&
	    (diff->own = calloc(diff->all.num_things, sizeof(*diff->own))) != NULL)
		return diff;
	policy_diff_end(diff);
	return NULL;
}

int
policy_diff_step(struct policy_differ *diff)
{
	enum vg_permission permission;

	if (diff->permission >= VG_NUM_PERMISSIONS) {
		if (!begin_subject(diff))
			return diff->out_of_memory ? -1 : 0;
		diff->subject++;
		return 1;
	}
	permission = (enum vg_permission)diff->permission++;
	if (anything_said(&diff->sides[0], permission, diff->now) || anything_said(&diff->sides[1], permission, diff->now))
		compare_permission(diff, diff->who, permission, diff->given);
	return diff->out_of_memory ? -1 : 1;
}

void
policy_diff_end(struct policy_differ *diff)
{
	if (diff == NULL)
		return;
	for (size_t i = 0; i < 2; i++) {
		free(diff->sides[i].mine);
		free(diff->sides[i].right.terms);
	}
	free(diff->own);
	witnesses_free(&diff->all);
	free(diff);
}

int
policy_diff(const struct policy *before, const struct policy *after, time_t now, policy_change_cb *each, void *arg)
{
	struct policy_differ *diff = policy_diff_begin(before, after, now, each, arg);
	int result = diff == NULL ? -1 : 1;

	while (result > 0)
		result = policy_diff_step(diff);
	policy_diff_end(diff);
	return result;
}
