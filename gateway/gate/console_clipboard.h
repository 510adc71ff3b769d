/*
 * console_clipboard.h: the extended clipboard (rfbproto.rst, Extended Clipboard Pseudo-Encoding), the only form in which QEMU sends a guest's text
 * to a viewer. It is there for who holds domain:copy_graphics; of what the viewer says in it nothing is passed on as it came: each message is
 * made anew, of text alone.
 *
 *   caps, request, peek   domain:copy_graphics: asks for the guest's text
 *   notify, provide       domain:paste_graphics besides: offers text, and gives it
 *
 * A text is inflated here, at most RFB_MAX_TEXT bytes of it, and goes on as a stream that is whole and compressed by nothing: the guest's VNC
 * server meets neither a bomb nor a stream without an end (CVE-2023-3255). Nothing is passed before the encoding was (CVE-2023-6683).
 */
#ifndef GATE_CONSOLE_CLIPBOARD_H
#define GATE_CONSOLE_CLIPBOARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* Texts that a viewer may give in a second: inflating them is the gate's time. */
#define CONSOLE_CLIPBOARD_TEXTS 4u

/* Zeroes: none yet. */
struct console_clipboard {
	bool on;		/* the guest's VNC server was told that the viewer knows it */
	time_t second;
	unsigned texts;		/* given in that second */
};

/*
 * What goes on of a whole message of RFB_USE_EXTENDED: its bytes, borrowed until the next call. 0: nothing. `copies`, `pastes`: what the viewer
 * may.
 */
size_t console_clipboard_take(struct console_clipboard *clipboard, const uint8_t *message, size_t len, bool copies, bool pastes, time_t now,
    const uint8_t **out);

#endif
