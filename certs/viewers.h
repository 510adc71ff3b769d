/*
 * viewers.h: a person's certificate where VNC viewers look for it. virt-manager, virt-viewer, remote-viewer and gvncviewer take no path:
 * gtk-vnc looks below ~/.pki for a directory that each program names (gtk-vnc src/vncconnection.c, vnc_connection_set_credential_x509;
 * virt-manager virtManager/details/viewers.py; virt-viewer src/virt-viewer-session-vnc.c). virsh looks there too when its URI has no pkipath.
 */
#ifndef CERTS_VIEWERS_H
#define CERTS_VIEWERS_H

#include "certs/pki.h"

/*
 * Copies cacert.pem, clientcert.pem and clientkey.pem of the directory `from` below `home`, which must belong to who runs this. A file that
 * is there with the same content stays; one with other content is never overwritten, and then nothing is copied. `result` names what
 * was written.
 */
int pki_viewers(const char *from, const char *home, struct pki_result *result, struct vg_error *error);

#endif
