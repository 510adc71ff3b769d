/*
 * unix_peer.h: who is at the other end of a local socket: the uid from the kernel, names of user and groups from the account database. They
 * are asked for at every log-in and not kept: who left a group has lost its rights with his next connection.
 */
#ifndef FRONT_UNIX_PEER_H
#define FRONT_UNIX_PEER_H

struct client;

/* Asks the kernel for the uid and a worker for the names; hands the client over or closes it. */
void unix_peer_start(struct client *client);

#endif
