/*
 * match.c: people, conditions and objects of one binding against one request.
 */
#include <arpa/inet.h>
#include <string.h>

#include "gateway/policy/match.h"
#include "gateway/policy/pairs.h"
#include "virtgate/glob.h"

struct request
request_make(const struct vg_identity *identity, enum vg_permission permission, const struct vg_object *object, time_t now)
{
	struct request request = { .identity = identity, .permission = permission, .class = permission_class(permission),
		.object = object, .name_pairs = UINT64_MAX, .parent_pairs = UINT64_MAX, .now = now };

	request.host = class_is_host(request.class);
	request.whole = object == NULL || object->any;
	if (request.host || request.whole)
		return request;
	if (object->name != NULL)
		request.name_pairs = text_pairs(object->name);
	if (object->parent != NULL)
		request.parent_pairs = text_pairs(object->parent);
	return request;
}

/* A field counts only when what it comes from was proven. Its pairs are kept: the next binding asks again. */
static bool
field_matches(const struct who *who, struct request *request, unsigned proof, enum request_text which, const char *field)
{
	if ((request->identity->proofs & proof) == 0 || field == NULL)
		return false;
	if ((request->pairs_read >> which & 1) == 0) {
		request->pairs[which] = text_pairs(field);
		request->pairs_read |= 1u << which;
	}
	return pairs_may_match(who->pairs, request->pairs[which]) && glob_match(who->text, field);
}

/* Does he have one of these names? */
static bool
one_matches(const struct who *who, const struct request *request, unsigned proof, char *const *names, size_t num)
{
	for (size_t i = 0; i < num && (request->identity->proofs & proof) != 0; i++) {
		if (names[i] != NULL && glob_match(who->text, names[i]))
			return true;
	}
	return false;
}

static bool
who_matches(const struct who *who, struct request *request)
{
	const struct vg_identity *identity = request->identity;

	switch (who->kind) {
	case WHO_ANYONE:
		return identity->proofs != 0;
	case WHO_SASL:
		return field_matches(who, request, VG_PROOF_SASL, TEXT_SASL, identity->sasl_name);
	case WHO_X509:
		return field_matches(who, request, VG_PROOF_X509, TEXT_DN, identity->x509_dn);
	case WHO_X509_CN:
		return field_matches(who, request, VG_PROOF_X509, TEXT_CN, identity->x509_cn);
	case WHO_X509_SHA256:
		return field_matches(who, request, VG_PROOF_X509, TEXT_SHA256, identity->x509_sha256);
	case WHO_UNIX:
		return field_matches(who, request, VG_PROOF_UNIX, TEXT_UNIX, identity->unix_user);
	case WHO_X509_SAN:
		return one_matches(who, request, VG_PROOF_X509, identity->x509_sans, identity->num_x509_sans);
	case WHO_UNIX_GROUP:
		return one_matches(who, request, VG_PROOF_UNIX, identity->unix_groups, identity->num_unix_groups);
	case WHO_GROUP:
		break;
	}
	return false;
}

/* The client's address as a network of one; a v4-mapped v6 address is the v4 address. */
static void
read_address(struct request *request)
{
	struct network *address = &request->address;
	const char *text = request->identity->address;

	if (memchr(text, '\0', sizeof(request->identity->address)) == NULL) {
		request->address_state = ADDRESS_BAD;
		return;
	}
	if (text[0] == '\0') {
		request->address_state = ADDRESS_NONE;
		return;
	}
	address->family = strchr(text, ':') != NULL ? AF_INET6 : AF_INET;
	request->address_state = inet_pton(address->family, text, address->bytes) == 1 ? ADDRESS_GOOD : ADDRESS_BAD;
	if (request->address_state == ADDRESS_GOOD && address->family == AF_INET6 &&
	    IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)(const void *)address->bytes)) {
		address->family = AF_INET;
		memmove(address->bytes, address->bytes + 12, 4);
	}
}

static bool
network_has(const struct network *network, const struct network *address)
{
	size_t whole = network->prefix / 8;
	unsigned rest = network->prefix % 8;

	if (network->family != address->family || memcmp(network->bytes, address->bytes, whole) != 0)
		return false;
	return rest == 0 || ((network->bytes[whole] ^ address->bytes[whole]) >> (8 - rest)) == 0;
}

static bool
comes_from(const struct when *when, struct request *request, bool doubt)
{
	if (when->num_from == 0)
		return true;
	if (request->address_state == ADDRESS_NOT_READ)
		read_address(request);
	if (request->address_state != ADDRESS_GOOD)
		return request->address_state == ADDRESS_BAD && doubt;
	for (size_t i = 0; i < when->num_from; i++) {
		if (network_has(&when->from[i], &request->address))
			return true;
	}
	return false;
}

