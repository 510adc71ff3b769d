/*
 * parse.h: reading policy.json, private to this folder. Every reader checks the shape of its part, tells each mistake
 * with its line through problem(), and goes on, so that one look shows all mistakes.
 */
#ifndef POLICY_PARSE_H
#define POLICY_PARSE_H

#include <jansson.h>

#include "gateway/policy/compiled.h"
#include "gateway/policy/locate.h"
#include "virtgate/nearest.h"

#define POLICY_MAX_BYTES	(16u * 1024u * 1024u)
#define POLICY_MAX_ITEMS	4096u	/* bindings; also groups, sets, roles */
#define POLICY_MAX_ADMISSION	64u	/* rows; all that apply are asked for every document */
#define POLICY_MAX_RULES	1024u
#define POLICY_MAX_XPATH	4096u
#define POLICY_MAX_QUOTAS	256u	/* each is asked of every guest when one is defined */
#define POLICY_MAX_PROBLEMS	1000u	/* told; finding a line costs a walk through the text */
#define POLICY_MAX_FLAT		1000000u	/* people and patterns of all bindings, groups and sets replaced by their members */
#define POLICY_MAX_NAME		128u

struct group {
	const char *name;
	struct who *who;
	size_t num_who;
};

struct set {
	const char *name;
	struct pattern *on;
	size_t num_on;
};

struct parse {
	const char *text;
	size_t len;
	const char *file;
	policy_problem_cb *problem;
	void *arg;
	unsigned num_problems;
	size_t num_flat;
	bool out_of_memory;

	struct policy *policy;
	struct group *groups;
	size_t num_groups;
	struct set *sets;
	size_t num_sets;
	const struct role *roles;
};

/* Advice while it grows: "did you mean 'x'?", else "known KIND: a, b, c". */
struct advice {
	struct nearest nearest;
	char text[200];		/* short enough for vg_error.hint with its frame */
	size_t len;
};

/* Tells one mistake. `hint` may be NULL. */
__attribute__((format(printf, 4, 5)))
void problem(struct parse *parse, const struct at *at, const char *hint, const char *format, ...);

void advice_start(struct advice *advice, const char *written, const char *kind);
void advice_offer(struct advice *advice, const char *known);
/* Borrowed until the next call. */
const char *advice_text(struct advice *advice);

/* As arena_alloc for `num` items; notes when memory is out. Never NULL for num 0 unless memory is out. */
void *parse_alloc(struct parse *parse, size_t num, size_t size);
const char *parse_text(struct parse *parse, const char *text, size_t len);

/* Tells when `value` is not an object, or has a key that is not in `known` (space-separated); `what` names it to people. */
bool is_object(struct parse *parse, const struct at *at, const json_t *value, const char *what, const char *known);
/* The same for an object with free keys: names of 1..POLICY_MAX_NAME printable bytes, at most POLICY_MAX_ITEMS of them. */
bool is_named_object(struct parse *parse, const struct at *at, json_t *value, const char *what);
/* A name that people chose: printable, not too long. */
bool is_good_name(struct parse *parse, const struct at *at, const char *name, const char *what);
/* Member `key`, which must be an array of at least one non-empty string. NULL: absent or told. */
json_t *get_strings(struct parse *parse, const struct at *at, const json_t *object, const char *key, bool required);
/* Member `key`, which must be a non-empty string. NULL: absent or told. */
const char *get_string(struct parse *parse, const struct at *at, const json_t *object, const char *key, bool required);

/* Member `key`, one of `known`, as an index into it; 0 when absent, -1 when told. */
int get_choice(struct parse *parse, const struct at *at, const json_t *object, const char *key, const char *const *known,
    size_t num);

/* Notes that a binding comes to `num` more people or patterns; tells when it is too much. */
bool is_not_too_much(struct parse *parse, const struct at *at, size_t num);

/* The parts, in the order in which they are read. */
void parse_groups(struct parse *parse, const struct at *at, json_t *groups);
void parse_sets(struct parse *parse, const struct at *at, json_t *sets);
void parse_roles(struct parse *parse, const struct at *at, json_t *roles);
void parse_bindings(struct parse *parse, const struct at *at, json_t *bindings);
void parse_admission(struct parse *parse, const struct at *at, json_t *admission);
void parse_rules(struct parse *parse, const struct at *at, json_t *rules);
void parse_quotas(struct parse *parse, const struct at *at, json_t *quotas);
void parse_audit(struct parse *parse, const struct at *at, json_t *audit);

/* Below `bindings`, `admission` and `quotas`. */
/* Whom a row is about: `who` and `except`. */
void parse_row_people(struct parse *parse, const struct at *at, const json_t *object, struct admission *row);
/* A whole number from 1; 0 when absent or told. */
uint64_t parse_bound(struct parse *parse, const struct at *at, const json_t *object, const char *key, uint64_t most);
/* Its "mode": enforce unless it says so. */
enum admission_mode parse_mode(struct parse *parse, const struct at *at, const json_t *object);
/* The member "id", checked and not one of those that were seen before (an object whose keys are the ids). NULL: told. */
const char *parse_id(struct parse *parse, const struct at *at, const json_t *object, json_t *seen, const char *what);
/* Of an array of at most POLICY_MAX_ITEMS; its length, 0 when told. */
size_t parse_array_size(struct parse *parse, const struct at *at, const json_t *array);
bool parse_who(struct parse *parse, const struct at *at, const char *text, struct who *who);
/* Groups replaced by their members, and their groups' members. Returns how many people. */
size_t flatten_who(struct parse *parse, const struct at *at, const struct who *who, size_t num, const struct who **flat);
/* The elements of `on`, sets replaced by their patterns. Returns how many patterns. */
size_t parse_on(struct parse *parse, const struct at *at, const json_t *items, const struct pattern **on);
const struct role *find_role(struct parse *parse, const struct at *at, const char *name);
void parse_when(struct parse *parse, const struct at *at, json_t *object, struct when *when);

#endif
