/* fuzz_settings.c: any text is refused with its place, or gives settings that keep the door closed. */
#include <string.h>

#include "gateway/core/settings.h"
#include "tests/fuzz/fuzz.h"

/* libconfig 1.5 forgets a string when a syntax error is right behind it: some bytes for each file that does not load. */
const char *__lsan_default_suppressions(void);

const char *
__lsan_default_suppressions(void)
{
	return "leak:libconfig.so\n";
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct vg_error error = { .what = "", .hint = "" };
	struct settings *settings;
	char *text = malloc(len + 1);

	if (text == NULL || len > 64 * 1024) {
		free(text);
		return 0;
	}
	memcpy(text, data, len);
	text[len] = '\0';
	settings = settings_parse(text, "f.conf", &error);
	free(text);
	if (settings == NULL) {
		FUZZ_ASSERT(strncmp(error.what, "f.conf", 6) == 0 && strlen(error.what) > 8);
		return 0;
	}
	FUZZ_ASSERT(!settings->tls_no_verify_certificate);
	FUZZ_ASSERT(settings->auth_tcp == AUTH_SASL);
	FUZZ_ASSERT(settings->listen_tls || settings->listen_tcp || settings->listen_unix);
	FUZZ_ASSERT(settings->allowed_uris.num > 0);
	FUZZ_ASSERT(settings->log_level >= 1 && settings->log_level <= 4);
	FUZZ_ASSERT(settings->tcp_min_ssf >= 56);
	FUZZ_ASSERT(settings->run_dir[0] == '/' && settings->unix_socket[0] == '/' && settings->backend_socket[0] == '/');
	settings_destroy(settings);
	return 0;
}
