/*
 * test_policy_view.c: what a session keeps of a policy of a thousand bindings. Decisions are compared with those of the
 * whole policy in test_policy_random.c; how long they take is measured by tests/bench/bench_policy.c. This program is linked
 * with its own malloc and friends, which count.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/policy/policy.h"

enum { NUM_BINDINGS = 1000, NUM_GUESTS = 100 };

static size_t allocations;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
char *__wrap_strdup(const char *text);

void *
__wrap_malloc(size_t size)
{
	allocations++;
	return __real_malloc(size);
}

void *
__wrap_calloc(size_t count, size_t size)
{
	allocations++;
	return __real_calloc(count, size);
}

void *
__wrap_realloc(void *old, size_t size)
{
	allocations++;
	return __real_realloc(old, size);
}

char *
__wrap_strdup(const char *text)
{
	allocations++;
	return __real_strdup(text);
}

static void
no_problem(const struct vg_error *error, void *arg)
{
	(void)arg;
	fail_msg("%s", error->what);
}

/* Every kind of condition and pattern is in it; the bindings are about a person each, or all about one. */
static struct policy *
big_policy(bool of_one)
{
	static char text[NUM_BINDINGS * 400];
	size_t len = (size_t)snprintf(text, sizeof(text), "{ \"version\": 1, \"bindings\": [\n");

	for (int i = 0; i < NUM_BINDINGS; i++) {
		char person[64];

		if (of_one)
			(void)snprintf(person, sizeof(person), "sasl:user-*");
		else
			(void)snprintf(person, sizeof(person), "sasl:user-%d", i);
		len += (size_t)snprintf(text + len, sizeof(text) - len, "{ \"id\": \"b%d\", \"who\": [\"%s\"], \"role\": \"operator\", "
		    "\"on\": [\"domain:team-%d-*\", \"storage_vol:pool-%d/*\"], \"mode\": \"%s\", \"when\": { \"from\": [\"10.0.0.0/8\", \"fd00::/8\"], "
		    "\"hours\": \"Mon-Sun 00:00-24:00\", \"until\": \"2100-01-01T00:00:00Z\" } },\n", i, person, i, i,
		    i % 10 == 0 ? "permissive" : "enforce");
	}
	len += (size_t)snprintf(text + len, sizeof(text) - len, "{ \"id\": \"last\", \"who\": [\"sasl:user-7\"], \"role\": \"viewer\", \"on\": "
	    "[\"domain:uuid:00000000-0000-0000-0000-000000000001\"] } ] }");
	return policy_parse(text, len, "big", no_problem, NULL);
}

static struct vg_identity
user_7(void)
{
	static char name[] = "user-7";
	struct vg_identity identity = { .proofs = VG_PROOF_SASL, .sasl_name = name };

	(void)snprintf(identity.address, sizeof(identity.address), "10.1.2.3");
	return identity;
}

static void
ask(bool of_one)
{
	struct policy *policy = big_policy(of_one);
	struct vg_identity identity = user_7();
	struct policy_view *view = policy_view_create(policy, &identity);
	size_t before, allowed = 0;

	assert_non_null(view);
	/* what the C library keeps of the time zone is read once */
	(void)policy_view_decide(view, VG_PERM_domain_start, NULL, 1700000000);
	before = allocations;
	assert_true(before > NUM_BINDINGS);	/* it counts at all */
	for (int i = 0; i < NUM_GUESTS; i++) {
		char name[32];
		struct vg_object domain = { .class = VG_CLASS_domain, .name = name, .has_uuid = true };
		struct vg_object volume = { .class = VG_CLASS_storage_vol, .name = "v", .parent = name };

		domain.uuid[VG_UUID_LEN - 1] = (uint8_t)(i % 3);
		(void)snprintf(name, sizeof(name), "team-%d-web", i);
		allowed += policy_view_decide(view, VG_PERM_domain_start, &domain, 1700000000).verdict == VERDICT_ALLOW;
		allowed += policy_view_decide(view, VG_PERM_storage_vol_read, &volume, 1700000000).verdict == VERDICT_ALLOW;
		allowed += policy_view_decide(view, VG_PERM_domain_start, NULL, 1700000000).verdict == VERDICT_ALLOW;
		allowed += policy_view_decide(view, VG_PERM_connect_read, NULL, 1700000000).verdict == VERDICT_ALLOW;
	}
	assert_int_equal(allocations, before);
	assert_true(allowed > NUM_GUESTS);
	policy_view_destroy(view);
	policy_destroy(policy);
}

static void
test_decisions_allocate_nothing(void **state)
{
	(void)state;
	ask(false);
	ask(true);
}

static void
test_I48_view_is_of_one_policy(void **state)
{
	struct vg_identity identity = user_7();
	struct policy *policy = big_policy(false), *next;
	struct policy_view *view = policy_view_create(policy, &identity);

	(void)state;
	assert_true(policy_view_is_of(view, policy));
	/* the next one is likely to get the very address */
	policy_destroy(policy);
	next = big_policy(false);
	assert_false(policy_view_is_of(view, next));
	policy_view_destroy(view);
	policy_destroy(next);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_decisions_allocate_nothing),
		cmocka_unit_test(test_I48_view_is_of_one_policy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
