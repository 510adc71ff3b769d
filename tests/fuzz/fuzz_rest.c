/*
 * fuzz_rest.c: requests of the REST interface, well-formed as HTTP (fuzz_browser has the others): path, query, headers and body are the input's. Each has one
 * answer, with all that every answer has; nothing is done without cookie, token and origin. Input: requests parted by byte 1d; of each the first byte says
 * how it is asked (enum), then pieces parted by byte 1e: path and query, headers, body.
 */
#include <string.h>

#include <jansson.h>
#include <zlib.h>

#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/web_room.h"

enum { COOKIE = 1, TOKEN = 2, ORIGIN = 4, METHOD_SHIFT = 3 };	/* bits of the first byte; then the method's number */
static const char *const methods[] = { "GET", "POST", "DELETE", "PUT" };

#define MAX_PART	20000u
#define MAX_ANSWER	(2u * 1024u * 1024u)
#define TURNS		60	/* of the loop, in which there is an answer, or none for a second */

struct asked {
	unsigned how;
	const char *method;
	char path[MAX_PART + 1], head[2 * MAX_PART + 1024];
	const uint8_t *body;
	size_t body_len;
	bool odd;		/* it has headers of the input's */
};

static void
cut(const uint8_t **data, size_t *size, uint8_t at, const uint8_t **piece, size_t *len)
{
	const uint8_t *end = memchr(*data, at, *size);

	*piece = *data;
	*len = end == NULL ? *size : (size_t)(end - *data);
	*data += end == NULL ? *len : *len + 1;
	*size -= end == NULL ? *len : *len + 1;
}

/* A line of it may end nothing but itself. */
static void
copy_lines(char *out, size_t size, const uint8_t *bytes, size_t len, bool path)
{
	size_t n = 0;

	for (size_t i = 0; i < len && n + 3 < size; i++) {
		if (bytes[i] == '\0' || bytes[i] == '\r' || (path && (bytes[i] <= ' ' || bytes[i] >= 0x7f)))
			continue;
		if (bytes[i] == '\n') {
			if (n == 0 || out[n - 1] == '\n')
				continue;
			out[n++] = '\r';
		}
		out[n++] = (char)bytes[i];
	}
	if (!path && n > 0 && out[n - 1] != '\n') {
		out[n++] = '\r';
		out[n++] = '\n';
	}
	out[n] = '\0';
}

static void
compose(struct asked *asked, const uint8_t *data, size_t size)
{
	static char lines[MAX_PART + 1];
	const uint8_t *piece;
	size_t len;

	asked->how = size == 0 ? 0 : data[0];
	asked->method = methods[asked->how >> METHOD_SHIFT & 3];
	data += size == 0 ? 0 : 1;
	size -= size == 0 ? 0 : 1;
	cut(&data, &size, 0x1e, &piece, &len);
	copy_lines(asked->path, sizeof(asked->path), piece, len, true);
	cut(&data, &size, 0x1e, &piece, &len);
	copy_lines(lines, sizeof(lines), piece, len, false);
	asked->odd = lines[0] != '\0';
	asked->body = data;
	asked->body_len = strcmp(asked->method, "POST") == 0 ? size : 0;
	(void)snprintf(asked->head, sizeof(asked->head), "%s /%s HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip\r\n%s%s%s%s", asked->method, asked->path,
	    (asked->how & COOKIE) != 0 ? "Cookie: __Host-virtgate=" ROOM_WORD "\r\n" : "", (asked->how & TOKEN) != 0 ? "X-Auth-Token: " ROOM_WORD "\r\n" : "",
	    (asked->how & ORIGIN) != 0 ? "Origin: https://localhost\r\n" : "", lines);
	len = strlen(asked->head);
	if (asked->body_len > 0)
		(void)snprintf(asked->head + len, sizeof(asked->head) - len, "Content-Length: %zu\r\n\r\n", asked->body_len);
	else
		(void)snprintf(asked->head + len, sizeof(asked->head) - len, "\r\n");
}

/* ---- answers ---- */

/* The value of a header, up to the end of its line; NULL: there is none. */
static const char *
header(const char *head, const char *name)
{
	const char *at = strcasestr(head, name);

	return at == NULL || at[-1] != '\n' ? NULL : at + strlen(name);
}

