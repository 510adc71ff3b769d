/* console_held.c: keys by what names them (RFC 6143 7.5.4; rfbproto.rst, QEMU Extended Key Event), the pointer by its last message. */
#include "gateway/gate/console_held.h"

#include <stdbool.h>
#include <string.h>

enum { TYPE_KEY = 4, TYPE_POINTER = 5 };

static size_t
key_len(const uint8_t *message)
{
	return message[0] == TYPE_KEY ? 8 : 12;
}

static bool
is_down(const uint8_t *message)
{
	return message[0] == TYPE_KEY ? message[1] != 0 : (message[2] | message[3]) != 0;
}

/* The key's symbol; of an extended event the place on the keyboard, which follows the symbol. */
static bool
same_key(const uint8_t *a, const uint8_t *b)
{
	return a[0] == b[0] && memcmp(a + key_len(a) - 4, b + key_len(a) - 4, 4) == 0;
}

static void
forget(struct console_held *held, size_t i)
{
	held->num--;
	memmove(held->keys[i], held->keys[i + 1], (held->num - i) * sizeof(held->keys[0]));
}

void
console_held_note(struct console_held *held, const uint8_t *message)
{
	if (message[0] == TYPE_POINTER) {
		memcpy(held->pointer, message, CONSOLE_HELD_POINTER);
		return;
	}
	for (size_t i = 0; i < held->num; i++)
		if (same_key(held->keys[i], message)) {
			forget(held, i);
			break;
		}
	if (!is_down(message))
		return;
	if (held->num == CONSOLE_HELD_MAX)
		forget(held, 0);
	memcpy(held->keys[held->num++], message, key_len(message));
}

size_t
console_held_release(struct console_held *held, uint8_t buf[CONSOLE_HELD_RELEASE])
{
	size_t len = 0;

	for (size_t i = 0; i < held->num; len += key_len(buf + len), i++) {
		uint8_t *message = buf + len;

		memcpy(message, held->keys[i], key_len(held->keys[i]));
		memset(message + (message[0] == TYPE_KEY ? 1 : 2), 0, message[0] == TYPE_KEY ? 1 : 2);
	}
	if (held->pointer[1] != 0) {
		memcpy(buf + len, held->pointer, CONSOLE_HELD_POINTER);
		buf[len + 1] = 0;
		len += CONSOLE_HELD_POINTER;
	}
	memset(held, 0, sizeof(*held));
	return len;
}
