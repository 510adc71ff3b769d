/*
 * posture.h: is the host itself in order? Looks at files, /proc, /sys and the guests that run, changes nothing, talks to nobody and needs
 * no root: what it could not see is said. One row a check in checks.def.
 *
 * A check is a function of a struct posture_host (host.h), so a directory with made-up files is a host as well. Everything read is
 * bounded; texts of the host may hold anything and are made printable by who prints them.
 */
#ifndef POSTURE_POSTURE_H
#define POSTURE_POSTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "virtgate/result.h"

struct posture_host;

/* In the order in which one outweighs the other. */
enum posture_level {
	POSTURE_PASS,
	POSTURE_SKIP,	/* could not be seen; what says why */
	POSTURE_WARN,	/* weaker than it could be, or right only for a reason that cannot be seen from here */
	POSTURE_FAIL,	/* a way round the gateway, or a wall that is missing */
	POSTURE_NUM_LEVELS
};

#define POSTURE_MAX_NAMES 64
#define POSTURE_NAME_SIZE 256

struct posture_check;

struct posture_result {
	const struct posture_check *check;
	enum posture_level level;
	char what[512];
	char fix[2048];		/* commands, a line each; empty: none, or those of the check */
	size_t num_names;	/* what it is about: guests, files; all were counted, the first POSTURE_MAX_NAMES are kept */
	char names[POSTURE_MAX_NAMES][POSTURE_NAME_SIZE];
};

struct posture_check {
	const char *id;		/* stays the same for ever: people grep for it */
	const char *srg;	/* requirement of DISA's Virtual Machine Manager SRG, "" where none fits */
	unsigned needs;		/* POSTURE_NEEDS_… (host.h): else SKIP without asking the function */
	void (*look)(const struct posture_host *host, struct posture_result *result);
	const char *title;	/* what is true when it passes */
	const char *hint;	/* what to do when it does not */
	const char *fix;	/* the commands for that, a line each; "" when it takes a person */
};

/* The nth check, NULL behind the last. */
const struct posture_check *posture_check(size_t index);
void posture_look(const struct posture_host *host, const struct posture_check *check, struct posture_result *result);
const char *posture_level_name(enum posture_level level);

/* ---- for checks ---- */

/* The worst that was said stands; of two that are equally bad the first. A passing text replaces the title. */
__attribute__((format(printf, 3, 4)))
void posture_say(struct posture_result *result, enum posture_level level, const char *format, ...);
__attribute__((format(printf, 2, 3)))
void posture_name(struct posture_result *result, const char *format, ...);
/* One more line of commands. What comes from others than root goes in only when it is posture_quotable: nothing ends its quotes or its line. */
__attribute__((format(printf, 2, 3)))
void posture_fix(struct posture_result *result, const char *format, ...);
bool posture_quotable(const char *text);

/* Rules of the Linux audit system for the paths of this host, ready for /etc/audit/rules.d (audit_rules.c). -1: nothing was written. */
int posture_audit_rules(const struct posture_host *host, FILE *out, struct vg_error *error);

#endif
