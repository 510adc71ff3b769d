/*
 * record.h: from an audit record back to what was asked of the policy: who, on what, when, and which permissions
 * were missing. Nothing in a record is believed but as text.
 */
#ifndef POLICY_RECORD_H
#define POLICY_RECORD_H

#include <jansson.h>

#include "gateway/policy/policy.h"

/* One permission of a record, and the object that it was asked on. */
struct record_lack {
	enum vg_permission permission;
	json_t *object;		/* borrowed from the record: class, name, parent, uuid; may be NULL */
	bool every;		/* on every object of the class */
};

#define RECORD_MAX_LACKS ((size_t)VG_NUM_PERMISSIONS)

/*
 * What a refusal or would-be refusal says was missing. A record that does not name it as "failed" (older than that) says
 * it in the text of the refusal, or only as the permissions of the call. Returns how many; 0: it does not say, or a rule refused.
 */
size_t record_lacks(json_t *record, struct record_lack lacks[RECORD_MAX_LACKS]);
/* All permissions of the record's decision. */
size_t record_permissions(json_t *record, struct record_lack lacks[RECORD_MAX_LACKS]);

/* A question to a policy; texts are borrowed from the record, but for the CN, so that it cannot be copied. */
struct record_question {
	struct vg_identity identity;
	enum vg_permission permission;
	struct vg_object object;
	char cn[256];
	time_t when;
};

void record_question(json_t *record, const struct record_lack *lack, struct record_question *question);
struct decision record_decide(const struct policy *policy, const struct record_question *question);

#endif
