/*
 * question.c: from words to an identity, a permission and an object.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/policy/question.h"
#include "virtgate/nearest.h"

enum field { FIELD_SASL, FIELD_DN, FIELD_CN, FIELD_SAN, FIELD_SHA256, FIELD_UNIX, FIELD_UNIX_GROUP };

static const struct {
	const char *prefix;
	enum field field;
	unsigned proof;
} kinds[] = {
	{ "sasl:", FIELD_SASL, VG_PROOF_SASL }, { "x509:", FIELD_DN, VG_PROOF_X509 }, { "x509-cn:", FIELD_CN, VG_PROOF_X509 },
	{ "x509-san:", FIELD_SAN, VG_PROOF_X509 }, { "x509-sha256:", FIELD_SHA256, VG_PROOF_X509 },
	{ "unix:", FIELD_UNIX, VG_PROOF_UNIX }, { "unix-group:", FIELD_UNIX_GROUP, VG_PROOF_UNIX },
};

#define NUM_KINDS (sizeof(kinds) / sizeof(kinds[0]))

static char *
keep(struct question *question, const char *text, size_t len)
{
	char *copy;

	if (question->num_texts == sizeof(question->texts) / sizeof(question->texts[0]))
		return NULL;
	copy = strndup(text, len);
	if (copy != NULL)
		question->texts[question->num_texts++] = copy;
	return copy;
}

static bool
starts_with_kind(const char *text, size_t *kind)
{
	for (*kind = 0; *kind < NUM_KINDS; (*kind)++) {
		if (strncmp(text, kinds[*kind].prefix, strlen(kinds[*kind].prefix)) == 0)
			return true;
	}
	return false;
}

/* Where this part of USER ends: a DN may hold a '+' of its own, so only one before a kind counts. */
static size_t
part_len(const char *user)
{
	size_t kind;

	for (const char *plus = strchr(user, '+'); plus != NULL; plus = strchr(plus + 1, '+')) {
		if (starts_with_kind(plus + 1, &kind))
			return (size_t)(plus - user);
	}
	return strlen(user);
}

static char *
common_name(struct question *question, const char *dn)
{
	const char *cn;
	size_t len = policy_dn_cn(dn, &cn);

	return len > 0 ? keep(question, cn, len) : NULL;
}

static int
set_field(struct question *question, enum field field, char *text, struct vg_error *error)
{
	struct vg_identity *identity = &question->identity;
	char **fields[] = {
		[FIELD_SASL] = &identity->sasl_name, [FIELD_DN] = &identity->x509_dn, [FIELD_CN] = &identity->x509_cn,
		[FIELD_SHA256] = &identity->x509_sha256, [FIELD_UNIX] = &identity->unix_user,
	};

	if (field == FIELD_SAN) {
		if (identity->num_x509_sans == VG_IDENTITY_MAX_SANS)
			return vg_fail(error, "more than %d x509-san", VG_IDENTITY_MAX_SANS);
		identity->x509_sans[identity->num_x509_sans++] = text;
		return 0;
	}
	if (field == FIELD_UNIX_GROUP) {
		if (identity->num_unix_groups == VG_IDENTITY_MAX_GROUPS)
			return vg_fail(error, "more than %d unix-group", VG_IDENTITY_MAX_GROUPS);
		identity->unix_groups[identity->num_unix_groups++] = text;
		return 0;
	}
	if (*fields[field] != NULL && field != FIELD_CN)
		return vg_fail(error, "USER names two of the same kind: '%s' and '%s'", *fields[field], text);
	*fields[field] = text;
	if (field == FIELD_DN && identity->x509_cn == NULL)
		identity->x509_cn = common_name(question, text);
	return 0;
}

