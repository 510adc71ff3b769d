/*
 * main.c: the audit process. It holds the trail and the key that signs it, and nothing else: no listener, no backend.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <event2/event.h>

#include "gateway/audit/writer.h"
#include "gateway/core/log.h"
#include "gateway/core/process.h"

struct audit_process {
	struct event_base *base;
	struct writer *writer;
	struct link *parent;
};

static void
take_peer(struct audit_process *audit, const uint8_t *body, size_t len, int fd)
{
	struct link_peer peer;

	if (len != sizeof(peer)) {
		close(fd);
		log_error("audit: the parent sent a link without saying to whom");
		return;
	}
	memcpy(&peer, body, sizeof(peer));
	if (writer_add(audit->writer, fd, (enum process_kind)peer.kind) == -1)
		log_error("audit: no link to process kind %u: %s", peer.kind, strerror(errno));
}

static void
on_parent(struct link *link, enum link_type type, const uint8_t *body, size_t len, const int *fds, size_t num_fds,
    void *arg)
{
	struct audit_process *audit = arg;

	if (type == LINK_PEER && num_fds == 1) {
		take_peer(audit, body, len, fds[0]);
		return;
	}
	for (size_t i = 0; i < num_fds; i++)
		if (fds[i] != -1)
			close(fds[i]);
	if (type == LINK_RELOAD)	/* nothing here can change while it runs */
		(void)link_send(link, LINK_RELOADED, NULL, 0, NULL, 0);
	else if (type == LINK_STOP)
		(void)event_base_loopbreak(audit->base);
}

static void
on_parent_gone(struct link *link, void *arg)
{
	struct audit_process *audit = arg;

	(void)link;
	(void)event_base_loopbreak(audit->base);
}

/* Records that the other rooms sent before they ended are still in the links. */
static void
drain(struct event_base *base)
{
	for (int turn = 0; turn < 1000 && event_base_loop(base, EVLOOP_NONBLOCK) == 0; turn++) {
		if (event_base_get_num_events(base, EVENT_BASE_COUNT_ACTIVE) == 0)
			break;
	}
}

/* For `virtgate audit verify` on this host; whoever wants to show that root wrote the trail anew needs it elsewhere. */
static void
publish_root(const struct settings *settings, const struct writer *writer)
{
	bool is_new = false;
	const char *root = writer_root(writer, &is_new);
	char path[4096];
	struct stat st;
	int fd;

	if (root == NULL || snprintf(path, sizeof(path), "%s/%s", settings->state_dir, SETTINGS_ROOT_FILE) >= (int)sizeof(path))
		return;
	if (is_new)
		log_warn("audit: the keys that sign the trail in %s begin with %s; keep this in another place", settings->audit_dir,
		    root);
	else if (stat(path, &st) == 0 && st.st_size > 0)
		return;
	fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC | O_NOFOLLOW);	/* the parent has made it */
	if (fd == -1 || dprintf(fd, "%s\n", root) < 0)
		log_warn("audit: %s cannot be written: %s", path, strerror(errno));
	if (fd != -1)
		close(fd);
}

void
audit_main(struct process *process)
{
	struct writer_options options = WRITER_DEFAULTS(process->settings->audit_dir);
	struct audit_process audit = { 0 };
	struct vg_error error = { "", "" };

	options.key_fd = process->audit_key;
	options.segment_bytes = (uint64_t)process->settings->audit_segment_mib << 20;
	options.retention.days = (unsigned)process->settings->audit_keep_days;
	options.retention.bytes = (uint64_t)process->settings->audit_keep_mib << 20;
	process_start(process);
	/* Whoever ends all processes at once (systemd does) must not cut off the last records: the parent tells. */
	(void)signal(SIGTERM, SIG_IGN);
	process_close_files(process->files);
	audit.base = event_base_new();
	if (audit.base == NULL || event_base_priority_init(audit.base, WRITER_PRIORITIES) == -1)
		log_fatal("no event loop");
	audit.parent = link_create(audit.base, process->parent_fd, on_parent, on_parent_gone, &audit);
	if (audit.parent == NULL)
		log_fatal("no link to the parent");
	audit.writer = writer_create(audit.base, &options, &error);
	if (audit.writer == NULL) {
		char text[sizeof(error.what) + sizeof(error.hint) + 16];

		(void)snprintf(text, sizeof(text), "%s%s%s", error.what, error.hint[0] != '\0' ? "; hint: " : "", error.hint);
		(void)link_send(audit.parent, LINK_FAILED, text, strlen(text), NULL, 0);
		_exit(1);
	}
	publish_root(process->settings, audit.writer);
	(void)link_send(audit.parent, LINK_READY, NULL, 0, NULL, 0);
	(void)event_base_dispatch(audit.base);
	drain(audit.base);
	writer_destroy(audit.writer);
	link_destroy(audit.parent);
	event_base_free(audit.base);
	exit(0);
}
