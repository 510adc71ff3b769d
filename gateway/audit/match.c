/*
 * match.c: which records somebody looks for.
 */
#include "gateway/audit/match.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "virtgate/glob.h"

const char *const audit_match_results[] = { "ok", "error", "denied", "unknown", "would-deny", NULL };
const char *const audit_match_stages[] = { "intent", "outcome", "event", NULL };

/* ---- times ---- */

/* "90s", "15m", "2h", "7d": so long ago. */
static bool
read_ago(const char *text, char out[AUDIT_MATCH_TIME])
{
	static const struct { char unit; long seconds; } units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 } };
	char *end;
	long number = strtol(text, &end, 10);
	time_t when = time(NULL);
	struct tm tm;

	if (text[0] < '0' || text[0] > '9' || number > 1000000 || end[0] == '\0' || end[1] != '\0')
		return false;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (units[i].unit != end[0])
			continue;
		when -= number * units[i].seconds;
		return gmtime_r(&when, &tm) != NULL && strftime(out, AUDIT_MATCH_TIME, "%Y-%m-%dT%H:%M:%S", &tm) > 0;
	}
	return false;
}

/* Is there such a day, and such a time as far as it is told in whole? */
static bool
exists(const char *text)
{
	int year, month, day, hour = 0, minute = 0, second = 0;
	struct tm tm;

	if (sscanf(text, "%4d-%2d-%2d%*1[T ]%2d:%2d:%2d", &year, &month, &day, &hour, &minute, &second) < 3)
		return false;
	tm = (struct tm){ .tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day };
	(void)timegm(&tm);		/* makes another day of one that there is not */
	return tm.tm_mon == month - 1 && tm.tm_mday == day && hour < 24 && minute < 60 && second < 61;
}

/* The beginning of 2026-11-23T19:50:12.123456Z, at least the day; a blank may stand for the T. */
static bool
read_moment(const char *text, char out[AUDIT_MATCH_TIME])
{
	static const char shape[] = "0000-00-00T00:00:00.000000Z";
	size_t len = strlen(text);

	if (len < 10 || len > sizeof(shape) - 1)
		return false;
	for (size_t i = 0; i < len; i++) {
		bool digit = text[i] >= '0' && text[i] <= '9';

		if (shape[i] == '0' ? !digit : text[i] != shape[i] && !(shape[i] == 'T' && text[i] == ' ') &&
		    !(text[i] == 'Z' && i == len - 1))
			return false;
	}
	if (!exists(text))
		return false;
	(void)snprintf(out, AUDIT_MATCH_TIME, "%s", text);
	if (len > 10)
		out[10] = 'T';
	if (out[len - 1] == 'Z')
		out[len - 1] = '\0';
	return true;
}

bool
audit_match_time(const char *text, char out[AUDIT_MATCH_TIME])
{
	return read_moment(text, out) || read_ago(text, out);
}

/* ---- records ---- */

static bool
glob_or_any(const char *pattern, const char *text)
{
	return pattern == NULL || glob_match(pattern, text);
}

/* NAME, or as a policy writes it: sasl:NAME, x509:DN, unix:USER. The fields of a person: his name, and what proved it. */
static bool
match_person(const char *pattern, const char *name, const char *sasl, const char *x509, const char *unix_name)
{
	const struct { const char *kind, *text; } proofs[] = { { "sasl:", sasl }, { "x509:", x509 }, { "unix:", unix_name } };

	if (glob_match(pattern, name))
		return true;
	for (size_t i = 0; i < sizeof(proofs) / sizeof(proofs[0]); i++) {
		size_t len = strlen(proofs[i].kind);

		if (*proofs[i].text == '\0')
			continue;
		if (glob_match(pattern, proofs[i].text))
			return true;
		if (strncmp(pattern, proofs[i].kind, len) == 0 && glob_match(pattern + len, proofs[i].text))
			return true;
	}
	return false;
}

/* Whom it is about, or who did it to him. */
static bool
match_user(const char *pattern, const struct audit_fields *record)
{
	const char *const *text = record->text;

	return pattern == NULL || match_person(pattern, text[FIELD_USER], text[FIELD_USER_SASL], text[FIELD_USER_X509], text[FIELD_USER_UNIX]) ||
	    (record->has_by && match_person(pattern, text[FIELD_BY_NAME], text[FIELD_BY_SASL], text[FIELD_BY_X509], text[FIELD_BY_UNIX]));
}

/* NAME, UUID, CLASS:NAME or CLASS:UUID. */
static bool
match_object(const char *pattern, const struct audit_fields *record)
{
	static const enum audit_field names[] = { FIELD_OBJECT, FIELD_UUID };
	const char *class = record->text[FIELD_CLASS];
	size_t len = strlen(class);

	if (pattern == NULL)
		return true;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *text = record->text[names[i]];

		if (*text == '\0')
			continue;
		if (glob_match(pattern, text))
			return true;
		if (strncmp(pattern, class, len) == 0 && pattern[len] == ':' && glob_match(pattern + len + 1, text))
			return true;
	}
	return false;
}

static bool
match_result(const char *wanted, const struct audit_fields *record)
{
	return wanted == NULL || strcmp(wanted, record->text[FIELD_STATUS]) == 0 || strcmp(wanted, record->text[FIELD_VERDICT]) == 0;
}

bool
audit_match_is_narrow(const struct audit_match *match)
{
	return match->user != NULL || match->object != NULL || match->code != NULL || match->event != NULL || match->call != NULL ||
	    match->result != NULL || match->stage != NULL || match->since[0] != '\0' || match->until[0] != '\0';
}

bool
audit_match(const struct audit_match *match, const struct audit_fields *record)
{
	const char *time = record->text[FIELD_TIME];

	if (strcmp(time, match->since) < 0)
		return false;
	if (match->until[0] != '\0' && strncmp(time, match->until, strlen(match->until)) > 0)
		return false;
	return glob_or_any(match->code, record->text[FIELD_CODE]) && glob_or_any(match->event, record->text[FIELD_EVENT]) &&
	    glob_or_any(match->call, record->text[FIELD_CALL]) && glob_or_any(match->stage, record->text[FIELD_STAGE]) &&
	    match_user(match->user, record) && match_object(match->object, record) && match_result(match->result, record);
}
