/*
 * libvirtd.h: the scripted libvirtd of the harness: just enough of the RPC to log in, list and look up three domains,
 * with the mischief of harness.h.
 */
#ifndef TESTS_SESSION_LIBVIRTD_H
#define TESTS_SESSION_LIBVIRTD_H

#include "tests/session/harness.h"

/* Listens on `path`; a thread serves until libvirtd_stop. Both at once, or one after the other: whoever forks does it between them. */
void libvirtd_start(const char *path);
void libvirtd_listen(const char *path);
void libvirtd_serve(void);
void libvirtd_stop(void);
/* QEMU's end of the console that was given out last, once; -1: there is none. */
int libvirtd_take_console(void);

#endif
