/*
 * question.h: USER, PERMISSION and OBJECT as people write them: on the command line, and in the browser.
 */
#ifndef POLICY_QUESTION_H
#define POLICY_QUESTION_H

#include <time.h>

#include "gateway/policy/policy.h"

/* One question to a policy. Texts are owned (question_clear). */
struct question {
	struct vg_identity identity;
	enum vg_permission permission;
	struct vg_object object;
	time_t now;
	char *texts[VG_IDENTITY_MAX_SANS + VG_IDENTITY_MAX_GROUPS + 8];	/* what identity and object point into */
	size_t num_texts;
};

/* When and from where it is asked, and the object's UUID; NULL for what was not said. */
struct question_words {
	const char *dashes;	/* "--" where they were options, for messages */
	const char *from, *at, *uuid;
	const char *proof;	/* "x509+sasl": proven besides what USER names */
	time_t now;		/* when, where `at` does not say */
};

/*
 * USER: "sasl:alice", "x509:CN=bob,O=Lab", "unix:bob", several proven together with "+"; a DN gives its CN too. NULL:
 * whoever.
 */
int question_user(struct question *question, const struct question_words *words, const char *user,
    struct vg_error *error);
/* PERMISSION, and OBJECT: "domain:web-1", "domain:uuid:UUID", "storage_vol:pool/vol", "CLASS:*", "*". */
int question_object(struct question *question, const struct question_words *words, const char *permission,
    const char *object, struct vg_error *error);
void question_clear(struct question *question);

#endif
