/*
 * parse_admission.c: "admission": whose documents are judged by which profile, and within which bounds; "rules": a site's own rules.
 */
#include <string.h>

#include "gateway/policy/parse.h"

/* Where a row of profile restricted says nothing: any address of KVM's own prefix, libvirt's filter against spoofing, no VLAN. */
static const char *const default_macs[] = { "52:54:00:*" }, *const default_filters[] = { "clean-traffic" };

/* An array of people as the rows hold them. False: absent. */
static void
parse_people(struct parse *parse, const struct at *at, const json_t *object, const char *key, struct admission *row)
{
	struct at here = { .up = at, .key = key };
	json_t *strings = get_strings(parse, at, object, key, strcmp(key, "who") == 0), *item;
	struct binding *people = strcmp(key, "who") == 0 ? &row->who : &row->except;
	const struct role **roles;
	struct who *who;
	size_t i, num = 0;

	if (strings == NULL)
		return;
	who = parse_alloc(parse, json_array_size(strings), sizeof(*who));
	roles = parse_alloc(parse, json_array_size(strings), sizeof(*roles));
	if (who == NULL || roles == NULL)
		return;
	json_array_foreach(strings, i, item) {
		struct at element = { .up = &here, .index = i };
		const char *text = json_string_value(item);

		if (people == &row->except && strncmp(text, "role:", 5) == 0)
			roles[row->num_roles++] = find_role(parse, &element, text + 5);
		else if (parse_who(parse, &element, text, &who[num]))
			num++;
	}
	people->num_who = flatten_who(parse, &here, who, num, &people->who);
	if (people == &row->except)
		row->roles = roles;
}

void
parse_row_people(struct parse *parse, const struct at *at, const json_t *object, struct admission *row)
{
	row->everybody = json_object_get(object, "who") == NULL;
	if (!row->everybody)
		parse_people(parse, at, object, "who", row);
	parse_people(parse, at, object, "except", row);
}

enum admission_mode
parse_mode(struct parse *parse, const struct at *at, const json_t *object)
{
	static const char *const modes[] = { "enforce", "warn", "audit" };
	int choice = get_choice(parse, at, object, "mode", modes, 3);

	return choice < 0 ? ADMISSION_ENFORCE : (enum admission_mode)choice;
}

static bool
is_mac_glob(const char *text)
{
	return text[strspn(text, "0123456789abcdefABCDEF:*?")] == '\0' && strlen(text) <= 17;
}

static bool
is_vlan(const char *text)
{
	unsigned id = 0;

	for (const char *digit = text; *digit != '\0'; digit++) {
		if (*digit < '0' || *digit > '9' || id > 4095)
			return false;
		id = id * 10 + (unsigned)(*digit - '0');
	}
	return text[0] != '0' && id >= 1 && id <= 4094;
}

static bool
is_text(const char *text)
{
	return strlen(text) <= 255;
}

static void
parse_texts(struct parse *parse, const struct at *at, const json_t *object, const char *key, bool (*is_good)(const char *text), const char *what,
    struct vg_texts *texts)
{
	struct at here = { .up = at, .key = key };
	json_t *strings = get_strings(parse, at, object, key, false), *item;
	const char **list;
	size_t i;

	if (strings == NULL)
		return;
	list = parse_alloc(parse, json_array_size(strings), sizeof(*list));
	texts->num = 0;
	texts->texts = list;
	json_array_foreach(strings, i, item) {
		struct at element = { .up = &here, .index = i };
		const char *text = json_string_value(item);
		char *copy;

		if (!is_good(text)) {
			problem(parse, &element, NULL, "'%.40s' is not %s", text, what);
			continue;
		}
		copy = arena_text(&parse->policy->arena, text, strlen(text));
		if (copy == NULL || list == NULL) {
			parse->out_of_memory = true;
			return;
		}
		for (char *byte = copy; is_good == is_mac_glob && *byte != '\0'; byte++)
			if (*byte >= 'A' && *byte <= 'F')
				*byte = (char)(*byte - 'A' + 'a');
		list[texts->num++] = copy;
	}
}

