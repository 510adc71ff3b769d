/*
 * diff.c: two policies side by side. See diff.h.
 */
#include <stdlib.h>
#include <string.h>

#include "gateway/policy/diff.h"
#include "gateway/policy/texts.h"
#include "gateway/policy/weigh.h"

#define TEXT_MAX 1024
#define MOST_EXCEPTIONS 20
#define NOBODY "\001\001\001\001\001\001\001"	/* stands for what only a '*' matches; no name has it */

static const uint8_t no_uuid[VG_UUID_LEN] = { 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 };

/* Something that is asked about: one object that a pattern matches. */
struct thing {
	struct pattern pattern;
	struct vg_object object;
	char *label;
	char *was, *now;	/* while one permission is looked at: texts of what changed, NULL: nothing did */
	enum policy_direction direction;
};

/* A condition is NULL when it always holds. */
struct term {
	enum effect effect;
	const struct when *when;
};

/* What somebody may: `base` always, but for the terms. */
struct right {
	enum effect base;	/* EFFECT_NONE: no; EFFECT_ALLOW; EFFECT_SOFT_NONE: let through and recorded */
	struct term *terms;
	size_t num;
};

/* One policy as one person meets it. */
struct side {
	const struct policy *policy;
	const struct binding **mine;	/* about him, conditions aside */
	size_t num_mine;
	struct right right;
};

struct policy_differ {
	struct side sides[2];
	struct who *subjects;
	size_t num_subjects;
	struct thing *things;
	size_t num_things;
	struct thing **own;		/* those that a pattern of this person's bindings tells from the rest of their class */
	size_t num_own;
	struct arena arena;		/* labels and names */
	time_t now;
	policy_change_cb *each;
	void *arg;
	/* where it stands */
	size_t subject;			/* the next one */
	unsigned permission;		/* of the one before it the next; VG_NUM_PERMISSIONS: he is done */
	char who[TEXT_MAX];
	unsigned given;			/* proofs */
	bool out_of_memory;
};

/* ---- whom and what to ask about ---- */

/* A text that the glob matches, and hardly a narrower one. */
static char *
witness(struct policy_differ *diff, const char *glob)
{
	size_t stars = 0;
	char *text, *out;

	for (const char *c = glob; *c != '\0'; c++)
		stars += *c == '*';
	text = out = arena_alloc(&diff->arena, strlen(glob) + stars * strlen(NOBODY) + 1);
	if (text == NULL) {
		diff->out_of_memory = true;
		return NULL;
	}
	for (const char *c = glob; *c != '\0'; c++) {
		if (*c == '*') {
			memcpy(out, NOBODY, strlen(NOBODY));
			out += strlen(NOBODY);
		} else {
			*out++ = *c == '?' ? NOBODY[0] : *c;
		}
	}
	return text;
}

static int
compare_who(const void *a, const void *b)
{
	const struct who *x = a, *y = b;

	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	return strcmp(x->text != NULL ? x->text : "", y->text != NULL ? y->text : "");
}

static int
collect_subjects(struct policy_differ *diff)
{
	size_t num = 0, kept = 0;

	for (size_t side = 0; side < 2; side++)
		for (size_t i = 0; i < diff->sides[side].policy->num_bindings; i++)
			num += diff->sides[side].policy->bindings[i].num_who;
	diff->subjects = calloc(num + 1, sizeof(*diff->subjects));
	if (diff->subjects == NULL)
		return -1;
	num = 0;
	for (size_t side = 0; side < 2; side++) {
		for (size_t i = 0; i < diff->sides[side].policy->num_bindings; i++) {
			const struct binding *binding = &diff->sides[side].policy->bindings[i];

			if (binding->num_who > 0)
				memcpy(diff->subjects + num, binding->who, binding->num_who * sizeof(*binding->who));
			num += binding->num_who;
		}
	}
	qsort(diff->subjects, num, sizeof(*diff->subjects), compare_who);
	for (size_t i = 0; i < num; i++) {
		if (kept == 0 || compare_who(&diff->subjects[kept - 1], &diff->subjects[i]) != 0)
			diff->subjects[kept++] = diff->subjects[i];
	}
	diff->num_subjects = kept;
	return 0;
}

