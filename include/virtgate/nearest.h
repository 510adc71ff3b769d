/*
 * nearest.h: "did you mean …?": of the words that are offered, the one with the fewest typing mistakes (a letter too
 * many, too few, wrong, or two swapped) away from what was written. Words of more than 63 bytes are never near.
 */
#ifndef VIRTGATE_NEAREST_H
#define VIRTGATE_NEAREST_H

#include <stddef.h>
#include <string.h>

#define NEAREST_MAX 63

struct nearest {
	const char *word;	/* what was written */
	const char *best;	/* NULL: nothing is near enough */
	size_t distance;	/* of best */
};

static inline size_t
nearest_min(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Optimal string alignment distance; a number larger than any real one when a word is too long. */
static inline size_t
nearest_distance(const char *a, const char *b)
{
	size_t rows[3][NEAREST_MAX + 1];
	size_t *before = rows[0], *above = rows[1], *row = rows[2];
	size_t len_a = strnlen(a, NEAREST_MAX + 1), len_b = strnlen(b, NEAREST_MAX + 1);

	if (len_a > NEAREST_MAX || len_b > NEAREST_MAX)
		return 2 * NEAREST_MAX;
	for (size_t j = 0; j <= len_b; j++)
		row[j] = j;
	for (size_t i = 1; i <= len_a; i++) {
		size_t *oldest = before;

		before = above;
		above = row;
		row = oldest;
		row[0] = i;
		for (size_t j = 1; j <= len_b; j++) {
			row[j] = nearest_min(nearest_min(above[j], row[j - 1]) + 1, above[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				row[j] = nearest_min(row[j], before[j - 2] + 1);
		}
	}
	return row[len_b];
}

/* Start with { .word = … }, offer every known word, read .best. A third of the letters may be wrong, two at least. */
static inline void
nearest_offer(struct nearest *nearest, const char *candidate)
{
	size_t distance = nearest_distance(nearest->word, candidate);
	size_t len = strnlen(nearest->word, NEAREST_MAX);

	if (distance > (len < 6 ? 2 : len / 3) || distance >= strnlen(candidate, NEAREST_MAX))
		return;
	if (nearest->best != NULL && distance >= nearest->distance)
		return;
	nearest->best = candidate;
	nearest->distance = distance;
}

#endif
