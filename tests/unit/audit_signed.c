#include "tests/unit/audit_signed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

int
open_key(const char *dir)
{
	int fd = open(fixture_path(dir, KEY_FILE), O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd != -1);
	return fd;
}

void
start_signed(struct gateway *gateway)
{
	gateway->options.key_fd = open_key(gateway->dir);	/* each writer takes one */
	restart_writer(gateway);
}

int
setup_signed(void **state)
{
	assert_int_equal(setup_without_writer(state), 0);
	start_signed(*state);
	return 0;
}

void
write_records(struct gateway *gateway, unsigned num)
{
	static unsigned number;		/* no two records alike */
	const unsigned at_once = gateway->options.segment_bytes < STORE_SEGMENT_BYTES ? 4 : 500;
	unsigned want = gateway->durable;

	for (unsigned i = 0; i < num; i++) {
		assert_true(submit(gateway, "event", 'S', number++) != 0);
		if (++want - gateway->durable > at_once)
			wait_durable(gateway, want);
	}
	wait_durable(gateway, want);
}

struct audit_verdict
verify(struct gateway *gateway, const struct audit_verify_options *options)
{
	struct audit_verdict verdict;
	struct vg_error error;

	assert_int_equal(audit_verify(gateway->dir, options, &verdict, NULL, NULL, &error), 0);
	return verdict;
}

void
assert_bad(const struct audit_verdict *verdict, const char *what)
{
	if (verdict->whole)
		fail_msg("whole, expected: %s", what);
	if (strstr(verdict->what, what) == NULL)
		fail_msg("'%s', expected: %s", verdict->what, what);
}

void
age_key(struct gateway *gateway)
{
	char line[512] = "", sum[AUDIT_HASH_LEN + 1], root[65], seed[65], next[65];
	unsigned long long epoch;
	char *text = fixture_read(gateway->dir, KEY_FILE, NULL);
	int fd = open_key(gateway->dir), len;

	assert_int_equal(sscanf(text, "virtgate-audit-key 1 %llu %*d %64s %64s %64s", &epoch, root, seed, next), 4);
	len = snprintf(line, sizeof(line), "virtgate-audit-key 1 %llu 1 %s %s %s", epoch, root, seed, next);
	scan_hash(line, (size_t)len, NULL, 0, sum);
	(void)snprintf(line + len, sizeof(line) - (size_t)len, " %s\n", sum);
	assert_int_equal(pwrite(fd, line, sizeof(line), 0), sizeof(line));
	assert_int_equal(pwrite(fd, line, sizeof(line), 4096), sizeof(line));
	close(fd);
	free(text);
}
