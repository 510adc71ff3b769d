/*
 * match.h: which records somebody looks for, on the command line or in the browser.
 */
#ifndef AUDIT_MATCH_H
#define AUDIT_MATCH_H

#include <stdbool.h>

#include "gateway/audit/fields.h"
#include "virtgate/result.h"

#define AUDIT_MATCH_TIME 32

struct audit_match {
	const char *user, *object, *code, *event, *call, *result, *stage;	/* globs; NULL: any */
	char since[AUDIT_MATCH_TIME], until[AUDIT_MATCH_TIME];			/* beginnings of record times; empty: any */
};

/*
 * "2026-11-23", "2026-11-23T19:50:12", "2026-11-23 19:50" (UTC), or so long ago: "90s", "15m", "2h", "7d". False: it is none of these.
 */
bool audit_match_time(const char *text, char out[AUDIT_MATCH_TIME]);
/* The words that `result` and `stage` may be; NULL ends them. */
extern const char *const audit_match_results[], *const audit_match_stages[];

/* Does it leave anything out? What does not is faster read from one end to the other than by an index. */
bool audit_match_is_narrow(const struct audit_match *match);

bool audit_match(const struct audit_match *match, const struct audit_fields *record);

#endif
