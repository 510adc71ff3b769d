/*
 * parent.h: the process that people start. It reads the settings, opens listeners and files, starts the rooms, joins them
 * with links, starts them again when they fall, has them reload, and ends them in order. It reads no byte from the network.
 */
#ifndef PARENT_PARENT_H
#define PARENT_PARENT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <event2/event.h>

#include "gateway/core/audit_client.h"
#include "gateway/core/document.h"
#include "gateway/core/link.h"
#include "gateway/core/process.h"
#include "gateway/core/settings.h"
#include "virtgate/result.h"

#define PARENT_MAX_FRONTS	64
#define PARENT_MAX_CHILDREN	(PARENT_MAX_FRONTS + 4 + SETTINGS_MAX_SINKS)

enum child_state {
	CHILD_ENDED,		/* not there, and nothing is planned */
	CHILD_STARTING,		/* forked; timer: it must be ready by then */
	CHILD_READY,
	CHILD_WAITING		/* fell; timer: when it is started again */
};

struct child {
	struct parent *parent;
	enum process_kind kind;
	unsigned index;
	enum child_state state;
	pid_t pid;			/* 0: none */
	bool reaped;			/* waited for; what it had sent is still being read */
	int exit_status;
	struct link *link;		/* NULL: none */
	struct event *timer;
	unsigned falls;			/* in a row */
	int64_t ready_since;		/* milliseconds, monotonic; 0: not since it was started */
	bool reloading;			/* was asked and has not answered */
	char last_words[1024];		/* of LINK_FAILED */
};

enum parent_state {
	PARENT_STARTING,	/* not every child was ready yet: a fall ends the start */
	PARENT_RUNNING,
	PARENT_STOP_FRONTS,	/* then those behind them, so that nobody loses what he still has to say */
	PARENT_STOP_GATE,
	PARENT_STOP_RECORD,	/* the record of the stop becomes durable */
	PARENT_STOP_AUDIT,
	PARENT_STOP_SINKS,	/* they send the last records */
	PARENT_STOPPED
};

/* Who asked for a reload or a stop. */
struct asker {
	const char *via;		/* "control", "signal"; NULL: nobody */
	uint32_t uid;			/* as the kernel tells it */
};

struct reload {
	bool running, again;
	struct asker by, by_next;	/* by_next: of the one that comes again */
	struct settings *settings;	/* take the place of the parent's when all have taken them */
	int files[PROCESS_NUM_FILES];
	char refused[2048];		/* texts of those that did not */
	char kept[512];			/* keys that changed but need a restart */
	struct event *timer;
};

struct parent {
	struct event_base *base;
	struct settings *settings;
	enum parent_state state;
	int files[PROCESS_NUM_FILES];
	char digests[PROCESS_NUM_FILES][DOCUMENT_NAME_LEN + 1];	/* of `files`, as they were when they were opened; empty: none */
	struct listener listeners[PROCESS_MAX_LISTENERS];
	unsigned num_listeners;
	uint16_t guest_ports[SETTINGS_MAX_PORTS];
	unsigned num_guest_ports;
	int lock;				/* run_dir/virtgated.lock */
	int audit_key;				/* state_dir/audit-key */
	struct child children[PARENT_MAX_CHILDREN];	/* audit, gate, reader, the fronts, web, then the sinks */
	unsigned num_children, num_fronts;
	struct audit_client *audit;
	struct event *signals;
	struct event *stop_timer;
	bool stop_recorded;
	struct asker stopped_by;
	struct reload reload;
	bool foreground;
	int started_fd;				/* whoever waits in the background's foreground; -1: nobody */
	int exit_code;
};

/* Runs until it is told to stop. `started_fd` gets one byte when all are ready, or the text of why not. Returns the exit code. */
int parent_run(struct settings *settings, bool foreground, int started_fd);
/* The children are as they are: is there a next step of starting or stopping? */
void parent_advance(struct parent *parent);
/* Tells whoever started us that it came to nothing, and ends. */
void parent_cannot_start(struct parent *parent, const char *text);
int64_t parent_now(void);

/* ---- children.c ---- */

int children_prepare(struct parent *parent, struct vg_error *error);
void child_start(struct child *child);
/* LINK_STOP, or SIGKILL, to all of a kind; also cancels planned restarts. */
void children_stop(struct parent *parent, enum process_kind kind, bool now);
bool children_alive(const struct parent *parent, enum process_kind kind);
bool children_ready(const struct parent *parent);
/* After SIGCHLD. */
void children_reap(struct parent *parent);
void children_destroy(struct parent *parent);

/* ---- reload.c ---- */

void reload_start(struct parent *parent, struct asker by);
/* What `child` answered; NULL: all taken (or it fell: it will be started with what is in force). */
void reload_answer(struct child *child, const char *refused);
void reload_destroy(struct parent *parent);

/* ---- records.c: what the trail is told of the gateway itself ---- */

/* SHA-256 of each that is open, but of the private key; as they are now. */
void records_digest_files(const int files[PROCESS_NUM_FILES], char digests[PROCESS_NUM_FILES][DOCUMENT_NAME_LEN + 1]);
/* An event with member "by" where somebody asked for it; `by` may be NULL. */
json_t *records_begin(enum audit_event event, const struct asker *by);
/*
 * The mark of a run, in state_dir: set at the start, durably, and taken away when the record of the stop is durable. A start that finds one records the
 * crash of the run before.
 */
void records_start_run(struct parent *parent);
void records_end_run(const struct parent *parent);
/* Member "files": of what is another than it `was`, or all where that is NULL, path and SHA-256. */
void records_add_files(json_t *record, const struct settings *settings, char was[PROCESS_NUM_FILES][DOCUMENT_NAME_LEN + 1],
    char now[PROCESS_NUM_FILES][DOCUMENT_NAME_LEN + 1]);
/* Member "settings": what differs, [ { "key", "was", "now" } ]. */
void records_add_settings(json_t *record, const struct settings *was, const struct settings *now);

/* ---- files.c: what the children may not open themselves ---- */

/* Opens all that `settings` name. On failure none is open. */
int files_open(const struct settings *settings, int files[PROCESS_NUM_FILES], struct vg_error *error);
void files_close(int files[PROCESS_NUM_FILES]);
/* The key that signs the audit trail, made empty when it is missing; the audit process fills it. */
int files_open_audit_key(const struct settings *settings, int *opened, struct vg_error *error);
/* Those that a kind of process needs, the others -1. Borrowed. */
void files_for(enum process_kind kind, const int from[PROCESS_NUM_FILES], int to[PROCESS_NUM_FILES]);
/* Makes run_dir, state_dir with the directory of the trail's index, and audit_dir where they are missing. */
int files_make_directories(const struct settings *settings, struct vg_error *error);

/* ---- listen.c ---- */

/* Binds everything; writes run_dir/ports.json and virtgated.pid. On failure parent->num_listeners are open. */
int listen_open(struct parent *parent, struct vg_error *error);
/* Closes, and removes what was written. */
void listen_close(struct parent *parent);

/* ---- notify.c ---- */

/* Tells systemd ("READY=1"); does nothing when it did not start us. */
void notify_systemd(const char *state);

#endif