static int
compare_pattern(const struct pattern *a, const struct pattern *b)
{
	int order;

	if (a->class != b->class || a->kind != b->kind)
		return a->class != b->class ? (a->class < b->class ? -1 : 1) : (a->kind < b->kind ? -1 : 1);
	if (a->kind == PATTERN_UUID)
		return memcmp(a->uuid, b->uuid, VG_UUID_LEN);
	order = strcmp(a->parent != NULL ? a->parent : "", b->parent != NULL ? b->parent : "");
	return order != 0 || a->kind == PATTERN_ALL ? order : strcmp(a->name, b->name);
}

static int
compare_things(const void *a, const void *b)
{
	const struct thing *x = a, *y = b;

	if (x->object.class != y->object.class)
		return x->object.class < y->object.class ? -1 : 1;
	return compare_pattern(&x->pattern, &y->pattern);
}

/* An object of `class` that the pattern, of this class or of the parent's, covers. */
static void
fill_thing(struct policy_differ *diff, struct thing *thing, const struct pattern *pattern, enum vg_class class)
{
	struct vg_object *object = &thing->object;
	bool itself = pattern->class == class;
	char text[TEXT_MAX], label[TEXT_MAX + 64];

	thing->pattern = *pattern;
	*object = (struct vg_object){ .class = class, .has_uuid = true, .name = NOBODY,
		.parent = class_parent(class) != VG_CLASS_none ? NOBODY : NULL,
		.has_parent_uuid = class_parent(class) != VG_CLASS_none };
	memcpy(object->uuid, no_uuid, VG_UUID_LEN);
	memcpy(object->parent_uuid, no_uuid, VG_UUID_LEN);
	if (pattern->kind == PATTERN_UUID)
		memcpy(itself ? object->uuid : object->parent_uuid, pattern->uuid, VG_UUID_LEN);
	if (pattern->kind == PATTERN_NAME && itself)
		object->name = witness(diff, pattern->name);
	if (pattern->kind == PATTERN_NAME && (!itself || pattern->parent != NULL))
		object->parent = witness(diff, itself ? pattern->parent : pattern->name);
	pattern_text(pattern, text, sizeof(text));
	if (pattern->kind == PATTERN_ALL)
		snprintf(label, sizeof(label), "*");	/* the permission says of which class */
	else if (!itself && pattern->kind == PATTERN_NAME)
		snprintf(label, sizeof(label), "%s:%.*s/*", class_name(class), TEXT_MAX, pattern->name);
	else
		snprintf(label, sizeof(label), "%s%s%s", itself ? "" : class_name(class), itself ? "" : " in ", text);
	thing->label = arena_text(&diff->arena, label, strlen(label));
	diff->out_of_memory = diff->out_of_memory || thing->label == NULL;
}

/* The pattern, and for a pool or network also what is in it. */
static size_t
add_things(struct policy_differ *diff, size_t num, const struct pattern *pattern)
{
	for (unsigned class = VG_CLASS_none + 1; class < VG_NUM_CLASSES; class++) {
		if (pattern->class == (enum vg_class)class || (class_parent((enum vg_class)class) == pattern->class &&
		    pattern->kind != PATTERN_ALL && pattern->class != VG_CLASS_none))
			fill_thing(diff, &diff->things[num++], pattern, (enum vg_class)class);
	}
	return num;
}

/* Every class as a whole, and every pattern that is not. */
static int
collect_things(struct policy_differ *diff)
{
	size_t num = VG_NUM_CLASSES, kept = 0;

	for (size_t side = 0; side < 2; side++)
		for (size_t i = 0; i < diff->sides[side].policy->num_bindings; i++)
			num += 2 * diff->sides[side].policy->bindings[i].num_on;
	diff->things = calloc(num, sizeof(*diff->things));
	diff->own = calloc(num, sizeof(*diff->own));
	if (diff->things == NULL || diff->own == NULL)
		return -1;
	num = 0;
	for (unsigned class = VG_CLASS_none + 1; class < VG_NUM_CLASSES; class++) {
		if (!class_is_host((enum vg_class)class))
			num = add_things(diff, num, &(struct pattern){ .class = (enum vg_class)class, .kind = PATTERN_ALL });
	}
	for (size_t side = 0; side < 2; side++) {
		for (size_t i = 0; i < diff->sides[side].policy->num_bindings; i++) {
			const struct binding *binding = &diff->sides[side].policy->bindings[i];

			for (size_t j = 0; j < binding->num_on; j++) {
				if (binding->on[j].kind != PATTERN_ALL)
					num = add_things(diff, num, &binding->on[j]);
			}
		}
	}
	qsort(diff->things, num, sizeof(*diff->things), compare_things);
	for (size_t i = 0; i < num; i++) {
		if (kept == 0 || compare_things(&diff->things[kept - 1], &diff->things[i]) != 0)
			diff->things[kept++] = diff->things[i];
	}
	diff->num_things = kept;
	return diff->out_of_memory ? -1 : 0;
}

