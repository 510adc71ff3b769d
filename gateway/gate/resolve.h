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
/* The arguments are not what the protocol says: the session ends. */
enum decide_verdict resolve_malformed(struct judgement *judgement, const char *what);

/*
 * ask.c. The answer of the call's question number `index` to libvirtd: an object, the volume at a path, or the `xml` that `proc` answers. NULL
 * when it was only now asked (DECIDE_WAIT: the call is judged again from its beginning once it is there), or cannot be.
 */
const struct looked_up *resolve_look_up(struct call *call, struct judgement *judgement, unsigned *index, enum vg_class class,
    const uint8_t *uuid, const char *name);
const struct looked_up *resolve_path(struct call *call, struct judgement *judgement, unsigned *index, const char *path);
const struct looked_up *resolve_document(struct call *call, struct judgement *judgement, unsigned *index, const char *proc, const void *body,
    size_t len);
/* A domain as a question has it. */
void resolve_put_domain(struct xdr_out *out, const char *name, const uint8_t uuid[VG_UUID_LEN], int32_t id);
/* The argument at `path`; of an optional one its value. False: it is not there. */
bool resolve_span(const struct call *call, const uint8_t *body, size_t len, const char *path, struct xdr_span *span);
bool resolve_sees(struct session *session, const struct vg_object *object);

/* decide.c's: not permitted. */
enum decide_verdict decide_deny(struct judgement *judgement, enum vg_permission permission, const struct vg_object *object,
    struct decision decision, const char *why);
/* decide.c's: refused by a rule on its content, whatever is permitted. */
enum decide_verdict decide_refuse(struct judgement *judgement, const char *rule, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
