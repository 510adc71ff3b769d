/*
 * fuzz_argument.c: any text as the path, URI or disk that a call names. Input: what it is (one byte), then the text; of a disk its name,
 * a NUL, and the definition of the domain.
 */
#include <stdlib.h>
#include <string.h>

#include "gateway/gate/argument.h"
#include "tests/fuzz/fuzz.h"

#define DIR "/usr/share"

static void
check_path(const char *path)
{
	static char dir[] = DIR, *dirs[] = { dir };
	static const struct settings_list list = { .set = true, .num = 1, .items = dirs };
	struct vg_error error = { .what = "" };
	bool exists;

	if (path_check(&list, path, &exists, &error) < 0) {
		FUZZ_ASSERT(error.what[0] != '\0');
		return;
	}
	FUZZ_ASSERT(strncmp(path, DIR "/", strlen(DIR) + 1) == 0 && path[strlen(path) - 1] != '/');
	FUZZ_ASSERT(strstr(path, "//") == NULL && strstr(path, "/./") == NULL && strstr(path, "/../") == NULL);
}

static void
check_uri(char *uri)
{
	static char host[] = "tcp://host2.example", libvirt[] = "qemu+tls://[2001:db8::2]:16514/system", *own[] = { host, libvirt };
	static const struct settings_list list = { .set = true, .num = 2, .items = own };
	const struct settings_list itself = { .set = true, .num = 1, .items = &uri };

	if (!uri_is_allowed(&itself, uri))	/* it is none */
		FUZZ_ASSERT(!uri_is_allowed(&list, uri));
	else
		FUZZ_ASSERT(strpbrk(uri, "@?#%\\ \n") == NULL && strchr(uri, ':') != NULL);
	if (uri_is_allowed(&list, uri))
		FUZZ_ASSERT(strstr(uri, "host2.example") != NULL || strstr(uri, "[2001:db8::2]:16514/system") != NULL);
	if (uri_host_is_allowed(&list, uri))
		FUZZ_ASSERT(strcmp(uri, "host2.example") == 0 || strcmp(uri, "2001:db8::2") == 0);
}

/* What is a disk stands in the definition. */
static void
check_disk(const char *name, const char *xml, size_t len)
{
	if (disk_is_in(xml, len, name))
		FUZZ_ASSERT(name[0] != '\0' && len > strlen("<disk>"));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text;

	if (size < 1 || size > 64 * 1024 || (text = malloc(size)) == NULL)
		return 0;
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	switch (data[0] % 3) {
	case 0:
		check_path(text);
		break;
	case 1:
		check_uri(text);
		break;
	default:
		if (strlen(text) < size - 1)
			check_disk(text, text + strlen(text) + 1, size - 2 - strlen(text));
	}
	free(text);
	return 0;
}