/* Somebody whom this text means. */
static void
make_identity(struct policy_differ *diff, const struct who *who, struct vg_identity *identity)
{
	char *text = who->text != NULL ? witness(diff, who->text) : NULL;
	const char *cn;
	size_t len;

	*identity = (struct vg_identity){ .proofs = VG_PROOF_X509 };
	switch (who->kind) {
	case WHO_SASL:
		identity->proofs = VG_PROOF_SASL;
		identity->sasl_name = text;
		break;
	case WHO_UNIX:
		identity->proofs = VG_PROOF_UNIX;
		identity->unix_user = text;
		break;
	case WHO_UNIX_GROUP:
		identity->proofs = VG_PROOF_UNIX;
		identity->unix_groups[identity->num_unix_groups++] = text;
		break;
	case WHO_X509:
		identity->x509_dn = text;
		len = text != NULL && strpbrk(who->text, "*?") == NULL ? policy_dn_cn(text, &cn) : 0;
		if (len > 0)
			identity->x509_cn = arena_text(&diff->arena, cn, len);
		break;
	case WHO_X509_CN:
		identity->x509_cn = text;
		break;
	case WHO_X509_SHA256:
		identity->x509_sha256 = text;
		break;
	case WHO_X509_SAN:
		identity->x509_sans[identity->num_x509_sans++] = text;
		break;
	case WHO_ANYONE:
	case WHO_GROUP:
		break;
	}
}

/* ---- what somebody may ---- */

/* Proofs that the person has given by being who he is; of anyone none is known. */
static unsigned
given_proofs(const struct who *who, const struct vg_identity *identity)
{
	return who->kind == WHO_ANYONE ? 0 : identity->proofs;
}

static bool
always_holds(const struct when *when, unsigned given)
{
	return (when->proofs & ~given) == 0 && when->num_from == 0 && when->week == NULL && !when->ends;
}

static bool
same_condition(const struct when *a, const struct when *b, unsigned given)
{
	if (a == NULL || b == NULL)
		return a == b;
	if ((a->proofs & ~given) != (b->proofs & ~given) || a->num_from != b->num_from || a->ends != b->ends ||
	    (a->ends && a->until != b->until) || (a->week == NULL) != (b->week == NULL) ||
	    (a->week != NULL && memcmp(a->week, b->week, WEEK_MINUTES / 8) != 0))
		return false;
	for (size_t i = 0; i < a->num_from; i++) {
		const struct network *x = &a->from[i], *y = &b->from[i];

		if (x->family != y->family || x->prefix != y->prefix ||
		    memcmp(x->bytes, y->bytes, x->family == AF_INET ? 4 : 16) != 0)
			return false;
	}
	return true;
}

static bool
has_term(const struct right *right, const struct term *term, unsigned given)
{
	for (size_t i = 0; i < right->num; i++) {
		if (right->terms[i].effect == term->effect && same_condition(right->terms[i].when, term->when, given))
			return true;
	}
	return false;
}

static void
keep_terms(struct right *right, unsigned effects)
{
	size_t kept = 0;

	for (size_t i = 0; i < right->num; i++) {
		if ((effects >> right->terms[i].effect & 1) != 0)
			right->terms[kept++] = right->terms[i];
	}
	right->num = kept;
}

