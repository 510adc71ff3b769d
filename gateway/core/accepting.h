/*
 * accepting.h: the listening sockets of a room that faces the network, in its loop. A room that cannot take more for now pauses: clients
 * wait in the kernel's queue, and the loop does not turn for nothing.
 */
#ifndef CORE_ACCEPTING_H
#define CORE_ACCEPTING_H

#include <stdint.h>
#include <sys/socket.h>

#include <event2/event.h>

#include "gateway/core/process.h"

struct accepting;

/* At least one client waits at `listener`. Called once a turn for each listener, so that rooms of one kind share a crowd. */
typedef void accepting_cb(const struct listener *listener, void *arg);

/* Begins at once, with the listeners of `process`, which are borrowed. NULL when memory is out. */
struct accepting *accepting_create(struct event_base *base, const struct process *process, accepting_cb *cb, void *arg);
/* NULL is fine. Does not close the listeners. */
void accepting_destroy(struct accepting *accepting);

/*
 * The client that waits: its socket, non-blocking, and its address. -1: none. When descriptors or memory are out it says so in the log and
 * pauses for a fifth of a second.
 */
int accepting_take(struct accepting *accepting, const struct listener *listener, struct sockaddr_storage *address);
/* Nobody is accepted for so long, or until accepting_resume(). */
void accepting_pause(struct accepting *accepting, const struct timeval *time);
/* Something has become free. Not paused: nothing. */
void accepting_resume(struct accepting *accepting);

/* The port that a TCP socket is bound to; 0 when the kernel does not tell, which is nobody's. */
uint16_t accepting_port(int fd);

#endif
