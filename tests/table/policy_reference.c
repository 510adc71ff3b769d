/*
 * policy_reference.c: see the header. Kept as near as can be to the words of policy.h.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "tests/table/policy_reference.h"

/* Is it so? When something is not known, the answer is PERHAPS. */
enum answer { NO, PERHAPS, YES };

static enum answer
both(enum answer a, enum answer b)
{
	return a < b ? a : b;
}

static enum answer
either(enum answer a, enum answer b)
{
	return a > b ? a : b;
}

/* A glob by dynamic programming: row[i] says whether the pattern so far matches the first i bytes. */
static bool
glob(const char *pattern, const char *text)
{
	size_t len = strlen(text);
	bool *row = calloc(len + 1, sizeof(*row)), result;

	if (row == NULL)
		abort();
	row[0] = true;
	for (; *pattern != '\0'; pattern++) {
		if (*pattern == '*') {
			for (size_t i = 1; i <= len; i++)
				row[i] = row[i] || row[i - 1];
			continue;
		}
		for (size_t i = len; i > 0; i--)
			row[i] = row[i - 1] && (*pattern == '?' || *pattern == text[i - 1]);
		row[0] = false;
	}
	result = row[len];
	free(row);
	return result;
}

static bool
is_stars(const char *pattern)
{
	return strspn(pattern, "*") == strlen(pattern);
}

static enum answer
glob_if_known(const char *pattern, const char *text)
{
	if (text != NULL)
		return glob(pattern, text) ? YES : NO;
	return is_stars(pattern) ? YES : PERHAPS;
}