uint64_t
parse_bound(struct parse *parse, const struct at *at, const json_t *object, const char *key, uint64_t most)
{
	const json_t *value = json_object_get(object, key);
	struct at here = { .up = at, .key = key };

	if (value == NULL)
		return 0;
	if (json_is_integer(value) && json_integer_value(value) >= 1 && (uint64_t)json_integer_value(value) <= most)
		return (uint64_t)json_integer_value(value);
	problem(parse, &here, NULL, "'%s' must be a whole number from 1 to %llu", key, (unsigned long long)most);
	return 0;
}

/* Members that only profile restricted asks about. */
static void
parse_limits(struct parse *parse, const struct at *at, const json_t *object, struct policy_row *row)
{
	static const char *const keys[] = { "macs", "filters", "vlans", "max_vcpus", "max_memory_mib" };
	struct vg_limits *limits = &row->limits;

	limits->macs = (struct vg_texts){ default_macs, 1 };
	limits->filters = (struct vg_texts){ default_filters, 1 };
	parse_texts(parse, at, object, "macs", is_mac_glob, "a MAC address, or the begin of some: \"52:54:00:aa:*\"", &limits->macs);
	parse_texts(parse, at, object, "filters", is_text, "a name", &limits->filters);
	parse_texts(parse, at, object, "vlans", is_vlan, "the number of a VLAN, from \"1\" to \"4094\"", &limits->vlans);
	limits->max_vcpus = parse_bound(parse, at, object, "max_vcpus", 65536);
	limits->max_memory_kib = parse_bound(parse, at, object, "max_memory_mib", UINT64_C(1) << 40) * 1024;
	for (size_t i = 0; row->profile != VG_PROFILE_RESTRICTED && i < sizeof(keys) / sizeof(keys[0]); i++) {
		struct at here = { .up = at, .key = keys[i] };

		if (json_object_get(object, keys[i]) != NULL)
			problem(parse, &here, NULL, "'%s' is asked by profile restricted only", keys[i]);
	}
}

static void
parse_row(struct parse *parse, const struct at *at, json_t *object, json_t *seen, struct admission *row)
{
	static const char *const profiles[] = { "privileged", "baseline", "restricted" };
	struct at mode = { .up = at, .key = "mode" };
	bool privileged;
	int choice;

	if (!is_object(parse, at, object, "an admission rule",
	    "id profile mode who except macs filters vlans max_vcpus max_memory_mib description"))
		return;
	row->row.id = parse_id(parse, at, object, seen, "an admission rule");
	if (json_object_get(object, "profile") == NULL)
		problem(parse, at, "known profiles: privileged, baseline, restricted", "missing key 'profile': a string");
	choice = get_choice(parse, at, object, "profile", profiles, 3);
	row->row.profile = choice < 0 ? VG_PROFILE_RESTRICTED : (enum vg_profile)choice;
	row->row.mode = parse_mode(parse, at, object);
	parse_row_people(parse, at, object, row);
	privileged = json_object_get(object, "profile") != NULL && row->row.profile == VG_PROFILE_PRIVILEGED;
	if (privileged && row->everybody)
		problem(parse, at, "for everybody, write \"who\": [\"anyone\"]", "a row of profile privileged says who is not judged: missing key 'who'");
	if (privileged && json_object_get(object, "mode") != NULL)
		problem(parse, &mode, NULL, "profile privileged refuses nothing and has no mode");
	parse_limits(parse, at, object, &row->row);
}

/* ---- own rules ---- */

