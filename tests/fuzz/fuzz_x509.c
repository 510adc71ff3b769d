/*
 * fuzz_x509.c: names in a client's certificate. Targets: dn_text() and dn_identity(). Input: a DER certificate. What is
 * accepted as an identity is printable and consists of whole characters.
 */
#include <string.h>

#include "gateway/core/handover.h"
#include "gateway/auth/dn.h"
#include "gateway/auth/utf8.h"
#include "tests/fuzz/fuzz.h"

static void
check_name(const char *name)
{
	FUZZ_ASSERT(name == NULL || utf8_is_name((const uint8_t *)name, strlen(name)));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct vg_identity identity = { 0 };
	struct vg_error error;
	const uint8_t *at = data;
	X509 *cert = d2i_X509(NULL, &at, (long)len);
	char *text;

	if (cert == NULL)
		return 0;
	text = dn_text(X509_get_subject_name(cert));
	if (dn_identity(cert, &identity, &error) == 0) {
		FUZZ_ASSERT(text != NULL && strcmp(text, identity.x509_dn) == 0);
		FUZZ_ASSERT(strlen(identity.x509_sha256) == 64);
		check_name(identity.x509_dn);
		check_name(identity.x509_cn);
		for (size_t i = 0; i < identity.num_x509_sans; i++)
			check_name(identity.x509_sans[i]);
	}
	identity_clear(&identity);
	free(text);
	X509_free(cert);
	return 0;
}
