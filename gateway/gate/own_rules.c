/*
 * own_rules.c: see own_rules.h.
 */
#include "gateway/gate/own_rules.h"

#include <stdlib.h>

struct admission_rules *
own_rules_compile(const struct policy *policy, const char *file, struct vg_error *error)
{
	struct admission_rules *rules = NULL;
	const struct vg_rule **list;
	struct vg_error why;
	size_t num = 0, which = 0;

	while (policy_rule_at(policy, num) != NULL)
		num++;
	list = calloc(num + 1, sizeof(*list));
	if (list == NULL) {
		(void)vg_fail(error, "%s: out of memory", file);
		return NULL;
	}
	for (size_t i = 0; i < num; i++)
		list[i] = policy_rule_at(policy, i);
	rules = admission_compile(list, num, &which, &why);
	if (rules == NULL) {
		(void)vg_fail(error, "%s:%u: %s", file, which < num ? list[which]->line : 1, why.what);
		(void)vg_hint(error, "%s", why.hint);
	}
	free(list);
	return rules;
}

int
own_rules_request(struct admission_document *document, const struct vg_identity *identity, const struct vg_object *object)
{
	struct admission_request request = { .sasl = (identity->proofs & VG_PROOF_SASL) != 0 ? identity->sasl_name : NULL,
		.cn = (identity->proofs & VG_PROOF_X509) != 0 ? identity->x509_cn : NULL,
		.dn = (identity->proofs & VG_PROOF_X509) != 0 ? identity->x509_dn : NULL,
		.unix_user = (identity->proofs & VG_PROOF_UNIX) != 0 ? identity->unix_user : NULL, .address = identity->address, .object = object->name };

	request.user = request.sasl != NULL ? request.sasl : request.cn != NULL ? request.cn : request.unix_user;
	return admission_set_request(document, &request);
}
