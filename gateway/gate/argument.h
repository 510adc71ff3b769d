/*
 * argument.h: what a permission alone does not make safe. Each argument that names something outside its object (a path, a URI, a disk,
 * a document) has a rule in argument.def, which is asked after the permissions, of everybody.
 */
#ifndef GATE_ARGUMENT_H
#define GATE_ARGUMENT_H

#include "gateway/gate/resolve.h"
#include "gateway/gate/rules.h"

/* Asks the rules of a call whose permissions are granted. As the steps of resolve.h. */
enum decide_verdict argument_check(struct call *call, struct judgement *judgement, unsigned *index, const uint8_t *body, size_t len);

/*
 * path.c: is this a file in one of `dirs`, reached without symlinks? Looked at as the gate's own user: what it may not search is refused.
 * `exists` tells whether a regular file is there; anything else there is refused. -1 with error text.
 */
int path_check(const struct settings_list *dirs, const char *path, bool *exists, struct vg_error *error);

/* Is it the directory `name` in one of `dirs`, or not there yet? -1 with error text. */
int path_check_directory(const struct settings_list *dirs, const char *path, const char *name, struct vg_error *error);

/* uri.c: `uri` or `address` against the list. */
bool uri_is_allowed(const struct settings_list *allowed, const char *uri);
bool uri_host_is_allowed(const struct settings_list *allowed, const char *address);

/* disk.c: is `name` a disk of this definition: a target, an image of its chain ("vda[1]"), or a source in it? */
bool disk_is_in(const char *xml, size_t len, const char *name);
/* Where the image of that disk is that is written to: by path, or by pool and volume; the other is empty. False: there is no such disk. */
struct disk_image {
	char path[1024], pool[256], volume[256];
};
bool disk_image_of(const char *xml, size_t len, const char *name, struct disk_image *image);

/* Whom the profile that holds without any row of the policy is for. */
enum admit_standing {
	ADMIT_PRIVILEGED,	/* holds the call's permissions on everything: rows only */
	ADMIT_TENANT		/* does not: profile baseline, and the policy on what the document uses */
};

/* Notes for the record that a row refuses an argument, or would; `watches`: the gateway only watches. */
void admit_note(struct call *call, const struct policy_row *row, const char *rule, bool watches);
/* Forgets what an earlier judgement of the call found and wrote. */
void admit_forget(struct call *call);
/*
 * admit.c: what is forwarded is the document as it was judged. What was found is in call->findings, for the record. `by_row`: a row of the
 * policy refused, not what holds without one.
 */
enum decide_verdict admit_document(struct call *call, struct judgement *judgement, unsigned *index, enum argument_rule rule, struct xdr_span span,
    enum admit_standing standing, bool *by_row);

/* limit.c: bounds that rows of the policy set, on plain arguments of a call. */
enum decide_verdict limit_check(struct call *call, struct judgement *judgement, const uint8_t *body, size_t len);

#endif
