/*
 * audit_names.c: names of RPC calls in the audit trail.
 */
#include "gateway/core/audit_names.h"

#include <stdio.h>
#include <string.h>

#include "proto/virtgate.h"

void
audit_call_code(char code[AUDIT_CODE_LEN + 1], uint32_t program, uint32_t number, char severity)
{
	char family = program == RPC_PROGRAM_QEMU ? '3' : program == RPC_PROGRAM_LXC ? '4' : program == RPC_PROGRAM_VIRTGATE ? '5' : '2';

	if (number > 999 || (family == '2' && program != RPC_PROGRAM_REMOTE)) {
		family = '2';
		number = 0;
	}
	(void)snprintf(code, AUDIT_CODE_LEN + 1, "VG%c%03u%c", family, number % 1000, severity);
}

/* Length of the part of the name that is the class: the longest that fits, else the first word. */
static size_t
class_len(const char *name)
{
	static const char *const classes[] = { "network_port", "node_device", "nwfilter_binding",
	    "storage_pool", "storage_vol" };

	for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
		size_t len = strlen(classes[i]);

		if (strncmp(name, classes[i], len) == 0 && name[len] == '_')
			return len;
	}
	return strcspn(name, "_");
}

/* Cuts what only tells one version of a call from another: _xml, _flags, …, and the digit of a newer one. */
static size_t
plain_verb_len(const char *verb)
{
	static const char *const suffixes[] = { "_with_flags", "_flags", "_params", "_xml", "2", "3" };
	size_t len = strlen(verb);
	bool cut = true;

	while (cut) {
		cut = false;
		for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
			size_t tail = strlen(suffixes[i]);

			if (len > tail && memcmp(verb + len - tail, suffixes[i], tail) == 0) {
				len -= tail;
				cut = true;
				break;
			}
		}
	}
	return len;
}

void
audit_call_event(char *out, size_t size, const char *proc_name)
{
	size_t class = class_len(proc_name);
	const char *verb = proc_name[class] == '_' ? proc_name + class + 1 : "";

	if (*verb == '\0')
		(void)snprintf(out, size, "%s", proc_name);
	else
		(void)snprintf(out, size, "%.*s.%.*s", (int)class, proc_name, (int)plain_verb_len(verb), verb);
}
