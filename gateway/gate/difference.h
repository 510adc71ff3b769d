/*
 * difference.h: what a change made different. libvirtd is asked for the object's own document before the call is passed on and
 * again when it succeeded; the outcome's record has the difference. Which calls: those that need a permission to write, save or
 * delete definitions, volumes, snapshots or checkpoints. Where libvirtd cannot tell (the object is not there yet, or not any more) the document is empty.
 * Whether something starts with the host stands in no document: the calls that set it ask for that alone, before, and what they set is what is after.
 *
 * Both questions go by the connection of the inventory, as every question of a judgement. An answer that does not come in time is not
 * waited for: the outcome is recorded without it.
 */
#ifndef GATE_DIFFERENCE_H
#define GATE_DIFFERENCE_H

#include "gateway/gate/documents.h"

struct difference;

/*
 * A change that was allowed, with its arguments. True: libvirtd was asked what there is now; the call is parked, and judged again by call_looked_up().
 * False: there is nothing to ask, or it is known by now.
 */
bool difference_before(struct call *call, const struct vg_object *object, const uint8_t *body, size_t len);
/* It succeeded with this reply. True: libvirtd was asked again; reply_outcome() continues. */
bool difference_after(struct call *call, const uint8_t *reply, size_t len);
/* Is the second answer awaited? And no longer: the outcome is recorded without it. */
bool difference_awaited(const struct call *call);
void difference_give_up(struct call *call);
/* Member "diff" of an outcome, where there is a difference. */
void difference_add(const struct call *call, json_t *record);
/*
 * The question for one of an object's documents, its definition or the one of what runs: `*proc` and how long its arguments are. 0: there is no
 * such document.
 */
size_t difference_question(const struct vg_object *object, int32_t id, bool running, uint8_t *body, size_t size, const struct rpc_proc **proc);
/* The same for what `call` sets and no document says; libvirtd's answer is "yes" or "no". 0: it sets no such thing, or it cannot be asked for. */
size_t difference_toggle_question(const char *call, const struct vg_object *object, int32_t id, uint8_t *body, size_t size, const struct rpc_proc **proc);
/*
 * A document of libvirtd's as differences and digests have it, in a new allocation: without secrets, and without what was only measured. NULL: there is none,
 * it does not parse, or memory is out.
 */
char *difference_text(enum vg_class class, const char *text, size_t len, size_t *out_len);
/* Both sides whole, as far as they are known by now. */
void difference_put_documents(const struct call *call, struct documents *documents);
/*
 * The definition that a change left, when it succeeded and that is known; its object's UUID goes into `uuid`. The caller's to free, NULL: it is not known. The
 * record of the outcome has been made.
 */
char *difference_take_left(struct call *call, uint8_t uuid[VG_UUID_LEN], size_t *len);
/* NULL is fine. Questions under way are the call's to cancel. */
void difference_destroy(struct difference *difference);

#endif
