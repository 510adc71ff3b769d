/*
 * linediff.h: two texts, line by line, as a unified diff (POSIX diff -u without the names of files). Pure.
 */
#ifndef CORE_LINEDIFF_H
#define CORE_LINEDIFF_H

#include <stddef.h>

/*
 * A new string, "" when they are equal; NULL when memory is out. Behind each "@@ … @@" stands the line that the change is inside
 * of, by its indentation. What would make the string longer than `max` bytes is left out, and the last line says how many lines that were.
 * Longer stretches that differ all over (LINEDIFF_MAX_CELLS) are told as taken out and put in whole.
 */
#define LINEDIFF_MAX_CELLS (1024u * 1024u)
char *linediff(const char *before, size_t before_len, const char *after, size_t after_len, size_t max);

#endif
