/*
 * assets.h: the files that a browser is given: a fixed list, compiled in. Made from web/pages; nothing is ever read from a directory.
 */
#ifndef WEB_ASSETS_H
#define WEB_ASSETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct web_asset {
	const char *path;	/* "/assets/app.1f2e3d.js"; the page itself is "/" */
	const char *type;	/* "text/javascript; charset=utf-8" */
	const char *etag;	/* with its quotes */
	const uint8_t *gzip;
	size_t gzip_len;
	bool hashed;		/* its name changes with its content: may be kept for ever */
};

extern const struct web_asset web_assets[];
extern const size_t web_num_assets;

#endif
