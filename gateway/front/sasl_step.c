/* sasl_step.c: what may be begun; a step to a worker and back; what it tells of the client. */
#include "gateway/front/sasl_step.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "gateway/front/internal.h"

static void
work(struct worker_job *job)
{
	struct sasl_step *step = (struct sasl_step *)job;

	step->progress = sasl_session_step(step->client->sasl, step->mech[0] != '\0' ? step->mech : NULL,
	    step->has_data ? step->data : NULL, step->len);
}

/* Passwords do not stay in memory. */
static void
free_step(struct sasl_step *step)
{
	OPENSSL_cleanse(step->data, step->len);
	free(step);
}

static void
on_worked(struct worker_job *job)
{
	struct sasl_step *step = (struct sasl_step *)job;
	struct client *client = step->client;

	client->held = false;
	if (client->state == CLIENT_CLOSED)
		event_active(client->front->reap, EV_TIMEOUT, 0);
	else
		step->done(step);
	free_step(step);
}

struct sasl_session *
sasl_step_begin(const struct client *client)
{
	SSL *ssl = client->transport.ssl;
	const struct sasl_rules rules = {
		.encrypted = ssl != NULL,
		.external_ssf = ssl != NULL ? (unsigned)SSL_get_cipher_bits(ssl, NULL) : 0,
		.min_ssf = (unsigned)client->config->settings->tcp_min_ssf,
		.vnc = listener_is_vnc(client->listener),
		.guest_in_name = client->listener == LISTENER_VNC,
	};

	return sasl_session_create(&rules);
}

struct sasl_step *
sasl_step_create(struct client *client, size_t len, void (*done)(struct sasl_step *step))
{
	struct sasl_step *step = calloc(1, sizeof(*step) + len);

	if (step == NULL)
		return NULL;
	step->job.work = work;
	step->job.done = on_worked;
	step->client = client;
	step->done = done;
	step->len = len;
	return step;
}

int
sasl_step_submit(struct sasl_step *step)
{
	struct client *client = step->client;

	if (worker_submit(client->front->worker, &step->job) < 0) {
		free_step(step);
		return -1;
	}
	client->held = true;
	client_enter(client, CLIENT_SASL_STEP);
	return 0;
}

bool
sasl_step_take_names(struct client *client, const char *name)
{
	struct vg_identity *identity = client->identity;
	const char *guest = sasl_session_guest(client->sasl);

	if (name != NULL && identity->sasl_name == NULL)
		identity->sasl_name = strdup(name);
	if (identity->sasl_mech == NULL)
		identity->sasl_mech = strdup(sasl_session_mech(client->sasl));
	if (guest != NULL) {
		free(identity->console);
		identity->console = strdup(guest);
	}
	return (name == NULL || identity->sasl_name != NULL) && identity->sasl_mech != NULL && (guest == NULL || identity->console != NULL);
}
