/*
 * vnc_login.c: a viewer proves who it is: RFB 3.8, VeNCrypt 0.2, TLS, and under it nothing more (the certificate counts),
 * user and password, or SASL. Outside TLS only SASL is offered, where it is asked for, and only with a security layer of its own. None and
 * VncAuth never are.
 *
 * What is behind the proof is the gate's: it answers with SecurityResult, so that whom it refuses sees the same as who
 * gave a wrong password.
 */
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "gateway/core/log.h"
#include "gateway/front/client.h"
#include "gateway/front/internal.h"
#include "gateway/front/sasl_step.h"
#include "gateway/auth/utf8.h"
#include "proto/rfb.h"

/* One text for everybody, whatever went wrong; the reason is in the log and in the record. */
#define REFUSED "authentication failed"

/* One row a type that may be offered, the one that proves most first. */
static const struct vnc_type {
	enum rfb_security security;	/* chosen first; of VENCRYPT then the subtype */
	enum rfb_vencrypt subtype;
	const char *name;
	const char *setting;		/* of vnc_security */
	bool sasl;			/* needs auth_vnc = "sasl" */
	bool guest_ports;		/* only there: its names have no place for a guest */
	bool certificate;		/* demanded; else it may be shown, and then must be the same person's */
	enum client_state next;		/* behind TLS, if there is any; CLIENT_HANDOVER: nothing more is asked for */
} types[] = {
	{ RFB_SECURITY_VENCRYPT, RFB_VENCRYPT_X509_SASL, "X509SASL", "vencrypt", true, false, false, CLIENT_VNC_SASL_START },
	{ RFB_SECURITY_VENCRYPT, RFB_VENCRYPT_X509_PLAIN, "X509Plain", "vencrypt", true, false, false, CLIENT_VNC_PLAIN },
	{ RFB_SECURITY_VENCRYPT, RFB_VENCRYPT_X509_NONE, "X509None", "vencrypt", false, false, true, CLIENT_HANDOVER },
	{ RFB_SECURITY_SASL, 0, "SASL", "sasl", true, true, false, CLIENT_VNC_SASL_START },
};
#define NUM_TYPES (sizeof(types) / sizeof(types[0]))

static void
say(struct client *client, const void *data, size_t len)
{
	if (transport_put(&client->transport, data, len) < 0 || transport_flush(&client->transport) < 0)
		client_close(client, CLOSE_CLIENT_LOST, client->transport.problem);
}

/* SecurityResult. `text` is what the person is told, `detail` what the log is. */
static void
refuse(struct client *client, enum close_reason reason, const char *detail, const char *text)
{
	uint8_t result[RFB_MAX_REASON_LEN];

	client->identity->proofs = 0;
	say(client, result, rfb_put_failed(result, text));
	client_close_flushed(client, reason, detail);
}

void
vnc_start(struct client *client)
{
	if (client->listener == LISTENER_VNC_GUEST)
		client->identity->console_port = accepting_port(client->transport.fd);
	client_enter(client, CLIENT_VNC_VERSION);
	say(client, RFB_VERSION_TEXT, RFB_VERSION_LEN);
}

/* ---- in the clear ---- */

static bool
is_offered(const struct client *client, const struct vnc_type *type)
{
	const struct settings *settings = client->config->settings;

	return settings_vnc_offers(settings, type->setting) && (!type->sasl || settings->auth_vnc == AUTH_SASL) &&
	    (!type->guest_ports || client->listener == LISTENER_VNC_GUEST);
}

/* One that is offered, or NULL. */
static const struct vnc_type *
find_type(const struct client *client, uint32_t security, uint32_t subtype)
{
	for (size_t i = 0; i < NUM_TYPES; i++)
		if (types[i].security == security && types[i].subtype == subtype && is_offered(client, &types[i]))
			return &types[i];
	return NULL;
}

/* How many security types there are, and they. */
static size_t
put_types(const struct client *client, uint8_t offer[1 + NUM_TYPES])
{
	offer[0] = 0;
	for (size_t i = 0; i < NUM_TYPES; i++)
		if (is_offered(client, &types[i]) && memchr(offer + 1, (int)types[i].security, offer[0]) == NULL)
			offer[1 + offer[0]++] = (uint8_t)types[i].security;
	return 1 + (size_t)offer[0];
}

