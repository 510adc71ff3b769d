/*
 * I62: everything that can be done to a small trail with a few bytes of work, tried out: every bit flipped, every
 * truncation, every pair of records swapped, every record removed, repeated, or put where another one was, every file
 * removed or put in another's place, every splice of two trails, every rollback to an earlier state. With a checkpoint
 * from outside where nothing in the trail can tell. Prints how many.
 *
 * test_audit_tamper [STEP]: every 11th bit and length unless told otherwise; `make tamper-audit` does all.
 *
 * What is flipped in audit-keys, while nothing was removed, is no record and need not show.
 */
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

#include "gateway/audit/checkpoint.h"
#include "gateway/core/link.h"
#include "gateway/core/log.h"
#include "tests/unit/audit_fixture.h"

#define NUM_FILES	4		/* three segments and the note of the end */
#define HEAD		3
#define MAX_STATES	16

static const char *const names[NUM_FILES] = { "audit-000001.jsonl", "audit-000002.jsonl", "audit-000003.jsonl", AUDIT_HEAD_FILE };

struct trail {
	char *text[NUM_FILES];		/* NULL: not there */
	size_t len[NUM_FILES];
};

static struct trail good, other, states[MAX_STATES];
static unsigned num_states;
static struct checkpoints outside;
static char *work;			/* directory */
static unsigned step = 11;		/* of bits and lengths */

/* ---- making trails ---- */

static void
on_done(bool durable, void *arg)
{
	assert_true(durable);
	++*(unsigned *)arg;
}

static void
read_trail(const char *dir, struct trail *trail)
{
	for (int i = 0; i < NUM_FILES; i++)
		trail->text[i] = access(fixture_path(dir, names[i]), F_OK) == 0 ? fixture_read(dir, names[i], &trail->len[i]) : NULL;
}

static void
free_trail(struct trail *trail)
{
	for (int i = 0; i < NUM_FILES; i++)
		free(trail->text[i]);
	memset(trail, 0, sizeof(*trail));
}

