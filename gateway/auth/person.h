/*
 * person.h: rules on names that every way in has: who of those with a proven name may come in at all, and whether two proofs are one
 * person's.
 */
#ifndef AUTH_PERSON_H
#define AUTH_PERSON_H

#include <stdbool.h>

#include "gateway/core/settings.h"
#include "virtgate/identity.h"

/* Does one of the globs match? A list that is not set allows everybody, an empty one nobody. */
bool person_is_allowed(const struct settings_list *list, const char *name);
/*
 * Do the certificate and the SASL name `name` belong to one person? Otherwise who holds one's certificate and another's password
 * would have the rights of both.
 */
bool person_is_one(const struct vg_identity *identity, const char *name);

#endif
