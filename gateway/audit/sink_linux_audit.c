/*
 * sink_linux_audit.c: a record as a user message of Linux audit (linux/audit.h, audit_message.h of auditd): the fields that
 * libvirt's own messages leave empty, filled. Written out here, because what libaudit would do is one string.
 *
 *	op=domain.define stage=outcome code=VG2350I seq=41 acct="alice" vm="web-1" uuid=… exe="…" hostname=10.0.0.7 addr=10.0.0.7
 *	    terminal=rpc-tls res=success
 *
 * hostname is the address, as PAM has it where no name is looked up; terminal is the way in, as sshd's is "ssh".
 *
 * Values that others chose are quoted when they are plain, and otherwise in hex digits without quotes, as ausearch
 * expects it; they are what stands in the trail, with JSON's escapes.
 */
#include <linux/netlink.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "gateway/audit/sink.h"

#define USER_LOGIN	1112		/* auditd's numbers, which the kernel's header does not have */
#define USER_LOGOUT	1113
#define VIRT_CONTROL	2500
#define TRUSTED_APP	1121
#define MAX_VALUE	1024u

/* What is none of these is the message of a trusted program. */
static const struct {
	const char *event;		/* the whole, or what it begins with when it ends in a point */
	unsigned short type;
} types[] = {
	{ "session.login", USER_LOGIN }, { "session.logout", USER_LOGOUT }, { "domain.", VIRT_CONTROL },
};

static unsigned short
type_of(const char *event, size_t len)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		size_t known = strlen(types[i].event);
		bool begins = types[i].event[known - 1] == '.';

		if (len >= known && memcmp(event, types[i].event, known) == 0 && (begins || len == known))
			return types[i].type;
	}
	return TRUSTED_APP;
}

static int
add_text(struct buf *out, const char *text)
{
	return buf_add(out, text, strlen(text));
}

static bool
is_plain(const char *value, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (value[i] <= 0x20 || value[i] >= 0x7f || strchr("\"'\\", value[i]) != NULL)
			return false;
	return true;
}

/* ` KEY="VALUE"`, or in hex; nothing when there is none and `otherwise` is NULL. */
static int
add_value(struct buf *out, const char *key, const char *value, size_t len, const char *otherwise)
{
	static const char digits[] = "0123456789ABCDEF";

	if (len == 0 && otherwise == NULL)
		return 0;
	if (add_text(out, " ") == -1 || add_text(out, key) == -1 || add_text(out, "=") == -1)
		return -1;
	if (len == 0)
		return add_text(out, otherwise);
	if (len > MAX_VALUE)
		len = MAX_VALUE;
	if (is_plain(value, len))
		return add_text(out, "\"") == -1 || buf_add(out, value, len) == -1 ? -1 : add_text(out, "\"");
	for (size_t i = 0; i < len; i++) {
		char hex[2] = { digits[(unsigned char)value[i] >> 4], digits[value[i] & 15] };

		if (buf_add(out, hex, 2) == -1)
			return -1;
	}
	return 0;
}

static int
add_member(struct buf *out, const char *name, const char *line, size_t len, const char *key, const char *inner,
    const char *otherwise)
{
	const char *value;
	size_t value_len = 0;

	if (!sink_find(line, len, key, inner, &value, &value_len))
		value_len = 0;
	return add_value(out, name, value, value_len, otherwise);
}

/* Addresses and UUIDs have no quotes; they are made by us. */
static int
add_bare(struct buf *out, const char *name, const char *line, size_t len, const char *key, const char *inner,
    const char *otherwise)
{
	const char *value;
	size_t value_len;

	if (!sink_find(line, len, key, inner, &value, &value_len) || value_len > 64 || !is_plain(value, value_len))
		return otherwise == NULL ? 0 : add_value(out, name, NULL, 0, otherwise);
	if (add_text(out, " ") == -1 || add_text(out, name) == -1 || add_text(out, "=") == -1)
		return -1;
	return buf_add(out, value, value_len);
}

static int
add_message(struct buf *out, const struct scan_line *facts, const char *line, size_t len)
{
	static char exe[512];
	char text[64];
	const char *status;
	size_t status_len;
	bool good = !sink_find(line, len, "result", "status", &status, &status_len) || facts->ok;

	if (exe[0] == '\0' && readlink("/proc/self/exe", exe, sizeof(exe) - 1) <= 0)
		exe[0] = '?';
	(void)snprintf(text, sizeof(text), " stage=%s code=%s seq=%llu", facts->stage == 2 ? "outcome" : "event",
	    facts->code[0] != '\0' ? facts->code : "?", (unsigned long long)facts->seq);
	if (add_bare(out, "op", line, len, "event", NULL, "?") == -1 || add_text(out, text) == -1 ||
	    add_member(out, "acct", line, len, "user", "name", "?") == -1 ||
	    add_member(out, "vm", line, len, "object", "name", NULL) == -1 ||
	    add_bare(out, "uuid", line, len, "object", "uuid", NULL) == -1 ||
	    add_value(out, "exe", exe, strlen(exe), NULL) == -1 || add_bare(out, "hostname", line, len, "source", "address", "?") == -1 ||
	    add_bare(out, "addr", line, len, "source", "address", "?") == -1 || add_bare(out, "terminal", line, len, "source", "via", "?") == -1)
		return -1;
	return add_text(out, good ? " res=success" : " res=failed");
}

int
sink_put_audit(struct buf *out, const struct scan_line *facts, const char *line, size_t len)
{
	struct nlmsghdr head = { .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK, .nlmsg_seq = (uint32_t)facts->seq };
	struct buf message = { 0 };
	const char *event = "";
	size_t event_len = 0;
	int result = -1;

	if (facts->stage == 1)
		return 0;
	(void)sink_find(line, len, "event", NULL, &event, &event_len);
	head.nlmsg_type = type_of(event, event_len);
	/* The kernel wants a text that ends. */
	if (add_message(&message, facts, line, len) == 0 && buf_add(&message, "", 1) == 0) {
		size_t skip = *buf_head(&message) == ' ';

		head.nlmsg_len = (uint32_t)(NLMSG_HDRLEN + buf_len(&message) - skip);
		if (buf_add(out, &head, sizeof(head)) == 0)
			result = buf_add(out, buf_head(&message) + skip, buf_len(&message) - skip);
	}
	buf_free(&message);
	return result;
}
