/*
 * linediff.c: what both texts begin and end with is set aside; of the rest the longest common subsequence of lines is kept
 * (by the table of all lengths: documents are small and change in few places).
 */
#include "gateway/core/linediff.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/core/buf.h"

#define CONTEXT 3u	/* lines around a change */

struct line {
	const char *text;
	size_t len;		/* without its newline */
};

struct text {
	struct line *lines;
	size_t num;
};

/* Of which texts a line of the result is. */
enum what { BOTH = ' ', TAKEN = '-', PUT = '+' };

struct step {
	enum what what;
	size_t before, after;	/* its index in each; of the other one: the next index there */
};

struct diff {
	struct text before, after;
	struct step *steps;
	size_t num;
};

static int
split(struct text *text, const char *bytes, size_t len)
{
	size_t num = 1;

	for (size_t i = 0; i < len; i++)
		num += bytes[i] == '\n';
	text->lines = calloc(num, sizeof(*text->lines));
	if (text->lines == NULL)
		return -1;
	while (len > 0) {
		const char *end = memchr(bytes, '\n', len);
		size_t n = end == NULL ? len : (size_t)(end - bytes);

		text->lines[text->num++] = (struct line){ bytes, n };
		n += end != NULL;
		bytes += n;
		len -= n;
	}
	return 0;
}

static bool
same(const struct line *a, const struct line *b)
{
	return a->len == b->len && memcmp(a->text, b->text, a->len) == 0;
}

static void
step(struct diff *diff, enum what what, size_t *before, size_t *after)
{
	diff->steps[diff->num++] = (struct step){ what, *before, *after };
	*before += what != PUT;
	*after += what != TAKEN;
}

/* The middle, where the texts differ: lines [b, b_end) against [a, a_end). */
static int
compare_middle(struct diff *diff, size_t *b, size_t b_end, size_t *a, size_t a_end)
{
	size_t rows = b_end - *b, columns = a_end - *a, b0 = *b, a0 = *a, width = columns + 1;
	uint32_t *lengths = NULL;	/* [i][j]: of what is common behind these lines */

	if (rows > 0 && columns > 0 && rows < LINEDIFF_MAX_CELLS / width) {
		lengths = calloc((rows + 1) * width, sizeof(*lengths));
		if (lengths == NULL)
			return -1;
		for (size_t i = rows; i-- > 0;) {
			for (size_t j = columns; j-- > 0;) {
				uint32_t down = lengths[(i + 1) * width + j], right = lengths[i * width + j + 1];

				lengths[i * width + j] = same(&diff->before.lines[b0 + i], &diff->after.lines[a0 + j]) ?
				    lengths[(i + 1) * width + j + 1] + 1 : down > right ? down : right;
			}
		}
	}
	while (*b < b_end && *a < a_end && lengths != NULL) {
		size_t at = (*b - b0) * width + (*a - a0);

		if (same(&diff->before.lines[*b], &diff->after.lines[*a]))
			step(diff, BOTH, b, a);
		else
			step(diff, lengths[at + width] >= lengths[at + 1] ? TAKEN : PUT, b, a);
	}
	while (*b < b_end)
		step(diff, TAKEN, b, a);
	while (*a < a_end)
		step(diff, PUT, b, a);
	free(lengths);
	return 0;
}

static int
compare(struct diff *diff)
{
	size_t b = 0, a = 0, b_end = diff->before.num, a_end = diff->after.num;

	diff->steps = calloc(b_end + a_end + 1, sizeof(*diff->steps));
	if (diff->steps == NULL)
		return -1;
	while (b < b_end && a < a_end && same(&diff->before.lines[b], &diff->after.lines[a]))
		step(diff, BOTH, &b, &a);
	while (b < b_end && a < a_end && same(&diff->before.lines[b_end - 1], &diff->after.lines[a_end - 1])) {
		b_end--;
		a_end--;
	}
	if (compare_middle(diff, &b, b_end, &a, a_end) < 0)
		return -1;
	while (b < diff->before.num)
		step(diff, BOTH, &b, &a);
	return 0;
}

/* ---- writing ---- */

