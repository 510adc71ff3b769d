/*
 * console_held.h: what a viewer holds down in the guest. Whose input is taken away while he goes on looking must not leave a key pressed that
 * nobody can let go.
 */
#ifndef GATE_CONSOLE_HELD_H
#define GATE_CONSOLE_HELD_H

#include <stddef.h>
#include <stdint.h>

#define CONSOLE_HELD_MAX	32u	/* keys at a time; of more the oldest are forgotten */
#define CONSOLE_HELD_LEN	12u	/* the longer of KeyEvent and QEMU's extended one */
#define CONSOLE_HELD_POINTER	6u	/* PointerEvent */
#define CONSOLE_HELD_RELEASE	(CONSOLE_HELD_MAX * CONSOLE_HELD_LEN + CONSOLE_HELD_POINTER)

/* Zeroes: nothing. */
struct console_held {
	uint8_t keys[CONSOLE_HELD_MAX][CONSOLE_HELD_LEN];	/* the messages that pressed them, oldest first */
	size_t num;
	uint8_t pointer[CONSOLE_HELD_POINTER];			/* its last */
};

/* A message of RFB_USE_INPUT that goes to the guest, whole. */
void console_held_note(struct console_held *held, const uint8_t *message);
/* The messages that let everything go; nothing is held then. Their length, 0 when nothing was. */
size_t console_held_release(struct console_held *held, uint8_t buf[CONSOLE_HELD_RELEASE]);

#endif
