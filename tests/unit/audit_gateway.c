#include "tests/unit/audit_gateway.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "gateway/core/link.h"

/* ---- a disk that fails when told to ---- */

struct failing_disk disk;

static ssize_t
disk_write(int fd, const void *buf, size_t len)
{
	if (disk.short_write > 0) {
		size_t put = disk.short_write < len ? disk.short_write : len;

		disk.short_write = 0;
		return write(fd, buf, put);
	}
	if (disk.write != 0) {
		errno = disk.write;
		return -1;
	}
	return write(fd, buf, len);
}

static int
disk_sync(int fd)
{
	const struct timespec wait = { 0, disk.slow_ns };

	disk.syncs++;
	if (disk.slow_ns > 0)
		(void)nanosleep(&wait, NULL);
	if (disk.sync != 0 || (disk.sync_of != NULL && fixture_fd_is(fd, disk.sync_of))) {
		errno = disk.sync != 0 ? disk.sync : EIO;
		return -1;
	}
	return fdatasync(fd);
}

static const struct store_calls disk_calls = { disk_write, disk_sync };

/* ---- one gateway: a loop with a writer and a sender in it ---- */

void
start_writer(struct gateway *gateway)
{
	struct vg_error error = { "", "" };

	gateway->writer = writer_create(gateway->base, &gateway->options, &error);
	if (gateway->writer == NULL)
		fail_msg("%s", error.what);
}

void
stop_writer(struct gateway *gateway)
{
	writer_destroy(gateway->writer);
	gateway->writer = NULL;
}

void
connect_client(struct gateway *gateway)
{
	int fds[2];

	assert_int_equal(link_pair(fds), 0);
	assert_int_equal(writer_add(gateway->writer, fds[0], PROCESS_GATE), 0);
	audit_client_connect(gateway->client, fds[1]);
}

void
restart_writer(struct gateway *gateway)
{
	stop_writer(gateway);
	start_writer(gateway);
	connect_client(gateway);
}

int
setup_without_writer(void **state)
{
	struct gateway *gateway = calloc(1, sizeof(*gateway));

	assert_non_null(gateway);
	memset(&disk, 0, sizeof(disk));
	gateway->row = *state;
	gateway->dir = fixture_dir();
	gateway->base = fixture_base();
	gateway->options = (struct writer_options)WRITER_DEFAULTS(gateway->dir);
	gateway->options.calls = &disk_calls;
	gateway->options.retry_ms = 5;
	gateway->client = audit_client_create(gateway->base);
	assert_non_null(gateway->client);
	*state = gateway;
	return 0;
}

int
setup(void **state)
{
	assert_int_equal(setup_without_writer(state), 0);
	restart_writer(*state);
	return 0;
}

int
teardown(void **state)
{
	struct gateway *gateway = *state;

	audit_client_destroy(gateway->client);
	stop_writer(gateway);
	event_base_free(gateway->base);
	fixture_remove(gateway->dir);
	free(gateway);
	return 0;
}

void
on_done(bool durable, void *arg)
{
	struct gateway *gateway = arg;

	if (durable)
		gateway->durable++;
	else
		gateway->refused++;
}

uint64_t
submit(struct gateway *gateway, const char *stage, char kind, unsigned number)
{
	char op[27];

	fixture_op(op, kind, number);
	return audit_submit(gateway->client, fixture_record(stage, op),
	    strcmp(stage, "intent") == 0 ? AUDIT_OR_REFUSE : AUDIT_KEEP, on_done, gateway);
}

void
wait_durable(struct gateway *gateway, unsigned want)
{
	if (!fixture_until(gateway->base, &gateway->durable, want))
		fail_msg("%u of %u records became durable", gateway->durable, want);
}

static bool
nothing_pending(void *arg)
{
	return audit_client_pending(arg) == 0;
}

bool
no_writer(void *arg)
{
	return !audit_client_healthy(arg);
}

bool
is_healthy(void *arg)
{
	return audit_client_healthy(arg);
}

void
wait_sent(struct gateway *gateway)
{
	assert_true(fixture_until_true(gateway->base, nothing_pending, gateway->client));
}

struct audit_verdict
whole_trail(const char *dir)
{
	struct audit_verdict verdict = fixture_verify(dir);

	if (!verdict.whole)
		fail_msg("%s line %llu: %s", verdict.file, (unsigned long long)verdict.line, verdict.what);
	return verdict;
}

void
assert_whole(const char *dir, uint64_t records)
{
	assert_int_equal(whole_trail(dir).records, records);
}
