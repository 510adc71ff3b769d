/*
 * answers_census.c: the gate's memory of libvirtd's objects, for its next start: census.h by questions of the gate's own. Nobody else may ask them.
 * A thing is [class, uuid, name, flags, digest, seen] and, where it is kept, its definition.
 */
#include "gateway/audit/answers_private.h"

#include <stdlib.h>
#include <string.h>

#define MAX_THINGS 1000u	/* in an answer */

static const char *
text_of(const struct question *question, const char *key)
{
	const char *text = json_string_value(json_object_get(question->request, key));

	return text == NULL ? "" : text;
}

/* ---- census.load ---- */

static bool
add_thing(const struct census_thing *thing, void *arg)
{
	return json_array_append_new(arg, json_pack("[s, s, s, I, s, I]", thing->class, thing->uuid, thing->name, (json_int_t)thing->flags, thing->digest,
	    (json_int_t)thing->seen)) == 0;
}

/*
 * {"uri", "class", "uuid": behind which things are wanted, "" and "" for the first} -> {"known": is there anything of that URI, "lost": why not, where
 * that can be told, "alive", "compared": microseconds since 1970, "things": [], "more": bool}.
 */
enum step
answers_census_load(struct question *question)
{
	struct vg_error error;
	struct census *census = answers_census(question->answers, &error);
	struct census_world world;
	json_t *things;
	int known;

	if (census == NULL || (known = census_world(census, text_of(question, "uri"), &world, &error)) < 0)
		return answers_refuse(question, error.what);
	things = json_array();
	if (census_things(census, text_of(question, "uri"), text_of(question, "class"), text_of(question, "uuid"), MAX_THINGS, add_thing, things, &error) < 0) {
		json_decref(things);
		return answers_refuse(question, error.what);
	}
	return answers_reply(question, json_pack("{s:b, s:s*, s:I, s:I, s:b, s:o}", "known", known, "lost", known ? NULL : census_lost(census), "alive",
	    (json_int_t)world.alive, "compared", (json_int_t)world.compared, "more", json_array_size(things) == MAX_THINGS, "things", things));
}

/* ---- census.definition ---- */

/* {"uri", "class", "uuid"} -> {"definition": text, or null}. */
enum step
answers_census_definition(struct question *question)
{
	struct vg_error error;
	struct census *census = answers_census(question->answers, &error);
	size_t len = 0;
	char *text;
	json_t *answer;

	if (census == NULL)
		return answers_refuse(question, error.what);
	text = census_definition(census, text_of(question, "uri"), text_of(question, "class"), text_of(question, "uuid"), &len);
	answer = json_pack("{s:o}", "definition", text == NULL ? json_null() : json_stringn(text, len));
	free(text);
	return answers_reply(question, answer);
}

/* ---- census.keep ---- */

static int
keep_thing(struct census *census, const char *uri, json_t *row, struct vg_error *error)
{
	const json_t *definition = json_array_get(row, 6);
	struct census_thing thing = { .name = NULL };
	json_int_t flags, seen;

	if (json_unpack(row, "[s, s, s, I, s, I]", &thing.class, &thing.uuid, &thing.name, &flags, &thing.digest, &seen) < 0)
		return vg_fail(error, "not a thing");
	thing.flags = flags;
	thing.seen = seen;
	return census_put(census, uri, &thing, json_string_value(definition), json_string_length(definition), error);
}

static int
keep(struct census *census, const json_t *request, const char *uri, struct vg_error *error)
{
	const json_t *put = json_object_get(request, "put"), *gone = json_object_get(request, "gone");
	struct census_world world, known;
	const char *class, *uuid;
	json_t *row;
	size_t i;

	world.alive = json_integer_value(json_object_get(request, "alive"));
	world.compared = json_integer_value(json_object_get(request, "compared"));
	if (json_is_true(json_object_get(request, "anew"))) {
		if (census_begin_anew(census, uri, error) < 0)
			return -1;
	} else if (census_world(census, uri, &known, error) <= 0) {
		return vg_fail(error, "what was kept before is not there any more");
	}
	json_array_foreach(put, i, row)
		if (keep_thing(census, uri, row, error) < 0)
			return -1;
	json_array_foreach(gone, i, row)
		if (json_unpack(row, "[s, s]", &class, &uuid) < 0 || census_remove(census, uri, class, uuid, error) < 0)
			return -1;
	return census_put_world(census, uri, &world, error);
}

/*
 * {"uri", "alive", "compared", "anew": nothing of before stays, "put": [things], "gone": [[class, uuid]]} -> {}. All of it is durable then; refused:
 * nothing of it was kept.
 */
enum step
answers_census_keep(struct question *question)
{
	struct vg_error error;
	struct census *census = answers_census(question->answers, &error);
	bool kept;

	if (census == NULL || census_begin(census, &error) < 0)
		return answers_refuse(question, error.what);
	kept = keep(census, question->request, text_of(question, "uri"), &error) == 0;
	if (census_end(census, kept, kept ? &error : NULL) < 0)
		return answers_refuse(question, error.what);
	return answers_reply(question, json_object());
}