/* Bytes that the first answer has in all; 0: it is not whole yet. SIZE_MAX: it has no end. */
static size_t
answer_len(char *bytes, size_t len)
{
	char *blank;
	const char *length;
	size_t head_len;

	bytes[len] = '\0';
	blank = strstr(bytes, "\r\n\r\n");
	if (blank == NULL)
		return 0;
	head_len = (size_t)(blank - bytes) + 4;
	length = header(bytes, "content-length: ");
	if (length == NULL || length > blank)
		return SIZE_MAX;
	return head_len + strtoul(length, NULL, 10) <= len ? head_len + strtoul(length, NULL, 10) : 0;
}

/* A body that says it is JSON: packed, where the browser takes that. */
static json_t *
parse(const char *body, size_t len, bool packed)
{
	static char plain[MAX_ANSWER];
	z_stream stream = { .next_in = (Bytef *)(uintptr_t)body, .avail_in = (uInt)len, .next_out = (Bytef *)plain, .avail_out = sizeof(plain) };

	if (!packed)
		return json_loadb(body, len, JSON_REJECT_DUPLICATES, NULL);
	FUZZ_ASSERT(inflateInit2(&stream, 16 + MAX_WBITS) == Z_OK && inflate(&stream, Z_FINISH) == Z_STREAM_END && stream.avail_in == 0);
	(void)inflateEnd(&stream);
	return json_loadb(plain, sizeof(plain) - stream.avail_out, JSON_REJECT_DUPLICATES, NULL);
}

static bool
starts_with(const char *text, const char *start)
{
	return strncmp(text, start, strlen(start)) == 0;
}

static void
check_answer(const struct asked *asked, char *bytes, size_t len, size_t whole)
{
	const char *body = strstr(bytes, "\r\n\r\n") + 4, *type = header(bytes, "content-type: ");
	unsigned status = (unsigned)strtoul(bytes + 9, NULL, 10);
	bool api = starts_with(asked->path, "api/"), change = strcmp(asked->method, "GET") != 0;
	json_t *json;

	FUZZ_ASSERT(starts_with(bytes, "HTTP/1.") && status >= 200 && status < 600 && status != 500);
	FUZZ_ASSERT(strstr(bytes, "frame-ancestors 'none'") < body && header(bytes, "strict-transport-security: ") != NULL &&
	    header(bytes, "x-content-type-options: nosniff") != NULL && header(bytes, "location: ") == NULL);
	FUZZ_ASSERT(whole == SIZE_MAX || len == whole);	/* one answer, and nothing behind it */
	if (!asked->odd && change)
		FUZZ_ASSERT(status != 200 || (asked->how & ORIGIN) != 0);
	if (!asked->odd && api && status == 200)
		FUZZ_ASSERT((asked->how & COOKIE) != 0 && (!change || (asked->how & TOKEN) != 0));
	if (type != NULL && starts_with(type, "application/json")) {
		json = parse(body, whole - (size_t)(body - bytes), header(bytes, "content-encoding: gzip") != NULL);
		FUZZ_ASSERT(json_is_object(json));
		json_decref(json);
	}
}

/* A refused log-in is answered after a second, and stays behind when the connection ends. NULL: that is over; else the next request may use it. */
static SSL *
ask(SSL *ssl, const struct asked *asked)
{
	static char answer[MAX_ANSWER + 1];
	size_t len = 0, whole = 0, n;
	bool goes_on;

	if (ssl == NULL)
		ssl = room_dial(false);
	(void)SSL_write_ex(ssl, asked->head, strlen(asked->head), &n);
	if (asked->body_len > 0)
		(void)SSL_write_ex(ssl, asked->body, asked->body_len, &n);
	for (int i = 0; i < TURNS && whole == 0; i++) {
		room_turn();
		len += room_read(ssl, (uint8_t *)answer + len, MAX_ANSWER - len);
		whole = answer_len(answer, len);
	}
	for (int i = 0; i < 4; i++)
		room_turn();
	len += room_read(ssl, (uint8_t *)answer + len, MAX_ANSWER - len);
	if (whole != 0)
		check_answer(asked, answer, len, whole);
	goes_on = whole != 0 && whole != SIZE_MAX && !asked->odd && (SSL_get_shutdown(ssl) & SSL_RECEIVED_SHUTDOWN) == 0;
	if (!goes_on)
		room_hang_up(ssl);
	return goes_on ? ssl : NULL;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct asked asked;
	const uint8_t *piece;
	SSL *ssl = NULL;
	size_t len;

	room_enter();
	while (size > 0) {
		cut(&data, &size, 0x1d, &piece, &len);
		compose(&asked, piece, len < MAX_PART ? len : MAX_PART);
		ssl = ask(ssl, &asked);
	}
	if (ssl != NULL)
		room_hang_up(ssl);
	room_leave();
	return 0;
}
