/*
 * sink.c: kinds of sinks, their names, and their positions.
 */
#include "gateway/audit/sink.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct sink_kind kinds[] = {
	{ "journald", SINK_UNIX, "/run/systemd/journal/socket", NULL, sink_put_journal },
	{ "syslog", SINK_UNIX, "/dev/log", NULL, sink_put_syslog },
	{ "syslog+tcp", SINK_TCP, NULL, "601", sink_put_counted },	/* RFC 3195's, as RFC 6587 says */
	{ "syslog+tls", SINK_TLS, NULL, "6514", sink_put_counted },	/* RFC 5425 */
	{ "linux-audit", SINK_NETLINK, NULL, NULL, sink_put_audit },
};

/* HOST, HOST:PORT, [ADDRESS] or [ADDRESS]:PORT. */
static bool
take_host(const char *text, struct sink_target *target)
{
	const char *end = text[0] == '[' ? strchr(text, ']') : strchrnul(text, ':'), *port;
	size_t len;

	if (end == NULL)
		return false;
	text += text[0] == '[';
	len = (size_t)(end - text);
	port = end + (*end == ']');
	if (len == 0 || len >= sizeof(target->host) || (*port != '\0' && *port != ':'))
		return false;
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)text[i]) && strchr("-._:%", text[i]) == NULL)
			return false;
	memcpy(target->host, text, len);
	target->host[len] = '\0';
	port = *port == ':' ? port + 1 : target->kind->port;
	if (strlen(port) == 0 || strlen(port) > 5 || strspn(port, "0123456789") != strlen(port) || atoi(port) < 1 ||
	    atoi(port) > 65535)
		return false;
	(void)snprintf(target->port, sizeof(target->port), "%s", port);
	return true;
}

static bool
take_path(const char *text, struct sink_target *target)
{
	if (*text == '\0')
		text = target->kind->path;
	else if (*text++ != ':' || *text != '/')
		return false;
	return snprintf(target->path, sizeof(target->path), "%s", text) < (int)sizeof(target->path);
}

/* The text with all but letters, digits, '.' and '-' made '_'; a digest for what is too long to tell apart. */
static void
make_name(const char *text, struct sink_target *target)
{
	char hex[AUDIT_HASH_LEN + 1];
	size_t i;

	for (i = 0; text[i] != '\0' && i < 40; i++)
		target->name[i] = isalnum((unsigned char)text[i]) || text[i] == '.' || text[i] == '-' ? text[i] : '_';
	scan_hash(text, strlen(text), NULL, 0, hex);
	(void)snprintf(target->name + i, sizeof(target->name) - i, ".%.16s", hex);
}

bool
sink_parse(const char *text, struct sink_target *target)
{
	size_t word = strcspn(text, ":");

	memset(target, 0, sizeof(*target));
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strlen(kinds[i].word) == word && memcmp(kinds[i].word, text, word) == 0)
			target->kind = &kinds[i];
	if (target->kind == NULL)
		return false;
	make_name(text, target);
	if (target->kind->transport == SINK_NETLINK)
		return text[word] == '\0';
	if (target->kind->transport == SINK_UNIX)
		return take_path(text + word, target);
	return strncmp(text + word, "://", 3) == 0 && take_host(text + word + 3, target);
}

/* ---- position ---- */

void
sink_position_read(int fd, struct sink_position *position)
{
	char text[80];
	ssize_t got = pread(fd, text, sizeof(text) - 1, 0);
	unsigned long long seq, offset;
	unsigned segment;

	memset(position, 0, sizeof(*position));
	if (got <= 0)
		return;
	text[got] = '\0';
	if (sscanf(text, "%20llu %10u %20llu", &seq, &segment, &offset) != 3)
		return;
	position->seq = seq;
	position->segment = segment;
	position->offset = offset;
}

int
sink_position_write(int fd, const struct sink_position *position)
{
	char text[80];
	int len = snprintf(text, sizeof(text), "%020llu %010u %020llu\n", (unsigned long long)position->seq, position->segment,
	    (unsigned long long)position->offset);

	return pwrite(fd, text, (size_t)len, 0) == len ? 0 : -1;
}
