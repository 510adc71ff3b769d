/*
 * ca.h: the CA of a tree, for the steps of pki.h. To be called under the lock.
 */
#ifndef CERTS_CA_H
#define CERTS_CA_H

#include "certs/files.h"
#include "certs/issue.h"
#include "certs/pki.h"

#define DAY_SECONDS 86400

/* Key and certificate, which belong together and can sign now. */
int ca_load(const struct pki *pki, struct cert_pair *ca, struct vg_error *error);

/* O of the CA, which is that of what it issues unless asked otherwise. Heap text, or NULL when it has none. */
char *ca_org(X509 *ca);

/* Stages a new revocation list that continues the one that is there. `next` gets the end of its life. */
int ca_stage_crl(const struct pki *pki, struct file_set *set, const struct cert_pair *ca, const struct index *index,
    int days, time_t *next, struct vg_error *error);

/* Fills all of the record; clear it with index_record_clear. */
int ca_describe(const struct pki *pki, X509 *cert, enum cert_kind kind, const char *name, struct index_record *record,
    struct vg_error *error);

#endif
