#include "gateway/cli/audit_time.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

void
audit_time_show(const char *time, bool utc, char out[AUDIT_TIME_SHOWN])
{
	struct tm tm = { .tm_isdst = 0 }, local;
	const char *rest = strptime(time, "%Y-%m-%dT%H:%M:%S", &tm);
	time_t when = rest == NULL ? -1 : timegm(&tm);
	size_t len;

	(void)snprintf(out, AUDIT_TIME_SHOWN, "%s", time);
	if (rest == NULL)
		return;
	if (!utc && localtime_r(&when, &local) != NULL)
		tm = local;
	len = strftime(out, AUDIT_TIME_SHOWN, "%Y-%m-%d %H:%M:%S", &tm);
	if (len > 0)
		(void)snprintf(out + len, AUDIT_TIME_SHOWN - len, "%.4s", rest);	/* to milliseconds */
}

bool
audit_time_read(const char *text, bool utc, bool end, char out[AUDIT_MATCH_TIME])
{
	size_t len = strlen(text);
	struct tm tm = { .tm_mday = 1, .tm_hour = end ? 23 : 0, .tm_min = end ? 59 : 0, .tm_sec = end ? 59 : 0, .tm_isdst = -1 };
	time_t when;

	if (!audit_match_time(text, out))
		return false;
	/* So long ago is the same everywhere. */
	if (utc || len < 10 || text[len - 1] == 'Z' || sscanf(out, "%4d-%2d-%2dT%2d:%2d:%2d", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour, &tm.tm_min,
	    &tm.tm_sec) < 3 || strchr("smhd", text[len - 1]) != NULL)
		return true;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	when = mktime(&tm);
	return gmtime_r(&when, &tm) != NULL && strftime(out, AUDIT_MATCH_TIME, "%Y-%m-%dT%H:%M:%S", &tm) > 0;
}
