/*
 * rules.h: what holds for a call whatever the policy says, by its row of the procedure table and those of argument.def. Apart from the
 * rest of the gate, so that `virtgate policy role` tells people the same.
 */
#ifndef GATE_RULES_H
#define GATE_RULES_H

#include "proto/table.h"

/* Asked after the permissions, of everybody (argument.c). */
enum argument_rule {
	RULE_SAFE,		/* nothing to ask, for the reason that the row gives */
	RULE_EVERYTHING,	/* its content is not judged: for those who hold the permission on everything */
	RULE_HOST,		/* the host itself: connect:write as well */
	RULE_SAVE_FILE,		/* a file in save_dirs: new, or a saved image of the same domain */
	RULE_DUMP_FILE,		/* a new file in save_dirs */
	RULE_IMAGE_FILE,	/* an image in save_dirs; resolve.c looked into it already */
	RULE_OWN_DISK,		/* a disk of the domain, by target or source */
	RULE_REBASE_TO,		/* the same; with the flag that makes it a copy a new file, whose content is not judged */
	RULE_MIGRATION_URI,	/* one of migration_uris */
	RULE_LISTEN_ADDRESS,	/* a host of one of migration_uris */
	RULE_NEW_NAME,		/* of the domain: the same permissions are needed under it */
	/* Admission, for those who do not hold everything, and those about whom the policy has a row. */
	RULE_DOMAIN_XML, RULE_DEVICE_XML, RULE_SNAPSHOT_XML, RULE_VOLUME_XML, RULE_DISK_XML, RULE_CHECKPOINT_XML, RULE_BACKUP_XML, RULE_SECRET_XML,
	RULE_POOL_XML,		/* only where pool_dirs are set: otherwise as RULE_HOST and RULE_EVERYTHING */
	RULE_OWN_DOMAIN_XML	/* and its name and UUID must be those of the call's domain */
};

struct argument {
	const char *proc, *path;	/* path: NULL for the call as a whole */
	enum argument_rule rule;
	const char *why;
};

static inline bool
argument_rule_is_document(enum argument_rule rule)
{
	return rule >= RULE_DOMAIN_XML;
}

/* Every row of argument.def, until NULL. */
const struct argument *argument_at(size_t index);
/* Must this call have a row? One without is refused to whoever does not hold everything. */
bool argument_needed(const struct rpc_proc *proc);
/* Does every call of this procedure take its permission on everything, or connect:write? (Some do with an optional argument only.) */
bool argument_everything(const struct rpc_proc *proc);
bool argument_host(const struct rpc_proc *proc);

/* Not passed on, for anybody. */
bool rule_never_passed(const struct rpc_proc *proc);

#endif
