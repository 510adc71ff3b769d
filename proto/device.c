/* device.c: what kind of device a document is about, by a look at its root element. Not a parser: in doubt it is any. */
#include <string.h>

#include "proto/rpc.h"

struct scan {
	const uint8_t *at, *end;
};

static bool
has(const uint8_t *xml, size_t len, const char *text)
{
	return memmem(xml, len, text, strlen(text)) != NULL;
}

static bool
begins(const struct scan *scan, const char *text)
{
	size_t len = strlen(text);

	return (size_t)(scan->end - scan->at) >= len && memcmp(scan->at, text, len) == 0;
}

/* Behind the next `text`; false when there is none. */
static bool
skip_past(struct scan *scan, const char *text)
{
	const uint8_t *found = memmem(scan->at, (size_t)(scan->end - scan->at), text, strlen(text));

	if (found != NULL)
		scan->at = found + strlen(text);
	return found != NULL;
}

/* To the name of the root element, past white space, comments and instructions; false for anything else. */
static bool
find_root(struct scan *scan)
{
	for (;;) {
		while (scan->at < scan->end && memchr(" \t\r\n", *scan->at, 4) != NULL)
			scan->at++;
		if (begins(scan, "<!--") || begins(scan, "<?")) {
			const char *end = begins(scan, "<?") ? "?>" : "-->";

			scan->at += strlen(end) + (end[0] == '-');
			if (!skip_past(scan, end))
				return false;
			continue;
		}
		if (!begins(scan, "<") || begins(scan, "<!"))
			return false;
		scan->at++;
		return true;
	}
}

static bool
is_named(const struct scan *scan, const char *name)
{
	size_t len = strlen(name);

	return begins(scan, name) && (scan->at + len == scan->end || memchr(" \t\r\n/>", scan->at[len], 6) != NULL);
}

uint32_t
rpc_device_kinds(const uint8_t *xml, size_t len)
{
	struct scan scan = { xml, xml + len };

	if (len == 0 || has(xml, len, "<!DOCTYPE") || has(xml, len, "encoding") || has(xml, len, "&#") || has(xml, len, "xmlns") || !find_root(&scan))
		return RPC_DEVICE_ANY;
	if (is_named(&scan, "disk"))
		return has(xml, len, "nvme") || has(xml, len, "vdpa") ? RPC_DEVICE_DISK | RPC_DEVICE_HOSTDEV : RPC_DEVICE_DISK;
	if (is_named(&scan, "interface"))
		return has(xml, len, "hostdev") || has(xml, len, "vdpa") ? RPC_DEVICE_INTERFACE | RPC_DEVICE_HOSTDEV : RPC_DEVICE_INTERFACE;
	if (is_named(&scan, "hostdev"))
		return RPC_DEVICE_HOSTDEV;
	/* A name that only seems to begin with one of these is no device of libvirt's. */
	return scan.at < scan.end && *scan.at >= 'a' && *scan.at <= 'z' ? RPC_DEVICE_OTHER : RPC_DEVICE_ANY;
}
