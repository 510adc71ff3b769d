/*
 * policy_args.h: USER, PERMISSION and OBJECT of the policy verbs, as people write them.
 */
#ifndef CLI_POLICY_ARGS_H
#define CLI_POLICY_ARGS_H

#include <time.h>

#include "gateway/cli/cli.h"
#include "gateway/policy/policy.h"

/* One question to a policy. Texts are owned (question_clear). */
struct question {
	struct vg_identity identity;
	enum vg_permission permission;
	struct vg_object object;
	time_t now;
	char *texts[VG_IDENTITY_MAX_SANS + 8];	/* what identity and object point into */
	size_t num_texts;
};

/*
 * USER: "sasl:alice", "x509:CN=bob,O=Lab", "unix:bob", several proven together with "+"; a DN gives its CN too.
 * Options --from ADDRESS, --at TIME, --uuid UUID (of the object) are taken from the command line.
 */
int question_user(struct question *question, const struct cli *cli, const char *user, struct vg_error *error);
/* PERMISSION, and OBJECT: "domain:web-1", "domain:uuid:UUID", "storage_vol:pool/vol", "CLASS:*", "*", NULL for none. */
int question_object(struct question *question, const struct cli *cli, const char *permission, const char *object,
    struct vg_error *error);
void question_clear(struct question *question);

#endif