static bool
starts(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* ---- people ---- */

static bool
proven(const struct vg_identity *identity, unsigned proof, const char *field, const char *pattern)
{
	return (identity->proofs & proof) != 0 && field != NULL && glob(pattern, field);
}

static bool
is_fingerprint(const char *written, const char *hex)
{
	for (; *written != '\0'; written++) {
		if (*written == ':')
			continue;
		if (strncasecmp(written, hex, 1) != 0)
			return false;
		hex++;
	}
	return *hex == '\0';
}

static bool
is_person(const json_t *policy, const char *who, const struct vg_identity *identity, json_t *seen);

static bool
is_in_group(const json_t *policy, const char *name, const struct vg_identity *identity, json_t *seen)
{
	json_t *members = json_object_get(json_object_get(policy, "groups"), name), *member;
	size_t i;

	if (json_object_get(seen, name) != NULL)
		return false;
	json_object_set_new(seen, name, json_true());
	json_array_foreach(members, i, member) {
		if (is_person(policy, json_string_value(member), identity, seen))
			return true;
	}
	return false;
}

static bool
is_person(const json_t *policy, const char *who, const struct vg_identity *identity, json_t *seen)
{
	if (strcmp(who, "anyone") == 0)
		return identity->proofs != 0;
	if (starts(who, "group:"))
		return is_in_group(policy, who + 6, identity, seen);
	if (starts(who, "sasl:"))
		return proven(identity, VG_PROOF_SASL, identity->sasl_name, who + 5);
	if (starts(who, "unix:"))
		return proven(identity, VG_PROOF_UNIX, identity->unix_user, who + 5);
	if (starts(who, "unix-group:")) {
		for (size_t i = 0; i < identity->num_unix_groups; i++) {
			if (proven(identity, VG_PROOF_UNIX, identity->unix_groups[i], who + strlen("unix-group:")))
				return true;
		}
		return false;
	}
	if (starts(who, "x509:"))
		return proven(identity, VG_PROOF_X509, identity->x509_dn, who + 5);
	if (starts(who, "x509-cn:"))
		return proven(identity, VG_PROOF_X509, identity->x509_cn, who + 8);
	if (starts(who, "x509-sha256:"))
		return (identity->proofs & VG_PROOF_X509) != 0 && identity->x509_sha256 != NULL &&
		    is_fingerprint(who + 12, identity->x509_sha256);
	for (size_t i = 0; i < identity->num_x509_sans; i++) {
		if (proven(identity, VG_PROOF_X509, identity->x509_sans[i], who + strlen("x509-san:")))
			return true;
	}
	return false;
}

static bool
is_meant(const json_t *policy, const json_t *binding, const struct vg_identity *identity)
{
	json_t *seen = json_object(), *who;
	bool found = false;
	size_t i;

	json_array_foreach(json_object_get(binding, "who"), i, who)
		found = found || is_person(policy, json_string_value(who), identity, seen);
	json_decref(seen);
	return found;
}

/* ---- permissions ---- */

/* "org.libvirt.api.storage-pool.read" to "storage_pool:read". Returns buf. */
static const char *
our_spelling(const char *written, char buf[256])
{
	bool polkit = starts(written, "org.libvirt.api.");

	(void)snprintf(buf, 256, "%s", polkit ? written + strlen("org.libvirt.api.") : written);
	for (char *c = buf; polkit && *c != '\0'; c++)
		*c = *c == '-' ? '_' : *c == '.' ? ':' : *c;
	return buf;
}

static bool
is_listed(const json_t *list, const char *permission, bool by_glob)
{
	char buf[256];
	json_t *item;
	size_t i;

	json_array_foreach(list, i, item) {
		const char *written = our_spelling(json_string_value(item), buf);

		if (strcmp(written, permission) == 0 || (by_glob && glob(written, permission)))
			return true;
	}
	return false;
}

/* The permission of libvirt that this one is a part of; NULL. */
static const char *
whole_of(const char *permission)
{
	if (starts(permission, "domain:write_") || strcmp(permission, "domain:rename") == 0)
		return "domain:write";
	if (starts(permission, "domain:migrate_"))
		return "domain:migrate";
	return strcmp(permission, "storage_vol:clone") == 0 ? "storage_vol:data_read" : NULL;
}

/* A whole is listed with its parts, and where parts are denied, with any of them. */
static bool
is_listed_somehow(const json_t *list, const char *permission, bool by_glob, bool deny)
{
	if (is_listed(list, permission, by_glob) || (whole_of(permission) != NULL && is_listed(list, whole_of(permission), by_glob)))
		return true;
	for (unsigned i = VG_PERM_NONE + 1; deny && i < VG_NUM_PERMISSIONS; i++) {
		const char *part = permission_name((enum vg_permission)i);

		if (whole_of(part) != NULL && strcmp(whole_of(part), permission) == 0 && is_listed(list, part, by_glob))
			return true;
	}
	return false;
}

static bool
is_raw(const char *permission)
{
	return strcmp(permission, "domain:monitor") == 0 || strcmp(permission, "domain:agent") == 0;
}

static bool
is_own(const char *permission)
{
	return starts(permission, "audit:") || starts(permission, "session:") || starts(permission, "policy:");
}

static bool
builtin_allows(const char *role, const char *permission)
{
	const char *verb = strchr(permission, ':') + 1;
	bool seeing = strcmp(verb, "getattr") == 0 || strcmp(verb, "read") == 0;
	bool viewer = !is_own(permission) && (seeing || starts(permission, "connect:search_"));
	bool screens = strcmp(permission, "domain:screenshot") == 0;
	bool operating = false;
	static const char *const operations[] = { "start", "stop", "reset", "suspend", "init_control", "pm_control",
		"send_input", "send_signal", "open_graphics", "share_graphics", "paste_graphics", "open_device" };
	static const char *const managed[] = { "domain", "storage_vol", "storage_pool", "network", "network_port",
		"nwfilter", "secret" };

	for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++)
		operating = operating || (starts(permission, "domain:") && strcmp(verb, operations[i]) == 0);
	if (strcmp(role, "admin") == 0)
		return !is_raw(permission);
	if (viewer || strcmp(role, "viewer") == 0)
		return viewer;
	if (strcmp(role, "console-viewer") == 0)
		return screens || strcmp(permission, "domain:view_graphics") == 0;
	if (strcmp(role, "operator") == 0)
		return operating || screens;
	if (strcmp(role, "auditor") == 0)
		return is_own(permission) && strcmp(verb, "read") == 0;
	if (strcmp(role, "vm-admin") != 0 || is_raw(permission) || strcmp(verb, "read_secure") == 0)
		return false;
	for (size_t i = 0; i < sizeof(managed) / sizeof(managed[0]); i++) {
		if (starts(permission, managed[i]) && permission[strlen(managed[i])] == ':')
			return true;
	}
	return false;
}

/* Does the role, or any that it includes, list the permission under `key`? */
static bool
role_lists(const json_t *policy, const char *role, const char *key, const char *permission, json_t *seen)
{
	const json_t *object = json_object_get(json_object_get(policy, "roles"), role);
	bool deny = strcmp(key, "deny") == 0;
	json_t *included;
	size_t i;

	if (json_object_get(seen, role) != NULL)
		return false;
	json_object_set_new(seen, role, json_true());
	if (!json_is_object(object))
		return !deny && builtin_allows(role, permission);
	if (is_listed_somehow(json_object_get(object, key), permission, deny || !is_raw(permission), deny))
		return true;
	json_array_foreach(json_object_get(object, "include"), i, included) {
		if (role_lists(policy, json_string_value(included), key, permission, seen))
			return true;
	}
	return false;
}

