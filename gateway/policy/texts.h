/*
 * texts.h: parts of a policy as people write them. Private to this folder.
 */
#ifndef POLICY_TEXTS_H
#define POLICY_TEXTS_H

#include "gateway/policy/compiled.h"

/* "from 10.0.0.0/8; hours Mon-Fri 08:00-18:00; until …", or "". Proofs of the set `given` are taken as given. */
void conditions_text(const struct when *when, unsigned given, char *buf, size_t size);
/* "sasl:alice", "anyone". */
void who_text(const struct who *who, char *buf, size_t size);
/* "domain:web-*", "storage_vol:POOL/NAME", "CLASS:uuid:UUID", "CLASS:*", "*". */
void pattern_text(const struct pattern *pattern, char *buf, size_t size);

#endif
