/*
 * dn.h: names in certificates. dn_text() gives what `virt-pki-query-dn` prints (GnuTLS's gnutls_x509_crt_get_dn), byte
 * for byte, because allow-lists and policies are written from that tool's output.
 */
#ifndef AUTH_DN_H
#define AUTH_DN_H

#include <openssl/x509.h>

#include "virtgate/identity.h"
#include "virtgate/result.h"

/* Heap text of the subject; NULL when it is empty or memory is out. */
char *dn_text(const X509_NAME *name);

/*
 * Fills DN, CN, SANs and fingerprint of `identity`. -1 with `error` for what would be ambiguous as an identity (I4): no
 * subject, NUL or control bytes, not UTF-8, several CNs, a SAN twice, too many SANs.
 */
int dn_identity(X509 *cert, struct vg_identity *identity, struct vg_error *error);

#endif
