/* worker.c: a bounded pool of threads that grows while its jobs block and shrinks when they do not. */
#include "gateway/auth/worker.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "gateway/core/log.h"

/* Kerberos and NSS modules are hungry. */
#define STACK_SIZE (512u * 1024u)
#define MAX_IDLE_THREADS 4u

STAILQ_HEAD(job_list, worker_job);

struct worker {
	pthread_mutex_t lock;		/* for all below */
	pthread_cond_t wanted;
	struct job_list waiting, finished;
	unsigned num_threads, num_idle, num_waiting;
	int wake_fd;			/* eventfd: something is in `finished` */
	struct event *wake;
};

static void
finish(struct worker *worker, struct worker_job *job)
{
	uint64_t one = 1;
	bool first = STAILQ_EMPTY(&worker->finished);

	STAILQ_INSERT_TAIL(&worker->finished, job, next);
	if (first)
		while (write(worker->wake_fd, &one, sizeof(one)) < 0 && errno == EINTR)
			;
}

static void *
thread_main(void *arg)
{
	struct worker *worker = arg;
	struct worker_job *job;

	pthread_mutex_lock(&worker->lock);
	for (;;) {
		if (STAILQ_EMPTY(&worker->waiting)) {
			if (worker->num_idle >= MAX_IDLE_THREADS)
				break;
			worker->num_idle++;
			pthread_cond_wait(&worker->wanted, &worker->lock);
			worker->num_idle--;
			continue;
		}
		job = STAILQ_FIRST(&worker->waiting);
		STAILQ_REMOVE_HEAD(&worker->waiting, next);
		worker->num_waiting--;
		pthread_mutex_unlock(&worker->lock);
		job->work(job);
		pthread_mutex_lock(&worker->lock);
		finish(worker, job);
	}
	worker->num_threads--;
	pthread_mutex_unlock(&worker->lock);
	return NULL;
}

/* Called with the lock held. */
static int
start_thread(struct worker *worker)
{
	pthread_attr_t attr;
	pthread_t thread;
	int error;

	if (worker->num_threads >= WORKER_MAX_THREADS)
		return -1;
	if (pthread_attr_init(&attr) != 0)
		return -1;
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	error = pthread_create(&thread, &attr, thread_main, worker);
	pthread_attr_destroy(&attr);
	if (error != 0)
		return -1;
	worker->num_threads++;
	return 0;
}

int
worker_submit(struct worker *worker, struct worker_job *job)
{
	int ret = 0;

	pthread_mutex_lock(&worker->lock);
	/* A job without a thread to take it up at once could wait for ever behind blocked ones. */
	if (worker->num_waiting >= worker->num_idle && start_thread(worker) < 0) {
		ret = -1;
	} else {
		STAILQ_INSERT_TAIL(&worker->waiting, job, next);
		worker->num_waiting++;
		pthread_cond_signal(&worker->wanted);
	}
	pthread_mutex_unlock(&worker->lock);
	return ret;
}

static void
on_wake(evutil_socket_t fd, short what, void *arg)
{
	struct worker *worker = arg;
	struct job_list finished = STAILQ_HEAD_INITIALIZER(finished);
	struct worker_job *job;
	uint64_t count;

	(void)what;
	while (read(fd, &count, sizeof(count)) < 0 && errno == EINTR)
		;
	pthread_mutex_lock(&worker->lock);
	STAILQ_CONCAT(&finished, &worker->finished);
	pthread_mutex_unlock(&worker->lock);
	while ((job = STAILQ_FIRST(&finished)) != NULL) {
		STAILQ_REMOVE_HEAD(&finished, next);
		job->done(job);
	}
}

struct worker *
worker_create(struct event_base *base)
{
	struct worker *worker = calloc(1, sizeof(*worker));

	if (worker == NULL)
		return NULL;
	STAILQ_INIT(&worker->waiting);
	STAILQ_INIT(&worker->finished);
	pthread_mutex_init(&worker->lock, NULL);
	pthread_cond_init(&worker->wanted, NULL);
	worker->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (worker->wake_fd < 0)
		goto fail;
	worker->wake = event_new(base, worker->wake_fd, EV_READ | EV_PERSIST, on_wake, worker);
	if (worker->wake == NULL || event_add(worker->wake, NULL) < 0)
		goto fail;
	return worker;
fail:
	if (worker->wake != NULL)
		event_free(worker->wake);
	if (worker->wake_fd >= 0)
		close(worker->wake_fd);
	free(worker);
	return NULL;
}
