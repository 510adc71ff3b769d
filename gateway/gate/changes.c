/*
 * changes.c: one line for each person and object: "sasl:alice gains domain:start, domain:stop on domain:web-*".
 */
#include "gateway/gate/changes.h"

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "gateway/core/log.h"
#include "gateway/gate/gate.h"
#include "gateway/policy/diff.h"

#define MAX_LINES 100u		/* in a record; the rest is counted */
#define MAX_NAMED 6u		/* permissions of a line; the rest is counted */
#define MAX_LINE 800u

/* All that somebody gains, or loses, or has under other conditions, on one object. */
struct line {
	struct line *next;
	char *who, *object;
	enum policy_direction direction;
	char permissions[256];
	unsigned num;
};

struct changes {
	struct gate *gate;
	struct event event;
	int done_fd;			/* eventfd: the thread is done */
	pthread_t thread;
	bool running;
	struct policy *before;		/* owned */
	const struct policy *after;	/* gate->policy when it began */
	time_t now;
	struct policy *next;		/* owned: `after`, when it was replaced meanwhile */
	/* of the thread until it is done */
	struct line *lines, **end;
	struct line *first_of_person;
	unsigned num_lines, num_left_out;
	bool failed;
};

static const char *const verbs[] = { [POLICY_GAINS] = "gains", [POLICY_LOSES] = "loses", [POLICY_CHANGES] = "has otherwise" };

/* ---- in the thread ---- */

static struct line *
find_line(struct changes *changes, const struct policy_change *change, const char *object)
{
	struct line *line = changes->first_of_person;

	while (line != NULL && (line->direction != change->direction || strcmp(line->object, object) != 0))
		line = line->next;
	return line;
}

static struct line *
add_line(struct changes *changes, const struct policy_change *change, const char *object)
{
	struct line *line = calloc(1, sizeof(*line));

	if (line == NULL)
		return NULL;
	line->who = strdup(change->who);
	line->object = strdup(object);
	line->direction = change->direction;
	*changes->end = line;
	changes->end = &line->next;
	changes->num_lines++;
	return line->who == NULL || line->object == NULL ? NULL : line;
}

/* All of one person come together. */
static void
take_change(const struct policy_change *change, void *arg)
{
	struct changes *changes = arg;
	const char *object = change->object == NULL ? "the host" : change->object;
	struct line *line;
	size_t len;

	if (changes->failed)
		return;
	if (changes->first_of_person == NULL || strcmp(changes->first_of_person->who, change->who) != 0)
		changes->first_of_person = NULL;
	line = find_line(changes, change, object);
	if (line == NULL && changes->num_lines == MAX_LINES) {
		changes->num_left_out++;
		return;
	}
	if (line == NULL)
		line = add_line(changes, change, object);
	if (line == NULL) {
		changes->failed = true;
		return;
	}
	if (changes->first_of_person == NULL)
		changes->first_of_person = line;
	if (line->num++ >= MAX_NAMED)
		return;
	len = strlen(line->permissions);
	(void)snprintf(line->permissions + len, sizeof(line->permissions) - len, "%s%s", len == 0 ? "" : ", ", permission_name(change->permission));
}

static void *
compare(void *arg)
{
	struct changes *changes = arg;
	const uint64_t one = 1;

	if (policy_diff(changes->before, changes->after, changes->now, take_change, changes) < 0)
		changes->failed = true;
	(void)!write(changes->done_fd, &one, sizeof(one));
	return NULL;
}

/* ---- in the loop ---- */

static void
line_text(const struct line *line, char *text, size_t size)
{
	char more[32] = "";

	if (line->num > MAX_NAMED)
		(void)snprintf(more, sizeof(more), " and %u more", line->num - MAX_NAMED);
	(void)snprintf(text, size, "%.200s %s %s%s on %.200s", line->who, verbs[line->direction], line->permissions, more, line->object);
}

static void
free_lines(struct changes *changes)
{
	struct line *line;

	while ((line = changes->lines) != NULL) {
		changes->lines = line->next;
		free(line->who);
		free(line->object);
		free(line);
	}
	changes->end = &changes->lines;
	changes->first_of_person = NULL;
	changes->num_lines = changes->num_left_out = 0;
	changes->failed = false;
}