/* Runs of a writer with a key that changes each time, until there are three segments; `keep` takes each state. */
static void
make_trail(struct trail *trail, char kind, bool keep)
{
	char *dir = fixture_dir();
	struct writer_options options = WRITER_DEFAULTS(dir);
	struct event_base *base = fixture_base();
	struct audit_client *client = audit_client_create(base);
	unsigned sent = 0, done = 0;

	options.segment_bytes = 3200;
	options.epoch_seconds = 0;
	while (access(fixture_path(dir, names[2]), F_OK) != 0) {
		struct vg_error error = { "", "" };
		struct writer *writer;
		char op[27];
		int fds[2];

		options.key_fd = open(fixture_path(dir, "key"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		writer = writer_create(base, &options, &error);
		assert_non_null(writer);
		assert_int_equal(link_pair(fds), 0);
		assert_int_equal(writer_add(writer, fds[0], PROCESS_FRONT), 0);
		audit_client_connect(client, fds[1]);
		for (unsigned i = 0; i < 2; i++) {
			fixture_op(op, kind, sent++);
			assert_true(audit_submit(client, fixture_record("event", op), AUDIT_KEEP, on_done, &done) != 0);
			assert_true(fixture_until(base, &done, sent));
		}
		writer_destroy(writer);
		if (keep) {
			assert_true(num_states < MAX_STATES);
			read_trail(dir, &states[num_states++]);
		}
	}
	read_trail(dir, trail);
	audit_client_destroy(client);
	event_base_free(base);
	fixture_remove(dir);
}

/* The last checkpoint, as a collector has it. */
static void
keep_outside(void)
{
	char *text = strdup(good.text[2]), *rest = text, *line;
	struct checkpoint checkpoint = { 0 };

	assert_non_null(text);
	while ((line = strsep(&rest, "\n")) != NULL)
		(void)(strstr(line, CHECKPOINT_CODE) != NULL && checkpoint_in_line(line, strlen(line), &checkpoint));
	free(text);
	assert_true(checkpoint.seq > 0);
	outside.items = malloc(sizeof(checkpoint));
	assert_non_null(outside.items);
	outside.items[0] = checkpoint;
	outside.num = 1;
}

static void
write_file(int file, const char *text, size_t len)
{
	if (text != NULL)
		fixture_write(work, names[file], text, len);
	else
		(void)unlink(fixture_path(work, names[file]));
}

static void
put_back(const struct trail *trail)
{
	for (int i = 0; i < NUM_FILES; i++)
		write_file(i, trail->text[i], trail->len[i]);
}

static int
make_all(void **state)
{
	(void)state;
	make_trail(&good, 'G', true);
	make_trail(&other, 'O', false);
	keep_outside();
	work = fixture_dir();
	put_back(&good);
	return 0;
}

static int
free_all(void **state)
{
	(void)state;
	free_trail(&good);
	free_trail(&other);
	for (unsigned i = 0; i < num_states; i++)
		free_trail(&states[i]);
	checkpoints_free(&outside);
	fixture_remove(work);
	return 0;
}

static bool
is_whole(bool with_outside)
{
	struct audit_verify_options options = { .outside = with_outside ? &outside : NULL };
	struct audit_verdict verdict;
	struct vg_error error;

	assert_int_equal(audit_verify(work, &options, &verdict, NULL, NULL, &error), 0);
	return verdict.whole;
}

/* ---- what is done ---- */

static void
test_the_trail_is_whole(void **state)
{
	(void)state;
	assert_true(is_whole(false));
	assert_true(is_whole(true));
}

/*
 * Of the note only its number and hash: a flip there makes another number or hash, or no note. A lower number is a note
 * that is behind, as it is after a power failure; then its hash is not that of its record.
 */
static void
test_I62_every_flipped_bit(void **state)
{
	unsigned num = 0;

	(void)state;
	for (int file = 0; file < NUM_FILES; file++) {
		for (size_t bit = 0; bit < good.len[file] * 8; bit += step, num++) {
			char *byte = &good.text[file][bit / 8];

			*byte = (char)(*byte ^ 1 << bit % 8);
			write_file(file, good.text[file], good.len[file]);
			if (is_whole(false))
				fail_msg("%s: bit %zu of byte %zu", names[file], bit % 8, bit / 8);
			*byte = (char)(*byte ^ 1 << bit % 8);
		}
		write_file(file, good.text[file], good.len[file]);
	}
	print_message("%u flipped bits, all found\n", num);
}

static void
test_I62_every_truncation(void **state)
{
	unsigned num = 0;

	(void)state;
	for (int file = 0; file < NUM_FILES; file++) {
		for (size_t len = 0; len < good.len[file]; len += step, num++) {
			write_file(file, good.text[file], len);
			if (is_whole(false))
				fail_msg("%s cut to %zu bytes", names[file], len);
		}
		write_file(file, NULL, 0);
		if (is_whole(false))
			fail_msg("%s removed", names[file]);
		write_file(file, good.text[file], good.len[file]);
		num++;
	}
	print_message("%u truncations, all found\n", num);
}

/* ---- lines ---- */

struct lines {
	const char *text[256];
	size_t len[256];		/* with the newline */
	unsigned num;
};

static void
split(const char *text, size_t len, struct lines *lines)
{
	lines->num = 0;
	for (const char *at = text, *end = text + len; at < end; lines->num++) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));

		assert_true(newline != NULL && lines->num < 256);
		lines->text[lines->num] = at;
		lines->len[lines->num] = (size_t)(newline + 1 - at);
		at = newline + 1;
	}
}

/* Writes the segment with line `at` replaced by `count` lines: `with`, `with` again, … or none. */
static void
write_with(int file, const struct lines *lines, unsigned at, const char *with, size_t with_len, unsigned count)
{
	char *out = malloc(good.len[file] + 2 * with_len + 1);
	size_t len = 0;

	assert_non_null(out);
	for (unsigned i = 0; i < lines->num; i++) {
		if (i != at) {
			memcpy(out + len, lines->text[i], lines->len[i]);
			len += lines->len[i];
		}
		for (unsigned n = 0; i == at && n < count; n++) {
			memcpy(out + len, with, with_len);
			len += with_len;
		}
	}
	write_file(file, out, len);
	free(out);
}

