/*
 * parse_when.c: the conditions of a binding: from where, what was proven, at which hours, until when.
 */
#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#include "gateway/policy/parse.h"

/* Decimal digits only, at most `most`; -1 otherwise. */
static int
number(const char *text, size_t len, int most)
{
	int value = 0;

	if (len == 0 || len > 4)
		return -1;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -1;
		value = value * 10 + (text[i] - '0');
	}
	return value <= most ? value : -1;
}

/* Clears the bits behind the prefix; true when any was set. */
static bool
clear_host_bits(struct network *network, size_t len)
{
	bool any = false;

	for (size_t bit = network->prefix; bit < len * 8; bit++) {
		uint8_t mask = (uint8_t)(0x80u >> (bit % 8));

		any = any || (network->bytes[bit / 8] & mask) != 0;
		network->bytes[bit / 8] &= (uint8_t)~mask;
	}
	return any;
}

/* "10.0.0.0/8", "2001:db8::/32", "192.0.2.7". A v4-mapped network of v6 becomes the v4 network it is. */
static bool
parse_network(struct parse *parse, const struct at *at, const char *text, struct network *network)
{
	const char *slash = strchr(text, '/');
	char address[INET6_ADDRSTRLEN], clean[INET6_ADDRSTRLEN], hint[160];
	size_t len = slash != NULL ? (size_t)(slash - text) : strlen(text), bytes;
	int prefix;

	snprintf(address, sizeof(address), "%.*s", (int)nearest_min(len, sizeof(address) - 1), text);
	network->family = strchr(address, ':') != NULL ? AF_INET6 : AF_INET;
	bytes = network->family == AF_INET ? 4 : 16;
	prefix = slash != NULL ? number(slash + 1, strlen(slash + 1), (int)bytes * 8) : (int)bytes * 8;
	if (len >= sizeof(address) || inet_pton(network->family, address, network->bytes) != 1 || prefix < 0) {
		problem(parse, at, "for example 10.0.0.0/8, 192.0.2.7 or 2001:db8::/32", "'%s' is not a network", text);
		return false;
	}
	network->prefix = (unsigned)prefix;
	if (clear_host_bits(network, bytes)) {
		inet_ntop(network->family, network->bytes, clean, sizeof(clean));
		snprintf(hint, sizeof(hint), "write %s/%d for the network, or %s for the one address", clean, prefix, address);
		problem(parse, at, hint, "'%s' has bits behind its prefix of %d", text, prefix);
		return false;
	}
	if (network->family == AF_INET6 && network->prefix >= 96 &&
	    IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)(const void *)network->bytes)) {
		network->family = AF_INET;
		network->prefix -= 96;
		memmove(network->bytes, network->bytes + 12, 4);
	}
	return true;
}

/* The strings of an array in one text, for explanations. */
static const char *
join(struct parse *parse, const json_t *strings)
{
	char text[256];
	size_t len = 0, i;
	json_t *item;

	text[0] = '\0';
	json_array_foreach(strings, i, item) {
		int more = snprintf(text + len, sizeof(text) - len, "%s%s", i > 0 ? ", " : "", json_string_value(item));

		if (more < 0 || (size_t)more >= sizeof(text) - len)
			break;
		len += (size_t)more;
	}
	return parse_text(parse, text, strlen(text));
}

static void
parse_from(struct parse *parse, const struct at *at, const json_t *strings, struct when *when)
{
	struct at here = { .up = at, .key = "from" };
	struct network *networks = parse_alloc(parse, json_array_size(strings), sizeof(*networks));
	json_t *item;
	size_t i;

	if (networks == NULL)
		return;
	json_array_foreach(strings, i, item) {
		struct at element = { .up = &here, .index = i };

		if (parse_network(parse, &element, json_string_value(item), &networks[when->num_from]))
			when->num_from++;
	}
	when->from = networks;
	when->from_text = join(parse, strings);
}

static void
parse_proof(struct parse *parse, const struct at *at, const json_t *strings, struct when *when)
{
	static const struct {
		const char *name;
		unsigned proof;
	} proofs[] = { { "x509", VG_PROOF_X509 }, { "sasl", VG_PROOF_SASL }, { "unix", VG_PROOF_UNIX } };
	struct at here = { .up = at, .key = "proof" };
	json_t *item;
	size_t i;

	json_array_foreach(strings, i, item) {
		struct at element = { .up = &here, .index = i };
		unsigned proof = 0;

		for (size_t j = 0; j < sizeof(proofs) / sizeof(proofs[0]); j++) {
			if (strcmp(proofs[j].name, json_string_value(item)) == 0)
				proof = proofs[j].proof;
		}
		if (proof == 0)
			problem(parse, &element, "known proofs: x509, sasl, unix", "unknown proof '%s'", json_string_value(item));
		when->proofs |= proof;
	}
}

/* 0 Monday … 6 Sunday; -1: not a day. */
static int
parse_day(const char *text)
{
	static const char *const days[] = { "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun" };

	for (int i = 0; i < 7; i++) {
		if (strncasecmp(text, days[i], 3) == 0)
			return i;
	}
	return -1;
}

/* "08:00" to minutes; "24:00" too. -1: not a time. */
static int
parse_time(const char *text)
{
	int hour, minute;

	if (strnlen(text, 5) < 5 || text[2] != ':')
		return -1;
	hour = number(text, 2, 24);
	minute = number(text + 3, 2, 59);
	return hour < 0 || minute < 0 || (hour == 24 && minute > 0) ? -1 : hour * 60 + minute;
}

