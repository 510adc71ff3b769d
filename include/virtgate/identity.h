/*
 * identity.h: who stands at the other end, what proved it, and from where. Made by a front, believed by
 * everybody behind it. Names are exact bytes: nothing is folded, trimmed or normalised.
 */
#ifndef VIRTGATE_IDENTITY_H
#define VIRTGATE_IDENTITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What was proven; a set. `anyone` in a policy needs at least one. */
enum vg_proof {
	VG_PROOF_X509 = 1 << 0,		/* client certificate, verified to the CA and the CRLs */
	VG_PROOF_SASL = 1 << 1,		/* SASL exchange completed */
	VG_PROOF_UNIX = 1 << 2		/* peer credentials of a local UNIX socket */
};

enum vg_via { VG_VIA_RPC_TLS, VG_VIA_RPC_TCP, VG_VIA_RPC_UNIX, VG_VIA_VNC, VG_VIA_WEB, VG_VIA_CONTROL, VG_NUM_VIAS };

/* "rpc-tls", "rpc-tcp", … as audit records have it (INTERFACE: source.via). */
static inline const char *
vg_via_name(enum vg_via via)
{
	static const char *const names[VG_NUM_VIAS] = { "rpc-tls", "rpc-tcp", "rpc-unix", "vnc", "web", "control" };

	return (unsigned)via < VG_NUM_VIAS ? names[via] : "?";
}

#define VG_IDENTITY_MAX_SANS 16
#define VG_IDENTITY_MAX_GROUPS 64	/* who is in more cannot come over the local socket */

/* Strings are owned (identity_clear frees them) and NULL when that field was not proven. */
struct vg_identity {
	unsigned proofs;		/* set of enum vg_proof */
	char *sasl_name;		/* as the mechanism gives it, with its realm where it gives one */
	char *sasl_mech;		/* "SCRAM-SHA-256" */
	unsigned sasl_ssf;		/* bits of the security layer in force, 0 for none */
	char *x509_dn;			/* the text that virt-pki-query-dn prints, byte for byte */
	char *x509_cn;
	char *x509_sha256;		/* 64 lower-case hex digits over the DER certificate */
	char *x509_sans[VG_IDENTITY_MAX_SANS];	/* "dns:…", "email:…", "uri:…", "ip:…" */
	size_t num_x509_sans;
	char *unix_user;		/* name of the peer's uid; the decimal uid when it has no name */
	uint32_t unix_uid;
	char *unix_groups[VG_IDENTITY_MAX_GROUPS];	/* names of his groups at log-in; the decimal gid where one has no name */
	size_t num_unix_groups;

	enum vg_via via;
	char *console;			/* via vnc or web: name of the guest whose screen is asked for; nothing is proven by it */
	uint16_t console_port;		/* via vnc, in its place: the port of one guest that was come to; else 0 */
	uint8_t console_uuid[16];	/* via web: that guest's; a guest of the name with another UUID is not meant */
	bool console_view;		/* he does not want to type */
	char address[64];		/* numeric text, no scope; empty for a local socket */
	uint16_t port;			/* of the client, host order; 0 for a local socket */
};

#endif