static void
swap(int file, const struct lines *lines, unsigned a, unsigned b)
{
	char *out = malloc(good.len[file] + 1);
	size_t len = 0;

	assert_non_null(out);
	for (unsigned i = 0; i < lines->num; i++) {
		unsigned from = i == a ? b : i == b ? a : i;

		memcpy(out + len, lines->text[from], lines->len[from]);
		len += lines->len[from];
	}
	write_file(file, out, len);
	free(out);
}

static void
test_I62_every_swap_removal_and_repetition(void **state)
{
	struct lines lines;
	unsigned num = 0;

	(void)state;
	for (int file = 0; file < HEAD; file++) {
		split(good.text[file], good.len[file], &lines);
		for (unsigned a = 0; a < lines.num; a++) {
			for (unsigned b = a + 1; b < lines.num; b++, num++) {
				swap(file, &lines, a, b);
				if (is_whole(false))
					fail_msg("%s: lines %u and %u swapped", names[file], a + 1, b + 1);
			}
			for (unsigned b = 0; b < lines.num; b++) {
				if (a == b)
					continue;
				write_with(file, &lines, a, lines.text[b], lines.len[b], 1);
				if (is_whole(false))
					fail_msg("%s: line %u in the place of %u", names[file], b + 1, a + 1);
				num++;
			}
			for (unsigned count = 0; count <= 2; count += 2, num++) {	/* removed, repeated */
				write_with(file, &lines, a, lines.text[a], lines.len[a], count);
				if (is_whole(false))
					fail_msg("%s: line %u %u times", names[file], a + 1, count);
			}
		}
		write_file(file, good.text[file], good.len[file]);
	}
	print_message("%u swaps, replacements, removals and repetitions of records, all found\n", num);
}

static void
test_I62_every_splice(void **state)
{
	struct lines mine, theirs;
	unsigned num = 0;

	(void)state;
	for (int file = 0; file < HEAD; file++) {
		split(good.text[file], good.len[file], &mine);
		split(other.text[file], other.len[file], &theirs);
		for (unsigned i = 0; i < mine.num; i++) {
			for (unsigned j = 0; j < theirs.num; j++, num++) {
				write_with(file, &mine, i, theirs.text[j], theirs.len[j], 1);
				if (is_whole(false))
					fail_msg("%s: line %u of another trail in the place of %u", names[file], j + 1, i + 1);
			}
		}
		write_file(file, other.text[file], other.len[file]);
		if (is_whole(false))
			fail_msg("%s of another trail", names[file]);
		num++;
		for (int from = 0; from < HEAD; from++) {		/* another of its own files in its place */
			if (from == file)
				continue;
			write_file(file, good.text[from], good.len[from]);
			if (is_whole(false))
				fail_msg("%s in the place of %s", names[from], names[file]);
			num++;
		}
		write_file(file, good.text[file], good.len[file]);
	}
	put_back(&other);		/* all of it: it is whole, and not the one */
	assert_true(is_whole(false));
	assert_false(is_whole(true));
	put_back(&good);
	print_message("%u splices with another trail and with itself, all found\n", num + 1);
}

/* States that the trail once had: in itself each is whole. */
static void
test_I62_every_rollback(void **state)
{
	(void)state;
	for (unsigned i = 0; i + 1 < num_states; i++) {
		put_back(&states[i]);
		if (!is_whole(false))
			fail_msg("state %u is not whole in itself", i);
		if (is_whole(true))
			fail_msg("rolled back to state %u", i);
	}
	put_back(&good);
	print_message("%u rollbacks, all found by a checkpoint from outside\n", num_states - 1);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_trail_is_whole),
		cmocka_unit_test(test_I62_every_flipped_bit),
		cmocka_unit_test(test_I62_every_truncation),
		cmocka_unit_test(test_I62_every_swap_removal_and_repetition),
		cmocka_unit_test(test_I62_every_splice),
		cmocka_unit_test(test_I62_every_rollback),
	};
	static const char *const null_log[] = { "1:file:/dev/null" };

	if (argc > 1 && atoi(argv[1]) > 0)
		step = (unsigned)atoi(argv[1]);
	(void)log_setup(LOG_LEVEL_ERROR, null_log, 1);
	return cmocka_run_group_tests(tests, make_all, free_all);
}