/* That less is told of reads is as much to know as who may more. */
static void
add_reads(const struct changes *changes, json_t *list)
{
	char text[MAX_LINE];

	for (unsigned i = 0; i < VG_NUM_CLASSES; i++) {
		enum policy_reads was = policy_reads(changes->before, (enum vg_class)i), now = policy_reads(changes->after, (enum vg_class)i);

		if (i == VG_CLASS_none || was == now)
			continue;
		(void)snprintf(text, sizeof(text), "of reads of class %s the trail is told: %s; before: %s", class_name((enum vg_class)i),
		    policy_reads_name(now), policy_reads_name(was));
		log_info("policy: %s", text);
		(void)json_array_append_new(list, json_string(text));
	}
}

static void
tell(struct changes *changes)
{
	json_t *record, *list = json_array();
	char text[MAX_LINE];

	add_reads(changes, list);
	if (changes->lines == NULL && json_array_size(list) == 0 && !changes->failed) {
		json_decref(list);
		return;
	}
	for (const struct line *line = changes->lines; line != NULL; line = line->next) {
		if (line->who == NULL || line->object == NULL)
			continue;
		line_text(line, text, sizeof(text));
		log_info("policy: %s", text);
		(void)json_array_append_new(list, audit_text(text, strlen(text)));
	}
	(void)snprintf(text, sizeof(text), changes->failed ? "out of memory while comparing: more may have changed" : changes->num_left_out == 0 ?
	    "all changes of rights are named" : "more changes of rights are not named: %u", changes->num_left_out);
	if (changes->failed || changes->num_left_out > 0)
		log_warn("policy: %s", text);
	record = audit_record_event(AUDIT_POLICY);
	if (record == NULL) {
		json_decref(list);
		return;
	}
	(void)json_object_set_new(record, "changes", list);
	audit_add_result(record, changes->failed ? "error" : "ok", 0, text);
	(void)audit_submit(changes->gate->audit, record, AUDIT_KEEP, NULL, NULL);
}

static void
start(struct changes *changes, struct policy *before)
{
	changes->before = before;
	changes->after = changes->gate->policy;
	changes->now = gate_now(changes->gate);		/* here: the loop's clock is not for other threads */
	changes->running = pthread_create(&changes->thread, NULL, compare, changes) == 0;
	if (changes->running)
		return;
	changes->failed = true;
	tell(changes);
	free_lines(changes);
	policy_destroy(before);
	changes->before = NULL;
}

/* Ends a comparison: what was compared with is freed. */
static struct policy *
finish(struct changes *changes)
{
	struct policy *next = changes->next;

	(void)pthread_join(changes->thread, NULL);
	changes->running = false;
	tell(changes);
	free_lines(changes);
	policy_destroy(changes->before);
	changes->before = changes->next = NULL;
	return next;
}

static void
on_done(int fd, short what, void *arg)
{
	struct changes *changes = arg;
	struct policy *next;
	uint64_t count;

	(void)what;
	if (read(fd, &count, sizeof(count)) < 0 || !changes->running)
		return;
	next = finish(changes);
	if (next != NULL)
		start(changes, next);
}

struct changes *
changes_create(struct gate *gate)
{
	struct changes *changes = calloc(1, sizeof(*changes));

	if (changes == NULL)
		return NULL;
	changes->gate = gate;
	changes->end = &changes->lines;
	changes->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (changes->done_fd < 0) {
		free(changes);
		return NULL;
	}
	event_assign(&changes->event, gate->base, changes->done_fd, EV_READ | EV_PERSIST, on_done, changes);
	event_add(&changes->event, NULL);
	return changes;
}

void
changes_tell(struct changes *changes, struct policy *before)
{
	if (!changes->running)
		start(changes, before);
	else if (before == changes->after)
		changes->next = before;
	else
		policy_destroy(before);		/* in force for a moment only: what came of it is told with the next */
}

void
changes_destroy(struct changes *changes)
{
	if (changes == NULL)
		return;
	if (changes->running)
		policy_destroy(finish(changes));
	event_del(&changes->event);
	close(changes->done_fd);
	free(changes);
}