static enum vg_parse
take_version(struct client *client, const uint8_t *buf, size_t len, size_t *used)
{
	uint8_t offer[1 + NUM_TYPES];
	uint8_t reason[RFB_MAX_REASON_LEN];
	char detail[32];
	unsigned minor;
	enum vg_parse parse = rfb_version_get(buf, len, &minor);

	if (parse != VG_OK)
		return parse;
	*used = RFB_VERSION_LEN;
	if (minor < 8) {
		say(client, reason, rfb_put_no_security(reason, minor, "this gateway speaks RFB 3.8 with VeNCrypt; use a newer viewer"));
		snprintf(detail, sizeof(detail), "3.%u", minor);
		client_close_flushed(client, CLOSE_VNC_VERSION, detail);
		return VG_OK;
	}
	if (put_types(client, offer) == 1) {
		say(client, reason, rfb_put_no_security(reason, minor, "log in at the port of the guest itself"));
		client_close_flushed(client, CLOSE_VNC_TYPE, "nothing that vnc_security names is offered at vnc_port");
		return VG_OK;
	}
	client_enter(client, CLIENT_VNC_SECURITY);
	say(client, offer, 1 + (size_t)offer[0]);
	return VG_OK;
}

static void offer_sasl(struct client *client);

static enum vg_parse
take_security(struct client *client, const uint8_t *buf, size_t len, size_t *used)
{
	static const uint8_t version[] = { 0, 2 };
	char detail[32];

	(void)len;
	*used = 1;
	client->vnc = find_type(client, buf[0], 0);
	if (client->vnc != NULL) {
		offer_sasl(client);
		return VG_OK;
	}
	if (buf[0] != RFB_SECURITY_VENCRYPT || !settings_vnc_offers(client->config->settings, "vencrypt")) {
		snprintf(detail, sizeof(detail), "security type %u", buf[0]);
		refuse(client, CLOSE_VNC_TYPE, detail, REFUSED);
		return VG_OK;
	}
	client_enter(client, CLIENT_VENCRYPT_VERSION);
	say(client, version, sizeof(version));
	return VG_OK;
}

static enum vg_parse
take_vencrypt_version(struct client *client, const uint8_t *buf, size_t len, size_t *used)
{
	uint8_t offer[2 + 4 * NUM_TYPES] = { 0, 0 };	/* version taken; number of subtypes; they */
	static const uint8_t other_version[] = { 1 };

	if (len < 2)
		return VG_MORE;
	*used = 2;
	if (buf[0] != 0 || buf[1] != 2) {
		say(client, other_version, sizeof(other_version));
		client_close_flushed(client, CLOSE_VNC_TYPE, "VeNCrypt of another version than 0.2");
		return VG_OK;
	}
	for (size_t i = 0; i < NUM_TYPES; i++)
		if (types[i].security == RFB_SECURITY_VENCRYPT && is_offered(client, &types[i]))
			rfb_store_u32(offer + 2 + 4 * (size_t)offer[1]++, types[i].subtype);
	client_enter(client, CLIENT_VENCRYPT_SUBTYPE);
	say(client, offer, 2 + 4 * (size_t)offer[1]);
	return VG_OK;
}

/* The socket goes on under TLS. Nothing may be left on either side of it. */
static void
start_tls(struct client *client)
{
	int mode = SSL_VERIFY_PEER | (client->vnc->certificate ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0);

	if (transport_blocked(&client->transport) ||
	    transport_init_tls(&client->transport, client->transport.fd, client->config->tls) < 0) {
		client_close(client, CLOSE_NO_MEMORY, NULL);
		return;
	}
	SSL_set_verify(client->transport.ssl, mode, NULL);
	SSL_set_app_data(client->transport.ssl, client->identity);
	client_enter(client, CLIENT_TLS_HANDSHAKE);
}

static enum vg_parse
take_subtype(struct client *client, const uint8_t *buf, size_t len, size_t *used)
{
	static const uint8_t accepted[] = { 1 }, rejected[] = { 0 };
	char detail[32];
	uint32_t subtype;

	if (len < 4)
		return VG_MORE;
	*used = 4;
	subtype = rfb_load_u32(buf);
	client->vnc = find_type(client, RFB_SECURITY_VENCRYPT, subtype);
	if (client->vnc == NULL) {
		say(client, rejected, sizeof(rejected));
		snprintf(detail, sizeof(detail), "VeNCrypt subtype %u", subtype);
		client_close_flushed(client, CLOSE_VNC_TYPE, detail);
		return VG_OK;
	}
	/* A viewer waits for our answer: bytes that are here already would be taken for TLS although nobody protected them. */
	if (len > 4) {
		client_close(client, CLOSE_VNC_EARLY_BYTES, NULL);
		return VG_OK;
	}
	say(client, accepted, sizeof(accepted));
	if (client->state != CLIENT_CLOSED)
		start_tls(client);
	return VG_OK;
}

/* ---- under TLS, or in the clear until the layer is there ---- */

/* The first label of the name that the viewer gave in TLS: "web-1" of "web-1.gw.example". NULL: none, or no memory. */
static char *
guest_of_server_name(SSL *ssl)
{
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	size_t len = name == NULL ? 0 : strcspn(name, ".");

	/* A name without a dot is the gateway's own. */
	return name == NULL || len == 0 || name[len] == '\0' ? NULL : strndup(name, len);
}

