/*
 * audit_time.h: times for people. Records have UTC; a person reads and writes the time of his own zone (TZ), unless he says --utc.
 */
#ifndef CLI_AUDIT_TIME_H
#define CLI_AUDIT_TIME_H

#include <stdbool.h>

#include "gateway/audit/match.h"

#define AUDIT_TIME_SHOWN 32

/* "2026-11-23T19:50:12.123456Z" as "2026-11-23 19:50:12.123" of the reader's zone or UTC; what is no time stays as it is. */
void audit_time_show(const char *time, bool utc, char out[AUDIT_TIME_SHOWN]);
/*
 * What --since or --until takes, as audit_match_time() has it. A moment without Z is one of the reader's zone, unless `utc`; of what is left out (a day
 * without a time) it is the first second, or with `end` the last.
 */
bool audit_time_read(const char *text, bool utc, bool end, char out[AUDIT_MATCH_TIME]);

#endif