/* Leaves out what the order of precedence (policy.h) makes idle. `always`: a set of effects. */
static void
reduce(struct right *right, unsigned always)
{
	const unsigned deny = 1u << EFFECT_DENY, soft_deny = 1u << EFFECT_SOFT_DENY, allow = 1u << EFFECT_ALLOW,
	    soft_none = 1u << EFFECT_SOFT_NONE;
	unsigned some = 0;

	right->base = EFFECT_NONE;
	if ((always & deny) != 0) {
		keep_terms(right, 0);
	} else if ((always & soft_deny) != 0) {
		right->base = EFFECT_SOFT_NONE;
		keep_terms(right, deny);
	} else if ((always & allow) != 0) {
		right->base = EFFECT_ALLOW;
		keep_terms(right, deny | soft_deny);
	} else {
		if ((always & soft_none) != 0) {
			right->base = EFFECT_SOFT_NONE;
			keep_terms(right, deny | soft_deny | allow);
		}
		for (size_t i = 0; i < right->num; i++)
			some |= 1u << right->terms[i].effect;
		if (right->base != EFFECT_NONE && (some & allow) == 0)
			keep_terms(right, deny);
		else if (right->base == EFFECT_NONE && (some & ~deny) == 0)
			keep_terms(right, 0);
	}
}

static void
find_right(struct side *side, enum vg_permission permission, const struct vg_object *object, unsigned given, time_t now)
{
	struct request request = request_make(NULL, permission, object, now);
	struct right *right = &side->right;
	unsigned always = 0;

	right->num = 0;
	for (size_t i = 0; i < side->num_mine; i++) {
		const struct binding *binding = side->mine[i];
		struct term term = { binding_effect(binding, &request), &binding->when };

		if (term.effect == EFFECT_NONE || !binding_covers(binding, &request, false))
			continue;
		if (always_holds(term.when, given))
			always |= 1u << term.effect;
		else if (!has_term(right, &term, given))
			right->terms[right->num++] = term;
	}
	reduce(right, always);
}

static bool
same_right(const struct right *a, const struct right *b, unsigned given)
{
	if (a->base != b->base || a->num != b->num)
		return false;
	for (size_t i = 0; i < a->num; i++) {
		if (!has_term(b, &a->terms[i], given))
			return false;
	}
	return true;
}

/* 0 never, 1 sometimes, 2 always. */
static int
how_often(const struct right *right)
{
	if (right->base == EFFECT_NONE)
		return right->num > 0 ? 1 : 0;
	for (size_t i = 0; i < right->num; i++) {
		if (right->terms[i].effect == EFFECT_DENY)
			return 1;
	}
	return 2;
}

static const char *
effect_word(enum effect effect)
{
	return effect == EFFECT_DENY ? "deny" : effect == EFFECT_ALLOW ? "allow" : "would-deny";
}

static char *
right_text(const struct right *right, unsigned given)
{
	char *text = NULL, condition[TEXT_MAX];
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	if (out == NULL)
		return NULL;
	if (right->base != EFFECT_NONE || right->num == 0)
		fprintf(out, "%s", right->base == EFFECT_NONE ? "no" : effect_word(right->base));
	for (size_t i = 0; i < right->num; i++) {
		conditions_text(right->terms[i].when, given, condition, sizeof(condition));
		fprintf(out, "%s%s (%s)", i > 0 || right->base != EFFECT_NONE ? ", " : "",
		    effect_word(right->terms[i].effect), condition);
	}
	if (fclose(out) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

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
	for (size_t i = 0; i < diff->num_things; i++) {
		struct thing *thing = &diff->things[i];

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

	for (size_t side = 0; side < 2; side++)
		find_right(&diff->sides[side], permission, &thing->object, given, diff->now);
	if (same_right(before, after, given))
		return;
	was = how_often(before);
	now = how_often(after);
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

/* The next of whom anything is said. False: there are no more. */
static bool
begin_subject(struct policy_differ *diff)
{
	while (diff->subject < diff->num_subjects && !diff->out_of_memory) {
		const struct who *who = &diff->subjects[diff->subject];
		struct vg_identity identity;
		int some = 0;

		make_identity(diff, who, &identity);
		if (diff->out_of_memory)
			break;
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
	if (!diff->out_of_memory && collect_subjects(diff) == 0 && collect_things(diff) == 0)
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
	free(diff->subjects);
	free(diff->things);
	free(diff->own);
	arena_free(&diff->arena);
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