/* Proven: hands over, if it is clear whose screen is wanted. */
static void
succeed(struct client *client)
{
	if (client->identity->console_port == 0 && (client->identity->console == NULL || !utf8_is_name((const uint8_t *)client->identity->console,
	    strlen(client->identity->console)))) {
		refuse(client, CLOSE_VNC_NO_GUEST, NULL, "which guest? Log in as USER@GUEST");
		return;
	}
	client_hand_over(client);
}

static void
offer_sasl(struct client *client)
{
	uint8_t word[4];
	const char *mechs;

	client->sasl = sasl_step_begin(client);
	if (client->sasl == NULL) {
		client_close(client, CLOSE_NO_MEMORY, NULL);
		return;
	}
	client_enter(client, client->vnc->next);
	if (client->state == CLIENT_VNC_PLAIN)
		return;
	mechs = sasl_session_mechs(client->sasl);
	rfb_store_u32(word, (uint32_t)strlen(mechs));
	say(client, word, sizeof(word));
	if (client->state != CLIENT_CLOSED && mechs[0] != '\0')
		say(client, mechs, strlen(mechs));
}

void
vnc_admit(struct client *client)
{
	log_debug("client %lu: %s", client->number, client->vnc->name);
	if (client->listener == LISTENER_VNC)
		client->identity->console = guest_of_server_name(client->transport.ssl);
	if (client->vnc->next == CLIENT_HANDOVER) {
		succeed(client);
		return;
	}
	offer_sasl(client);
	if (client->state != CLIENT_CLOSED)
		vnc_readable(client);
}

/* The answer of a step as rfbproto.rst has it: data with a zero byte behind it, and whether that was all. */
static void
put_answer(struct client *client, const uint8_t *answer, size_t len, bool complete)
{
	uint8_t word[4], end[2] = { 0, complete };

	if (client->vnc->next == CLIENT_VNC_PLAIN)
		return;
	rfb_store_u32(word, answer != NULL ? (uint32_t)len + 1 : 0);
	say(client, word, sizeof(word));
	if (client->state != CLIENT_CLOSED && answer != NULL && len > 0)
		say(client, answer, len);
	if (client->state != CLIENT_CLOSED)
		say(client, answer != NULL ? end : end + 1, answer != NULL ? 2 : 1);
}

static void
fail_sasl(struct client *client, enum close_reason reason, const char *detail)
{
	put_answer(client, NULL, 0, true);
	if (client->state != CLIENT_CLOSED)
		refuse(client, reason, detail, REFUSED);
}

static void
sasl_succeeded(struct client *client)
{
	enum close_reason reason = login_judge(client);
	const uint8_t *answer;
	size_t len = sasl_session_answer(client->sasl, &answer);
	bool complete = sasl_step_take_names(client, sasl_session_name(client->sasl));

	if (reason != CLOSE_NUM_REASONS || !complete) {
		fail_sasl(client, complete ? reason : CLOSE_NO_MEMORY, NULL);
		return;
	}
	put_answer(client, answer, len, true);
	if (client->state == CLIENT_CLOSED)
		return;
	client->identity->proofs |= VG_PROOF_SASL;
	/* Outside TLS it goes on as the layer. */
	if (client->transport.ssl != NULL) {
		sasl_session_destroy(client->sasl);
		client->sasl = NULL;
	} else {
		client->identity->sasl_ssf = sasl_session_ssf(client->sasl);
	}
	succeed(client);
}

static void
on_step(struct sasl_step *step)
{
	struct client *client = step->client;
	const uint8_t *answer;
	size_t len;

	switch (step->progress) {
	case SASL_PROGRESS_DONE:
		sasl_succeeded(client);
		break;
	case SASL_PROGRESS_CONTINUE:
		if (client->vnc->next == CLIENT_VNC_PLAIN) {
			fail_sasl(client, CLOSE_SASL_ORDER, NULL);
			break;
		}
		len = sasl_session_answer(client->sasl, &answer);
		client_enter(client, CLIENT_VNC_SASL_STEP);
		put_answer(client, answer, len, false);
		vnc_readable(client);
		break;
	case SASL_PROGRESS_FAILED:
		(void)sasl_step_take_names(client, sasl_session_claimed(client->sasl));
		fail_sasl(client, CLOSE_SASL_FAILED, sasl_session_problem(client->sasl));
		break;
	}
}

/* Room for a step with `len` bytes of data. NULL, and the client closed, when memory is out. */
static struct sasl_step *
make_step(struct client *client, size_t len)
{
	struct sasl_step *step = sasl_step_create(client, len, on_step);

	if (step == NULL)
		client_close(client, CLOSE_NO_MEMORY, NULL);
	return step;
}

