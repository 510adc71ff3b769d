/*
 * uri.c: URIs that libvirtd would connect to, compared part by part with a list. Only the plainest form is read: nothing that two
 * readers could take apart differently (user, query, fragment, escapes) passes.
 */
#include <string.h>

#include "gateway/core/settings.h"
#include "gateway/gate/argument.h"

#define LETTERS "abcdefghijklmnopqrstuvwxyz"
#define DIGITS "0123456789"
#define HOST_BYTES LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZ" DIGITS ".-"

struct uri {
	const char *scheme, *host, *port, *path;
	size_t scheme_len, host_len, port_len, path_len;	/* port and path may be empty */
};

/* SCHEME://HOST[:PORT][/PATH], or tcp:HOST[:PORT] as QEMU's driver writes it. An IPv6 address stands in brackets. */
static bool
take_apart(const char *text, struct uri *uri)
{
	const char *at = text;

	uri->scheme = at;
	uri->scheme_len = strspn(at, LETTERS "+");
	at += uri->scheme_len;
	if (uri->scheme_len == 0 || *at++ != ':')
		return false;
	/* Of another scheme libvirt reads a URI without "//" as one without a host: it would connect to itself, or run a program. */
	if (strncmp(at, "//", 2) == 0)
		at += 2;
	else if (uri->scheme_len != 3 || strncmp(text, "tcp", 3) != 0)
		return false;
	uri->host = at;
	if (*at == '[') {
		size_t len = strspn(at + 1, DIGITS "abcdefABCDEF:.");

		if (len == 0 || at[1 + len] != ']')
			return false;
		uri->host_len = len + 2;
	} else {
		uri->host_len = strspn(at, HOST_BYTES);
	}
	at += uri->host_len;
	if (uri->host_len == 0)
		return false;
	uri->port = at;
	uri->port_len = 0;
	if (*at == ':') {
		uri->port = at + 1;
		uri->port_len = strspn(at + 1, DIGITS);
		if (uri->port_len == 0 || uri->port_len > 5)
			return false;
		at += 1 + uri->port_len;
	}
	uri->path = at;
	uri->path_len = *at == '/' ? strspn(at, HOST_BYTES "/_") : 0;
	return at[uri->path_len] == '\0';
}

static bool
same(const char *one, size_t one_len, const char *other, size_t other_len)
{
	return one_len == other_len && memcmp(one, other, one_len) == 0;
}

bool
uri_is_allowed(const struct settings_list *allowed, const char *text)
{
	struct uri uri, entry;

	if (!take_apart(text, &uri))
		return false;
	for (size_t i = 0; i < allowed->num; i++) {
		if (take_apart(allowed->items[i], &entry) && same(uri.scheme, uri.scheme_len, entry.scheme, entry.scheme_len) &&
		    same(uri.host, uri.host_len, entry.host, entry.host_len) && same(uri.path, uri.path_len, entry.path, entry.path_len) &&
		    (entry.port_len == 0 || same(uri.port, uri.port_len, entry.port, entry.port_len)))
			return true;
	}
	return false;
}

bool
uri_host_is_allowed(const struct settings_list *allowed, const char *address)
{
	struct uri entry;

	for (size_t i = 0; i < allowed->num; i++) {
		if (!take_apart(allowed->items[i], &entry))
			continue;
		if (entry.host[0] == '[') {
			entry.host++;
			entry.host_len -= 2;
		}
		if (same(address, strlen(address), entry.host, entry.host_len))
			return true;
	}
	return false;
}