/* One "[DAY[-DAY] ]HH:MM-HH:MM" of `len` bytes into the week; false when it is not one. */
static bool
add_hours(const char *text, size_t len, uint8_t *week)
{
	int first = 0, last = 6, begin, end;

	if (len > 11 && text[3] == ' ') {
		first = last = parse_day(text);
		text += 4;
		len -= 4;
	} else if (len > 11 && text[3] == '-' && text[7] == ' ') {
		first = parse_day(text);
		last = parse_day(text + 4);
		text += 8;
		len -= 8;
	}
	if (first < 0 || last < 0 || len != 11 || text[5] != '-')
		return false;
	begin = parse_time(text);
	end = parse_time(text + 6);
	if (begin < 0 || end < 0 || begin == end || begin == 24 * 60)
		return false;
	if (end < begin)	/* over midnight: into the morning after */
		end += 24 * 60;
	for (int day = first;; day = (day + 1) % 7) {
		for (int minute = begin; minute < end; minute++) {
			unsigned at = (unsigned)(day * 24 * 60 + minute) % WEEK_MINUTES;

			week[at / 8] |= (uint8_t)(1u << (at % 8));
		}
		if (day == last)
			return true;
	}
}

static void
parse_hours(struct parse *parse, const struct at *at, const char *text, struct when *when)
{
	struct at here = { .up = at, .key = "hours" };
	uint8_t *week = parse_alloc(parse, WEEK_MINUTES / 8, 1);
	size_t len;

	if (week == NULL)
		return;
	when->week = week;
	when->hours_text = parse_text(parse, text, strlen(text));
	for (const char *piece = text;; piece += len + 1) {
		size_t trimmed;

		piece += strspn(piece, " ");
		len = trimmed = strcspn(piece, ",");
		while (trimmed > 0 && piece[trimmed - 1] == ' ')
			trimmed--;
		if (!add_hours(piece, trimmed, week))
			problem(parse, &here, "for example \"Mon-Fri 08:00-18:00, Sat 09:00-12:00\" or \"22:00-06:00\"; local time, the end "
			    "is outside", "'%.*s' is not a range of hours", (int)nearest_min(trimmed, 64), piece);
		if (piece[len] == '\0')
			return;
	}
}

static bool
is_leap(int year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

bool
policy_parse_time(const char *text, time_t *result)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	size_t len = strlen(text);
	const char *zone = text + 19;
	struct tm tm = { 0 };
	int year, offset_hours = 0, offset_minutes = 0;

	if (len < 20 || text[4] != '-' || text[7] != '-' || (text[10] != 'T' && text[10] != 't') || text[13] != ':' ||
	    text[16] != ':')
		return false;
	year = number(text, 4, 9999);
	tm.tm_year = year - 1900;
	tm.tm_mon = number(text + 5, 2, 12) - 1;
	tm.tm_mday = number(text + 8, 2, 31);
	tm.tm_hour = number(text + 11, 2, 23);
	tm.tm_min = number(text + 14, 2, 59);
	tm.tm_sec = number(text + 17, 2, 60);
	if (year < 0 || tm.tm_mon < 0 || tm.tm_mday < 1 || tm.tm_hour < 0 || tm.tm_min < 0 || tm.tm_sec < 0 ||
	    tm.tm_mday > days[tm.tm_mon] + (tm.tm_mon == 1 && is_leap(year) ? 1 : 0))
		return false;
	if (*zone == '.') {	/* a part of a second is dropped */
		size_t digits = strspn(zone + 1, "0123456789");

		if (digits == 0)
			return false;
		zone += digits + 1;
	}
	if (*zone == '+' || *zone == '-') {
		if (strlen(zone) != 6 || zone[3] != ':')
			return false;
		offset_hours = number(zone + 1, 2, 23);
		offset_minutes = number(zone + 4, 2, 59);
		if (offset_hours < 0 || offset_minutes < 0)
			return false;
	} else if (strcmp(zone, "Z") != 0 && strcmp(zone, "z") != 0) {
		return false;
	}
	*result = timegm(&tm);
	*result += (*zone == '-' ? 1 : -1) * (offset_hours * 3600 + offset_minutes * 60);
	return true;
}

static void
parse_until(struct parse *parse, const struct at *at, const char *text, struct when *when)
{
	struct at here = { .up = at, .key = "until" };

	when->ends = true;
	when->until_text = parse_text(parse, text, strlen(text));
	if (!policy_parse_time(text, &when->until))
		problem(parse, &here, "for example 2027-01-01T00:00:00Z or 2027-01-01T00:00:00+01:00",
		    "'%s' is not a time of RFC 3339", text);
}

void
parse_when(struct parse *parse, const struct at *at, json_t *object, struct when *when)
{
	json_t *strings;
	const char *text;

	if (object == NULL || !is_object(parse, at, object, "'when'", "from proof hours until description"))
		return;
	strings = json_object_get(object, "from") != NULL ? get_strings(parse, at, object, "from", true) : NULL;
	if (strings != NULL)
		parse_from(parse, at, strings, when);
	strings = json_object_get(object, "proof") != NULL ? get_strings(parse, at, object, "proof", true) : NULL;
	if (strings != NULL)
		parse_proof(parse, at, strings, when);
	text = get_string(parse, at, object, "hours", false);
	if (text != NULL)
		parse_hours(parse, at, text, when);
	text = get_string(parse, at, object, "until", false);
	if (text != NULL)
		parse_until(parse, at, text, when);
}
