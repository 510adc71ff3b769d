/*
 * worker.h: threads for what may block: a SASL step that asks a directory, a user name from NSS. A job is worked on by
 * some thread and finished in the loop. Threads are started as jobs need them, up to a bound, because a blocked one
 * must not keep the next job waiting; beyond the bound jobs are refused at once.
 */
#ifndef AUTH_WORKER_H
#define AUTH_WORKER_H

#include <sys/queue.h>

#include <event2/event.h>

#define WORKER_MAX_THREADS 64

struct worker_job {
	void (*work)(struct worker_job *job);	/* in a thread: touches only what belongs to the job */
	void (*done)(struct worker_job *job);	/* in the loop; may free the job */
	STAILQ_ENTRY(worker_job) next;
};

struct worker;

struct worker *worker_create(struct event_base *base);
/*
 * 0, or -1 when all threads are busy with jobs that do not end. The job stays the caller's; it is called back exactly
 * once after a 0.
 */
int worker_submit(struct worker *worker, struct worker_job *job);

#endif