static void
submit(struct client *client, struct sasl_step *step)
{
	if (sasl_step_submit(step) < 0)
		fail_sasl(client, CLOSE_BUSY, NULL);
}

/* User and password become what the mechanism PLAIN has: nobody, NUL, user, NUL, password. */
static enum vg_parse
take_plain(struct client *client, const uint8_t *buf, size_t len, size_t *used)
{
	struct rfb_span user, password;
	struct sasl_step *step;
	enum vg_parse parse = rfb_plain_get(buf, len, &user, &password, used);

	if (parse != VG_OK)
		return parse;
	if (!sasl_session_offers(client->sasl, "PLAIN", 5)) {
		refuse(client, CLOSE_SASL_MECH, "PLAIN", REFUSED);
		return VG_OK;
	}
	step = make_step(client, 2 + user.len + password.len);
	if (step == NULL)
		return VG_OK;
	memcpy(step->mech, "PLAIN", 6);
	step->has_data = true;
	memcpy(step->data + 1, user.data, user.len);
	memcpy(step->data + 2 + user.len, password.data, password.len);
	submit(client, step);
	return VG_OK;
}

static void
submit_data(struct client *client, struct rfb_span mech, struct rfb_span data)
{
	struct sasl_step *step = make_step(client, data.len);

	if (step == NULL)
		return;
	if (mech.data != NULL)
		memcpy(step->mech, mech.data, mech.len);
	step->has_data = data.data != NULL;
	if (data.len > 0)
		memcpy(step->data, data.data, data.len);
	submit(client, step);
}

static enum vg_parse
take_sasl_start(struct client *client, const uint8_t *buf, size_t len, size_t *used)
{
	struct rfb_span mech, data;
	size_t first, second;
	enum vg_parse parse = rfb_sasl_mech_get(buf, len, &mech, &first);

	if (parse != VG_OK)
		return parse;
	if (!sasl_session_offers(client->sasl, (const char *)mech.data, mech.len)) {
		*used = first;
		fail_sasl(client, CLOSE_SASL_MECH, NULL);
		return VG_OK;
	}
	parse = rfb_sasl_data_get(buf + first, len - first, &data, &second);
	if (parse != VG_OK)
		return parse;
	*used = first + second;
	submit_data(client, mech, data);
	return VG_OK;
}

static enum vg_parse
take_sasl_step(struct client *client, const uint8_t *buf, size_t len, size_t *used)
{
	struct rfb_span data;
	enum vg_parse parse = rfb_sasl_data_get(buf, len, &data, used);

	if (parse == VG_OK)
		submit_data(client, (struct rfb_span){ NULL, 0 }, data);
	return parse;
}

/* ---- bytes ---- */

/* What each state waits for. `used` is set on OK; the client may be closed or in another state then. */
static enum vg_parse (*const takers[CLIENT_NUM_STATES])(struct client *client, const uint8_t *buf, size_t len, size_t *used) = {
	[CLIENT_VNC_VERSION] = take_version,
	[CLIENT_VNC_SECURITY] = take_security,
	[CLIENT_VENCRYPT_VERSION] = take_vencrypt_version,
	[CLIENT_VENCRYPT_SUBTYPE] = take_subtype,
	[CLIENT_VNC_PLAIN] = take_plain,
	[CLIENT_VNC_SASL_START] = take_sasl_start,
	[CLIENT_VNC_SASL_STEP] = take_sasl_step,
};

/* Acts on the first message that has arrived whole. False when more bytes are needed. */
static bool
next_message(struct client *client)
{
	size_t used = 0;

	if (buf_len(&client->received) == 0)
		return false;
	switch (takers[client->state](client, buf_head(&client->received), buf_len(&client->received), &used)) {
	case VG_MORE:
		return false;
	case VG_BAD:
		client_close(client, CLOSE_RPC_MALFORMED, NULL);
		return true;
	case VG_OK:
		break;
	}
	/* Passwords do not stay in memory. An open client's bytes are the pump's already. */
	if (used <= buf_len(&client->received)) {
		OPENSSL_cleanse(buf_head(&client->received), used);
		buf_drop(&client->received, used);
	}
	return true;
}

void
vnc_readable(struct client *client)
{
	while (takers[client->state] != NULL) {
		/* Who does not take our answers is not heard either. */
		if (transport_blocked(&client->transport)) {
			event_del(&client->readable);
			event_add(&client->writable, NULL);
			return;
		}
		if (!next_message(client) && !login_receive(client))
			break;
	}
	if (takers[client->state] != NULL && buf_len(&client->received) == 0)
		buf_free(&client->received);
}
