/*
 * buf.h: a growable byte queue: bytes come in at the tail and leave at the head. Empty, it holds no memory, so an idle
 * connection costs none.
 */
#ifndef CORE_BUF_H
#define CORE_BUF_H

#include <stddef.h>
#include <stdint.h>

struct buf {
	uint8_t *data;		/* allocation, or NULL */
	size_t head;		/* first byte that is still wanted */
	size_t tail;		/* behind the last byte */
	size_t size;		/* of the allocation */
};

static inline size_t buf_len(const struct buf *buf) { return buf->tail - buf->head; }
/* Of an empty one it may be NULL, to which C lets nobody add even 0. */
static inline uint8_t *buf_head(const struct buf *buf) { return buf->data == NULL ? NULL : buf->data + buf->head; }

/* Room for `want` more bytes behind the tail; returns where they go, NULL when memory is out. */
uint8_t *buf_room(struct buf *buf, size_t want);
/* `len` bytes were written where buf_room said. */
void buf_added(struct buf *buf, size_t len);
/* 0, or -1 when memory is out and nothing was added. */
int buf_add(struct buf *buf, const void *data, size_t len);
/* Forgets `len` bytes at the head; gives the allocation back when nothing is left. */
void buf_drop(struct buf *buf, size_t len);
void buf_free(struct buf *buf);

#endif
