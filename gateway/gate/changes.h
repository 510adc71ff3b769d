/*
 * changes.h: who gains and loses what when a reload brings another policy: told in the log and the audit trail. Comparing may take seconds, so a thread
 * does it; policies do not change once they are loaded. One comparison at a time: reloads that come meanwhile are told together, afterwards.
 */
#ifndef GATE_CHANGES_H
#define GATE_CHANGES_H

struct gate;
struct policy;
struct changes;

struct changes *changes_create(struct gate *gate);
/* gate->policy has taken the place of `before`, which is freed here when it is no longer needed. */
void changes_tell(struct changes *changes, struct policy *before);
/* Waits for a comparison under way; call it before gate->policy is freed. */
void changes_destroy(struct changes *changes);

#endif
