/*
 * witness.c: whom and what to ask about. See witness.h.
 */
#include "gateway/policy/witness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/policy/texts.h"

#define TEXT_MAX 1024
#define NOBODY "\001\001\001\001\001\001\001"	/* stands for what only a '*' matches; no name has it */

static const uint8_t no_uuid[VG_UUID_LEN] = { 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 };

/* A text that the glob matches, and hardly a narrower one. */
static char *
witness(struct witnesses *all, const char *glob)
{
	size_t stars = 0;
	char *text, *out;

	for (const char *c = glob; *c != '\0'; c++)
		stars += *c == '*';
	text = out = arena_alloc(&all->arena, strlen(glob) + stars * strlen(NOBODY) + 1);
	if (text == NULL) {
		all->out_of_memory = true;
		return NULL;
	}
	for (const char *c = glob; *c != '\0'; c++) {
		if (*c == '*') {
			memcpy(out, NOBODY, strlen(NOBODY));
			out += strlen(NOBODY);
		} else {
			*out++ = *c == '?' ? NOBODY[0] : *c;
		}
	}
	return text;
}

static int
compare_who(const void *a, const void *b)
{
	const struct who *x = a, *y = b;

	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	return strcmp(x->text != NULL ? x->text : "", y->text != NULL ? y->text : "");
}

static int
collect_subjects(struct witnesses *all, const struct policy *const policies[2])
{
	size_t num = 0, kept = 0;

	for (size_t side = 0; side < 2; side++)
		for (size_t i = 0; i < policies[side]->num_bindings; i++)
			num += policies[side]->bindings[i].num_who;
	all->subjects = calloc(num + 1, sizeof(*all->subjects));
	if (all->subjects == NULL)
		return -1;
	num = 0;
	for (size_t side = 0; side < 2; side++) {
		for (size_t i = 0; i < policies[side]->num_bindings; i++) {
			const struct binding *binding = &policies[side]->bindings[i];

			if (binding->num_who > 0)
				memcpy(all->subjects + num, binding->who, binding->num_who * sizeof(*binding->who));
			num += binding->num_who;
		}
	}
	qsort(all->subjects, num, sizeof(*all->subjects), compare_who);
	for (size_t i = 0; i < num; i++) {
		if (kept == 0 || compare_who(&all->subjects[kept - 1], &all->subjects[i]) != 0)
			all->subjects[kept++] = all->subjects[i];
	}
	all->num_subjects = kept;
	return 0;
}

static int
compare_pattern(const struct pattern *a, const struct pattern *b)
{
	int order;

	if (a->class != b->class || a->kind != b->kind)
		return a->class != b->class ? (a->class < b->class ? -1 : 1) : (a->kind < b->kind ? -1 : 1);
	if (a->kind == PATTERN_UUID)
		return memcmp(a->uuid, b->uuid, VG_UUID_LEN);
	order = strcmp(a->parent != NULL ? a->parent : "", b->parent != NULL ? b->parent : "");
	return order != 0 || a->kind == PATTERN_ALL ? order : strcmp(a->name, b->name);
}

static int
compare_things(const void *a, const void *b)
{
	const struct thing *x = a, *y = b;

	if (x->object.class != y->object.class)
		return x->object.class < y->object.class ? -1 : 1;
	return compare_pattern(&x->pattern, &y->pattern);
}

/* An object of `class` that the pattern, of this class or of the parent's, covers. */
static void
fill_thing(struct witnesses *all, struct thing *thing, const struct pattern *pattern, enum vg_class class)
{
	struct vg_object *object = &thing->object;
	bool itself = pattern->class == class;
	char text[TEXT_MAX], label[TEXT_MAX + 64];

	thing->pattern = *pattern;
	*object = (struct vg_object){ .class = class, .has_uuid = true, .name = NOBODY,
		.parent = class_parent(class) != VG_CLASS_none ? NOBODY : NULL,
		.has_parent_uuid = class_parent(class) != VG_CLASS_none };
	memcpy(object->uuid, no_uuid, VG_UUID_LEN);
	memcpy(object->parent_uuid, no_uuid, VG_UUID_LEN);
	if (pattern->kind == PATTERN_UUID)
		memcpy(itself ? object->uuid : object->parent_uuid, pattern->uuid, VG_UUID_LEN);
	if (pattern->kind == PATTERN_NAME && itself)
		object->name = witness(all, pattern->name);
	if (pattern->kind == PATTERN_NAME && (!itself || pattern->parent != NULL))
		object->parent = witness(all, itself ? pattern->parent : pattern->name);
	pattern_text(pattern, text, sizeof(text));
	if (pattern->kind == PATTERN_ALL)
		snprintf(label, sizeof(label), "*");	/* the permission says of which class */
	else if (!itself && pattern->kind == PATTERN_NAME)
		snprintf(label, sizeof(label), "%s:%.*s/*", class_name(class), TEXT_MAX, pattern->name);
	else
		snprintf(label, sizeof(label), "%s%s%s", itself ? "" : class_name(class), itself ? "" : " in ", text);
	thing->label = arena_text(&all->arena, label, strlen(label));
	all->out_of_memory = all->out_of_memory || thing->label == NULL;
}

