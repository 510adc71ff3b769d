/*
 * run.c: the parent's life: start everything, run, stop everything in order.
 *
 * state        what happens                                     next
 * STARTING     every child is ready                             RUNNING
 * STARTING     a child cannot start                             STOP_FRONTS, exit code 1
 * STARTING, RUNNING  SIGTERM, SIGINT                            STOP_FRONTS
 * STOP_FRONTS  no front is left, or their time is over (killed) STOP_GATE
 * STOP_GATE    gate and reader have ended, or were killed       STOP_RECORD
 * STOP_RECORD  the record is durable, refused, or time is over  STOP_AUDIT
 * STOP_AUDIT   the audit process has ended, or was killed       STOP_SINKS
 * STOP_SINKS   the sinks have ended, or were killed             STOPPED
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "gateway/core/log.h"
#include "gateway/core/sandbox.h"
#include "gateway/parent/parent.h"

#define STOP_LIMIT_MS 1200		/* for each step of stopping: all together less than 5 s */

int64_t
parent_now(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- starting ---- */

static void
tell_starter(struct parent *parent, const char *text)
{
	ssize_t ignored;

	if (parent->started_fd < 0)
		return;
	ignored = write(parent->started_fd, text, strlen(text));
	(void)ignored;
	close(parent->started_fd);
	parent->started_fd = -1;
}

static void
record(struct parent *parent, enum audit_event event, audit_done_cb *done)
{
	json_t *entry = records_begin(event, &parent->stopped_by);

	if (entry != NULL)
		audit_add_result(entry, "ok", 0, NULL);
	if (event == AUDIT_START)
		records_add_files(entry, parent->settings, NULL, parent->digests);
	if (audit_submit(parent->audit, entry, AUDIT_KEEP, done, parent) == 0 && done != NULL)
		done(false, parent);
}

static void
all_ready(struct parent *parent)
{
	parent->state = PARENT_RUNNING;
	log_info("virtgated " VERSION " is ready with %u fronts", parent->num_fronts);
	records_start_run(parent);
	record(parent, AUDIT_START, NULL);
	notify_systemd("READY=1");
	if (parent->foreground) {
		(void)puts("READY");
		(void)fflush(stdout);
	}
	tell_starter(parent, "R");
}

/* ---- stopping ---- */

static void
arm_stop_timer(struct parent *parent)
{
	static const struct timeval limit = { STOP_LIMIT_MS / 1000, (STOP_LIMIT_MS % 1000) * 1000 };

	if (event_add(parent->stop_timer, &limit) < 0)
		log_fatal("out of memory");
}

static void
stop(struct parent *parent)
{
	if (parent->state > PARENT_RUNNING)
		return;
	notify_systemd("STOPPING=1");
	log_info("stopping");
	parent->state = PARENT_STOP_FRONTS;
	children_stop(parent, PROCESS_FRONT, false);
	children_stop(parent, PROCESS_WEB, false);
	arm_stop_timer(parent);
	parent_advance(parent);
}

/* Nothing more will be said to the trail, so its end is no news. Not from within the audit client's own callback. */
static void
stop_audit(struct parent *parent)
{
	audit_client_destroy(parent->audit);
	parent->audit = NULL;
	parent->state = PARENT_STOP_AUDIT;
	children_stop(parent, PROCESS_AUDIT, false);
	arm_stop_timer(parent);
	parent_advance(parent);
}

static void
on_stop_recorded(bool durable, void *arg)
{
	struct parent *parent = arg;

	parent->stop_recorded = durable;
	if (durable)
		records_end_run(parent);
	event_active(parent->stop_timer, EV_TIMEOUT, 0);
}

void
parent_advance(struct parent *parent)
{
	switch (parent->state) {
	case PARENT_STARTING:
		if (children_ready(parent))
			all_ready(parent);
		return;
	case PARENT_RUNNING:
	case PARENT_STOP_RECORD:
	case PARENT_STOPPED:
		return;
	case PARENT_STOP_FRONTS:
		if (children_alive(parent, PROCESS_FRONT) || children_alive(parent, PROCESS_WEB))
			return;
		parent->state = PARENT_STOP_GATE;
		children_stop(parent, PROCESS_GATE, false);
		children_stop(parent, PROCESS_READER, false);
		arm_stop_timer(parent);
		parent_advance(parent);
		return;
	case PARENT_STOP_GATE:
		if (children_alive(parent, PROCESS_GATE) || children_alive(parent, PROCESS_READER))
			return;
		parent->state = PARENT_STOP_RECORD;
		arm_stop_timer(parent);
		if (children_alive(parent, PROCESS_AUDIT))
			record(parent, AUDIT_STOP, on_stop_recorded);
		else
			stop_audit(parent);
		return;
	case PARENT_STOP_AUDIT:
		if (children_alive(parent, PROCESS_AUDIT))
			return;
		parent->state = PARENT_STOP_SINKS;
		children_stop(parent, PROCESS_SINK, false);
		arm_stop_timer(parent);
		parent_advance(parent);
		return;
	case PARENT_STOP_SINKS:
		if (children_alive(parent, PROCESS_SINK))
			return;
		parent->state = PARENT_STOPPED;
		(void)event_base_loopbreak(parent->base);
		return;
	}
}

static void
on_stop_timer(evutil_socket_t fd, short what, void *arg)
{
	struct parent *parent = arg;

	(void)fd;
	(void)what;
	switch (parent->state) {
	case PARENT_STOP_FRONTS:
		log_warn("fronts did not end in time");
		children_stop(parent, PROCESS_FRONT, true);
		children_stop(parent, PROCESS_WEB, true);
		break;
	case PARENT_STOP_GATE:
		log_warn("the gate or the audit reader did not end in time");
		children_stop(parent, PROCESS_GATE, true);
		children_stop(parent, PROCESS_READER, true);
		break;
	case PARENT_STOP_RECORD:
		if (!parent->stop_recorded)
			log_warn("the record of this stop is not in the trail");
		stop_audit(parent);
		break;
	case PARENT_STOP_AUDIT:
		log_warn("the audit process did not end in time");
		children_stop(parent, PROCESS_AUDIT, true);
		break;
	case PARENT_STOP_SINKS:
		log_info("a sink of the audit trail did not end in time; it goes on at the next start");
		children_stop(parent, PROCESS_SINK, true);
		break;
	default:
		break;
	}
}

static void
tell_failure(struct parent *parent, const char *text)
{
	parent->exit_code = 1;
	if (parent->started_fd < 0)
		(void)fprintf(stderr, "virtgated: %s\n", text);
	tell_starter(parent, text);
}

void
parent_cannot_start(struct parent *parent, const char *text)
{
	if (parent->exit_code == 0)
		tell_failure(parent, text);
	stop(parent);
}

/* ---- signals ---- */

static void
on_signal(evutil_socket_t fd, short what, void *arg)
{
	struct parent *parent = arg;
	struct signalfd_siginfo info;

	(void)what;
	while (read(fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		switch (info.ssi_signo) {
		case SIGCHLD:
			children_reap(parent);
			break;
		case SIGHUP:
			reload_start(parent, (struct asker){ "signal", info.ssi_uid });
			break;
		default:
			parent->stopped_by = (struct asker){ "signal", info.ssi_uid };
			stop(parent);
			break;
		}
	}
}

/* Read from a descriptor: no handler ever runs, here or in a child that was just forked. */
static int
open_signals(struct parent *parent, struct vg_error *error)
{
	static const int wanted[] = { SIGCHLD, SIGHUP, SIGINT, SIGTERM };
	sigset_t set;
	int fd;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		sigaddset(&set, wanted[i]);
	(void)signal(SIGPIPE, SIG_IGN);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0 || (fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC)) < 0)
		return vg_fail(error, "no signals: %s", strerror(errno));
	parent->signals = event_new(parent->base, fd, EV_READ | EV_PERSIST, on_signal, parent);
	if (parent->signals == NULL || event_add(parent->signals, NULL) < 0) {
		close(fd);
		return vg_fail(error, "out of memory");
	}
	return 0;
}

