/*
 * crowd.h: connections by the address that they come from (of IPv6 its first 64 bits, which one customer has), so that one of them cannot have all that
 * there may be. A table of fixed size, keyed by what nobody knows: who falls on somebody else's counter is counted with him.
 */
#ifndef WEB_CROWD_H
#define WEB_CROWD_H

#include <sys/socket.h>

/* The counter of this address: the caller's to raise and to lower. */
unsigned *crowd_of(const struct sockaddr_storage *address);

#endif
