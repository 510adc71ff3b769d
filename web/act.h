/*
 * act.h: what can be done to one guest in the browser: a row each in act.c. A new action is one row.
 */
#ifndef WEB_ACT_H
#define WEB_ACT_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "virtgate/object.h"

/* The permissions that are asked about for each guest, as JSON array. */
json_t *act_permissions(void);
/* The gate's answer about one guest ({"domain:start": true, …}) as {"start": true, …}. */
json_t *act_may(const json_t *permissions);
/* "11111111-0000-4000-8000-0000000000aa"; false: not a UUID in libvirt's own form. */
bool act_parse_uuid(const char *text, uint8_t uuid[VG_UUID_LEN]);

#endif
