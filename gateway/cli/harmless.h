/*
 * harmless.h: text that somebody else chose, on a terminal: control characters, and what turns the direction around, as \xHH and \uHHHH. A byte that
 * was no UTF-8 (U+10FE00 + byte in a record) is shown as \xHH too.
 */
#ifndef CLI_HARMLESS_H
#define CLI_HARMLESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "gateway/core/buf.h"

void harmless_put(FILE *out, const char *text);
/* `newlines`: they stay. */
void harmless_text(FILE *out, const char *text, bool newlines);
/* A line of it, however many the text would like to be. */
void harmless_line(FILE *out, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Adds it and returns how many characters wide it is. What memory has no room for is left out. */
size_t harmless_add(struct buf *out, const char *text, bool newlines);
/* A column (of at most 39) and a blank, "-" for an empty text: what is longer is not cut, the line is only no longer aligned. */
void harmless_column(struct buf *out, const char *text, size_t width);

#endif