static bool
binding_lists(const json_t *policy, const json_t *binding, const char *key, const char *permission)
{
	json_t *seen = json_object();
	bool result = role_lists(policy, json_string_value(json_object_get(binding, "role")), key, permission, seen);

	json_decref(seen);
	return result;
}

/* ---- conditions ---- */

struct address {
	bool v4;
	unsigned prefix;
	uint8_t bytes[16];
};

/* An address or network as 128 bits, v4 in its mapped form. */
static bool
read_address(const char *text, struct address *address)
{
	char buf[64];
	const char *slash = strchr(text, '/');
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	(void)snprintf(buf, sizeof(buf), "%.*s", slash != NULL ? (int)(slash - text) : 63, text);
	if (strchr(buf, ':') == NULL) {
		memcpy(address->bytes, mapped, 12);
		address->prefix = slash != NULL ? 96 + (unsigned)atoi(slash + 1) : 128;
		address->v4 = true;
		return inet_pton(AF_INET, buf, address->bytes + 12) == 1;
	}
	if (inet_pton(AF_INET6, buf, address->bytes) != 1)
		return false;
	address->prefix = slash != NULL ? (unsigned)atoi(slash + 1) : 128;
	address->v4 = address->prefix >= 96 && memcmp(address->bytes, mapped, 12) == 0;
	return true;
}

static bool
is_inside(const struct address *network, const struct address *address)
{
	if (network->v4 != address->v4)
		return false;
	for (unsigned bit = 0; bit < network->prefix; bit++) {
		if (((network->bytes[bit / 8] ^ address->bytes[bit / 8]) & (0x80 >> bit % 8)) != 0)
			return false;
	}
	return true;
}

static enum answer
comes_from(const json_t *networks, const struct vg_identity *identity)
{
	struct address address, network;
	json_t *item;
	size_t i;

	if (networks == NULL)
		return YES;
	if (identity->address[0] == '\0')
		return NO;
	if (!read_address(identity->address, &address))
		return PERHAPS;
	json_array_foreach(networks, i, item) {
		if (read_address(json_string_value(item), &network) && is_inside(&network, &address))
			return YES;
	}
	return NO;
}

static bool
has_proofs(const json_t *proofs, const struct vg_identity *identity)
{
	json_t *item;
	size_t i;

	json_array_foreach(proofs, i, item) {
		const char *name = json_string_value(item);
		unsigned proof = strcmp(name, "x509") == 0 ? VG_PROOF_X509 : strcmp(name, "sasl") == 0 ? VG_PROOF_SASL : VG_PROOF_UNIX;

		if ((identity->proofs & proof) == 0)
			return false;
	}
	return true;
}

static int
day_number(const char *text)
{
	static const char names[] = "suNMoNtUeWeDtHuFrIsAt";

	for (int day = 0; day < 7; day++) {
		if (strncasecmp(names + 3 * day, text, 3) == 0)
			return day;
	}
	return -1;
}

/* Is `day` (0 Sunday) one of the days that the piece names? */
static bool
is_day(const char *piece, int day)
{
	int first = day_number(piece), last = piece[3] == '-' ? day_number(piece + 4) : first;

	if (first < 0)
		return true;	/* names none: every day */
	return first <= last ? first <= day && day <= last : day >= first || day <= last;
}

/* One "[DAY[-DAY] ]HH:MM-HH:MM" against a moment of the week. */
static bool
is_in_piece(const char *piece, int day, int minute)
{
	const char *times = strrchr(piece, ' ') != NULL ? strrchr(piece, ' ') + 1 : piece;
	int h1, m1, h2, m2, begin, end;

	if (sscanf(times, "%d:%d-%d:%d", &h1, &m1, &h2, &m2) != 4)
		abort();
	begin = h1 * 60 + m1;
	end = h2 * 60 + m2;
	if (begin < end)
		return is_day(piece, day) && minute >= begin && minute < end;
	return (is_day(piece, day) && minute >= begin) || (is_day(piece, (day + 6) % 7) && minute < end);
}

