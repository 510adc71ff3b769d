/*
 * login.c: a client proves who it is in RPC messages: AUTH_LIST, SASL_INIT, SASL_START, SASL_STEP. One message at a
 * time.
 */
#include <string.h>

#include <openssl/crypto.h>

#include "gateway/core/log.h"
#include "gateway/front/client.h"
#include "gateway/front/internal.h"
#include "gateway/front/rpc_auth.h"
#include "gateway/front/sasl_step.h"
#include "gateway/auth/person.h"
#include "gateway/auth/utf8.h"

/* One read of a client that nobody knows yet: what it keeps follows what it has sent. */
#define READ_SIZE 16384u

static uint8_t reply[RPC_MAX_LEN_BEFORE_AUTH];

static void
send_reply(struct client *client, size_t len)
{
	if (len == 0 || transport_put(&client->transport, reply, len) < 0 || transport_flush(&client->transport) < 0) {
		client_close(client, CLOSE_CLIENT_LOST, client->transport.problem);
		return;
	}
	OPENSSL_cleanse(reply, len);
}

/* One text for everybody, whatever went wrong; the reason is in the log and in the record. */
static void
refuse(struct client *client, const struct rpc_header *call, enum close_reason reason, const char *detail)
{
	struct rpc_error error = { .code = RPC_ERR_AUTH_FAILED, .origin = RPC_ORIGIN_RPC,
		.message = "authentication failed" };

	client->identity->proofs = 0;
	send_reply(client, rpc_put_error(reply, sizeof(reply), call, &error));
	client_close_flushed(client, reason, detail);
}

static void
start_sasl(struct client *client, const struct rpc_auth_message *message)
{
	if (client->sasl != NULL) {
		refuse(client, &message->header, CLOSE_SASL_ORDER, "a second SASL_INIT");
		return;
	}
	client->sasl = sasl_step_begin(client);
	if (client->sasl == NULL)
		refuse(client, &message->header, CLOSE_NO_MEMORY, NULL);
	else if (sasl_session_mechs(client->sasl)[0] == '\0')
		refuse(client, &message->header, CLOSE_SASL_MECH, "cyrus-sasl gives none that may be offered here");
	else
		send_reply(client, rpc_auth_put_mechs(reply, sizeof(reply), &message->header,
		    sasl_session_mechs(client->sasl)));
}

enum close_reason
login_judge(const struct client *client)
{
	const struct settings *settings = client->config->settings;
	const char *name = sasl_session_name(client->sasl);

	if (name[0] == '\0' || !utf8_is_name((const uint8_t *)name, strlen(name)))
		return CLOSE_SASL_NAME;
	if (client->transport.ssl == NULL && sasl_session_ssf(client->sasl) < (unsigned)settings->tcp_min_ssf)
		return CLOSE_SASL_WEAK;
	if (!person_is_allowed(&settings->sasl_allowed_username_list, name))
		return CLOSE_SASL_NOT_ALLOWED;
	if (client->identity->x509_dn != NULL && settings->sasl_match_certificate &&
	    !person_is_one(client->identity, name))
		return CLOSE_SASL_NOT_CERT;
	/* Whatever follows in clear would be taken for the session's although nobody protected it. */
	if (client->transport.ssl == NULL && buf_len(&client->received) > 0)
		return CLOSE_SASL_EARLY_BYTES;
	return CLOSE_NUM_REASONS;
}

static void
succeed(struct client *client, const struct sasl_step *step)
{
	struct vg_identity *identity = client->identity;
	enum close_reason reason = login_judge(client);
	const uint8_t *answer;
	size_t len = sasl_session_answer(client->sasl, &answer);

	if (!sasl_step_take_names(client, sasl_session_name(client->sasl)) && reason == CLOSE_NUM_REASONS)
		reason = CLOSE_NO_MEMORY;
	if (reason != CLOSE_NUM_REASONS) {
		refuse(client, &step->call, reason, NULL);
		return;
	}
	send_reply(client, rpc_auth_put_step(reply, sizeof(reply), &step->call, true, answer, len));
	if (client->state == CLIENT_CLOSED)
		return;
	identity->proofs |= VG_PROOF_SASL;
	identity->sasl_ssf = sasl_session_ssf(client->sasl);
	if (client->listener == LISTENER_TCP) {
		transport_push_sasl(&client->transport, client->sasl);
	} else {
		sasl_session_destroy(client->sasl);
		client->sasl = NULL;
	}
	client_hand_over(client);
}

