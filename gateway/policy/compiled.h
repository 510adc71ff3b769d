/*
 * compiled.h: a policy after loading, private to this folder: names resolved, groups and sets flattened, roles as bit
 * sets, addresses and hours as numbers. Everything hangs in one arena and is never changed again.
 */
#ifndef POLICY_COMPILED_H
#define POLICY_COMPILED_H

#include <netinet/in.h>

#include "gateway/policy/permset.h"
#include "gateway/policy/policy.h"

#define WEEK_MINUTES (7u * 24u * 60u)

struct arena_chunk;

struct arena {
	struct arena_chunk *chunks;
};

/* Zeroed; NULL when memory is out. Freed all at once. */
void *arena_alloc(struct arena *arena, size_t size);
/* `len` bytes and a terminator. */
char *arena_text(struct arena *arena, const char *text, size_t len);
void arena_free(struct arena *arena);

enum who_kind {
	WHO_ANYONE, WHO_SASL, WHO_X509, WHO_X509_CN, WHO_X509_SAN, WHO_X509_SHA256, WHO_UNIX, WHO_UNIX_GROUP,
	WHO_GROUP	/* only while loading: flattened into its members */
};

struct who {
	enum who_kind kind;
	const char *text;	/* glob; lower-case hex for WHO_X509_SHA256 */
	uint64_t pairs;		/* of text */
	size_t group;		/* WHO_GROUP: which */
};

enum pattern_kind { PATTERN_ALL, PATTERN_NAME, PATTERN_UUID };

struct pattern {
	enum vg_class class;	/* VG_CLASS_none: of every class, then PATTERN_ALL */
	enum pattern_kind kind;
	const char *parent;	/* glob of the pool or network; only for classes that have a parent */
	const char *name;	/* glob */
	uint64_t name_pairs;	/* of name, see pairs.h; 0 without one */
	uint8_t uuid[VG_UUID_LEN];
};

struct network {
	int family;		/* AF_INET or AF_INET6 */
	unsigned prefix;
	uint8_t bytes[sizeof(struct in6_addr)];
};

/* Conditions of a binding; what is not set always holds. Texts are as written, for explanations. */
struct when {
	unsigned proofs;	/* all of them */
	const struct network *from;
	size_t num_from;
	const char *from_text;
	const uint8_t *week;	/* one bit a minute from Monday 00:00, local time */
	const char *hours_text;
	bool ends;
	time_t until;
	const char *until_text;
};

struct role {
	const char *name;
	struct permset allow;	/* without what is in deny */
	struct permset deny;
	bool builtin;
	const struct role *next;
};

struct binding {
	struct permset allow, deny;	/* its role's */
	const struct pattern *on;
	const struct who *who;
	size_t num_on, num_who;
	bool permissive;
	bool everything;		/* bound on "*" */
	struct when when;
	const char *id;
	const struct role *role;
};

/* A row of "admission" or of "rules". Of `who` and `except` only the people are set. */
struct admission {
	struct policy_row row;
	bool everybody;			/* it says no `who` */
	struct binding who, except;
	const struct role **roles;	/* excepted too, where they are bound on the object */
	size_t num_roles;
};

/* A row of "quotas": `on` has only its objects. */
struct quota {
	struct policy_quota quota;
	struct admission people;
	struct binding on;
};

struct policy {
	struct arena arena;
	const struct binding *bindings;
	size_t num_bindings;
	const struct admission *admission;
	size_t num_admission;
	const struct admission *rules;
	size_t num_rules;
	const struct quota *quotas;
	size_t num_quotas;
	enum policy_reads recorded[VG_NUM_CLASSES];
	bool permissive;		/* the gateway only watches */
	const struct role *roles;	/* all, the last one first; the built-in ones are the last */
	uint64_t serial;		/* no other policy of this process has it */
	struct permset reads;		/* permissions that a read-only connection of libvirt can serve */
};

/* "storage_pool" for a volume, "network" for a port, VG_CLASS_none for the rest. */
static inline enum vg_class
class_parent(enum vg_class class)
{
	return class == VG_CLASS_storage_vol ? VG_CLASS_storage_pool :
	    class == VG_CLASS_network_port ? VG_CLASS_network : VG_CLASS_none;
}

static inline bool
class_has_uuid(enum vg_class class)
{
	return class == VG_CLASS_domain || class == VG_CLASS_network || class == VG_CLASS_network_port ||
	    class == VG_CLASS_nwfilter || class == VG_CLASS_secret || class == VG_CLASS_storage_pool;
}

/* "*", "**", …: matches whatever the text is, even when it is not known. */
static inline bool
glob_is_all(const char *pattern)
{
	while (*pattern == '*')
		pattern++;
	return *pattern == '\0';
}

#endif
