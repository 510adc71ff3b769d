/*
 * settings.h: virtgated.conf. libvirtd.conf's syntax and, where libvirtd has the option, its key and meaning. One row
 * an option in settings.def; the man page and the sample file are checked against it.
 */
#ifndef CORE_SETTINGS_H
#define CORE_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "virtgate/result.h"

struct settings_list {
	bool set;		/* false: not in the file (differs from an empty list) */
	size_t num;
	char **items;
};

enum auth_scheme { AUTH_NONE, AUTH_SASL };

#define SETTINGS_MAX_SINKS 8
#define SETTINGS_SINK_AUDIT "linux-audit"	/* the one that keeps a capability */
#define SETTINGS_ROOT_FILE "audit-root.pub"	/* in state_dir: the first public key that signed the trail */
#define SETTINGS_RUNNING_FILE "running"	/* in state_dir, while a gateway runs: since when */
#define SETTINGS_SINKS_DIR "sinks"	/* in state_dir: how far each sink is */

/* Members have the keys' names. Strings are owned; NULL or the default where the file has none. */
struct settings {
#define SETTING_BOOL(key, value, help) bool key;
#define SETTING_INT(key, value, low, high, help) int key;
#define SETTING_STRING(key, value, help) char *key;
#define SETTING_LIST(key, help) struct settings_list key;
#define SETTING_AUTH(key, value, help) enum auth_scheme key;
#include "gateway/core/settings.def"
#undef SETTING_BOOL
#undef SETTING_INT
#undef SETTING_STRING
#undef SETTING_LIST
#undef SETTING_AUTH
	char *file;		/* where it was read from */
};

/*
 * Reads, checks and completes settings. NULL with `error` ("FILE:LINE: …" and a hint with the nearest known key) on
 * anything unknown, of the wrong type, out of range or contradictory. settings_parse takes the text itself; `file` is
 * for messages.
 */
struct settings *settings_load(const char *file, struct vg_error *error);
struct settings *settings_parse(const char *text, const char *file, struct vg_error *error);
void settings_destroy(struct settings *settings);
/*
 * For a reload: what only a start can change (listeners, directories, user, log outputs) is taken over from `old`, and the keys that
 * differed are listed in `changed`, separated by commas.
 */
void settings_keep(struct settings *settings, const struct settings *old, char *changed, size_t size);
/*
 * Every setting that is another than it was, in words as the file has them: "20", "[\"qemu:///system\"]", "" where it is not set; texts are
 * cut at SETTINGS_MAX_WORDS. No setting is a secret.
 */
#define SETTINGS_MAX_WORDS 512
typedef void settings_change_cb(const char *key, const char *was, const char *now, void *arg);
void settings_each_change(const struct settings *was, const struct settings *now, settings_change_cb *each, void *arg);
/* Is there a way in that needs the server's certificate and key? */
static inline bool settings_use_tls(const struct settings *settings) { return settings->listen_tls || settings->listen_vnc || settings->listen_web; }
/* Is `type` ("vencrypt", "sasl") among what viewers may choose? */
bool settings_vnc_offers(const struct settings *settings, const char *type);
/* Is there a way in by SASL? */
static inline bool
settings_use_sasl(const struct settings *settings)
{
	return settings->listen_tcp || (settings->listen_tls && settings->auth_tls == AUTH_SASL) ||
	    (settings->listen_vnc && settings->auth_vnc == AUTH_SASL) || (settings->listen_web && settings->auth_web == AUTH_SASL);
}
/* Where the audit reader keeps its index of the trail: a directory of its own below state_dir. -1: the path is too long. */
#define SETTINGS_MAX_PATH 4096
static inline int
settings_index_dir(const struct settings *settings, char *path, size_t size)
{
	return snprintf(path, size, "%s/audit-index", settings->state_dir) < (int)size ? 0 : -1;
}
/* The known keys in order; NULL behind the last. */
const char *settings_key(size_t index);

#endif