static void
on_step(struct sasl_step *step)
{
	struct client *client = step->client;
	const uint8_t *answer;
	size_t len;

	switch (step->progress) {
	case SASL_PROGRESS_DONE:
		succeed(client, step);
		break;
	case SASL_PROGRESS_CONTINUE:
		len = sasl_session_answer(client->sasl, &answer);
		send_reply(client, rpc_auth_put_step(reply, sizeof(reply), &step->call, false, answer, len));
		if (client->state == CLIENT_CLOSED)
			break;
		client_enter(client, CLIENT_RPC_AUTH);
		login_readable(client);
		break;
	case SASL_PROGRESS_FAILED:
		(void)sasl_step_take_names(client, sasl_session_claimed(client->sasl));
		refuse(client, &step->call, CLOSE_SASL_FAILED, sasl_session_problem(client->sasl));
		break;
	}
}

static void
step_sasl(struct client *client, const struct rpc_auth_message *message)
{
	bool first = message->kind == RPC_AUTH_SASL_START;
	struct sasl_step *step;

	if (client->sasl == NULL || first == (sasl_session_mech(client->sasl)[0] != '\0')) {
		refuse(client, &message->header, CLOSE_SASL_ORDER, NULL);
		return;
	}
	if (first && !sasl_session_offers(client->sasl, (const char *)message->mech.data, message->mech.len)) {
		refuse(client, &message->header, CLOSE_SASL_MECH, NULL);
		return;
	}
	step = sasl_step_create(client, message->data.len / 4, on_step);
	if (step == NULL) {
		refuse(client, &message->header, CLOSE_NO_MEMORY, NULL);
		return;
	}
	step->call = message->header;
	if (first)
		memcpy(step->mech, message->mech.data, message->mech.len);	/* one that is offered fits */
	step->has_data = message->has_data;
	rpc_auth_data(message, step->data);
	if (sasl_step_submit(step) < 0)
		refuse(client, &message->header, CLOSE_BUSY, NULL);
}

static void
act(struct client *client, const struct rpc_auth_message *message)
{
	switch (message->kind) {
	case RPC_AUTH_LIST:
		send_reply(client, rpc_auth_put_list(reply, sizeof(reply), &message->header));
		break;
	case RPC_AUTH_SASL_INIT:
		start_sasl(client, message);
		break;
	case RPC_AUTH_SASL_START:
	case RPC_AUTH_SASL_STEP:
		step_sasl(client, message);
		break;
	case RPC_AUTH_PING:
		rpc_put_keepalive(reply, RPC_KEEPALIVE_PONG);
		send_reply(client, RPC_HEADER_LEN);
		break;
	case RPC_AUTH_CLOSE:
		send_reply(client, rpc_auth_put_closed(reply, sizeof(reply), &message->header));
		client_close_flushed(client, CLOSE_SAID_NOTHING, NULL);
		break;
	case RPC_AUTH_OTHER:
		client_close(client, CLOSE_RPC_NOT_AUTH, NULL);
		break;
	}
}

/* Acts on the first message that has arrived whole. False when more bytes are needed. */
static bool
next_message(struct client *client)
{
	struct rpc_auth_message message;

	if (buf_len(&client->received) == 0)
		return false;
	switch (rpc_auth_get(buf_head(&client->received), buf_len(&client->received), &message)) {
	case VG_MORE:
		return false;
	case VG_BAD:
		client_close(client, CLOSE_RPC_MALFORMED, NULL);
		return true;
	case VG_OK:
		break;
	}
	act(client, &message);
	/* Passwords do not stay in memory. A message that is refused by its header need not be here whole. */
	if (buf_len(&client->received) >= message.header.length) {
		OPENSSL_cleanse(buf_head(&client->received), message.header.length);
		buf_drop(&client->received, message.header.length);
	}
	return true;
}

bool
login_receive(struct client *client)
{
	uint8_t *room = buf_room(&client->received, READ_SIZE);
	ssize_t n;

	if (room == NULL) {
		client_close(client, CLOSE_NO_MEMORY, NULL);
		return false;
	}
	n = transport_read(&client->transport, room, READ_SIZE);
	/* Reading may have made TLS answer something. */
	if (transport_flush(&client->transport) < 0)
		n = TRANSPORT_FAILED;
	if (n > 0) {
		buf_added(&client->received, (size_t)n);
		return true;
	}
	if (n == TRANSPORT_FAILED)
		client_close(client, CLOSE_CLIENT_LOST, client->transport.problem);
	else if (n == TRANSPORT_EOF)
		client_close(client, CLOSE_SAID_NOTHING, NULL);
	return false;
}

void
login_readable(struct client *client)
{
	while (client->state == CLIENT_RPC_AUTH) {
		/* Who does not take our answers is not heard either. */
		if (transport_blocked(&client->transport)) {
			event_del(&client->readable);
			event_add(&client->writable, NULL);
			return;
		}
		if (!next_message(client) && !login_receive(client))
			break;
	}
	if (client->state == CLIENT_RPC_AUTH && buf_len(&client->received) == 0)
		buf_free(&client->received);
}
