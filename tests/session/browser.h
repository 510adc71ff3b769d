/*
 * browser.h: sessions of the web front with a gate process of their own (harness.h). Of the policy: alice runs web-*, and would be an admin with a certificate;
 * root may all; bob sees all; carol is an auditor.
 */
#ifndef TESTS_SESSION_BROWSER_H
#define TESTS_SESSION_BROWSER_H

#include "tests/session/harness.h"

extern const char browser_policy[];

/* cmocka's, around each test. */
int browser_setup(void **state);
int browser_teardown(void **state);
/* A session of this person, open. */
int browser_open(const char *user);
/* Asks, and is refused with this code and a message with `text` in it. */
void browser_expect_refused(int fd, uint32_t serial, const char *question, int code, const char *text);
/* The next message that is no event: a reload tells browsers that rights may have changed. False: the session ended. */
bool browser_receive(int fd, struct message *answer);
/* A member that is a text, or "(none)". */
const char *browser_text(const json_t *json, const char *key);

/* What the gate says of one permission on a domain: by its name, its UUID (16 bytes), or both; NULL for what is not said. */
bool browser_may(int fd, uint32_t serial, const char *name, const uint8_t *uuid, const char *permission);

#endif