/* ---- the whole ---- */

/* A session costs the gate two descriptors, a browser's console three there and in the web front; a front two of those that it serves. */
static void
raise_descriptor_limit(const struct settings *settings)
{
	rlim_t want = 3 * (rlim_t)settings->max_clients + 2 * (rlim_t)settings->max_anonymous_clients + 128;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	if (limit.rlim_max != RLIM_INFINITY && limit.rlim_max < want)
		log_warn("max_clients = %d needs %llu open files, the limit is %llu; raise LimitNOFILE or lower max_clients",
		    settings->max_clients, (unsigned long long)want, (unsigned long long)limit.rlim_max);
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

/* A daemon in the background has no standard error; without log_outputs it uses syslog where there is one. */
static int
parent_setup_log(const struct parent *parent, const struct settings *settings, struct vg_error *error)
{
	static const char *const syslog_only[] = { "1:syslog:virtgated" };

	if (settings->log_outputs.num == 0) {
		if (parent->foreground || log_setup(settings->log_level, syslog_only, 1) < 0)
			(void)log_setup(settings->log_level, NULL, 0);
		return 0;
	}
	if (log_setup(settings->log_level, (const char *const *)settings->log_outputs.items,
	    (unsigned)settings->log_outputs.num) == 0)
		return 0;
	return vg_fail(error, "%s: log_outputs cannot be opened: %s", settings->file, strerror(errno));
}

static int
prepare(struct parent *parent, struct vg_error *error)
{
	const struct settings *settings = parent->settings;

	if (parent_setup_log(parent, settings, error) < 0)
		return -1;
	raise_descriptor_limit(settings);
	if (geteuid() == 0 && strcmp(settings->user, "root") == 0)
		log_warn("user = \"root\": the fronts and the gate keep all rights of root");
	if (files_make_directories(settings, error) < 0 || files_open(settings, parent->files, error) < 0 ||
	    listen_open(parent, error) < 0 || files_open_audit_key(settings, &parent->audit_key, error) < 0)
		return -1;
	records_digest_files(parent->files, parent->digests);
	parent->base = event_base_new();
	if (parent->base == NULL)
		return vg_fail(error, "no event loop");
	parent->stop_timer = evtimer_new(parent->base, on_stop_timer, parent);
	parent->audit = audit_client_create(parent->base);
	if (parent->stop_timer == NULL || parent->audit == NULL)
		return vg_fail(error, "out of memory");
	if (open_signals(parent, error) < 0)
		return -1;
	return children_prepare(parent, error);
}

static void
destroy(struct parent *parent)
{
	reload_destroy(parent);
	children_destroy(parent);
	audit_client_destroy(parent->audit);
	listen_close(parent);
	files_close(parent->files);
	if (parent->audit_key >= 0)
		close(parent->audit_key);
	if (parent->signals != NULL) {
		close(event_get_fd(parent->signals));
		event_free(parent->signals);
	}
	if (parent->stop_timer != NULL)
		event_free(parent->stop_timer);
	if (parent->base != NULL)
		event_base_free(parent->base);
	settings_destroy(parent->settings);
}

int
parent_run(struct settings *settings, bool foreground, int started_fd)
{
	static struct parent parent;	/* reachable from every child, so a leak checker there is not misled */
	struct vg_error error = { .what = "", .hint = "" };
	char text[sizeof(error.what) + sizeof(error.hint) + 16];

	parent = (struct parent){ .settings = settings, .foreground = foreground, .started_fd = started_fd, .lock = -1,
	    .audit_key = -1 };
	for (size_t i = 0; i < PROCESS_NUM_FILES; i++)
		parent.files[i] = parent.reload.files[i] = -1;
	if (prepare(&parent, &error) < 0) {
		(void)snprintf(text, sizeof(text), "%s%s%s", error.what, error.hint[0] != '\0' ? "\n  hint: " : "", error.hint);
		tell_failure(&parent, text);
	} else {
		for (unsigned i = 0; i < parent.num_children && parent.exit_code == 0; i++)
			child_start(&parent.children[i]);
		(void)event_base_dispatch(parent.base);
		log_info("stopped");
	}
	tell_starter(&parent, "stopped before it was ready");
	destroy(&parent);
	return parent.exit_code;
}
