/*
 * admission_judge.h: a document as the gateway would judge it for somebody, for the admission verbs.
 */
#ifndef CLI_ADMISSION_JUDGE_H
#define CLI_ADMISSION_JUDGE_H

#include "gateway/admission/admission.h"
#include "gateway/cli/policy_args.h"

/* What a check is about, and what came of it. Begins as zeros but for `file` and `take`; check_clear() frees what the functions filled. */
struct check {
	const char *file;
	void (*take)(struct check *check, const struct admission_finding *finding);	/* each finding, of `row` in `mode` */
	void *arg;				/* the caller's */
	bool quiet;				/* what is no finding is not printed */
	char *text;				/* of the file */
	size_t len;
	struct admission_document *document;
	struct policy *policy;			/* NULL: no --user */
	struct admission_rules *rules;		/* the policy's own */
	struct question question;		/* who, on what */
	char *object;				/* owned: what it points into */
	bool freed;				/* by a row of profile privileged */
	const char *row, *mode;			/* at hand; row "": what holds without any */
	const struct vg_limits *limits;		/* of that row; NULL: none */
	unsigned num_refusals;
	bool failed;				/* a rule could not be asked */
	json_t *findings;			/* NULL: print */
};

/* By the top element; everything else that is known is a device. */
enum admission_kind check_kind(const char *text);
/* Reads the file. -1 with error text. */
int check_read(struct check *check, struct vg_error *error);
/* By --user or --profile. -1: told, with the exit status. Another time for another document in `check`, if it must be. */
int check_judge(const struct cli *cli, struct check *check, int *status);
/* The profile itself, with the bounds of a row that sets none. -1 with error text. */
int check_for_all(struct check *check, const char *profile, struct vg_error *error);
void check_clear(struct check *check);

#endif
