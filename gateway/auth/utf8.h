/*
 * utf8.h: is a name fit to be an identity? Valid UTF-8 in its shortest form, no NUL, no control bytes (C0, DEL, C1).
 */
#ifndef AUTH_UTF8_H
#define AUTH_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool utf8_is_name(const uint8_t *data, size_t len);

#endif
