/*
 * bench_policy.c: how long one decision takes. A site of middling size: 100 bindings, each for a group of its own on
 * globs of its own; the identity asks about guests it may start and guests it may not, half and half.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

#include "gateway/policy/policy.h"

enum { NUM_BINDINGS = 100, NUM_GUESTS = 1000, NUM_DECISIONS = 200 * 1000 };

static void
add_binding(json_t *groups, json_t *bindings, int i)
{
	char id[32], who[64], group[64], on[32];

	(void)snprintf(id, sizeof(id), "team-%d", i);
	(void)snprintf(who, sizeof(who), "x509:*CN=user-%d,*", i);
	(void)snprintf(group, sizeof(group), "group:team-%d", i);
	(void)snprintf(on, sizeof(on), "domain:team-%d-*", i);
	json_object_set_new(groups, id, json_pack("[s,s]", who, "sasl:someone@EXAMPLE.COM"));
	json_array_append_new(bindings, json_pack("{s:s,s:[s],s:s,s:[s]}", "id", id, "who", group, "role", "operator",
	    "on", on));
}

static char *
policy_text(void)
{
	json_t *groups = json_object(), *bindings = json_array(), *root;
	char *text;

	for (int i = 0; i < NUM_BINDINGS; i++)
		add_binding(groups, bindings, i);
	root = json_pack("{s:i,s:o,s:o}", "version", 1, "groups", groups, "bindings", bindings);
	text = json_dumps(root, 0);
	json_decref(root);
	return text;
}

static void
problem(const struct vg_error *error, void *arg)
{
	(void)arg;
	fprintf(stderr, "bench_policy: %s\n", error->what);
}

static uint64_t
now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

int
main(void)
{
	static char names[NUM_GUESTS][32];
	struct vg_identity identity = { .proofs = VG_PROOF_X509, .x509_dn = (char[]){ "CN=user-50,O=Site" },
		.x509_cn = (char[]){ "user-50" } };
	struct vg_object object = { .class = VG_CLASS_domain };
	char *text = policy_text();
	struct policy *policy = policy_parse(text, strlen(text), "bench", problem, NULL);
	uint64_t start, allowed = 0, elapsed;

	if (policy == NULL)
		return 1;
	for (int i = 0; i < NUM_GUESTS; i++)
		(void)snprintf(names[i], sizeof(names[i]), "team-%d-%d", i % 2 == 0 ? 50 : 51, i);
	start = now_ns();
	for (int i = 0; i < NUM_DECISIONS; i++) {
		object.name = names[i % NUM_GUESTS];
		allowed += policy_decide(policy, &identity, VG_PERM_domain_start, &object, 1700000000).verdict == VERDICT_ALLOW;
	}
	elapsed = now_ns() - start;
	if (allowed != NUM_DECISIONS / 2) {
		fprintf(stderr, "bench_policy: %" PRIu64 " of %d allowed, not half\n", allowed, NUM_DECISIONS);
		return 1;
	}
	printf("{\"decision_ns\": %.1f}\n", (double)elapsed / NUM_DECISIONS);
	policy_destroy(policy);
	free(text);
	return 0;
}
