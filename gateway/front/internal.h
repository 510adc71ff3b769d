/*
 * internal.h: the front process itself: what its clients share.
 */
#ifndef FRONT_INTERNAL_H
#define FRONT_INTERNAL_H

#include <openssl/ssl.h>

#include "gateway/core/accepting.h"
#include "gateway/core/audit_client.h"
#include "gateway/core/link.h"
#include "gateway/core/process.h"
#include "gateway/front/client.h"

struct failures;
struct worker;

/* Settings and TLS context of one reload; clients that are authenticating keep the one they started with. */
struct config {
	unsigned refs;
	struct settings *settings;
	SSL_CTX *tls;			/* NULL when there is no TLS listener */
};

struct front {
	struct event_base *base;
	struct process *process;
	struct config *config;
	struct link *parent, *gate;	/* gate: NULL while it is away */
	struct audit_client *audit;
	struct worker *worker;
	struct failures *failures;	/* that were recorded lately */
	struct accepting *accepting;
	struct event *reap;
	struct client_list anonymous;	/* not authenticated, oldest first */
	struct client_list authenticated;
	struct client_list closed;	/* freed at the end of the turn */
	unsigned num_anonymous, num_authenticated;
	unsigned long num_accepted;
};

struct config *config_hold(struct config *config);
void config_release(struct config *config);

/* A place has become free: accepting goes on. */
void front_client_left(struct front *front);

#endif
