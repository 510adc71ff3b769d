/*
 * bench_policy.c: how long one decision takes. A large site: 1,000 bindings, each for a group of its own on globs of its
 * own; the identity asks about guests it may start and guests it may not, half and half. Asked as a session asks (with the
 * bindings about him picked once), of the whole policy, and, for the worst case, where all the bindings are about him.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

#include "gateway/policy/policy.h"

enum { NUM_BINDINGS = 1000, NUM_GUESTS = 1000, NUM_DECISIONS = 200 * 1000 };

static void
add_binding(json_t *groups, json_t *bindings, int i, bool everybody)
{
	char id[32], who[64], group[64], on[32];

	(void)snprintf(id, sizeof(id), "team-%d", i);
	(void)snprintf(who, sizeof(who), "x509:*CN=user-%.*d%s,*", everybody ? 0 : 1, everybody ? 0 : i, everybody ? "*" : "");
	(void)snprintf(group, sizeof(group), "group:team-%d", i);
	(void)snprintf(on, sizeof(on), "domain:team-%d-*", i);
	json_object_set_new(groups, id, json_pack("[s,s]", who, "sasl:someone@EXAMPLE.COM"));
	json_array_append_new(bindings, json_pack("{s:s,s:[s],s:s,s:[s]}", "id", id, "who", group, "role", "operator",
	    "on", on));
}

static char *
policy_text(bool everybody)
{
	json_t *groups = json_object(), *bindings = json_array(), *root;
	char *text;

	for (int i = 0; i < NUM_BINDINGS; i++)
		add_binding(groups, bindings, i, everybody);
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

/* Nanoseconds a decision; negative when the verdicts are not what they should be. */
static double
measure(bool everybody, bool with_view)
{
	static char names[NUM_GUESTS][32], dn[] = "CN=user-50,O=Site", cn[] = "user-50";
	struct vg_identity identity = { .proofs = VG_PROOF_X509, .x509_dn = dn, .x509_cn = cn };
	struct vg_object object = { .class = VG_CLASS_domain };
	char *text = policy_text(everybody);
	struct policy *policy = policy_parse(text, strlen(text), "bench", problem, NULL);
	struct policy_view *view = policy == NULL ? NULL : policy_view_create(policy, &identity);
	uint64_t start, allowed = 0, elapsed;

	free(text);
	if (view == NULL)
		return -1;
	for (int i = 0; i < NUM_GUESTS; i++)	/* "guest-N" is nobody's, or "team-51-N" somebody else's */
		(void)snprintf(names[i], sizeof(names[i]), i % 2 == 0 ? "team-50-%d" : everybody ? "guest-%d" : "team-51-%d", i);
	start = now_ns();
	for (int i = 0; i < NUM_DECISIONS; i++) {
		struct decision decision;

		object.name = names[i % NUM_GUESTS];
		decision = with_view ? policy_view_decide(view, VG_PERM_domain_start, &object, 1700000000) :
		    policy_decide(policy, &identity, VG_PERM_domain_start, &object, 1700000000);
		allowed += decision.verdict == VERDICT_ALLOW;
	}
	elapsed = now_ns() - start;
	policy_view_destroy(view);
	policy_destroy(policy);
	if (allowed != NUM_DECISIONS / 2) {
		fprintf(stderr, "bench_policy: %" PRIu64 " of %d allowed, not half\n", allowed, NUM_DECISIONS);
		return -1;
	}
	return (double)elapsed / NUM_DECISIONS;
}

int
main(void)
{
	double session = measure(false, true), whole = measure(false, false), worst = measure(true, true);

	if (session < 0 || whole < 0 || worst < 0)
		return 1;
	printf("{\"decision_ns\": %.1f, \"decision_whole_policy_ns\": %.1f, \"decision_all_his_ns\": %.1f}\n", session, whole, worst);
	return 0;
}
