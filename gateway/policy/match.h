/*
 * match.h: does a binding apply to a request? Private to this folder. Where something is not known (a name, a UUID, an
 * address), the caller says which way the doubt falls: an allow needs certainty, a deny does not.
 */
#ifndef POLICY_MATCH_H
#define POLICY_MATCH_H

#include "gateway/policy/compiled.h"

enum finding {
	APPLIES,
	NOT_WHO,	/* about somebody else */
	NOT_PROOF,	/* not proven what it asks for */
	NOT_FROM,	/* another network */
	ENDED,		/* its time is over */
	NOT_NOW,	/* outside its hours */
	NOT_ON		/* other objects */
};

/* Texts of an identity that globs are matched against. */
enum request_text { TEXT_SASL, TEXT_DN, TEXT_CN, TEXT_SHA256, TEXT_UNIX, NUM_TEXTS };

/* One question; made by request_make. */
struct request {
	const struct vg_identity *identity;	/* NULL: whoever */
	enum vg_permission permission;
	enum vg_class class;			/* of the permission */
	const struct vg_object *object;		/* NULL: any of that class */
	bool who_is_known;			/* only bindings about him are asked */
	bool host;				/* the class has no objects */
	bool whole;				/* any object of the class */
	uint64_t name_pairs, parent_pairs;	/* of the object, see pairs.h; all bits where the text is not known */
	time_t now;

	/* Worked out when first asked for. */
	unsigned pairs_read;			/* set of enum request_text: those of pairs[] that are filled */
	uint64_t pairs[NUM_TEXTS];
	enum { ADDRESS_NOT_READ, ADDRESS_NONE, ADDRESS_BAD, ADDRESS_GOOD } address_state;
	struct network address;
	enum { MINUTE_NOT_READ, MINUTE_BAD, MINUTE_GOOD } minute_state;
	unsigned minute;			/* of the week */
};

struct request request_make(const struct vg_identity *identity, enum vg_permission permission,
    const struct vg_object *object, time_t now);

/* Everything but the objects and the hours: what stays as it is while a session lasts (but for `until`). */
enum finding binding_is_about(const struct binding *binding, struct request *request, bool doubt);
/* The hours. */
bool binding_is_now(const struct binding *binding, struct request *request, bool doubt);
/* The objects. */
bool binding_covers(const struct binding *binding, const struct request *request, bool doubt);
/* Does it cover any object of this class? */
bool binding_covers_some(const struct binding *binding, enum vg_class class);
/* All of the above; the cheapest and most often failing first. */
bool binding_applies(const struct binding *binding, struct request *request, bool doubt);
/* The same, told: the first that does not hold, in the order in which people ask. */
enum finding binding_look(const struct binding *binding, struct request *request, bool doubt);

#endif
