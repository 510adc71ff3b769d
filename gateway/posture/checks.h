/* checks.h: the functions that checks.def names; each adds to `result` what it finds, and nothing when all is well. */
#ifndef POSTURE_CHECKS_H
#define POSTURE_CHECKS_H

#include "gateway/posture/host.h"

#define CHECK(id, srg, needs, function, title, hint, fix) void function(const struct posture_host *host, struct posture_result *result);
#define GUEST(id, srg, level, xpath, title, bad, hint)
#include "gateway/posture/checks.def"
#undef CHECK
#undef GUEST

#endif
