/*
 * reload.c: SIGHUP and `virtgate reload`. The parent reads the settings and opens the files; each child takes or refuses
 * them and answers; when all took them they are what a child started later gets. What does not load changes nothing.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "gateway/core/log.h"
#include "gateway/parent/parent.h"

#define ANSWER_LIMIT_S 15

static void
tell_systemd(const char *what)
{
	struct timespec now;
	char text[96];

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	(void)snprintf(text, sizeof(text), "%s\nMONOTONIC_USEC=%lld", what,
	    (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
	notify_systemd(text);
}

static void
record_refusal(struct parent *parent, const char *why)
{
	json_t *record = records_begin(AUDIT_RELOAD_FAILED, &parent->reload.by);

	if (record != NULL)
		audit_add_result(record, "error", 0, why);
	(void)audit_submit(parent->audit, record, AUDIT_KEEP, NULL, NULL);
}

/* With what is otherwise from now on; what another policy gives and takes the gate tells (changes.c). */
static void
record_reload(struct parent *parent)
{
	struct reload *reload = &parent->reload;
	json_t *record = records_begin(AUDIT_RELOAD, &reload->by);
	char digests[PROCESS_NUM_FILES][DOCUMENT_NAME_LEN + 1];

	records_digest_files(reload->files, digests);
	if (record != NULL) {
		records_add_settings(record, parent->settings, reload->settings);
		records_add_files(record, reload->settings, parent->digests, digests);
		audit_add_result(record, "ok", 0, reload->kept);
	}
	memcpy(parent->digests, digests, sizeof(digests));
	(void)audit_submit(parent->audit, record, AUDIT_KEEP, NULL, NULL);
}

/* Ends a reload; `refused` empty: it went well. */
static void
finish(struct parent *parent, const char *refused)
{
	struct reload *reload = &parent->reload;

	if (refused[0] == '\0') {
		if (reload->kept[0] != '\0')
			log_warn("reloaded; these settings take effect at the next start: %s", reload->kept);
		else
			log_info("reloaded");
		record_reload(parent);
		settings_destroy(parent->settings);
		parent->settings = reload->settings;
		reload->settings = NULL;
		log_set_level(parent->settings->log_level);
		files_close(parent->files);
		memcpy(parent->files, reload->files, sizeof(parent->files));
		for (size_t i = 0; i < PROCESS_NUM_FILES; i++)
			reload->files[i] = -1;
	} else {
		log_error("reload refused, what was in force stays: %s", refused);
		record_refusal(parent, refused);
	}
	reload_destroy(parent);
	reload->running = false;
	tell_systemd("READY=1");
	if (reload->again) {
		reload->again = false;
		reload_start(parent, reload->by_next);
	}
}

static void
add_refusal(struct reload *reload, const char *who, const char *text)
{
	size_t len = strlen(reload->refused);

	(void)snprintf(reload->refused + len, sizeof(reload->refused) - len, "%s%s: %s", len > 0 ? "; " : "", who, text);
}

static void
finish_if_all_answered(struct parent *parent)
{
	for (unsigned i = 0; i < parent->num_children; i++) {
		if (parent->children[i].reloading)
			return;
	}
	finish(parent, parent->reload.refused);
}

void
reload_answer(struct child *child, const char *refused)
{
	char name[32];

	if (!child->reloading)
		return;
	child->reloading = false;
	if (refused != NULL)
		add_refusal(&child->parent->reload, process_name(child->kind, child->index, name, sizeof(name)), refused);
	finish_if_all_answered(child->parent);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct parent *parent = arg;
	char name[32];

	(void)fd;
	(void)what;
	for (unsigned i = 0; i < parent->num_children; i++) {
		struct child *child = &parent->children[i];

		if (!child->reloading)
			continue;
		child->reloading = false;
		add_refusal(&parent->reload, process_name(child->kind, child->index, name, sizeof(name)), "no answer");
	}
	finish_if_all_answered(parent);
}

static void
ask(struct child *child)
{
	int files[PROCESS_NUM_FILES], fds[PROCESS_NUM_FILES];
	uint8_t body[PROCESS_NUM_FILES];
	size_t num_fds;

	if (child->link == NULL)
		return;
	files_for(child->kind, child->parent->reload.files, files);
	num_fds = process_put_files(files, body, fds);
	child->reloading = link_send(child->link, LINK_RELOAD, body, sizeof(body), fds, num_fds) == 0;
}

/* New settings and files; -1 with the reason when there are none. */
static int
prepare(struct parent *parent, struct vg_error *error)
{
	struct reload *reload = &parent->reload;

	reload->settings = settings_load(parent->settings->file, error);
	if (reload->settings == NULL)
		return -1;
	settings_keep(reload->settings, parent->settings, reload->kept, sizeof(reload->kept));
	if (files_open(reload->settings, reload->files, error) < 0)
		return -1;
	if (reload->timer == NULL)
		reload->timer = evtimer_new(parent->base, on_timer, parent);
	if (reload->timer == NULL)
		return vg_fail(error, "out of memory");
	return 0;
}

void
reload_start(struct parent *parent, struct asker by)
{
	static const struct timeval limit = { ANSWER_LIMIT_S, 0 };
	struct reload *reload = &parent->reload;
	struct vg_error error = { .what = "", .hint = "" };
	char text[sizeof(error.what) + sizeof(error.hint) + 2];

	if (parent->state != PARENT_RUNNING)
		return;
	if (reload->running) {
		reload->again = true;
		reload->by_next = by;
		return;
	}
	log_info("reloading, asked for by %s of user %u", strcmp(by.via, "control") == 0 ? "an admin on the control socket" : "SIGHUP", (unsigned)by.uid);
	reload->running = true;
	reload->by = by;
	reload->refused[0] = reload->kept[0] = '\0';
	for (size_t i = 0; i < PROCESS_NUM_FILES; i++)
		reload->files[i] = -1;
	tell_systemd("RELOADING=1");
	if (prepare(parent, &error) < 0) {
		(void)snprintf(text, sizeof(text), "%s%s%s", error.what, error.hint[0] != '\0' ? "; " : "", error.hint);
		finish(parent, text);
		return;
	}
	(void)event_add(reload->timer, &limit);
	for (unsigned i = 0; i < parent->num_children; i++)
		ask(&parent->children[i]);
	finish_if_all_answered(parent);
}

void
reload_destroy(struct parent *parent)
{
	struct reload *reload = &parent->reload;

	settings_destroy(reload->settings);
	reload->settings = NULL;
	files_close(reload->files);
	if (reload->timer != NULL)
		event_free(reload->timer);
	reload->timer = NULL;
}
