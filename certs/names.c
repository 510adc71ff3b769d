/* names.c: see names.h. */
#include "certs/names.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdint.h>
#include <string.h>

#include "virtgate/utf8.h"

#define LABEL_MAX_BYTES 63

/* Length of the character that `text` begins with, or 0 when it is malformed or not to be seen. */
static size_t
utf8_printable(const char *text)
{
	uint32_t code;
	size_t len = utf8_len_of(text, &code);

	if (len == 0 || code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0xfeff)
		return 0;
	/* Marks and overrides without width: they make two names look alike. */
	if ((code >= 0x200b && code <= 0x200f) || (code >= 0x2028 && code <= 0x202e) ||
	    (code >= 0x2060 && code <= 0x206f))
		return 0;
	return len;
}

int
name_check_text(const char *what, const char *text, struct vg_error *error)
{
	const char *p = text;
	size_t len = strlen(text), step;

	if (len == 0 || len > NAME_MAX_BYTES)
		return vg_fail(error, "%s has %zu bytes: 1 to %d are possible", what, len, NAME_MAX_BYTES);
	if (text[0] == ' ' || text[len - 1] == ' ')
		return vg_fail(error, "%s '%s' begins or ends with a space", what, text);
	for (; *p != '\0'; p += step) {
		step = utf8_printable(p);
		if (step == 0)
			return vg_fail(error, "%s has a byte 0x%02x at %td that is not printable UTF-8 text", what, (unsigned char)*p,
			    p - text);
	}
	return 0;
}

int
name_check_client(const char *name, struct vg_error *error)
{
	const unsigned char *p;

	if (name_check_text("client name", name, error) < 0)
		return -1;
	if (name[0] == '.' || name[0] == '-')
		return vg_fail(error, "client name '%s' begins with '%c'", name, name[0]);
	for (p = (const unsigned char *)name; *p != '\0'; p++) {
		if (*p >= 0x80 || isalnum(*p) || strchr(" ._@-", *p) != NULL)
			continue;
		vg_fail(error, "client name '%s' has the character '%c'", name, *p);
		return vg_hint(error, "letters, digits, space and . _ @ - are possible: the name becomes a file name "
		    "and part of a DN that policies match with globs");
	}
	return 0;
}

bool
name_is_ip(const char *host, unsigned char bytes[16], size_t *len)
{
	unsigned char scratch[16];
	unsigned char *into = bytes != NULL ? bytes : scratch;
	size_t size = 0;

	if (inet_pton(AF_INET, host, into) == 1)
		size = 4;
	else if (inet_pton(AF_INET6, host, into) == 1)
		size = 16;
	if (len != NULL)
		*len = size;
	return size != 0;
}

static bool
label_ok(const char *label, size_t len, bool first)
{
	size_t i;

	if (len == 0 || len > LABEL_MAX_BYTES)
		return false;
	if (first && len == 1 && label[0] == '*')
		return true;
	if (label[0] == '-' || label[len - 1] == '-')
		return false;
	for (i = 0; i < len; i++) {
		unsigned char c = (unsigned char)label[i];

		if (c >= 0x80 || (!isalnum(c) && c != '-' && c != '_'))
			return false;
	}
	return true;
}

static int
bad_host(const char *host, struct vg_error *error)
{
	vg_fail(error, "'%s' is neither a host name nor an IP address", host);
	return vg_hint(error, "examples: gw.example.com, *.example.com, 192.0.2.7, 2001:db8::7; names outside ASCII in "
	    "their xn-- form; no port, no brackets, no scope");
}

int
name_check_host(const char *host, struct vg_error *error)
{
	const char *label = host;
	size_t len = strlen(host);
	bool digits = true;

	if (name_is_ip(host, NULL, NULL))
		return 0;
	if (len == 0 || len > HOST_MAX_BYTES || (host[0] == '*' && strchr(host, '.') == NULL))
		return bad_host(host, error);
	for (;;) {
		size_t span = strcspn(label, ".");

		if (!label_ok(label, span, label == host))
			return bad_host(host, error);
		digits = strspn(label, "0123456789") == span;
		if (label[span] == '\0')
			break;
		label += span + 1;
	}
	/* "10.0.0.256": the last label of a DNS name is never a number. */
	return digits ? bad_host(host, error) : 0;
}

int
name_check_email(const char *email, struct vg_error *error)
{
	const char *at = strrchr(email, '@');
	const char *p;

	for (p = email; *p != '\0'; p++)
		if (!isascii((unsigned char)*p) || !isgraph((unsigned char)*p) || strchr(",;:<>()[]\\\"", *p) != NULL)
			return vg_fail(error, "'%s' is not an e-mail address", email);
	if (at == NULL || at == email || at - email > 64 || strchr(email, '@') != at || at[1] == '*' ||
	    name_check_host(at + 1, NULL) < 0)
		return vg_fail(error, "'%s' is not an e-mail address", email);
	return 0;
}
