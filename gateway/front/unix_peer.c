/* unix_peer.c: peer credentials as identity. Names may come from a directory: a worker looks them up. */
#include "gateway/front/unix_peer.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "gateway/core/log.h"
#include "gateway/front/client.h"
#include "gateway/front/internal.h"
#include "gateway/auth/worker.h"

struct name_job {
	struct worker_job job;		/* first */
	struct client *client;
	uid_t uid;
	char *name;			/* the answer; NULL when memory is out */
	char *groups[VG_IDENTITY_MAX_GROUPS];
	size_t num_groups;
	bool groups_unknown;		/* there are too many, or the database does not answer */
};

#define MAX_GROUP_RECORD (1u << 20)	/* bytes of one group with all its members */

/* NULL when it cannot be found out: a group that is there but not told could be one that a binding denies. */
static char *
group_name(gid_t gid)
{
	struct group group, *found = NULL;
	char *buf = NULL, *name = NULL, text[16];
	int problem = ERANGE;

	for (size_t size = 4096; problem == ERANGE && size <= MAX_GROUP_RECORD; size *= 4) {
		free(buf);
		buf = malloc(size);
		problem = buf == NULL ? ENOMEM : getgrgid_r(gid, &group, buf, size, &found);
	}
	snprintf(text, sizeof(text), "%lu", (unsigned long)gid);
	if (problem == 0)
		name = strdup(found != NULL && group.gr_name[0] != '\0' ? group.gr_name : text);
	free(buf);
	return name;
}

static void
look_up_groups(struct name_job *job, const struct passwd *passwd)
{
	gid_t gids[VG_IDENTITY_MAX_GROUPS];
	int num = VG_IDENTITY_MAX_GROUPS;

	job->groups_unknown = getgrouplist(passwd->pw_name, passwd->pw_gid, gids, &num) < 0;
	for (int i = 0; i < num && !job->groups_unknown; i++) {
		job->groups[job->num_groups] = group_name(gids[i]);
		if (job->groups[job->num_groups] == NULL)
			job->groups_unknown = true;
		else
			job->num_groups++;
	}
}

static void
look_up(struct worker_job *job)
{
	struct name_job *name_job = (struct name_job *)job;
	struct passwd passwd, *found = NULL;
	char text[16], buf[16384];

	if (getpwuid_r(name_job->uid, &passwd, buf, sizeof(buf), &found) == 0 && found != NULL &&
	    passwd.pw_name[0] != '\0') {
		name_job->name = strdup(passwd.pw_name);
		look_up_groups(name_job, &passwd);
		return;
	}
	snprintf(text, sizeof(text), "%lu", (unsigned long)name_job->uid);
	name_job->name = strdup(text);
}

static void
free_job(struct name_job *job)
{
	free(job->name);
	for (size_t i = 0; i < job->num_groups; i++)
		free(job->groups[i]);
	free(job);
}

/* What was found becomes the client's. */
static void
take_names(struct name_job *job, struct vg_identity *identity)
{
	identity->unix_user = job->name;
	memcpy(identity->unix_groups, job->groups, sizeof(job->groups));
	identity->num_unix_groups = job->num_groups;
	identity->proofs |= VG_PROOF_UNIX;
	job->name = NULL;
	job->num_groups = 0;
}

static void
on_name(struct worker_job *job)
{
	struct name_job *name_job = (struct name_job *)job;
	struct client *client = name_job->client;

	client->held = false;
	if (client->state == CLIENT_CLOSED) {
		event_active(client->front->reap, EV_TIMEOUT, 0);
	} else if (name_job->name == NULL) {
		client_close(client, CLOSE_NO_MEMORY, NULL);
	} else if (name_job->groups_unknown) {
		client_close(client, CLOSE_PEER_UNKNOWN, "his groups cannot be found out, or are more than 64");
	} else {
		take_names(name_job, client->identity);
		client_hand_over(client);
	}
	free_job(name_job);
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
