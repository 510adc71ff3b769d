/*
 * matrix_world.h: the gate in this process, without libvirtd: one session, two domains in its inventory, and a policy for
 * each built-in role on each scope.
 */
#ifndef TESTS_MATRIX_WORLD_H
#define TESTS_MATRIX_WORLD_H

#include "tests/table/matrix_expect.h"

extern struct session world_session;
extern const char *const scope_names[NUM_SCOPES];

int world_setup(void **state);
int world_teardown(void **state);
/* Who the session is from now on. */
void world_person(size_t role, enum scope scope);
/* Of somebody who may do everything on "*" but this one permission. */
void world_person_but(const char *permission, const char *part);
/* Is the hidden domain there? */
void world_hidden_domain(bool exists);

#endif
