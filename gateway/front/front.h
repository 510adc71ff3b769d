/*
 * front.h: the room that faces the network, seen from outside. It turns a stranger's bytes into an authenticated
 * plaintext stream plus an identity, hands both to the gate, and from then on only pumps. (front_main: core/process.h)
 */
#ifndef FRONT_FRONT_H
#define FRONT_FRONT_H

#include "gateway/core/process.h"
#include "virtgate/result.h"

/*
 * Everything that a front would need at start, tried without listening: certificate, key, CA and CRL fit together and
 * are in date, SASL finds a mechanism. -1 with `error` naming the file and what to do. The files stay open.
 */
int front_check(const struct settings *settings, const int files[PROCESS_NUM_FILES], struct vg_error *error);

#endif
