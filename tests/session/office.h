/*
 * office.h: the harness with an office in it: alice operates the guests web-*, root may everything, bob looks.
 */
#ifndef TESTS_SESSION_OFFICE_H
#define TESTS_SESSION_OFFICE_H

#include "tests/session/harness.h"

extern const char office_policy[];

/* Of every test. */
int setup(void **state);
int teardown(void **state);
/* A session of qemu:///system. */
int open_as(const char *user);
/* Of a call that takes a domain alone. */
void domain_call(int fd, const char *proc, uint32_t serial, const char *name, const uint8_t *uuid, int32_t id, struct message *answer);
/* The session goes on as it should. */
void expect_info_works(int fd, uint32_t serial);

#endif
