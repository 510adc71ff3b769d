/*
 * right.c: what somebody may on one object, with the conditions under which. See right.h.
 */
#include "gateway/policy/right.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/policy/texts.h"

#define CONDITION_MAX 1024

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

void
right_find(struct right *right, const struct binding *const *mine, size_t num, enum vg_permission permission, const struct vg_object *object,
    unsigned given, time_t now)
{
	struct request request = request_make(NULL, permission, object, now);
	unsigned always = 0;

	right->num = 0;
	for (size_t i = 0; i < num; i++) {
		const struct binding *binding = mine[i];
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

bool
right_same(const struct right *a, const struct right *b, unsigned given)
{
	if (a->base != b->base || a->num != b->num)
		return false;
	for (size_t i = 0; i < a->num; i++) {
		if (!has_term(b, &a->terms[i], given))
			return false;
	}
	return true;
}

int
right_how_often(const struct right *right)
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

char *
right_text(const struct right *right, unsigned given)
{
	char *text = NULL, condition[CONDITION_MAX];
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