static const struct line *
line_of(const struct diff *diff, const struct step *step)
{
	return step->what == PUT ? &diff->after.lines[step->after] : &diff->before.lines[step->before];
}

static size_t
indentation(const struct line *line)
{
	size_t n = 0;

	while (n < line->len && (line->text[n] == ' ' || line->text[n] == '\t'))
		n++;
	return n;
}

/* The nearest line before that is indented less than the first one changed. NULL: it stands at the top. */
static const struct line *
enclosing(const struct diff *diff, size_t changed)
{
	size_t depth = indentation(line_of(diff, &diff->steps[changed]));

	for (size_t i = changed; i-- > 0;) {
		const struct line *line = line_of(diff, &diff->steps[i]);

		if (diff->steps[i].what == BOTH && line->len > 0 && indentation(line) < depth)
			return line;
	}
	return NULL;
}

/* The end of the hunk that begins with the change at `first`: changes with little between them belong together. */
static size_t
hunk_end(const struct diff *diff, size_t first)
{
	size_t last = first;

	for (size_t i = first; i < diff->num && i - last <= 2 * CONTEXT; i++)
		if (diff->steps[i].what != BOTH)
			last = i;
	return last + 1 + CONTEXT < diff->num ? last + 1 + CONTEXT : diff->num;
}

static int
put_head(struct buf *out, const struct diff *diff, size_t from, size_t to, size_t changed)
{
	const struct line *around = enclosing(diff, changed);
	size_t taken = 0, put = 0;
	char head[96];
	int n;

	for (size_t i = from; i < to; i++) {
		taken += diff->steps[i].what != PUT;
		put += diff->steps[i].what != TAKEN;
	}
	/* An empty range is told by the line before it. */
	n = snprintf(head, sizeof(head), "@@ -%zu,%zu +%zu,%zu @@", diff->steps[from].before + (taken > 0), taken, diff->steps[from].after + (put > 0), put);
	if (buf_add(out, head, (size_t)n) < 0)
		return -1;
	if (around != NULL && (buf_add(out, " ", 1) < 0 || buf_add(out, around->text + indentation(around), around->len - indentation(around)) < 0))
		return -1;
	return buf_add(out, "\n", 1);
}

static int
put_step(struct buf *out, const struct diff *diff, const struct step *step)
{
	const struct line *line = line_of(diff, step);
	const char mark = (char)step->what;

	return buf_add(out, &mark, 1) < 0 || buf_add(out, line->text, line->len) < 0 || buf_add(out, "\n", 1) < 0 ? -1 : 0;
}

/* Whole lines, as long as there is room; what is left out is counted. */
static int
put_all(struct buf *out, const struct diff *diff, size_t max)
{
	size_t left_out = 0, at = 0;
	char tail[64];

	while (at < diff->num) {
		size_t changed = at, from, to;

		while (changed < diff->num && diff->steps[changed].what == BOTH)
			changed++;
		if (changed == diff->num)
			break;
		from = changed - at > CONTEXT ? changed - CONTEXT : at;
		to = hunk_end(diff, changed);
		if (left_out == 0 && put_head(out, diff, from, to, changed) < 0)
			return -1;
		for (size_t i = from; i < to; i++) {
			if (left_out > 0 || buf_len(out) + line_of(diff, &diff->steps[i])->len + 2 > max)
				left_out++;
			else if (put_step(out, diff, &diff->steps[i]) < 0)
				return -1;
		}
		at = to;
	}
	if (left_out == 0)
		return 0;
	return buf_add(out, tail, (size_t)snprintf(tail, sizeof(tail), "(%zu more lines)\n", left_out));
}

char *
linediff(const char *before, size_t before_len, const char *after, size_t after_len, size_t max)
{
	struct diff diff = { .num = 0 };
	struct buf out = { 0 };
	char *text = NULL;

	if (split(&diff.before, before, before_len) == 0 && split(&diff.after, after, after_len) == 0 && compare(&diff) == 0 &&
	    put_all(&out, &diff, max) == 0)
		text = strndup(buf_len(&out) == 0 ? "" : (const char *)buf_head(&out), buf_len(&out));
	free(diff.before.lines);
	free(diff.after.lines);
	free(diff.steps);
	buf_free(&out);
	return text;
}
