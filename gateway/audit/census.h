/*
 * census.h: what the gate saw of libvirtd's objects when it last looked, kept by the audit reader from one run of the gateway to the next: an SQLite
 * database in state_dir. Unlike the index it cannot be made anew from the trail: a file that is broken is begun anew, without a world,
 * and census_lost() says why.
 *
 *	world	each URI: when its gate last said that it lives, and when all was last compared (microseconds since 1970)
 *	thing	each object: what it is, its state, and the SHA-256 of its definition, which is kept packed (core/document.h)
 */
#ifndef AUDIT_CENSUS_H
#define AUDIT_CENSUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "virtgate/result.h"

/* In settings_index_dir(). */
#define CENSUS_FILE "census.db"

struct census;

struct census_world {
	int64_t alive, compared;	/* 0: never */
};

struct census_thing {
	const char *class, *uuid, *name;	/* borrowed until the next call */
	const char *digest;			/* of its definition; empty: there was none */
	int64_t flags, seen;
};

/* Makes it where there is none, or none that can be used. NULL with `error`: it cannot be written. */
struct census *census_open(const char *file, struct vg_error *error);
void census_close(struct census *census);
/* Why what was there is gone; NULL: it is not, as far as can be told from here. */
const char *census_lost(const struct census *census);

/* 1: found; 0: there is none; -1 with `error`. */
int census_world(struct census *census, const char *uri, struct census_world *world, struct vg_error *error);
/* Things behind (class, uuid) in that order, at most `max`; `take` false: enough. -1 with `error`. */
typedef bool census_take_cb(const struct census_thing *thing, void *arg);
int census_things(struct census *census, const char *uri, const char *class, const char *uuid, unsigned max, census_take_cb *take, void *arg,
    struct vg_error *error);
/* The definition, terminated, freed by the caller; NULL: it is not kept. */
char *census_definition(struct census *census, const char *uri, const char *class, const char *uuid, size_t *len);

/* ---- all or nothing: begin, any of these, end. -1 with `error`: nothing was kept. ---- */

int census_begin(struct census *census, struct vg_error *error);
/* Forgets all of that URI. */
int census_begin_anew(struct census *census, const char *uri, struct vg_error *error);
/* `definition` NULL: the one that is kept stays, where its digest is the same. */
int census_put(struct census *census, const char *uri, const struct census_thing *thing, const char *definition, size_t len, struct vg_error *error);
int census_remove(struct census *census, const char *uri, const char *class, const char *uuid, struct vg_error *error);
int census_put_world(struct census *census, const char *uri, const struct census_world *world, struct vg_error *error);
int census_end(struct census *census, bool keep, struct vg_error *error);

#endif
