/*
 * check.h: looks at the files that a TLS server or client of libvirt uses, whoever made them, and says what is wrong
 * with each, what libvirt's tools would say, and what to do. Changes nothing, needs no lock.
 */
#ifndef CERTS_CHECK_H
#define CERTS_CHECK_H

#include <stdbool.h>
#include <stddef.h>

#include "certs/files.h"
#include "certs/pki.h"

#define CHECK_SOON_DAYS 30

enum check_level { CHECK_PASS, CHECK_WARN, CHECK_FAIL, CHECK_NUM_LEVELS };

struct check_finding {
	enum check_level level;
	char file[PKI_PATH_MAX];	/* empty: the machine as a whole */
	char what[512];
	char hint[512];			/* empty: none */
};

struct check_report {
	struct check_finding *findings;
	size_t num, size;
	size_t count[CHECK_NUM_LEVELS];
	bool incomplete;		/* ran out of memory; nothing may be concluded */
};

/*
 * The server's side: CA, CA key, revocation list, server certificate and key, this host as a client, and clients/.
 * `hosts` are the names that clients will use; `guessed` ones are only warned of.
 */
void check_tree(const struct pki *pki, const char *const *hosts, size_t num_hosts, bool guessed,
    struct check_report *report);

/* A directory as ?pkipath= wants it. */
void check_pkipath(const struct pki *pki, const char *dir, struct check_report *report);

const char *check_level_name(enum check_level level);
void check_report_clear(struct check_report *report);

#endif
