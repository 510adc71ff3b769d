#include "web/facts.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_ROOM	64u

static int
compare_facts(const void *a, const void *b)
{
	const struct fact *left = a, *right = b;

	return memcmp(left->uuid, right->uuid, sizeof(left->uuid));
}

int
facts_add(struct facts *facts, const uint8_t uuid[VG_UUID_LEN], int32_t id)
{
	size_t room = facts->room == 0 ? FIRST_ROOM : 2 * facts->room;
	struct fact *more;

	if (facts->num == facts->room) {
		more = reallocarray(facts->facts, room, sizeof(*more));
		if (more == NULL)
			return -1;
		facts->facts = more;
		facts->room = room;
	}
	facts->facts[facts->num] = (struct fact){ .id = id };
	memcpy(facts->facts[facts->num++].uuid, uuid, VG_UUID_LEN);
	return 0;
}

void
facts_settle(struct facts *facts, const struct facts *old, time_t oldest)
{
	if (facts->num > 0)
		qsort(facts->facts, facts->num, sizeof(*facts->facts), compare_facts);
	for (size_t i = 0; i < facts->num; i++) {
		const struct fact *before = facts_find(old, facts->facts[i].uuid);

		if (before != NULL && before->known && !before->touched && before->asked >= oldest && before->id == facts->facts[i].id)
			facts->facts[i] = *before;
	}
}

struct fact *
facts_find(const struct facts *facts, const uint8_t uuid[VG_UUID_LEN])
{
	struct fact key;

	memcpy(key.uuid, uuid, VG_UUID_LEN);
	return facts->num == 0 ? NULL : bsearch(&key, facts->facts, facts->num, sizeof(key), compare_facts);
}

void
facts_touch(struct facts *facts, const uint8_t uuid[VG_UUID_LEN])
{
	struct fact *fact = facts_find(facts, uuid);

	if (fact != NULL)
		fact->touched = true;
}

void
facts_free(struct facts *facts)
{
	free(facts->facts);
	*facts = (struct facts){ 0 };
}
