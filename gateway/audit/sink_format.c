/*
 * sink_format.c: a record as journald and as syslog take it.
 *
 * Values go out as they stand in the trail: ASCII, with JSON's escapes for everything else. So nothing that a client
 * chose ends a line or begins a field, and the whole record, with its hash, can be put together again and verified.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "gateway/audit/sink.h"

#define FACILITY 13			/* "log audit" (RFC 5424, section 6.2.1) */

/* By the last letter of the code, numbers of syslog: information, warning, error. */
static int
priority(const struct scan_line *facts)
{
	char letter = facts->code[0] != '\0' ? facts->code[strlen(facts->code) - 1] : 'I';

	return letter == 'E' ? 3 : letter == 'W' ? 4 : 6;
}

static int
add_text(struct buf *out, const char *text)
{
	return buf_add(out, text, strlen(text));
}

/* ---- members of the line ---- */

bool
sink_find(const char *line, size_t len, const char *key, const char *inner, const char **value, size_t *value_len)
{
	struct scan_member member;
	struct scan scan;

	scan_begin(&scan, line, len);
	while (scan_next(&scan, &member)) {
		if (member.key_len != strlen(key) || memcmp(member.key, key, member.key_len) != 0)
			continue;
		if (inner != NULL)
			return sink_find(member.value, member.value_len, inner, NULL, value, value_len);
		*value = member.value;
		*value_len = member.value_len;
		if (member.value[0] == '"') {
			(*value)++;
			*value_len -= 2;
		}
		return *value_len > 0;
	}
	return false;
}

/* ---- journald: systemd's JOURNAL_NATIVE_PROTOCOL, KEY=VALUE lines; no value has a newline ---- */

static const struct {
	const char *field, *key, *inner;
} fields[] = {
	{ "VIRTGATE_SEQ", "seq", NULL }, { "VIRTGATE_TIME", "time", NULL }, { "VIRTGATE_OP", "op", NULL },
	{ "VIRTGATE_STAGE", "stage", NULL }, { "VIRTGATE_CODE", "code", NULL }, { "VIRTGATE_EVENT", "event", NULL },
	{ "VIRTGATE_USER", "user", "name" }, { "VIRTGATE_SASL", "user", "sasl" }, { "VIRTGATE_X509", "user", "x509" },
	{ "VIRTGATE_ADDRESS", "source", "address" }, { "VIRTGATE_VIA", "source", "via" }, { "VIRTGATE_SESSION", "session", NULL },
	{ "VIRTGATE_CALL", "call", NULL }, { "VIRTGATE_CLASS", "object", "class" }, { "VIRTGATE_OBJECT", "object", "name" },
	{ "VIRTGATE_UUID", "object", "uuid" }, { "VIRTGATE_VERDICT", "decision", "verdict" },
	{ "VIRTGATE_RESULT", "result", "status" }, { "VIRTGATE_MESSAGE", "result", "message" },
	{ "VIRTGATE_CHECKPOINT", "checkpoint", NULL }, { "VIRTGATE_HASH", "hash", NULL },
};

static int
add_field(struct buf *out, const char *field, const char *value, size_t len)
{
	if (add_text(out, field) == -1 || buf_add(out, "=", 1) == -1 || buf_add(out, value, len) == -1)
		return -1;
	return buf_add(out, "\n", 1);
}

/* "domain.define ok web-1 alice": for who only reads the journal. */
static int
add_message(struct buf *out, const char *line, size_t len)
{
	static const struct { const char *key, *inner; } words[] = {
		{ "event", NULL }, { "stage", NULL }, { "result", "status" }, { "object", "name" }, { "user", "name" }
	};
	const char *value;
	size_t value_len;

	if (add_text(out, "MESSAGE=") == -1)
		return -1;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (!sink_find(line, len, words[i].key, words[i].inner, &value, &value_len))
			continue;
		if ((i > 0 && buf_add(out, " ", 1) == -1) || buf_add(out, value, value_len) == -1)
			return -1;
	}
	return buf_add(out, "\n", 1);
}

int
sink_put_journal(struct buf *out, const struct scan_line *facts, const char *line, size_t len)
{
	char head[64];
	const char *value;
	size_t value_len;

	(void)snprintf(head, sizeof(head), "PRIORITY=%d\nSYSLOG_FACILITY=%d\n", priority(facts), FACILITY);
	if (add_message(out, line, len) == -1 || add_text(out, head) == -1 || add_text(out, "SYSLOG_IDENTIFIER=virtgate\n") == -1)
		return -1;
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (sink_find(line, len, fields[i].key, fields[i].inner, &value, &value_len) &&
		    add_field(out, fields[i].field, value, value_len) == -1)
			return -1;
	return add_field(out, "VIRTGATE_RECORD", line, len);
}

/*
 * ---- syslog: <PRI>1 TIME HOST virtgate - CODE [virtgate@32473 seq="41" op="…" stage="…" hash="…"] RECORD ----
 *
 * 32473 is the number that RFC 5612 keeps for examples: virtgate has none of its own. None of these values has a
 * character that would need an escape.
 */

int
sink_put_syslog(struct buf *out, const struct scan_line *facts, const char *line, size_t len)
{
	static const char *const stages[] = { "", "intent", "outcome", "event" };
	static char host[256];
	char head[640];
	int head_len;

	if (host[0] == '\0' && (gethostname(host, sizeof(host) - 1) == -1 || host[0] == '\0'))
		(void)snprintf(host, sizeof(host), "-");
	head_len = snprintf(head, sizeof(head), "<%d>1 %s %s virtgate - %s [virtgate@32473 seq=\"%llu\" op=\"%s\" stage=\"%s\" "
	    "hash=\"%s\"] ", FACILITY * 8 + priority(facts), facts->time, host, facts->code[0] != '\0' ? facts->code : "-",
	    (unsigned long long)facts->seq, facts->op, stages[facts->stage & 3], facts->hash);
	if (head_len >= (int)sizeof(head) || buf_add(out, head, (size_t)head_len) == -1)
		return -1;
	return buf_add(out, line, len);
}

int
sink_put_counted(struct buf *out, const struct scan_line *facts, const char *line, size_t len)
{
	struct buf message = { 0 };
	char count[24];
	int result = -1;

	if (sink_put_syslog(&message, facts, line, len) == 0) {
		(void)snprintf(count, sizeof(count), "%zu ", buf_len(&message));
		if (add_text(out, count) == 0)
			result = buf_add(out, buf_head(&message), buf_len(&message));
	}
	buf_free(&message);
	return result;
}
