/* unix_peer.c: peer credentials as identity. The name of a uid may come from a directory: a worker looks it up. */
#include "gateway/front/unix_peer.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "gateway/core/log.h"
#include "gateway/front/client.h"
#include "gateway/front/internal.h"
#include "gateway/front/worker.h"

struct name_job {
	struct worker_job job;		/* first */
	struct client *client;
	uid_t uid;
	char *name;			/* the answer; NULL when memory is out */
};

static void
look_up(struct worker_job *job)
{
	struct name_job *name_job = (struct name_job *)job;
	struct passwd passwd, *found = NULL;
	char text[16], buf[16384];

	if (getpwuid_r(name_job->uid, &passwd, buf, sizeof(buf), &found) == 0 && found != NULL &&
	    passwd.pw_name[0] != '\0') {
		name_job->name = strdup(passwd.pw_name);
		return;
	}
	snprintf(text, sizeof(text), "%lu", (unsigned long)name_job->uid);
	name_job->name = strdup(text);
}

static void
on_name(struct worker_job *job)
{
	struct name_job *name_job = (struct name_job *)job;
	struct client *client = name_job->client;

	client->held = false;
	if (client->state == CLIENT_CLOSED) {
		event_active(client->front->reap, EV_TIMEOUT, 0);
		free(name_job->name);
	} else if (name_job->name == NULL) {
		client_close(client, CLOSE_NO_MEMORY, NULL);
	} else {
		client->identity->unix_user = name_job->name;
		client->identity->proofs |= VG_PROOF_UNIX;
		client_hand_over(client);
	}
	free(name_job);
}

void
unix_peer_start(struct client *client)
{
	struct ucred credentials;
	socklen_t len = sizeof(credentials);
	struct name_job *job;

	if (getsockopt(client->transport.fd, SOL_SOCKET, SO_PEERCRED, &credentials, &len) < 0 ||
	    len != sizeof(credentials) || credentials.uid == (uid_t)-1) {
		client_close(client, CLOSE_PEER_UNKNOWN, NULL);
		return;
	}
	job = calloc(1, sizeof(*job));
	if (job == NULL) {
		client_close(client, CLOSE_NO_MEMORY, NULL);
		return;
	}
	client->identity->unix_uid = credentials.uid;
	job->job.work = look_up;
	job->job.done = on_name;
	job->client = client;
	job->uid = credentials.uid;
	if (worker_submit(client->front->worker, &job->job) < 0) {
		free(job);
		client_close(client, CLOSE_BUSY, NULL);
		return;
	}
	client->held = true;
}
