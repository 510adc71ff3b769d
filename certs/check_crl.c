/* check_crl.c: what can be wrong with revocation lists; see checks.h. */
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "certs/checks.h"
#include "certs/issue.h"

#define DAY_SECONDS 86400

/* The CA that signed it, or NULL. `named`: one with that name exists. */
static X509 *
issuer_of(X509_CRL *crl, const struct check_trust *trust, bool *named)
{
	int i;

	*named = false;
	for (i = 0; i < sk_X509_num(trust->cas); i++) {
		X509 *ca = sk_X509_value(trust->cas, i);
		EVP_PKEY *key = X509_get0_pubkey(ca);

		if (X509_NAME_cmp(X509_CRL_get_issuer(crl), X509_get_subject_name(ca)) != 0)
			continue;
		*named = true;
		if (key != NULL && X509_CRL_verify(crl, key) == 1)
			return ca;
		(void)openssl_reason();
	}
	return NULL;
}

static void
check_crl_times(struct check *check, const char *path, X509_CRL *crl)
{
	const ASN1_TIME *next = X509_CRL_get0_nextUpdate(crl);
	time_t from = cert_time(X509_CRL_get0_lastUpdate(crl)), until = cert_time(next), now = check->pki->now;
	char text[21];

	if (now < from) {
		time_text(from, text);
		check_note(check, CHECK_FAIL, path, "made in the future (%s): virtgated refuses everybody", text);
		check_hint(check, "is a clock wrong, here or at the CA? compare with: date -u");
	} else if (next == NULL) {
		check_note(check, CHECK_WARN, path, "does not say until when it counts: nobody notices when renewing "
		    "it stops");
		check_hint(check, "make it anew with: virtgate pki crl");
	} else if (now > until) {
		time_text(until, text);
		check_note(check, CHECK_FAIL, path, "expired on %s: virtgated refuses everybody, libvirt's tools do "
		    "not trust any certificate of this CA", text);
		check_hint(check, "virtgate pki crl, then virtgate reload");
	} else if (until - now < CHECK_SOON_DAYS * DAY_SECONDS && until - now < (until - from) / 3) {
		/* A list that is renewed every day is not to be complained of all the time. */
		time_text(until, text);
		check_note(check, CHECK_WARN, path, "expires on %s; from then on virtgated refuses everybody", text);
		check_hint(check, "virtgate pki crl, then virtgate reload");
	}
}

static void
check_crl(struct check *check, X509_CRL *crl, const struct check_trust *trust)
{
	const char *path = trust->crl_path;
	bool named;

	if (trust->cas != NULL && issuer_of(crl, trust, &named) == NULL) {
		char *issuer = check->pki->dn_text(X509_CRL_get_issuer(crl));

		check_note(check, CHECK_FAIL, path, named ? "a CA of the same name '%s' made it, with another key than "
		    "the one in %.200s" :
		    "made by '%s', which is not in %.200s", issuer != NULL ? issuer : "?", trust->ca_path);
		check_hint(check, "with the CA's key here: move it away, then virtgate pki crl; else fetch the list "
		    "from that CA");
		free(issuer);
		return;
	}
	check_crl_times(check, path, crl);
}

void
check_crls(struct check *check, const struct check_trust *trust)
{
	const size_t *count = check->report->count;
	size_t before = count[CHECK_WARN] + count[CHECK_FAIL];
	int i, j;

	for (i = 0; i < sk_X509_CRL_num(trust->crls); i++)
		check_crl(check, sk_X509_CRL_value(trust->crls, i), trust);
	for (i = 0; i < sk_X509_num(trust->cas); i++) {
		X509 *ca = sk_X509_value(trust->cas, i);

		for (j = 0; j < sk_X509_CRL_num(trust->crls); j++)
			if (X509_NAME_cmp(X509_CRL_get_issuer(sk_X509_CRL_value(trust->crls, j)),
			    X509_get_subject_name(ca)) == 0)
				break;
		if (j < sk_X509_CRL_num(trust->crls) || count[CHECK_WARN] + count[CHECK_FAIL] > before)
			continue;
		check_note(check, CHECK_FAIL, trust->crl_path, "no list of CA %d in %.200s: virtgated refuses all that "
		    "it issued", i + 1, trust->ca_path);
		check_hint(check, "put the lists of all CAs into this file, one behind the other");
	}
	if (count[CHECK_WARN] + count[CHECK_FAIL] == before) {
		X509_CRL *crl = sk_X509_CRL_value(trust->crls, 0);
		char until[21];

		time_text(cert_time(X509_CRL_get0_nextUpdate(crl)), until);
		check_note(check, CHECK_PASS, trust->crl_path, "revocation list, %d revoked, counts until %.10s",
		    sk_X509_REVOKED_num(X509_CRL_get_REVOKED(crl)) > 0 ?
		    sk_X509_REVOKED_num(X509_CRL_get_REVOKED(crl)) : 0, until);
	}
}

static bool
listed(const struct index_record *record, const struct check_trust *trust)
{
	BIGNUM *number = NULL;
	ASN1_INTEGER *serial = NULL;
	X509_REVOKED *entry;
	bool found = false;
	int i;

	if (BN_hex2bn(&number, record->serial) != 0)
		serial = BN_to_ASN1_INTEGER(number, NULL);
	for (i = 0; serial != NULL && i < sk_X509_CRL_num(trust->crls); i++)
		found = found || X509_CRL_get0_by_serial(sk_X509_CRL_value(trust->crls, i), &entry, serial) == 1;
	ASN1_INTEGER_free(serial);
	BN_free(number);
	return found;
}

void
check_index(struct check *check, const struct check_trust *trust)
{
	const char *path = check->pki->tree.path[PKI_INDEX];
	struct vg_error error;
	struct index index;
	size_t i;

	if (index_load(&index, path, &error) < 0) {
		check_note(check, CHECK_FAIL, path, "%s", error.what);
		check_hint(check, "%s", error.hint);
		return;
	}
	for (i = 0; i < index.num; i++) {
		if (index.records[i].revoked == 0 || listed(&index.records[i], trust))
			continue;
		check_note(check, CHECK_FAIL, trust->crl_path, "'%s' (serial %s) was revoked but is not on the list: "
		    "still let in", index.records[i].name, index.records[i].serial);
		check_hint(check, "virtgate pki crl, then virtgate reload");
	}
	index_clear(&index);
}
