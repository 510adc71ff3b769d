/*
 * audit_fixture.h: a trail in a directory of its own, for the tests of the audit process.
 */
#ifndef TESTS_UNIT_AUDIT_FIXTURE_H
#define TESTS_UNIT_AUDIT_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <event2/event.h>
#include <jansson.h>

#include "gateway/audit/reader.h"
#include "gateway/audit/writer.h"
#include "gateway/core/audit_client.h"

/* A new empty directory; the same text is passed to fixture_remove. */
char *fixture_dir(void);
void fixture_remove(char *dir);
/* "DIR/NAME"; static. */
const char *fixture_path(const char *dir, const char *name);
/* Whole content with a terminator; freed by the caller. */
char *fixture_read(const char *dir, const char *name, size_t *len);
void fixture_write(const char *dir, const char *name, const char *text, size_t len);
/* Has the file that is open as `fd` this in its path? */
bool fixture_fd_is(int fd, const char *name);

struct event_base *fixture_base(void);
/* Turns the loop until `*number` is at least `want`; false when that took more than 20 s. */
bool fixture_until(struct event_base *base, const unsigned *number, unsigned want);
bool fixture_until_true(struct event_base *base, bool (*condition)(void *arg), void *arg);

/* A record of a call with a fixed op (26 characters). */
json_t *fixture_record(const char *stage, const char *op);
void fixture_op(char op[27], char kind, unsigned number);

/* All records of the trail, parsed, as an array; and the verdict of verify, which must be readable. */
json_t *fixture_records(const char *dir);
struct audit_verdict fixture_verify(const char *dir);
/* How many records have this op and stage (NULL: any)? */
unsigned fixture_count(json_t *records, const char *op, const char *stage);

#endif
