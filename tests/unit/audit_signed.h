/*
 * audit_signed.h: a gateway as in audit_gateway.h whose trail is signed by a real key file.
 */
#ifndef TESTS_UNIT_AUDIT_SIGNED_H
#define TESTS_UNIT_AUDIT_SIGNED_H

#include "tests/unit/audit_gateway.h"

#define KEY_FILE "key"		/* in the trail's directory: fixture_remove takes it along */

/* Creates it where there is none. */
int open_key(const char *dir);
/* Its teardown is teardown(). */
int setup_signed(void **state);
/* restart_writer() with the key. */
void start_signed(struct gateway *gateway);
/* So many more; they are durable then. */
void write_records(struct gateway *gateway, unsigned num);
struct audit_verdict verify(struct gateway *gateway, const struct audit_verify_options *options);
void assert_bad(const struct audit_verdict *verdict, const char *what);
/* Makes the key file say that its epoch began long ago: the next checkpoint ends it. */
void age_key(struct gateway *gateway);

#endif
