#include "gateway/core/buf.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define BUF_FIRST_SIZE 512

/* Moves what is wanted to the front of the allocation; worth it only when that frees at least as much as it copies. */
static void
buf_compact(struct buf *buf)
{
	size_t len = buf_len(buf);

	memmove(buf->data, buf->data + buf->head, len);
	buf->head = 0;
	buf->tail = len;
}

uint8_t *
buf_room(struct buf *buf, size_t want)
{
	size_t len = buf_len(buf);
	size_t need, size;
	uint8_t *data;

	if (buf->data != NULL && want <= buf->size - buf->tail)
		return buf->data + buf->tail;
	if (want > SIZE_MAX / 2 - len)
		return NULL;
	need = len + want;
	if (need <= buf->size && buf->head >= len) {
		buf_compact(buf);
		return buf->data + buf->tail;
	}
	size = buf->size > 0 ? buf->size : BUF_FIRST_SIZE;
	while (size < need)
		size *= 2;
	data = malloc(size);
	if (data == NULL)
		return NULL;
	if (len > 0)
		memcpy(data, buf->data + buf->head, len);
	free(buf->data);
	buf->data = data;
	buf->head = 0;
	buf->tail = len;
	buf->size = size;
	return data + len;
}

void
buf_added(struct buf *buf, size_t len)
{
	assert(len <= buf->size - buf->tail);
	buf->tail += len;
}

int
buf_add(struct buf *buf, const void *data, size_t len)
{
	uint8_t *room;

	if (len == 0)
		return 0;
	room = buf_room(buf, len);
	if (room == NULL)
		return -1;
	memcpy(room, data, len);
	buf_added(buf, len);
	return 0;
}

void
buf_drop(struct buf *buf, size_t len)
{
	assert(len <= buf_len(buf));
	buf->head += len;
	if (buf->head == buf->tail)
		buf_free(buf);
}

void
buf_free(struct buf *buf)
{
	free(buf->data);
	*buf = (struct buf){ 0 };
}
