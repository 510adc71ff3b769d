/*
 * sandbox.h: what a process gives up before it meets its first byte from outside.
 */
#ifndef CORE_SANDBOX_H
#define CORE_SANDBOX_H

#include <stdbool.h>
#include <sys/types.h>

#include "gateway/core/link.h"
#include "gateway/core/settings.h"
#include "virtgate/result.h"

/* A build with AddressSanitizer: its leak checker attaches to its own process, and it writes reports where it was told to. */
#if defined(__SANITIZE_ADDRESS__)
#define SANDBOX_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANDBOX_SANITIZED 1
#endif
#endif
#ifndef SANDBOX_SANITIZED
#define SANDBOX_SANITIZED 0
#endif

struct sandbox_user {
	bool drop;		/* started by root: become `uid`, `gid` and the user's other groups */
	uid_t uid;
	gid_t gid;
	char name[64];
	bool audit_write;	/* keeps CAP_AUDIT_WRITE: the sink of Linux audit */
};

/* Who the children run as: settings' user and group when root, else whoever we are. -1 when there is no such user or group. */
int sandbox_find_user(const struct settings *settings, struct sandbox_user *user, struct vg_error *error);

/* For good: no other user, no capability, no set-uid program, no core dump, no debugger of the same user. */
int sandbox_enter(const struct sandbox_user *user, struct vg_error *error);

/* After sandbox_enter: only the files and the network that a room of this kind needs, as far as the kernel has Landlock. */
int sandbox_confine(enum process_kind kind, const struct settings *settings, struct vg_error *error);

#endif
