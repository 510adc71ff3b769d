/*
 * matrix_body.h: a valid call of every procedure, made from the table's description of its fields. Object structs name
 * one of the things of a small world in which each class has one granted and one hidden object.
 */
#ifndef TESTS_MATRIX_BODY_H
#define TESTS_MATRIX_BODY_H

#include "gateway/gate/gate.h"

#define GRANTED_NAME "web-1"
#define HIDDEN_NAME "db-1"
/* What the world knows of a hidden secret, and no client says. */
#define HIDDEN_USAGE "hidden-usage"
/* Both domains run. */
#define GRANTED_ID 1
#define HIDDEN_ID 2

enum variant {
	THE_GRANTED,		/* web-1, which exists */
	THE_HIDDEN,		/* db-1, which exists */
	THE_ABSENT,		/* db-1 in a world without it: the same bytes */
	THE_FORGED,		/* the UUID of db-1 under the name web-1 */
	THE_FORGED_ABSENT,	/* the same bytes in a world without db-1 */
	NUM_VARIANTS
};

#define BODY_MAX_OBJECTS 3
#define BODY_MAX_LOOKUPS 3

struct body {
	const char *flag_arg;		/* argument that gets `flags` */
	uint64_t flags;			/* its upper half only where the argument has 64 bits */
	uint32_t number;		/* every other number but flags */
	const char *(*text)(const char *field);	/* what a string of that name is; NULL, or where it gives NULL, as `key` says */
	bool optionals;			/* are optional values there? */
	bool no_items;			/* arrays are empty; otherwise they have num_items, or one */
	size_t num_items;
	enum variant variants[BODY_MAX_OBJECTS];	/* of the object structs in order; the last one goes on */
	enum variant key;		/* of names and keys outside of object structs */
	const char *xml;		/* every XML document */

	uint8_t data[8192];
	size_t len;
	struct { enum vg_class class; enum variant variant; bool in_array; } objects[BODY_MAX_OBJECTS];	/* what was put */
	size_t num_objects;
	struct looked_up lookups[BODY_MAX_LOOKUPS];	/* the answers that libvirtd would give, in order */
	unsigned num_lookups;
};

bool variant_exists(enum variant variant);
/* The class and UUID of which an object struct type is; VG_CLASS_none when it is no object. */
enum vg_class object_class(const struct xdr_type *type);
void object_uuid(enum vg_class class, bool hidden, uint8_t uuid[VG_UUID_LEN]);
/* A harmless document of the kind that a procedure of this name takes. */
const char *xml_of(const char *proc);
/* Encodes the fields. False: something does not fit. */
bool body_build(struct body *body, const struct xdr_field *fields);

#endif
