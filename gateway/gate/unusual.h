/*
 * unusual.h: what is worth a record of its own, of level W, beside those of single refusals: somebody who asks again and again for what
 * he does not see, and somebody who would be allowed at another hour.
 */
#ifndef GATE_UNUSUAL_H
#define GATE_UNUSUAL_H

#include "gateway/gate/gate.h"

/* So many requests of one person for what he does not see, within so many seconds, are a series; it is told once in that time. */
#define UNUSUAL_SERIES		10u
#define UNUSUAL_SECONDS		60

/*
 * He was answered `missing` ("no domain with matching name 'db-1'") about an object that he does not see, or about a name that he would
 * not see. The client cannot tell that it was noticed.
 */
void unusual_hidden(struct call *call, const char *missing);
/* Refused, or hidden, for want of `permission`: does a binding grant it at other hours? Told once a minute and person. `op` is that of the refusal, or NULL. */
void unusual_hours(struct session *session, enum vg_permission permission, const struct vg_object *object, const char *op);

#endif
