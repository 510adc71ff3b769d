/*
 * settings_check.h: what settings.c asks about a text, a key and a value, before and beside libconfig.
 */
#ifndef CORE_SETTINGS_CHECK_H
#define CORE_SETTINGS_CHECK_H

#include "virtgate/result.h"

#define SETTINGS_MAX_SOCKET 107u	/* bytes of a UNIX socket's path */

/* What libconfig would take silently or explain badly: @include, 'quotes', and a comma forgotten between two strings. */
int settings_check_text(const char *text, const char *file, struct vg_error *error);
/* NULL when `value` will do for `key`, else what was expected ("a port from 0 to 65535"). */
const char *settings_check_value(const char *key, const char *value);
/* "0", "5901" or "5901-5999": how many ports, at most SETTINGS_MAX_PORTS, and the first; -1 when it is none of these. */
#define SETTINGS_MAX_PORTS 256
int settings_ports(const char *value, unsigned *first);
/* Always -1: why there is no such key here, with the nearest one that is. */
int settings_unknown_key(const char *key, const char *file, unsigned line, struct vg_error *error);

#endif
