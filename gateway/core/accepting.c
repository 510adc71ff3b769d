/* accepting.c: one event a listener, and a timer that puts them back. */
#include "gateway/core/accepting.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event_struct.h>

#include "gateway/core/log.h"

/* Out of descriptors: old clients go on, new ones wait that long. */
static const struct timeval retry_time = { 0, 200000 };

struct one {
	struct event event;
	struct accepting *accepting;
	const struct listener *listener;
};

struct accepting {
	accepting_cb *cb;
	void *arg;
	bool paused;			/* until `resume` */
	struct event resume;
	size_t num;
	struct one ones[];
};

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct one *one = arg;

	(void)fd;
	(void)what;
	one->accepting->cb(one->listener, one->accepting->arg);
}

static void
on_resume(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	accepting_resume(arg);
}

struct accepting *
accepting_create(struct event_base *base, const struct process *process, accepting_cb *cb, void *arg)
{
	struct accepting *accepting = calloc(1, sizeof(*accepting) + process->num_listeners * sizeof(accepting->ones[0]));

	if (accepting == NULL)
		return NULL;
	accepting->cb = cb;
	accepting->arg = arg;
	evtimer_assign(&accepting->resume, base, on_resume, accepting);
	for (; accepting->num < process->num_listeners; accepting->num++) {
		struct one *one = &accepting->ones[accepting->num];

		one->accepting = accepting;
		one->listener = &process->listeners[accepting->num];
		event_assign(&one->event, base, one->listener->fd, EV_READ | EV_PERSIST, on_readable, one);
		if (event_add(&one->event, NULL) < 0) {
			accepting_destroy(accepting);
			return NULL;
		}
	}
	return accepting;
}

void
accepting_destroy(struct accepting *accepting)
{
	if (accepting == NULL)
		return;
	event_del(&accepting->resume);
	for (size_t i = 0; i < accepting->num; i++)
		event_del(&accepting->ones[i].event);
	free(accepting);
}

int
accepting_take(struct accepting *accepting, const struct listener *listener, struct sockaddr_storage *address)
{
	socklen_t len = sizeof(*address);
	int fd;

	memset(address, 0, sizeof(*address));
	fd = accept4(listener->fd, (struct sockaddr *)address, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)) {
		log_warn("no new clients for now: %s", strerror(errno));
		accepting_pause(accepting, &retry_time);
	}
	return fd;
}

void
accepting_pause(struct accepting *accepting, const struct timeval *time)
{
	for (size_t i = 0; i < accepting->num && !accepting->paused; i++)
		event_del(&accepting->ones[i].event);
	accepting->paused = true;
	event_add(&accepting->resume, time);
}

void
accepting_resume(struct accepting *accepting)
{
	if (!accepting->paused)
		return;
	accepting->paused = false;
	event_del(&accepting->resume);
	for (size_t i = 0; i < accepting->num; i++)
		event_add(&accepting->ones[i].event, NULL);
}

uint16_t
accepting_port(int fd)
{
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} address;
	socklen_t len = sizeof(address);

	if (getsockname(fd, &address.any, &len) < 0)
		return 0;
	return ntohs(address.any.sa_family == AF_INET6 ? address.v6.sin6_port : address.v4.sin_port);
}
