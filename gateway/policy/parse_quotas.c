/*
 * parse_quotas.c: "quotas": what the guests and volumes of a tenant may have together.
 */
#include "gateway/policy/match.h"
#include "gateway/policy/parse.h"

/* Does it cover anything of what an amount is counted of? */
static bool
counts(const struct binding *on, enum vg_amount amount)
{
	return binding_covers_some(on, amount == VG_AMOUNT_DISK ? VG_CLASS_storage_vol : VG_CLASS_domain);
}

static void
parse_on_of(struct parse *parse, const struct at *at, const json_t *object, struct binding *on)
{
	struct at here = { .up = at, .key = "on" };
	json_t *strings = get_strings(parse, at, object, "on", true);

	if (strings != NULL)
		on->num_on = parse_on(parse, &here, strings, &on->on);
}

static void
parse_quota(struct parse *parse, const struct at *at, json_t *object, json_t *seen, struct quota *quota)
{
	static const struct {
		const char *key, *counted;
		uint64_t most, kib;
	} bounds[VG_NUM_AMOUNTS] = {
		[VG_AMOUNT_GUESTS] = { "max_guests", "domain", UINT64_C(1) << 20, 1 }, [VG_AMOUNT_VCPUS] = { "max_vcpus", "domain", UINT64_C(1) << 30, 1 },
		[VG_AMOUNT_MEMORY] = { "max_memory_mib", "domain", UINT64_C(1) << 40, 1024 },
		[VG_AMOUNT_DISK] = { "max_disk_mib", "pool or volume", UINT64_C(1) << 40, 1024 },
	};
	bool any = false;

	if (!is_object(parse, at, object, "a quota", "id on max_guests max_vcpus max_memory_mib max_disk_mib who except mode description"))
		return;
	quota->quota.row.id = parse_id(parse, at, object, seen, "a quota");
	quota->quota.row.profile = VG_PROFILE_BASELINE;
	quota->quota.row.mode = parse_mode(parse, at, object);
	parse_row_people(parse, at, object, &quota->people);
	parse_on_of(parse, at, object, &quota->on);
	for (size_t i = 0; i < VG_NUM_AMOUNTS; i++) {
		struct at here = { .up = at, .key = bounds[i].key };

		if (json_object_get(object, bounds[i].key) == NULL)
			continue;
		any = true;
		quota->quota.max.of[i] = parse_bound(parse, at, object, bounds[i].key, bounds[i].most) * bounds[i].kib;
		if (quota->on.num_on > 0 && !counts(&quota->on, (enum vg_amount)i))
			problem(parse, &here, NULL, "'%s' counts nothing: no %s is among what this quota is on", bounds[i].key, bounds[i].counted);
	}
	if (!any)
		problem(parse, at, "one or more of max_guests, max_vcpus, max_memory_mib, max_disk_mib", "a quota that bounds nothing");
}

void
parse_quotas(struct parse *parse, const struct at *at, json_t *array)
{
	json_t *seen = json_object();
	size_t num = array != NULL ? parse_array_size(parse, at, array) : 0;
	struct quota *quotas;

	if (num > POLICY_MAX_QUOTAS) {
		problem(parse, at, NULL, "'quotas' has more than %u elements", POLICY_MAX_QUOTAS);
		num = 0;
	}
	quotas = parse_alloc(parse, num, sizeof(*quotas));
	if (seen == NULL || quotas == NULL) {
		parse->out_of_memory = true;
		num = 0;
	}
	for (size_t i = 0; i < num; i++) {
		struct at element = { .up = at, .index = i };

		parse_quota(parse, &element, json_array_get(array, i), seen, &quotas[i]);
	}
	parse->policy->quotas = quotas;
	parse->policy->num_quotas = num;
	json_decref(seen);
}
