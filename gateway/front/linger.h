/*
 * linger.h: the last moments of a refused client's socket. Closing a socket with unread bytes resets the connection: the
 * client loses the alert that tells why, and one that still writes is killed by SIGPIPE (virsh). So the sending side is
 * shut down and what the client still says is thrown away, for a bounded time and number of sockets.
 */
#ifndef FRONT_LINGER_H
#define FRONT_LINGER_H

#include <event2/event.h>

/* Takes nothing: works on a duplicate of `fd`, which the caller closes as ever. Does nothing when too many linger. */
void linger_socket(struct event_base *base, int fd);

#endif
