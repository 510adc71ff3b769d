#include "gateway/core/process.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/core/log.h"
#include "gateway/core/sandbox.h"

#define MAX_FILE	(16u * 1024u * 1024u)
#define MAX_KEPT	(6 + PROCESS_NUM_FILES + PROCESS_MAX_LISTENERS + LOG_MAX_OUTPUTS)

const char *
process_kind_name(enum process_kind kind)
{
	static const char *const names[PROCESS_NUM_KINDS] = { "parent", "front", "gate", "audit", "web", "reader", "sink" };

	return (unsigned)kind < PROCESS_NUM_KINDS ? names[kind] : "?";
}

const char *
process_name(enum process_kind kind, unsigned index, char *buf, size_t size)
{
	if (kind == PROCESS_FRONT || kind == PROCESS_SINK)
		(void)snprintf(buf, size, "%s/%u", process_kind_name(kind), index);
	else
		(void)snprintf(buf, size, "%s", process_kind_name(kind));
	return buf;
}

static void
set_names(const struct process *process)
{
	char name[32], comm[16];

	log_set_process(process_name(process->kind, process->index, name, sizeof(name)));
	(void)snprintf(comm, sizeof(comm), "virtgated-%s", process_kind_name(process->kind));
	(void)prctl(PR_SET_NAME, comm, 0, 0, 0);
}

/* The parent forks with all signals blocked, so that none reaches its handlers from here. */
static void
reset_signals(void)
{
	static const int ignored[] = { SIGPIPE, SIGHUP, SIGINT };
	sigset_t none;

	for (int number = 1; number < NSIG; number++)
		(void)signal(number, SIG_DFL);
	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		(void)signal(ignored[i], SIG_IGN);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static int
compare_ints(const void *a, const void *b)
{
	const int *left = a, *right = b;

	return (*left > *right) - (*left < *right);
}

/* The parent's event base, its links to the others and their files are none of a child's business. */
static int
close_others(const struct process *process)
{
	int kept[MAX_KEPT] = { STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO, process->parent_fd };
	size_t num = 4;
	unsigned from = 0;

	for (size_t i = 0; i < PROCESS_NUM_FILES; i++) {
		if (process->files[i] >= 0)
			kept[num++] = process->files[i];
	}
	for (size_t i = 0; i < process->num_listeners; i++)
		kept[num++] = process->listeners[i].fd;
	if (process->kind == PROCESS_AUDIT && process->audit_key >= 0)
		kept[num++] = process->audit_key;
	kept[num++] = process->lock;
	num += log_descriptors(kept + num);
	qsort(kept, num, sizeof(kept[0]), compare_ints);
	for (size_t i = 0; i < num; i++) {
		unsigned fd = (unsigned)kept[i];

		if (fd > from && close_range(from, fd - 1, 0) < 0)
			return -1;
		if (fd >= from)
			from = fd + 1;
	}
	return close_range(from, ~0u, 0);
}

/* Told here, because libvirt's client would only say that the connection was closed. */
static void
check_backend(const struct settings *settings)
{
	if (faccessat(AT_FDCWD, settings->backend_socket, R_OK | W_OK, AT_EACCESS) == 0)
		return;
	if (errno == EACCES)
		log_warn("backend_socket %s: user %u, group %u may not use it; set `group` to the group of that socket",
		    settings->backend_socket, (unsigned)geteuid(), (unsigned)getegid());
	else
		log_warn("backend_socket %s: %s; is libvirtd running?", settings->backend_socket, strerror(errno));
}

void
process_start(const struct process *process)
{
	struct sandbox_user user;
	struct vg_error error = { 0 };

	set_names(process);
	reset_signals();
	if (close_others(process) < 0)
		log_fatal("cannot close the parent's descriptors: %s", strerror(errno));
	if (sandbox_find_user(process->settings, &user, &error) < 0)
		log_fatal("%s%s%s", error.what, error.hint[0] != '\0' ? "; " : "", error.hint);
	user.audit_write = process->kind == PROCESS_SINK &&
	    strcmp(process->settings->audit_sinks.items[process->index], SETTINGS_SINK_AUDIT) == 0;
	if (sandbox_enter(&user, &error) < 0 ||
	    sandbox_confine(process->kind, process->settings, &error) < 0)
		log_fatal("%s%s%s", error.what, error.hint[0] != '\0' ? "; " : "", error.hint);
	/*
	 * After the user was changed, which resets it. A parent that is gone already is noticed by its link. The trail
	 * gets no signal: it finishes what it was given before it ends.
	 */
	if (process->kind != PROCESS_AUDIT && prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		log_fatal("cannot ask to die with the parent: %s", strerror(errno));
	if (process->kind == PROCESS_GATE)
		check_backend(process->settings);
}

char *
process_read_file(int fd, size_t *len)
{
	size_t size = 4096, used = 0;
	char *text = malloc(size + 1);

	while (text != NULL) {
		ssize_t got = pread(fd, text + used, size - used, (off_t)used);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			break;
		used += (size_t)got;
		if (got == 0) {
			text[used] = '\0';
			if (len != NULL)
				*len = used;
			return text;
		}
		if (used == size) {
			char *more;

			if (size >= MAX_FILE) {
				errno = EFBIG;
				break;
			}
			size *= 2;
			more = realloc(text, size + 1);
			if (more == NULL)
				break;
			text = more;
		}
	}
	int saved = text == NULL ? ENOMEM : errno;

	free(text);
	errno = saved;
	return NULL;
}

void
process_close_files(int files[PROCESS_NUM_FILES])
{
	for (size_t i = 0; i < PROCESS_NUM_FILES; i++) {
		if (files[i] >= 0)
			close(files[i]);
		files[i] = -1;
	}
}

size_t
process_put_files(const int files[PROCESS_NUM_FILES], uint8_t body[PROCESS_NUM_FILES], int fds[PROCESS_NUM_FILES])
{
	size_t num = 0;

	for (size_t i = 0; i < PROCESS_NUM_FILES; i++) {
		body[i] = files[i] >= 0;
		if (body[i] != 0)
			fds[num++] = files[i];
	}
	return num;
}

int
process_reload_files(const uint8_t *body, size_t len, const int *fds, size_t num_fds, int files[PROCESS_NUM_FILES])
{
	size_t used = 0;

	for (size_t i = 0; i < PROCESS_NUM_FILES; i++)
		files[i] = -1;
	if (len != PROCESS_NUM_FILES)
		goto bad;
	for (size_t i = 0; i < PROCESS_NUM_FILES; i++) {
		if (body[i] > 1 || (body[i] == 1 && used == num_fds))
			goto bad;
		if (body[i] == 1)
			files[i] = fds[used++];
	}
	if (used == num_fds)
		return 0;
bad:
	for (size_t i = 0; i < num_fds; i++)
		close(fds[i]);
	for (size_t i = 0; i < PROCESS_NUM_FILES; i++)
		files[i] = -1;
	return -1;
}
