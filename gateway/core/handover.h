/*
 * handover.h: an authenticated client, on its way from a front to the gate: struct vg_identity in a LINK_SESSION message
 * with the descriptor of a stream socketpair beside it. What arrives on that stream are RPC messages, whole or in
 * pieces; what the gate writes there must be whole RPC messages in order (the front cuts TLS records at their ends).
 * Of a VNC viewer (via VG_VIA_VNC, with `console` or `console_port`) and of one in a browser (via VG_VIA_WEB, with `console`) it is RFB: the gate's first word there is SecurityResult.
 * The viewer in a browser has a second descriptor with it, one end of a link_pair(): there the gate says why it ended before it closes the stream.
 */
#ifndef CORE_HANDOVER_H
#define CORE_HANDOVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "virtgate/identity.h"

/* Bytes written, or 0 when `size` is too small or a name is longer than 4 KiB. LINK_MAX_BODY is always enough. */
size_t handover_put(uint8_t *buf, size_t size, const struct vg_identity *identity);
/* -1 when the bytes do not add up; `identity` is cleared then. */
int handover_get(const uint8_t *buf, size_t len, struct vg_identity *identity);

#define HANDOVER_BY_SIZE 65
/* The gate's last word: enum close_reason (virtgate/endings.h), and who did it; NULL: nobody is named. A long name is cut between letters. */
void handover_say_end(int fd, unsigned reason, const char *by);
/* False: nothing was said. `by`: "" when nobody is named. */
bool handover_hear_end(int fd, unsigned *reason, char by[HANDOVER_BY_SIZE]);

void identity_clear(struct vg_identity *identity);
/* Where he comes from: address and port. An IPv4 address in IPv6's clothes is the IPv4 address; a local socket has none. */
void identity_set_address(struct vg_identity *identity, const struct sockaddr *address);
/* "alice@EXAMPLE.COM (CN=alice,O=Lab) from 10.0.0.7:41022": for log lines. Returns buf. */
const char *identity_text(const struct vg_identity *identity, char *buf, size_t size);
/* The one name a person would call this client by: SASL name, else DN, else "unix:USER", else "(not authenticated)". Borrowed, until the next call. */
const char *identity_name(const struct vg_identity *identity);

#endif
