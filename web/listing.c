#include "web/listing.h"

#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#include "gateway/core/buf.h"

#define UUID_SIZE	37u
#define GZIP_BITS	(15 + 16)	/* zlib.h: the largest window, with gzip's head and end */

struct place {
	char uuid[UUID_SIZE];
	uint32_t at, len;		/* in the text */
};

struct listing {
	struct place *places;		/* sorted */
	size_t num;
	uint8_t *packed;
	size_t packed_len, len;		/* len: of the text */
};

static int
compare_places(const void *a, const void *b)
{
	const struct place *left = a, *right = b;

	return strcmp(left->uuid, right->uuid);
}

static const struct place *
find(const struct listing *listing, const char *uuid)
{
	struct place key;

	if (listing == NULL || listing->num == 0 || strlen(uuid) >= sizeof(key.uuid))
		return NULL;
	memcpy(key.uuid, uuid, strlen(uuid) + 1);
	return bsearch(&key, listing->places, listing->num, sizeof(key), compare_places);
}

/* ---- packing ---- */

static int
add_guest(struct listing *listing, struct buf *text, const char *uuid, const json_t *guest)
{
	struct place *place = &listing->places[listing->num];
	char *dumped = json_dumps(guest, JSON_COMPACT);
	int status = -1;

	if (dumped != NULL && strlen(uuid) < sizeof(place->uuid) && (listing->num == 0 || buf_add(text, ",", 1) == 0) &&
	    buf_add(text, dumped, strlen(dumped)) == 0) {
		memcpy(place->uuid, uuid, strlen(uuid) + 1);
		place->len = (uint32_t)strlen(dumped);
		place->at = (uint32_t)(buf_len(text) - place->len);
		listing->num++;
		status = 0;
	}
	free(dumped);
	return status;
}

static int
pack(struct listing *listing, const struct buf *text)
{
	z_stream stream = { .next_in = buf_head(text), .avail_in = (uInt)buf_len(text) };
	uint8_t *packed = NULL, *shorter;
	size_t room;
	int status;

	if (deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, GZIP_BITS, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		return -1;
	room = deflateBound(&stream, (uLong)buf_len(text));
	packed = malloc(room);
	stream.next_out = packed;
	stream.avail_out = (uInt)room;
	status = packed == NULL ? Z_MEM_ERROR : deflate(&stream, Z_FINISH);
	(void)deflateEnd(&stream);
	if (status != Z_STREAM_END) {
		free(packed);
		return -1;
	}
	listing->packed_len = room - stream.avail_out;
	shorter = realloc(packed, listing->packed_len);
	listing->packed = shorter != NULL ? shorter : packed;
	listing->len = buf_len(text);
	return 0;
}

struct listing *
listing_create(json_t *guests)
{
	struct listing *listing = calloc(1, sizeof(*listing));
	struct buf text = { 0 };
	const char *uuid;
	json_t *guest;
	bool whole;

	whole = listing != NULL && (listing->places = calloc(json_object_size(guests) + 1, sizeof(*listing->places))) != NULL &&
	    buf_add(&text, "{\"guests\":[", 11) == 0;
	if (whole) {
		json_object_foreach(guests, uuid, guest)
			whole = whole && add_guest(listing, &text, uuid, guest) == 0;
	}
	if (whole && buf_add(&text, "]}", 2) == 0 && pack(listing, &text) == 0) {
		qsort(listing->places, listing->num, sizeof(*listing->places), compare_places);
	} else {
		listing_destroy(listing);
		listing = NULL;
	}
	buf_free(&text);
	return listing;
}

void
listing_destroy(struct listing *listing)
{
	if (listing == NULL)
		return;
	free(listing->places);
	free(listing->packed);
	free(listing);
}

/* ---- reading ---- */

const uint8_t *
listing_packed(const struct listing *listing, size_t *len)
{
	*len = listing->packed_len;
	return listing->packed;
}

char *
listing_text(const struct listing *listing, size_t *len)
{
	z_stream stream = { .next_in = listing->packed, .avail_in = (uInt)listing->packed_len };
	char *text = malloc(listing->len + 1);
	int status = Z_MEM_ERROR;

	stream.next_out = (uint8_t *)text;
	stream.avail_out = (uInt)listing->len;
	if (text != NULL && inflateInit2(&stream, GZIP_BITS) == Z_OK) {
		status = inflate(&stream, Z_FINISH);
		(void)inflateEnd(&stream);
	}
	if (status != Z_STREAM_END) {
		free(text);
		return NULL;
	}
	text[listing->len] = '\0';
	*len = listing->len;
	return text;
}

char *
listing_guest(const struct listing *listing, const char *uuid, bool *found)
{
	const struct place *place = find(listing, uuid);
	char *text;
	size_t len;

	*found = place != NULL;
	text = place == NULL ? NULL : listing_text(listing, &len);
	if (text != NULL) {
		memmove(text, text + place->at, place->len);
		text[place->len] = '\0';
	}
	return text;
}

int
listing_compare(const struct listing *before, const struct listing *after, listing_change_cb *change, void *arg)
{
	char *was = NULL, *is = NULL;
	const struct place *place, *old;
	size_t len;
	int status = -1;

	is = listing_text(after, &len);
	if (is == NULL || (before != NULL && (was = listing_text(before, &len)) == NULL))
		goto out;
	for (place = after->places; place < after->places + after->num; place++) {
		old = find(before, place->uuid);
		if (old != NULL && old->len == place->len && memcmp(was + old->at, is + place->at, place->len) == 0)
			continue;
		is[place->at + place->len] = '\0';	/* a comma, or the end */
		change(place->uuid, is + place->at, arg);
	}
	for (place = before == NULL ? NULL : before->places; place != NULL && place < before->places + before->num; place++)
		if (find(after, place->uuid) == NULL)
			change(place->uuid, NULL, arg);
	status = 0;
out:
	free(was);
	free(is);
	return status;
}