static int
add_part(struct question *question, const char *part, size_t len, struct vg_error *error)
{
	size_t kind, prefix;
	char *text;

	if (!starts_with_kind(part, &kind)) {
		vg_fail(error, "'%.*s' is no USER: expected KIND:NAME", (int)len, part);
		return vg_hint(error, strncmp(part, "group:", 6) == 0 ? "ask for a member of the group; `policy can` takes a group and asks for each" :
		    "for example sasl:alice, x509:CN=bob,O=Lab, x509-cn:bob, unix:carol, unix:carol+unix-group:ops, or sasl:alice+x509-cn:alice");
	}
	prefix = strlen(kinds[kind].prefix);
	if (len <= prefix)
		return vg_fail(error, "'%.*s' names nobody", (int)len, part);
	text = keep(question, part + prefix, len - prefix);
	if (text == NULL)
		return vg_fail(error, "USER has too many parts");
	question->identity.proofs |= kinds[kind].proof;
	return set_field(question, kinds[kind].field, text, error);
}

static int
set_address(struct question *question, const struct question_words *words, struct vg_error *error)
{
	const char *address = words->from;
	uint8_t bytes[sizeof(struct in6_addr)];

	if (address == NULL)
		return 0;
	if (strlen(address) >= sizeof(question->identity.address) ||
	    inet_pton(strchr(address, ':') != NULL ? AF_INET6 : AF_INET, address, bytes) != 1) {
		vg_fail(error, "%sfrom: '%s' is not an address", words->dashes, address);
		return vg_hint(error, "for example 10.0.0.7 or 2001:db8::7");
	}
	memcpy(question->identity.address, address, strlen(address) + 1);
	return 0;
}

/* "x509", "sasl+x509". */
static int
add_proofs(struct question *question, const struct question_words *words, struct vg_error *error)
{
	static const struct {
		const char *name;
		unsigned proof;
	} proofs[] = { { "x509", VG_PROOF_X509 }, { "sasl", VG_PROOF_SASL }, { "unix", VG_PROOF_UNIX } };
	size_t len, i;

	for (const char *word = words->proof; word != NULL && *word != '\0'; word += len + (word[len] != '\0')) {
		len = strcspn(word, "+,");
		for (i = 0; i < sizeof(proofs) / sizeof(proofs[0]); i++) {
			if (strlen(proofs[i].name) == len && strncmp(proofs[i].name, word, len) == 0)
				break;
		}
		if (i == sizeof(proofs) / sizeof(proofs[0])) {
			vg_fail(error, "%sproof: '%.*s' is none of x509, sasl, unix", words->dashes, (int)len, word);
			return vg_hint(error, "several are joined with '+'");
		}
		question->identity.proofs |= proofs[i].proof;
	}
	return 0;
}

int
question_user(struct question *question, const struct question_words *words, const char *user, struct vg_error *error)
{
	size_t len;

	question->now = words->now;
	if (words->at != NULL && !policy_parse_time(words->at, &question->now)) {
		vg_fail(error, "%sat: '%s' is not a time", words->dashes, words->at);
		return vg_hint(error, "for example 2027-01-01T08:30:00Z or 2027-01-01T08:30:00+01:00");
	}
	if (user == NULL)
		return 0;
	for (;; user += len + 1) {
		len = part_len(user);
		if (add_part(question, user, len, error) != 0)
			return -1;
		if (user[len] == '\0')
			break;
	}
	if (add_proofs(question, words, error) != 0)
		return -1;
	question->identity.via = (question->identity.proofs & VG_PROOF_UNIX) != 0 ? VG_VIA_RPC_UNIX : VG_VIA_RPC_TLS;
	return set_address(question, words, error);
}

/* Every permission of this name, of whatever class: "domain:start, network:start". Returns how many. */
static size_t
permissions_named(const char *name, char *buf, size_t size)
{
	size_t num = 0, len = 0;

	buf[0] = '\0';
	for (unsigned i = VG_PERM_NONE + 1; i < VG_NUM_PERMISSIONS; i++) {
		const char *full = permission_name((enum vg_permission)i);

		if (strcmp(strchr(full, ':') + 1, name) != 0 || len >= size)
			continue;
		len += (size_t)snprintf(buf + len, size - len, "%s%s", num++ > 0 ? ", " : "", full);
	}
	return num;
}