/* `text` or "": the message and the hint. */
static const char *
parse_words(struct parse *parse, const struct at *at, const json_t *object, const char *key)
{
	const char *text = json_object_get(object, key) != NULL ? get_string(parse, at, object, key, true) : NULL;
	struct at here = { .up = at, .key = key };

	if (text != NULL && strlen(text) > 200)
		problem(parse, &here, NULL, "'%s' is longer than 200 bytes", key);
	return text == NULL ? "" : parse_text(parse, text, strlen(text));
}

static void
parse_rule(struct parse *parse, const struct at *at, json_t *object, json_t *seen, struct admission *row, struct vg_rule *rule)
{
	const char *must, *must_not, *class;

	if (!is_object(parse, at, object, "a rule", "id class must must_not message hint mode who except description"))
		return;
	row->row.rule = rule;
	row->row.profile = VG_PROFILE_BASELINE;
	row->row.id = rule->id = parse_id(parse, at, object, seen, "a rule");
	class = get_string(parse, at, object, "class", true);
	must = json_object_get(object, "must") != NULL ? get_string(parse, at, object, "must", true) : NULL;
	must_not = json_object_get(object, "must_not") != NULL ? get_string(parse, at, object, "must_not", true) : NULL;
	if ((json_object_get(object, "must") == NULL) == (json_object_get(object, "must_not") == NULL))
		problem(parse, at, "the XPath of what must not be there, or one that must hold", "a rule has either 'must_not' or 'must'");
	rule->must = must != NULL;
	must = must != NULL ? must : must_not;
	if (must != NULL && strlen(must) > POLICY_MAX_XPATH)
		problem(parse, at, NULL, "the XPath is longer than %u bytes", POLICY_MAX_XPATH);
	rule->class = class == NULL ? "" : parse_text(parse, class, strlen(class));
	rule->xpath = must == NULL ? "" : parse_text(parse, must, strlen(must));
	rule->message = parse_words(parse, at, object, "message");
	rule->hint = parse_words(parse, at, object, "hint");
	rule->line = locate(parse->text, parse->len, at);
	row->row.mode = parse_mode(parse, at, object);
	parse_row_people(parse, at, object, row);
}

void
parse_rules(struct parse *parse, const struct at *at, json_t *array)
{
	json_t *seen = json_object();
	size_t num = array != NULL ? parse_array_size(parse, at, array) : 0;
	struct admission *rows;
	struct vg_rule *rules;

	if (num > POLICY_MAX_RULES) {
		problem(parse, at, NULL, "'rules' has more than %u elements", POLICY_MAX_RULES);
		num = 0;
	}
	rows = parse_alloc(parse, num, sizeof(*rows));
	rules = parse_alloc(parse, num, sizeof(*rules));
	if (seen == NULL || rows == NULL || rules == NULL) {
		parse->out_of_memory = true;
		num = 0;
	}
	for (size_t i = 0; i < num; i++) {
		struct at element = { .up = at, .index = i };

		rules[i].index = i;
		parse_rule(parse, &element, json_array_get(array, i), seen, &rows[i], &rules[i]);
	}
	parse->policy->rules = rows;
	parse->policy->num_rules = num;
	json_decref(seen);
}

/* ---- rows ---- */

void
parse_admission(struct parse *parse, const struct at *at, json_t *array)
{
	json_t *seen = json_object();
	size_t num = array != NULL ? parse_array_size(parse, at, array) : 0;
	struct admission *rows = NULL;

	if (num > POLICY_MAX_ADMISSION) {
		problem(parse, at, NULL, "'admission' has more than %u elements", POLICY_MAX_ADMISSION);
		num = 0;
	}
	rows = parse_alloc(parse, num, sizeof(*rows));
	if (seen == NULL || rows == NULL) {
		parse->out_of_memory = true;
		num = 0;
	}
	for (size_t i = 0; i < num; i++) {
		struct at element = { .up = at, .index = i };

		parse_row(parse, &element, json_array_get(array, i), seen, &rows[i]);
	}
	parse->policy->admission = rows;
	parse->policy->num_admission = num;
	json_decref(seen);
}