static bool
is_in_hours(const char *hours, time_t now)
{
	char *copy, *rest, *piece;
	time_t minutes = now >= 0 ? now / 60 : (now - 59) / 60;
	int minute = (int)((minutes % 1440 + 1440) % 1440);
	int day = (int)((((minutes - minute) / 1440 + 4) % 7 + 7) % 7);	/* 1970 began on a Thursday */
	bool result = false;

	if (hours == NULL)
		return true;
	copy = rest = strdup(hours);
	while ((piece = strsep(&rest, ",")) != NULL) {
		piece += strspn(piece, " ");
		while (piece[strlen(piece) - 1] == ' ')
			piece[strlen(piece) - 1] = '\0';
		result = result || is_in_piece(piece, day, minute);
	}
	free(copy);
	return result;
}

/* Days since 1970, counted month by month. */
static long
days_since_1970(int year, int month, int day)
{
	static const int before[] = { 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334 };
	int leaps_until = month > 2 ? year : year - 1;

	return 365L * (year - 1970) + leaps_until / 4 - leaps_until / 100 + leaps_until / 400 - 477 + before[month - 1] + day - 1;
}

static bool
is_before(const char *until, time_t now)
{
	int year, month, day, hour, minute, second, zone_hour = 0, zone_minute = 0;
	const char *zone;
	long moment;

	if (until == NULL)
		return true;
	if (sscanf(until, "%4d-%2d-%2d%*1c%2d:%2d:%2d", &year, &month, &day, &hour, &minute, &second) != 6)
		abort();
	zone = until + strcspn(until + 10, "+-") + 10;
	if (*zone != '\0' && sscanf(zone + 1, "%2d:%2d", &zone_hour, &zone_minute) != 2)
		abort();
	moment = ((days_since_1970(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
	moment += (*zone == '+' ? -60L : 60L) * (zone_hour * 60 + zone_minute);
	return now < moment;
}

static enum answer
is_when(const json_t *when, const struct vg_identity *identity, time_t now)
{
	if (when == NULL)
		return YES;
	if (!has_proofs(json_object_get(when, "proof"), identity) ||
	    !is_in_hours(json_string_value(json_object_get(when, "hours")), now) ||
	    !is_before(json_string_value(json_object_get(when, "until")), now))
		return NO;
	return comes_from(json_object_get(when, "from"), identity);
}

/* ---- objects ---- */

static enum answer
is_uuid(const char *written, bool known, const uint8_t *uuid)
{
	char text[VG_UUID_TEXT_LEN + 1];
	size_t len = 0;

	if (!known)
		return PERHAPS;
	for (int i = 0; i < VG_UUID_LEN; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", uuid[i]);
	return strcasecmp(written, text) == 0 ? YES : NO;
}

/* The text behind CLASS: against an object; `class` is the pattern's. */
static enum answer
is_covered_by(const char *class, const char *text, const char *of, const struct vg_object *object)
{
	const char *slash = strchr(text, '/');
	bool itself = strcmp(class, of) == 0;
	bool parent = (strcmp(class, "storage_pool") == 0 && strcmp(of, "storage_vol") == 0) ||
	    (strcmp(class, "network") == 0 && strcmp(of, "network_port") == 0);
	bool child = strcmp(class, "storage_vol") == 0 || strcmp(class, "network_port") == 0;
	char pool[4096];

	if (!itself && !parent)
		return NO;
	if (is_stars(text))
		return YES;
	if (object == NULL || object->any)
		return PERHAPS;
	if (starts(text, "uuid:"))
		return itself ? is_uuid(text + 5, object->has_uuid, object->uuid) :
		    is_uuid(text + 5, object->has_parent_uuid, object->parent_uuid);
	if (parent)
		return glob_if_known(text, object->parent);
	if (!child)
		return glob_if_known(text, object->name);
	(void)snprintf(pool, sizeof(pool), "%.*s", (int)(slash - text), text);
	return both(glob_if_known(pool, object->parent), glob_if_known(slash + 1, object->name));
}

static enum answer
is_in_set(const json_t *set, const char *of, const struct vg_object *object)
{
	enum answer answer = NO;
	const char *class;
	json_t *names, *name;
	size_t i;

	json_object_foreach((json_t *)(uintptr_t)set, class, names) {
		if (!json_is_array(names))
			continue;
		json_array_foreach(names, i, name)
			answer = either(answer, is_covered_by(class, json_string_value(name), of, object));
	}
	return answer;
}

static enum answer
is_on(const json_t *policy, const json_t *binding, const char *of, const struct vg_object *object)
{
	enum answer answer = NO;
	char class[64];
	json_t *item;
	size_t i;

	json_array_foreach(json_object_get(binding, "on"), i, item) {
		const char *text = json_string_value(item), *colon = strchr(text, ':');

		if (strcmp(text, "*") == 0)
			return YES;
		if (starts(text, "set:")) {
			answer = either(answer, is_in_set(json_object_get(json_object_get(policy, "sets"), text + 4), of, object));
			continue;
		}
		(void)snprintf(class, sizeof(class), "%.*s", (int)(colon - text), text);
		answer = either(answer, is_covered_by(class, colon + 1, of, object));
	}
	return answer;
}

static bool
is_on_everything(const json_t *binding)
{
	json_t *item;
	size_t i;

	json_array_foreach(json_object_get(binding, "on"), i, item) {
		if (strcmp(json_string_value(item), "*") == 0)
			return true;
	}
	return false;
}

/* ---- the verdict ---- */

struct opinion {
	enum { SAYS_NOTHING, SAYS_ALLOW, SAYS_DENY } says;
	bool permissive;
	enum answer applies;
};

static struct opinion
opinion_of(const json_t *policy, const json_t *binding, const struct vg_identity *identity, const char *permission,
    const struct vg_object *object, time_t now)
{
	const char *mode = json_string_value(json_object_get(binding, "mode"));
	bool host = starts(permission, "connect:");
	struct opinion opinion = { .says = SAYS_NOTHING };
	char class[64];

	(void)snprintf(class, sizeof(class), "%.*s", (int)strcspn(permission, ":"), permission);
	if (binding_lists(policy, binding, "deny", permission))
		opinion.says = SAYS_DENY;
	else if (binding_lists(policy, binding, "allow", permission))
		opinion.says = SAYS_ALLOW;
	opinion.permissive = mode != NULL && strcmp(mode, "permissive") == 0 && !is_raw(permission) && !is_own(permission) &&
	    (!host || is_on_everything(binding));
	opinion.applies = is_meant(policy, binding, identity) ? YES : NO;
	opinion.applies = both(opinion.applies, is_when(json_object_get(binding, "when"), identity, now));
	if (!host && !is_own(permission))
		opinion.applies = both(opinion.applies, is_on(policy, binding, class, object));
	return opinion;
}

/* The first binding of which this is true. */
static const char *
first(const json_t *bindings, const struct opinion *opinions, int says, int permissive, enum answer at_least)
{
	json_t *binding;
	size_t i;

	json_array_foreach(bindings, i, binding) {
		if ((int)opinions[i].says == says && (permissive < 0 || opinions[i].permissive == (permissive != 0)) &&
		    opinions[i].applies >= at_least)
			return json_string_value(json_object_get(binding, "id"));
	}
	return NULL;
}

struct decision
reference_decide(const json_t *policy, const struct vg_identity *identity, const char *permission,
    const struct vg_object *object, time_t now)
{
	const json_t *bindings = json_object_get(policy, "bindings");
	const char *mode = json_string_value(json_object_get(policy, "mode"));
	struct opinion *opinions = calloc(json_array_size(bindings) + 1, sizeof(*opinions));
	struct decision decision = { VERDICT_DENY, NULL };
	const char *allowing, *silent, *id;
	bool host = starts(permission, "connect:") || is_own(permission);

	if (opinions == NULL)
		abort();
	for (size_t i = 0; i < json_array_size(bindings); i++)
		opinions[i] = opinion_of(policy, json_array_get(bindings, i), identity, permission, object, now);
	allowing = first(bindings, opinions, SAYS_ALLOW, -1, YES);
	silent = first(bindings, opinions, SAYS_NOTHING, 1, YES);
	if (!host && object != NULL && strcspn(permission, ":") != strlen(class_name(object->class)))
		goto out;
	if (!host && object != NULL && !starts(permission, class_name(object->class)))
		goto out;
	if ((id = first(bindings, opinions, SAYS_DENY, 0, PERHAPS)) != NULL)
		decision = (struct decision){ VERDICT_DENY, id };
	else if ((id = first(bindings, opinions, SAYS_DENY, 1, YES)) != NULL)
		decision = (struct decision){ VERDICT_WOULD_DENY, id };
	else if ((id = first(bindings, opinions, SAYS_DENY, 1, PERHAPS)) != NULL && (allowing != NULL || silent != NULL))
		decision = (struct decision){ VERDICT_WOULD_DENY, id };
	else if (allowing != NULL)
		decision = (struct decision){ VERDICT_ALLOW, allowing };
	else if (silent != NULL)
		decision = (struct decision){ VERDICT_WOULD_DENY, silent };
	if (decision.verdict == VERDICT_DENY && mode != NULL && strcmp(mode, "permissive") == 0 && identity->proofs != 0 &&
	    !is_raw(permission) && !is_own(permission))
		decision.verdict = VERDICT_WOULD_DENY;
out:
	free(opinions);
	return decision;
}
