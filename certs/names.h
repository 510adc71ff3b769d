/*
 * names.h: what may stand in a certificate. Names end up in file names, in DNs that policies match with globs, and on
 * terminals, so each kind has its own short list of what is allowed.
 */
#ifndef CERTS_NAMES_H
#define CERTS_NAMES_H

#include <stdbool.h>
#include <stddef.h>

#include "virtgate/result.h"

#define NAME_MAX_BYTES 64	/* X.520 allows 64 characters in CN, O and OU; bytes are never fewer */
#define HOST_MAX_BYTES 253

/* A client's name: becomes its CN, and the name of its directory. */
int name_check_client(const char *name, struct vg_error *error);

/* O, OU, or the CN of a CA: text of 1 to 64 bytes. */
int name_check_text(const char *what, const char *text, struct vg_error *error);

/* A host: DNS name (one '*' allowed as the whole first label) or an IP address. */
int name_check_host(const char *host, struct vg_error *error);

/* An e-mail address that may be a SAN: local@domain, ASCII. */
int name_check_email(const char *email, struct vg_error *error);

/* True for an IPv4 or IPv6 address; `bytes` gets it in network order, *len is 4 or 16. Both may be NULL. */
bool name_is_ip(const char *host, unsigned char bytes[16], size_t *len);

#endif
