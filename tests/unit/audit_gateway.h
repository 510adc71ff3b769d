/*
 * audit_gateway.h: a loop with a writer and a sender in it, over a real link and real files, on a disk that fails when told to. For the tests of the writer.
 */
#ifndef TESTS_UNIT_AUDIT_GATEWAY_H
#define TESTS_UNIT_AUDIT_GATEWAY_H

#include "tests/unit/audit_fixture.h"

struct failing_disk {
	int write, sync;		/* fails with this errno */
	size_t short_write;		/* not 0: writes so much, then fails as `write` says */
	unsigned syncs;
	long slow_ns;			/* a sync takes so long */
	const char *sync_of;		/* fails for the file of this name alone */
};
extern struct failing_disk disk;	/* all 0 at the start of a test */

struct gateway {
	char *dir;
	struct event_base *base;
	struct writer *writer;
	struct audit_client *client;
	struct writer_options options;
	unsigned durable, refused;
	const void *row;		/* of a test that has a table: its initial state */
};

void start_writer(struct gateway *gateway);
void stop_writer(struct gateway *gateway);
void connect_client(struct gateway *gateway);
/* Stops it where it runs, starts it and connects the sender. */
void restart_writer(struct gateway *gateway);
int setup(void **state);
/* For a test that starts it with other options. */
int setup_without_writer(void **state);
int teardown(void **state);
uint64_t submit(struct gateway *gateway, const char *stage, char kind, unsigned number);
void wait_durable(struct gateway *gateway, unsigned want);
bool no_writer(void *arg);
bool is_healthy(void *arg);
void wait_sent(struct gateway *gateway);
/* The verdict on a trail that must be whole; and it has so many records. */
struct audit_verdict whole_trail(const char *dir);
void assert_whole(const char *dir, uint64_t records);
void on_done(bool durable, void *arg);

#endif