enum finding
binding_is_about(const struct binding *binding, struct request *request, bool doubt)
{
	const struct when *when = &binding->when;
	bool found = request->who_is_known;

	for (size_t i = 0; i < binding->num_who && !found; i++)
		found = who_matches(&binding->who[i], request);
	if (!found)
		return NOT_WHO;
	if ((request->identity->proofs & when->proofs) != when->proofs)
		return NOT_PROOF;
	if (!comes_from(when, request, doubt))
		return NOT_FROM;
	return when->ends && request->now >= when->until ? ENDED : APPLIES;
}

bool
binding_is_now(const struct binding *binding, struct request *request, bool doubt)
{
	struct tm tm;

	if (binding->when.week == NULL)
		return true;
	if (request->minute_state == MINUTE_NOT_READ) {
		request->minute_state = localtime_r(&request->now, &tm) != NULL ? MINUTE_GOOD : MINUTE_BAD;
		if (request->minute_state == MINUTE_GOOD)
			request->minute = (unsigned)((tm.tm_wday + 6) % 7 * 24 * 60 + tm.tm_hour * 60 + tm.tm_min);
	}
	if (request->minute_state != MINUTE_GOOD)
		return doubt;
	return (binding->when.week[request->minute / 8] >> (request->minute % 8) & 1) != 0;
}

/* A glob against a name that may not be known. */
static bool
name_matches(const char *glob, const char *name, bool doubt)
{
	return name != NULL ? glob_match(glob, name) : doubt || glob_is_all(glob);
}

static bool
uuid_matches(const uint8_t *uuid, bool known, const uint8_t *of, bool doubt)
{
	return known ? memcmp(uuid, of, VG_UUID_LEN) == 0 : doubt;
}

/* Does the pattern's class say something about objects of this class? */
static bool
class_concerns(enum vg_class pattern, enum vg_class class)
{
	return pattern == VG_CLASS_none || pattern == class || pattern == class_parent(class);
}

static bool
pattern_covers(const struct pattern *pattern, const struct request *request, bool doubt)
{
	const struct vg_object *object = request->object;
	bool itself = pattern->class == object->class;

	/* Nearly every pattern ends here. Those without a name ask for no pairs. */
	if (!pairs_may_match(pattern->name_pairs, itself ? request->name_pairs : request->parent_pairs) ||
	    !class_concerns(pattern->class, object->class))
		return false;
	switch (pattern->kind) {
	case PATTERN_ALL:
		return true;
	case PATTERN_UUID:
		return itself ? uuid_matches(pattern->uuid, object->has_uuid, object->uuid, doubt) :
		    uuid_matches(pattern->uuid, object->has_parent_uuid, object->parent_uuid, doubt);
	case PATTERN_NAME:
		if (!itself)	/* a pattern on the pool or network */
			return name_matches(pattern->name, object->parent, doubt);
		return name_matches(pattern->name, object->name, doubt) && (pattern->parent == NULL ||
		    name_matches(pattern->parent, object->parent, doubt));
	}
	return false;
}

/* Any object of the class: an allow needs a pattern for all of it, for a deny one object is enough. */
static bool
binding_covers_whole(const struct binding *binding, enum vg_class class, bool doubt)
{
	for (size_t i = 0; i < binding->num_on; i++) {
		if ((doubt || binding->on[i].kind == PATTERN_ALL) && class_concerns(binding->on[i].class, class))
			return true;
	}
	return false;
}

bool
binding_covers(const struct binding *binding, const struct request *request, bool doubt)
{
	if (request->host)
		return true;
	if (request->whole)
		return binding_covers_whole(binding, request->class, doubt);
	for (size_t i = 0; i < binding->num_on; i++) {
		if (pattern_covers(&binding->on[i], request, doubt))
			return true;
	}
	return false;
}

bool
binding_covers_some(const struct binding *binding, enum vg_class class)
{
	return class_is_host(class) || binding_covers_whole(binding, class, true);
}

bool
binding_applies(const struct binding *binding, struct request *request, bool doubt)
{
	return binding_covers(binding, request, doubt) && binding_is_about(binding, request, doubt) == APPLIES &&
	    binding_is_now(binding, request, doubt);
}

enum finding
binding_look(const struct binding *binding, struct request *request, bool doubt)
{
	enum finding about = binding_is_about(binding, request, doubt);

	if (about != APPLIES)
		return about;
	if (!binding_is_now(binding, request, doubt))
		return NOT_NOW;
	return binding_covers(binding, request, doubt) ? APPLIES : NOT_ON;
}
