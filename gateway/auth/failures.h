/*
 * failures.h: log-ins that failed. Counted, so that who guesses is slowed down and who scans does not fill the trail; and recorded.
 *
 * Memory is fixed. What was tried (a password was wrong, a certificate refused) and what was only begun never take each other's places: whoever
 * opens connections from many addresses and says nothing makes the gateway forget nobody who guesses, nor leave him out of the trail.
 */
#ifndef AUTH_FAILURES_H
#define AUTH_FAILURES_H

#include <stdbool.h>
#include <time.h>

#include "gateway/core/audit_client.h"
#include "virtgate/identity.h"

struct failures;

#define FAILURES_ORIGIN_LEN 64	/* as an identity's address */

/* At most `most` of one kind and text within `window` seconds pass for few. NULL when memory is out. */
struct failures *failures_create(unsigned window, unsigned most);
/* NULL is fine. */
void failures_destroy(struct failures *failures);

/* Was (kind, text) tried so often in its window that one more would be too many? `now` only goes forward. */
bool failures_too_many(struct failures *failures, const char *kind, const char *text, time_t now);
/*
 * One more of (kind, text). `tried`: not only begun. False: it is one too many. Where a new window begins, *beyond is how many were too many
 * in the last one, else 0.
 */
bool failures_count(struct failures *failures, const char *kind, const char *text, bool tried, time_t now, unsigned *beyond);
/* What failures of one address are counted by: of IPv6 its first 64 bits, which one customer has. Returns `buf`. */
const char *failures_origin(const char *address, char buf[FAILURES_ORIGIN_LEN]);

/*
 * LOGIN_FAILED, with the name that was claimed. Nameless ones of one reason and origin are thinned out by `failures`, so that a port scan does
 * not fill the trail; made with the numbers below, that is five in a minute.
 */
#define FAILURES_WINDOW	60	/* seconds */
#define FAILURES_MOST	5u
void failures_record(struct failures *failures, struct audit_client *audit, const struct vg_identity *identity, const char *reason, bool tried,
    time_t now);

#endif