static int
find_permission(struct question *question, const char *name, struct vg_error *error)
{
	struct nearest nearest = { .word = name };
	char classes[200];

	question->permission = permission_find(name);
	if (question->permission != VG_PERM_NONE)
		return 0;
	for (unsigned i = VG_PERM_NONE + 1; i < VG_NUM_PERMISSIONS; i++)
		nearest_offer(&nearest, permission_name((enum vg_permission)i));
	vg_fail(error, "unknown permission '%s'", name);
	if (strchr(name, ':') == NULL && permissions_named(name, classes, sizeof(classes)) > 0)
		return vg_hint(error, "of which class? %s", classes);
	if (nearest.best != NULL)
		return vg_hint(error, "did you mean '%s'?", nearest.best);
	return vg_hint(error, "`virtgate policy permissions` lists them all");
}

/* What stands behind "CLASS:". */
static int
set_name(struct question *question, const char *name, struct vg_error *error)
{
	struct vg_object *object = &question->object;
	bool has_parent = object->class == VG_CLASS_storage_vol || object->class == VG_CLASS_network_port;
	const char *slash = strchr(name, '/');

	if (*name == '\0')
		return vg_fail(error, "OBJECT names no %s", class_name(object->class));
	if (strcmp(name, "*") == 0) {
		object->any = true;
		return 0;
	}
	if (has_parent) {
		if (slash == NULL || slash == name || slash[1] == '\0')
			return vg_fail(error, "a %s is named %s:%s/NAME", class_name(object->class), class_name(object->class),
			    object->class == VG_CLASS_storage_vol ? "POOL" : "NETWORK");
		object->parent = keep(question, name, (size_t)(slash - name));
		name = slash + 1;
	}
	if (strncmp(name, "uuid:", 5) == 0) {
		object->has_uuid = policy_parse_uuid(name + 5, object->uuid);
		return object->has_uuid ? 0 : vg_fail(error, "'%s' is not a uuid", name + 5);
	}
	object->name = name;
	return 0;
}

/* Classes whose permissions have no object. */
static bool
is_of_host(enum vg_class class)
{
	return class == VG_CLASS_connect || class == VG_CLASS_audit || class == VG_CLASS_session || class == VG_CLASS_policy;
}

int
question_object(struct question *question, const struct question_words *words, const char *permission,
    const char *object, struct vg_error *error)
{
	enum vg_class class;
	const char *colon;
	char name[32];

	if (find_permission(question, permission, error) != 0)
		return -1;
	class = permission_class(question->permission);
	question->object.class = class;
	question->object.any = strcmp(object, "*") == 0;
	if (!question->object.any) {
		colon = strchr(object, ':');
		snprintf(name, sizeof(name), "%.*s", colon != NULL ? (int)nearest_min((size_t)(colon - object), 31) : 0, object);
		question->object.class = class_find(name);
		if (colon == NULL || question->object.class == VG_CLASS_none) {
			vg_fail(error, "'%s' is no OBJECT: expected CLASS:NAME, CLASS:uuid:UUID or *", object);
			if (is_of_host(class))
				return vg_hint(error, "%s is about the host: *", permission_name(question->permission));
			return vg_hint(error, colon == NULL ? "did you mean '%s:%s'?" : "for example %s:%s", class_name(class),
			    colon == NULL ? object : "NAME");
		}
		if (set_name(question, colon + 1, error) != 0)
			return -1;
	}
	if (words->uuid != NULL) {
		question->object.has_uuid = policy_parse_uuid(words->uuid, question->object.uuid);
		if (!question->object.has_uuid)
			return vg_fail(error, "%suuid: '%s' is not a uuid", words->dashes, words->uuid);
	}
	if (question->object.class != class && !is_of_host(class)) {
		vg_fail(error, "%s is asked for a %s, not for a %s", permission_name(question->permission), class_name(class),
		    class_name(question->object.class));
		return vg_hint(error, "for example %s:NAME", class_name(class));
	}
	return 0;
}

void
question_clear(struct question *question)
{
	for (size_t i = 0; i < question->num_texts; i++)
		free(question->texts[i]);
	memset(question, 0, sizeof(*question));
}
