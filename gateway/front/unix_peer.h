/*
 * unix_peer.h: who is at the other end of a local socket, from the kernel.
 */
#ifndef FRONT_UNIX_PEER_H
#define FRONT_UNIX_PEER_H

struct client;

/* Asks the kernel for the uid and a worker for its name; hands the client over or closes it. */
void unix_peer_start(struct client *client);

#endif
