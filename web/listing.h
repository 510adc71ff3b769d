/*
 * listing.h: the list of guests as it was last told: {"guests":[{…},…]}, kept as gzip (RFC 1952), and where in it each guest stands. A thousand guests are
 * 3 MiB as JSON objects and 70 KiB so, and the packed list is what browsers are sent. Pure.
 *
 * Unpacked texts are malloc'ed, the caller's, and end with a NUL; NULL: out of memory.
 */
#ifndef WEB_LISTING_H
#define WEB_LISTING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

struct listing;

/* Of an object: UUID -> guest. NULL: out of memory. */
struct listing *listing_create(json_t *guests);
void listing_destroy(struct listing *listing);

/* All of it, packed and as text. Borrowed from the listing. */
const uint8_t *listing_packed(const struct listing *listing, size_t *len);
char *listing_text(const struct listing *listing, size_t *len);
/* One guest. `found` false: it is not there. */
char *listing_guest(const struct listing *listing, const char *uuid, bool *found);

/* Tells of each guest that is new or not what it was (its text), and of each that is no more (text NULL). -1: out of memory, and nothing was told. */
typedef void listing_change_cb(const char *uuid, const char *text, void *arg);
int listing_compare(const struct listing *before, const struct listing *after, listing_change_cb *change, void *arg);

#endif
