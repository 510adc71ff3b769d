/*
 * resolve.h: the objects of a call, between decide.c, which asks for permissions, and resolve.c, which finds them.
 *
 * Each of the three steps answers DECIDE_ALLOW to go on; anything else is the end and stands in the judgement too.
 * `index` counts the look-ups of the call: the next one's slot.
 */
#ifndef GATE_RESOLVE_H
#define GATE_RESOLVE_H

#include "gateway/gate/gate.h"

enum decide_verdict resolve_about(struct call *call, struct judgement *judgement, unsigned *index, const uint8_t *body, size_t len);
enum decide_verdict resolve_parent(struct call *call, struct judgement *judgement, unsigned *index, const uint8_t *body, size_t len);
enum decide_verdict resolve_others(struct call *call, struct judgement *judgement, unsigned *index, const uint8_t *body, size_t len);
/* The answer about an object that he may not see: as for one that is not there, and as fast. */
enum decide_verdict resolve_hide(struct call *call, struct judgement *judgement, unsigned *index, const struct vg_object *object);
bool resolve_sees(struct session *session, const struct vg_object *object);
/* The permission that makes an object of this class visible; VG_PERM_NONE for classes without objects. */
enum vg_permission resolve_getattr(enum vg_class class);
/* "storage volume"; NULL for classes without objects. */
const char *resolve_noun(enum vg_class class);

/* decide.c's: not permitted. */
enum decide_verdict decide_deny(struct judgement *judgement, enum vg_permission permission, const struct vg_object *object,
    struct decision decision, const char *why);

#endif
