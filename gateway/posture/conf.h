/*
 * conf.h: libvirt's configuration files as its daemons read them (src/util/virconf.c): KEY = NUMBER, "TEXT", 'TEXT', """TEXT""" or a list of
 * texts. A file that is not there means libvirt's defaults; one that cannot be read or understood means that nothing is known.
 */
#ifndef POSTURE_CONF_H
#define POSTURE_CONF_H

#include <stdbool.h>
#include <stddef.h>

#define CONF_MAX_ITEMS 256

enum posture_conf_state { CONF_UNSEEN, CONF_ABSENT, CONF_READ };

struct posture_conf_entry {
	char *key;
	bool list;
	size_t num;
	char **items;		/* a number stands as its digits */
};

struct posture_conf {
	enum posture_conf_state state;
	const char *path;
	char unseen[256];
	struct posture_conf_entry *entries;
	size_t num;
};

/* Takes `text` apart. -1 with conf->unseen: not what virconf takes; nothing is kept. */
int posture_conf_parse(struct posture_conf *conf, const char *text);
void posture_conf_clear(struct posture_conf *conf);

/* The first of that key, which is the one that libvirt takes; NULL when it is not there. */
const struct posture_conf_entry *posture_conf_find(const struct posture_conf *conf, const char *key);
/* Its value, or `otherwise`. */
const char *posture_conf_text(const struct posture_conf *conf, const char *key, const char *otherwise);
long posture_conf_number(const struct posture_conf *conf, const char *key, long otherwise);

#endif
