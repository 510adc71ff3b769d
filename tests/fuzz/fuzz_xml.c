/* fuzz_xml.c: whom is a document about, and what is left of it without passwords? Input: a class (one byte), then the document. */
#include <stdlib.h>
#include <string.h>

#include <libxml/parser.h>

#include "gateway/gate/console_xml.h"
#include "gateway/gate/secrets.h"
#include "tests/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct xml_identity identity;
	struct vg_error error = { .what = "" };
	char *stripped = NULL, *again = NULL;
	size_t len;

	if (size < 1)
		return 0;
	xmlInitParser();
	if (xml_identify((const char *)data + 1, size - 1, (enum vg_class)(data[0] % VG_NUM_CLASSES), &identity, &error) < 0)
		FUZZ_ASSERT(error.what[0] != '\0');
	else
		FUZZ_ASSERT(memchr(identity.name, '\0', sizeof(identity.name)) != NULL);
	/* Once taken out there is nothing more to take out. */
	if (secrets_strip((const char *)data + 1, size - 1, &stripped, &len) == 0 && stripped != NULL)
		FUZZ_ASSERT(secrets_strip(stripped, len, &again, &len) != 0 || again == NULL);
	free(stripped);
	free(again);
	stripped = again = NULL;
	/* What is shown to viewers can be shown again and is then the same. */
	if (console_xml_show((const char *)data + 1, size - 1, 5901, &stripped) == 0 && stripped != NULL)
		FUZZ_ASSERT(console_xml_show(stripped, strlen(stripped), 5901, &again) == 0 && again != NULL);
	free(stripped);
	free(again);
	return 0;
}
