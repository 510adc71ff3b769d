/*
 * pki_print.h: what the pki verbs say, to a person and as JSON.
 */
#ifndef CLI_PKI_PRINT_H
#define CLI_PKI_PRINT_H

#include "certs/check.h"
#include "certs/pki.h"
#include "gateway/cli/cli.h"

/* A line of `virtgate pki show`. */
void pki_print_row(const struct index_record *record, time_t now);
json_t *pki_record_json(const struct index_record *record, time_t now);
/* A certificate that was made, as text or JSON; `password` is of its .p12 file (NULL: not to be told). The exit status. */
int pki_print_issued(const struct cli *cli, const struct pki *pki, const struct pki_result *result, const char *password);
/* How a client's files are used. */
void pki_print_client_hint(const struct pki_result *result);
void pki_print_report(const struct check_report *report);
json_t *pki_report_json(const struct check_report *report);

#endif
