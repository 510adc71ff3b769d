/*
 * policy_also.h: what a suggested binding opens beyond what was asked for.
 */
#ifndef CLI_POLICY_ALSO_H
#define CLI_POLICY_ALSO_H

#include "gateway/cli/policy_wants.h"

/*
 * { "calls": […], "permissions": […] } that the want's person may on the want's object with `with`, a policy of the suggested
 * binding alone, beside `today` (NULL: nothing), and not without; but for `permissions` and `calls` (an array, and an object's
 * keys), which were asked for. Calls go by their public names where they have one. New reference.
 */
json_t *policy_also(const struct policy *today, const struct policy *with, const struct want *want, json_t *permissions,
    json_t *calls);

#endif
