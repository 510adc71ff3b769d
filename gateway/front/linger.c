#include "gateway/front/linger.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_LINGERING	64u
#define LINGER_SECONDS	2
#define MAX_READS	16u	/* a client that says more was not on its way out; each may take LINGER_SECONDS */

struct lingering {
	int fd;
	unsigned reads;
	struct event *event;
};

static unsigned num_lingering;

static void
finish(struct lingering *lingering)
{
	num_lingering--;
	event_free(lingering->event);
	close(lingering->fd);
	free(lingering);
}

static void
on_readable(int fd, short what, void *arg)
{
	struct lingering *lingering = arg;
	char waste[4096];
	ssize_t n = (what & EV_TIMEOUT) != 0 ? 0 : recv(fd, waste, sizeof(waste), MSG_DONTWAIT);

	if (n > 0 && ++lingering->reads < MAX_READS)
		return;
	finish(lingering);
}

void
linger_socket(struct event_base *base, int fd)
{
	const struct timeval limit = { .tv_sec = LINGER_SECONDS };
	struct lingering *lingering = num_lingering < MAX_LINGERING ? calloc(1, sizeof(*lingering)) : NULL;

	if (lingering == NULL)
		return;
	lingering->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (lingering->fd >= 0)
		lingering->event = event_new(base, lingering->fd, EV_READ | EV_PERSIST, on_readable, lingering);
	if (lingering->event == NULL || shutdown(lingering->fd, SHUT_WR) < 0 || event_add(lingering->event, &limit) < 0) {
		if (lingering->event != NULL)
			event_free(lingering->event);
		if (lingering->fd >= 0)
			close(lingering->fd);
		free(lingering);
		return;
	}
	num_lingering++;
}
