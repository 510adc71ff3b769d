/*
 * right.h: what somebody may on one object, as one permission's bindings about him say it: reduced, so that two policies are compared by what
 * they come to and not by how they are written. Private to this folder.
 *
 * `given` are proofs that he has given by being who he is: a condition that asks for no other holds.
 */
#ifndef POLICY_RIGHT_H
#define POLICY_RIGHT_H

#include "gateway/policy/weigh.h"

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

/* `right->terms` has room for `num`. Of `mine`, bindings about him, those that cover the object count. */
void right_find(struct right *right, const struct binding *const *mine, size_t num, enum vg_permission permission, const struct vg_object *object,
    unsigned given, time_t now);
bool right_same(const struct right *a, const struct right *b, unsigned given);
/* 0 never, 1 sometimes, 2 always. */
int right_how_often(const struct right *right);
/* "allow, deny (hours 22:00-06:00)"; freed by the caller, NULL when memory is out. */
char *right_text(const struct right *right, unsigned given);

#endif
