/*
 * tls_login.c: a client proves who it is by its certificate: the handshake, what its end means, and whether the certificate still counts after a reload.
 */
#include <stdlib.h>

#include <openssl/err.h>

#include "gateway/auth/dn.h"
#include "gateway/auth/person.h"
#include "gateway/auth/tls_context.h"
#include "gateway/front/client.h"
#include "gateway/front/internal.h"

/* Handshake over, chain verified by OpenSSL: is it one of ours? libvirt's client waits for one byte that says so. */
static void
admit(struct client *client)
{
	static const uint8_t confirmation[] = { 1 };
	const struct settings *settings = client->config->settings;
	struct vg_error error;
	/* Only a viewer that goes on to SASL may have none: OpenSSL would have ended the others. */
	bool shown = !listener_is_vnc(client->listener) || SSL_get0_peer_certificate(client->transport.ssl) != NULL;

	SSL_set_app_data(client->transport.ssl, NULL);
	if (shown && tls_client_identity(client->transport.ssl, client->identity, &error) < 0) {
		client_close(client, CLOSE_CERT_REFUSED, error.what);
		return;
	}
	if (shown && !person_is_allowed(&settings->tls_allowed_dn_list, client->identity->x509_dn)) {
		client->identity->proofs = 0;
		client_close(client, CLOSE_DN_NOT_ALLOWED, NULL);
		return;
	}
	if (listener_is_vnc(client->listener)) {
		vnc_admit(client);
		return;
	}
	if (transport_put(&client->transport, confirmation, sizeof(confirmation)) < 0 ||
	    transport_flush(&client->transport) < 0) {
		client_close(client, CLOSE_CLIENT_LOST, client->transport.problem);
		return;
	}
	if (settings->auth_tls == AUTH_SASL) {
		client_enter(client, CLIENT_RPC_AUTH);
		login_readable(client);
	} else {
		client_hand_over(client);
	}
}

void
tls_login_check_again(struct client *client, const struct config *config)
{
	struct vg_error error = { .what = "" };
	char *dn;

	if (config->tls == NULL || client->transport.ssl == NULL || SSL_get0_peer_certificate(client->transport.ssl) == NULL)
		return;
	if (tls_client_check_again(client->transport.ssl, config->tls, &error) < 0) {
		client_close(client, CLOSE_CERT_WITHDRAWN, error.what);
		return;
	}
	dn = dn_text(X509_get_subject_name(SSL_get0_peer_certificate(client->transport.ssl)));
	if (dn == NULL || !person_is_allowed(&config->settings->tls_allowed_dn_list, dn))
		client_close(client, CLOSE_CERT_WITHDRAWN, dn);
	free(dn);
}

void
tls_login_continue(struct client *client)
{
	SSL *ssl = client->transport.ssl;
	long verified;
	unsigned long why;

	switch (transport_handshake(&client->transport)) {
	case 1:
		admit(client);
		break;
	case 0:
		if (transport_blocked(&client->transport))
			event_add(&client->writable, NULL);
		break;
	default:
		verified = SSL_get_verify_result(ssl);
		why = ERR_peek_error();
		if (verified != X509_V_OK)
			client_close(client, CLOSE_CERT_REFUSED, X509_verify_cert_error_string(verified));
		else if (why == 0 || ERR_GET_REASON(why) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
			client_close(client, CLOSE_SAID_NOTHING, NULL);
		else
			client_close(client, CLOSE_TLS_FAILED, ERR_reason_error_string(why));
		ERR_clear_error();
		break;
	}
}
