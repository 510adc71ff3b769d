/*
 * fuzz_policy.c: a policy file as an admin may write it. Input: the text. A policy that is refused must say why; one that is
 * taken must decide as the reference does.
 */
#include <string.h>
#include <time.h>

#include "gateway/policy/lint.h"
#include "tests/fuzz/fuzz.h"
#include "tests/table/policy_reference.h"

static void
check_problem(const struct vg_error *error, void *arg)
{
	FUZZ_ASSERT(strncmp(error->what, "fuzz:", 5) == 0 && error->what[5] >= '1' && error->what[5] <= '9');
	FUZZ_ASSERT(memchr(error->what, '\0', sizeof(error->what)) != NULL);
	FUZZ_ASSERT(memchr(error->hint, '\0', sizeof(error->hint)) != NULL);
	++*(unsigned *)arg;
}

static void
ignore_finding(const char *binding, bool applies, enum verdict verdict, const char *why, void *arg)
{
	FUZZ_ASSERT(binding != NULL && why[0] != '\0');
	(void)applies;
	(void)verdict;
	(void)arg;
}

static void
ignore_person(const char *who, const char *binding, enum verdict verdict, const char *condition, void *arg)
{
	FUZZ_ASSERT(who[0] != '\0' && binding != NULL && condition != NULL);
	(void)verdict;
	(void)arg;
}

static void
ask(const struct policy *policy, const json_t *json, const struct vg_identity *identity, enum vg_permission permission,
    const struct vg_object *object, time_t now)
{
	struct decision ours = policy_decide(policy, identity, permission, object, now);
	struct decision theirs = reference_decide(json, identity, permission_name(permission), object, now);
	struct decision explained = policy_explain(policy, identity, permission, object, now, ignore_finding, NULL);
	struct policy_view *view = policy_view_create(policy, identity);
	struct decision viewed;

	FUZZ_ASSERT(view != NULL);
	viewed = policy_view_decide(view, permission, object, now);
	policy_view_destroy(view);
	FUZZ_ASSERT(viewed.verdict == ours.verdict && viewed.binding == ours.binding);
	FUZZ_ASSERT(ours.verdict == theirs.verdict && (ours.binding == NULL) == (theirs.binding == NULL));
	FUZZ_ASSERT(ours.binding == NULL || strcmp(ours.binding, theirs.binding) == 0);
	FUZZ_ASSERT(explained.verdict == ours.verdict && explained.binding == ours.binding);
	FUZZ_ASSERT(ours.verdict == VERDICT_DENY || policy_may_ever(policy, identity, permission, now));
	policy_who_can(policy, permission, object, now, ignore_person, NULL);
}

static void
ask_all(const struct policy *policy, const json_t *json)
{
	static char a[] = "a", alice[] = "alice@EXAMPLE.COM", dn[] = "CN=bob,O=Lab";
	static const enum vg_permission permissions[] = { VG_PERM_domain_start, VG_PERM_domain_read, VG_PERM_domain_monitor,
		VG_PERM_connect_write, VG_PERM_session_kill, VG_PERM_storage_vol_read, VG_PERM_network_port_delete };
	struct vg_identity identities[] = {
		{ .proofs = VG_PROOF_SASL, .sasl_name = a, .address = "10.0.0.1" },
		{ .proofs = VG_PROOF_SASL | VG_PROOF_X509, .sasl_name = alice, .x509_dn = dn, .x509_cn = a, .address = "::ffff:10.9.9.9" },
		{ .proofs = VG_PROOF_UNIX, .unix_user = a },
	};

	for (size_t i = 0; i < sizeof(identities) / sizeof(identities[0]); i++) {
		for (size_t j = 0; j < sizeof(permissions) / sizeof(permissions[0]); j++) {
			struct vg_object object = { .class = permission_class(permissions[j]), .name = "web-1", .parent = "web" };

			ask(policy, json, &identities[i], permissions[j], &object, 1795428000);
			ask(policy, json, &identities[i], permissions[j], NULL, 1795428000 + 15 * 3600);
		}
		(void)policy_only_reads(policy, &identities[i], 0);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const char *text = (const char *)data;
	unsigned problems = 0;
	struct policy *policy;
	json_t *json;

	(void)setenv("TZ", "UTC", 1);
	tzset();
	policy = policy_parse(len > 0 ? text : "", len, "fuzz", check_problem, &problems);
	FUZZ_ASSERT((policy == NULL) == (problems > 0));
	if (policy == NULL)
		return 0;
	policy_lint(policy, text, len, "fuzz", 1795428000, check_problem, &problems);
	json = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
	FUZZ_ASSERT(json != NULL);
	/* The reference is slow: only policies of human size. */
	if (json_array_size(json_object_get(json, "bindings")) <= 64)
		ask_all(policy, json);
	json_decref(json);
	policy_destroy(policy);
	return 0;
}