/* The pattern, and for a pool or network also what is in it. */
static size_t
add_things(struct witnesses *all, size_t num, const struct pattern *pattern)
{
	for (unsigned class = VG_CLASS_none + 1; class < VG_NUM_CLASSES; class++) {
		if (pattern->class == (enum vg_class)class || (class_parent((enum vg_class)class) == pattern->class &&
		    pattern->kind != PATTERN_ALL && pattern->class != VG_CLASS_none))
			fill_thing(all, &all->things[num++], pattern, (enum vg_class)class);
	}
	return num;
}

/* Every class as a whole, and every pattern that is not. */
static int
collect_things(struct witnesses *all, const struct policy *const policies[2])
{
	size_t num = VG_NUM_CLASSES, kept = 0;

	for (size_t side = 0; side < 2; side++)
		for (size_t i = 0; i < policies[side]->num_bindings; i++)
			num += 2 * policies[side]->bindings[i].num_on;
	all->things = calloc(num, sizeof(*all->things));
	if (all->things == NULL)
		return -1;
	num = 0;
	for (unsigned class = VG_CLASS_none + 1; class < VG_NUM_CLASSES; class++) {
		if (!class_is_host((enum vg_class)class))
			num = add_things(all, num, &(struct pattern){ .class = (enum vg_class)class, .kind = PATTERN_ALL });
	}
	for (size_t side = 0; side < 2; side++) {
		for (size_t i = 0; i < policies[side]->num_bindings; i++) {
			const struct binding *binding = &policies[side]->bindings[i];

			for (size_t j = 0; j < binding->num_on; j++) {
				if (binding->on[j].kind != PATTERN_ALL)
					num = add_things(all, num, &binding->on[j]);
			}
		}
	}
	qsort(all->things, num, sizeof(*all->things), compare_things);
	for (size_t i = 0; i < num; i++) {
		if (kept == 0 || compare_things(&all->things[kept - 1], &all->things[i]) != 0)
			all->things[kept++] = all->things[i];
	}
	all->num_things = kept;
	return all->out_of_memory ? -1 : 0;
}

int
witness_identity(struct witnesses *all, const struct who *who, struct vg_identity *identity)
{
	char *text = who->text != NULL ? witness(all, who->text) : NULL;
	const char *cn;
	size_t len;

	*identity = (struct vg_identity){ .proofs = VG_PROOF_X509 };
	switch (who->kind) {
	case WHO_SASL:
		identity->proofs = VG_PROOF_SASL;
		identity->sasl_name = text;
		break;
	case WHO_UNIX:
		identity->proofs = VG_PROOF_UNIX;
		identity->unix_user = text;
		break;
	case WHO_UNIX_GROUP:
		identity->proofs = VG_PROOF_UNIX;
		identity->unix_groups[identity->num_unix_groups++] = text;
		break;
	case WHO_X509:
		identity->x509_dn = text;
		len = text != NULL && strpbrk(who->text, "*?") == NULL ? policy_dn_cn(text, &cn) : 0;
		if (len > 0)
			identity->x509_cn = arena_text(&all->arena, cn, len);
		break;
	case WHO_X509_CN:
		identity->x509_cn = text;
		break;
	case WHO_X509_SHA256:
		identity->x509_sha256 = text;
		break;
	case WHO_X509_SAN:
		identity->x509_sans[identity->num_x509_sans++] = text;
		break;
	case WHO_ANYONE:
	case WHO_GROUP:
		break;
	}
	return all->out_of_memory ? -1 : 0;
}

int
witnesses_collect(struct witnesses *all, const struct policy *const policies[2])
{
	return collect_subjects(all, policies) == 0 && collect_things(all, policies) == 0 ? 0 : -1;
}

void
witnesses_free(struct witnesses *all)
{
	free(all->subjects);
	free(all->things);
	arena_free(&all->arena);
}
