/*
 * web_room.h: all of the web front but its process, with a gate, for fuzz targets that are browsers: real TLS, real libwebsockets. Somebody is logged in: his
 * cookie is 43 times 'A', his token too, and so is every ticket. There is one guest. An open console shows what is typed.
 */
#ifndef TESTS_FUZZ_WEB_ROOM_H
#define TESTS_FUZZ_WEB_ROOM_H

#include <openssl/ssl.h>

#include "gateway/core/buf.h"
#include "web/web.h"

#define ROOM_WORD	"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define ROOM_GUEST	"11000000-0000-0000-0000-000000000000"
#define ROOM_MAX_TURNS	500	/* of the loop, in which everything has happened that will */

extern struct web room_web;
extern struct buf room_typed;		/* what came to the gate in consoles, since room_enter() */

void room_enter(void);			/* before each input */
void room_leave(void);			/* after it: every connection is forgotten */
SSL *room_dial(bool http2);
void room_hang_up(SSL *ssl);
void room_turn(void);
/* What has come so far, `size` bytes at most. */
size_t room_read(SSL *ssl, uint8_t *bytes, size_t size);

#endif
