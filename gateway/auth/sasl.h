/*
 * sasl.h: one SASL exchange by cyrus-sasl, as libvirt's own server does it: service and application name "libvirt", so
 * that libvirt.conf and the existing databases of libvirtd work. Viewers have the service "vnc" and options of their own
 * (sasl_options.h); what these leave open is as for the others.
 *
 * A session belongs to the loop, except between handing sasl_session_step() to a worker and its return.
 */
#ifndef AUTH_SASL_H
#define AUTH_SASL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "virtgate/result.h"

struct sasl_session;

/* What the way in asks of a mechanism. */
struct sasl_rules {
	bool encrypted;		/* under TLS: PLAIN may be offered, no layer is negotiated */
	unsigned external_ssf;	/* bits of TLS */
	unsigned min_ssf;	/* of the layer, when not encrypted */
	bool vnc;		/* service "vnc": what vnc.conf says goes before libvirt.conf */
	bool guest_in_name;	/* "alice@web-1" is alice, who asks for web-1 */
};

enum sasl_progress { SASL_PROGRESS_CONTINUE, SASL_PROGRESS_DONE, SASL_PROGRESS_FAILED };

/* Longest data of one step: REMOTE_AUTH_SASL_DATA_MAX of libvirt's protocol. */
#define SASL_MAX_DATA 65536u
/* What we offer to take as one packet of the security layer: as libvirt's client. */
#define SASL_MAX_PACKET 65536u

/*
 * Before the first session of a process is created; once it went well, calling it again does nothing. `conf_dir` is where libvirt.conf and
 * vnc.conf are looked for.
 */
int sasl_library_start(const char *conf_dir, struct vg_error *error);

/* NULL when memory is out or cyrus-sasl refuses. */
struct sasl_session *sasl_session_create(const struct sasl_rules *rules);
/* NULL is fine. */
void sasl_session_destroy(struct sasl_session *session);

/* Mechanisms to offer, joined by commas; empty when there is none. Borrowed. */
const char *sasl_session_mechs(const struct sasl_session *session);
bool sasl_session_offers(const struct sasl_session *session, const char *mech, size_t len);

/*
 * One message of the client: the first with the mechanism it chose, the next with NULL. `data` NULL: none was sent,
 * which is not the same as empty. May block: called in a worker. The answer is what the functions below give.
 */
enum sasl_progress sasl_session_step(struct sasl_session *session, const char *mech, const uint8_t *data, size_t len);

/* Answer of the last step; *data NULL when there is none. Borrowed until the next step. */
size_t sasl_session_answer(const struct sasl_session *session, const uint8_t **data);
/* After DONE: the authorised name, exact bytes, and the strength of the layer. */
const char *sasl_session_name(const struct sasl_session *session);
/* After DONE, with guest_in_name: what stood behind the name's last '@', or NULL. */
const char *sasl_session_guest(const struct sasl_session *session);
unsigned sasl_session_ssf(const struct sasl_session *session);
const char *sasl_session_mech(const struct sasl_session *session);
/* After FAILED: why, for the log. And the name that was claimed, or NULL: unproven. */
const char *sasl_session_problem(const struct sasl_session *session);
const char *sasl_session_claimed(const struct sasl_session *session);

/*
 * The layer. Largest input of one encode; both answer -1 when the connection cannot go on, and lend their output until
 * the next call.
 */
size_t sasl_session_max_encode(const struct sasl_session *session);
int sasl_session_encode(struct sasl_session *session, const uint8_t *in, size_t in_len, const uint8_t **out,
    size_t *out_len);
int sasl_session_decode(struct sasl_session *session, const uint8_t *in, size_t in_len, const uint8_t **out,
    size_t *out_len);

#endif
