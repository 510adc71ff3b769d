/* fuzz_handover.c: what a front that fell could send to the gate: refused, or an identity that is written the same way again. */
#include <string.h>

#include "gateway/core/handover.h"
#include "gateway/core/link.h"
#include "tests/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static uint8_t again[LINK_MAX_BODY];
	struct vg_identity identity;
	char text[128];

	if (len > LINK_MAX_BODY)
		return 0;
	if (handover_get(data, len, &identity) < 0) {
		FUZZ_ASSERT(identity.proofs == 0 && identity.sasl_name == NULL && identity.x509_dn == NULL &&
		    identity.unix_user == NULL);
		return 0;
	}
	FUZZ_ASSERT(identity.proofs != 0);
	FUZZ_ASSERT((identity.sasl_name != NULL) == ((identity.proofs & VG_PROOF_SASL) != 0));
	FUZZ_ASSERT((identity.x509_dn != NULL) == ((identity.proofs & VG_PROOF_X509) != 0));
	FUZZ_ASSERT((identity.unix_user != NULL) == ((identity.proofs & VG_PROOF_UNIX) != 0));
	FUZZ_ASSERT(identity.num_unix_groups == 0 || (identity.proofs & VG_PROOF_UNIX) != 0);
	FUZZ_ASSERT(handover_put(again, sizeof(again), &identity) == len);
	FUZZ_ASSERT(memcmp(again, data, len) == 0);
	(void)identity_text(&identity, text, sizeof(text));
	identity_clear(&identity);
	return 0;
}
