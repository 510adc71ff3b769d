#include <setjmp.h>
#include <stdbool.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "gateway/core/settings.h"

/* Text, then what error and hint must contain. */
static const struct {
	const char *text, *what, *hint;
} bad[] = {
	/* keys */
	{ "\n\ntls_prot = \"1\"\n", "t.conf:3: unknown setting 'tls_prot'", "did you mean 'tls_port'?" },
	{ "lsiten_tls = 1", "t.conf:1: unknown setting 'lsiten_tls'", "did you mean 'listen_tls'?" },
	{ "policyfile = \"/x\"", "t.conf:1: unknown setting 'policyfile'", "did you mean 'policy_file'?" },
	{ "audit_sinks = [ \"syslog+udp://x\" ]", "t.conf:1: audit_sinks: 'syslog+udp://x' is not linux-audit", "" },
	{ "audit_sinks = [ \"journald\", \"syslog+tls://\" ]", "'syslog+tls://' is not linux-audit", "" },
	{ "audit_sink_cert_file = \"/x\"", "t.conf:1: audit_sink_cert_file is set alone", "belong together" },
	{ "audit_sinks = [ \"syslog\", \"syslog\", \"syslog\", \"syslog\", \"syslog\", \"syslog\", \"syslog\", \"syslog\", \"syslog\" ]",
	  "audit_sinks has 9 sinks", "" },
	{ "audit_segment_mib = 0", "out of range", "1 to 4096" },
	{ "zzz = 1", "t.conf:1: unknown setting 'zzz'", "virtgated.conf(5)" },
	{ "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa = 1", "unknown setting 'aaaa", "virtgated.conf(5)" },
	{ "listen_tls = 1\nauth_unix_rw = \"polkit\"", "t.conf:2: libvirtd's setting 'auth_unix_rw' has no meaning", "policy_file" },
	{ "mdns_adv = 1", "t.conf:1: libvirtd's setting 'mdns_adv' has no meaning", "libvirtd.conf" },
	{ "unix_sock_group = \"libvirt\"", "'unix_sock_group' has no meaning", "unix_socket" },
	{ "min_workers = 5", "'min_workers' has no meaning", "front_processes" },
	{ "tls_priority = \"NORMAL\"", "'tls_priority' has no meaning", "cannot be widened" },
	{ "tls_port = \"1\"\ntls_port = \"2\"", "t.conf:2: duplicate", "" },
	/* syntax */
	{ "listen_tls = 1\nlisten_tcp =\n", "t.conf:", "expected KEY = VALUE" },
	{ "listen_tls 1\n", "t.conf:1:", "expected KEY = VALUE" },
	{ "listen_addr = '::1'\n", "t.conf:1: a string in single quotes", "double quotes" },
	{ "# a 'comment'\n/* and\n \"one\" */ listen_addr = 'x'", "t.conf:3: a string in single quotes", "double quotes" },
	{ "@include \"/etc/shadow\"\n", "t.conf:1: @include is not supported", "one file" },
	{ "tls_allowed_dn_list = [ \"CN=a\"\n\t\"CN=b\" ]", "t.conf:2: a string directly behind another", "comma" },
	{ "listen_tls = 1\nlisten_addr = \"x\nlisten_tcp = 1\n", "t.conf:2: a string that is never closed", "" },
	/* types */
	{ "listen_tls = \"1\"", "t.conf:1: listen_tls: expected 0 or 1, found a string", "write listen_tls = 1" },
	{ "listen_tls = true", "listen_tls: expected 0 or 1, found true or false", "write listen_tls = 1" },
	{ "tls_port = 16514", "tls_port: expected a string, found a number", "\"16514\"" },
	{ "max_clients = \"20\"", "max_clients: expected a number, found a string", "without quotes" },
	{ "max_clients = 1.5", "max_clients: expected a number, found a number with a point", "" },
	{ "max_clients = { a = 1; }", "max_clients: expected a number, found a group", "" },
	{ "allowed_uris = \"qemu:///system\"", "allowed_uris: expected a list of strings, found a string", "[ \"first\"" },
	{ "allowed_uris = [ 1 ]", "allowed_uris: expected a string, found a number", "" },
	{ "auth_tls = 1", "auth_tls: expected \"none\" or \"sasl\", found a number", "" },
	/* ranges and forms */
	{ "listen_tls = 2", "listen_tls: 2 is out of range", "0 to 1" },
	{ "max_clients = 0", "max_clients: 0 is out of range", "1 to 100000" },
	{ "max_clients = -1", "max_clients: -1 is out of range", "" },
	{ "max_clients = 99999999999", "max_clients: ", "1 to 100000" },
	{ "tcp_min_ssf = 55", "tcp_min_ssf: 55 is out of range", "56 to 256" },
	{ "log_level = 5", "log_level: 5 is out of range", "1 to 4" },
	{ "tls_port = \"https\"", "tls_port: 'https' is not a port", "" },
	{ "tls_port = \"65536\"", "tls_port: '65536' is not a port", "" },
	{ "vnc_ports = \"5999-5901\"", "vnc_ports: '5999-5901' is not a range", "" },
	{ "vnc_ports = \"1-65535\"", "vnc_ports: '1-65535' is not a range", "" },
	{ "vnc_ports = \"5901-\"", "vnc_ports: '5901-' is not a range", "" },
	{ "listen_vnc = 1\nvnc_port = \"16514\"", "t.conf:2: tls_port and vnc_port are both 16514", "" },
	{ "listen_web = 1\nweb_port = \"16514\"", "t.conf:2: tls_port and web_port are both 16514", "" },
	{ "web_port = \"65536\"", "web_port: '65536' is not a port", "" },
	{ "web_idle_seconds = 29", "web_idle_seconds: 29 is out of range", "30 to 86400" },
	{ "web_max_seconds = 604801", "web_max_seconds: 604801 is out of range", "60 to 604800" },
	{ "auth_web = \"basic\"", "auth_web: 'basic' is not \"none\" or \"sasl\"", "" },
	{ "web_embed_origins = [ \"https://portal.example.com/\" ]", "web_embed_origins: 'https://portal.example.com/' is not https://HOST[:PORT]", "" },
	{ "web_embed_origins = [ \"http://portal.example.com\" ]", "web_embed_origins: 'http://portal.example.com' is not https://", "" },
	{ "web_embed_origins = [ \"*\" ]", "web_embed_origins: '*' is not https://", "" },
	{ "web_embed_hosts = [ \"consoles.example.com:8443\" ]", "web_embed_hosts: 'consoles.example.com:8443' is not a name", "" },
	{ "web_hosts = [ \"\" ]", "web_hosts: an empty string", "" },
	{ "auth_vnc = \"sasl\"\nvnc_security = [ \"vencrypt\", \"none\" ]", "t.conf:2: vnc_security: 'none' is not offered", "\"sasl\"" },
	{ "vnc_security = [ \"vncauth\" ]", "t.conf:1: vnc_security: 'vncauth' is not offered", "" },
	{ "vnc_security = [ ]", "t.conf:1: vnc_security is empty", "leave the key out" },
	{ "vnc_security = [ \"sasl\" ]", "t.conf:1: vnc_security offers sasl, but auth_vnc = \"none\"", "auth_vnc = \"sasl\"" },
	{ "tls_port = \"-1\"", "tls_port: '-1' is not a port", "" },
	{ "tls_port = \" 1\"", "tls_port: ' 1' is not a port", "" },
	{ "tls_port = \"000001\"", "tls_port: '000001' is not a port", "" },
	{ "key_file = \"key.pem\"", "key_file: 'key.pem' is not an absolute path", "" },
	{ "key_file = \"\"", "key_file: an empty string", "leave the key out" },
	{ "tls_allowed_dn_list = [ \"CN=a\",\n \"\" ]", "t.conf:2: tls_allowed_dn_list: an empty string", "" },
	{ "sasl_allowed_username_list = [ \"\" ]", "sasl_allowed_username_list: an empty string", "" },
	{ "log_outputs = [ \"3:nowhere\" ]", "log_outputs: '3:nowhere' is not LEVEL:stderr", "" },
	{ "log_outputs = [ \"5:stderr\" ]", "log_outputs: '5:stderr' is not LEVEL:stderr", "" },
	{ "log_outputs = [ \"1:file:relative\" ]", "log_outputs: ", "" },
	{ "log_filters = [ \"qemu\" ]", "log_filters: 'qemu' is not LEVEL:NAME", "" },
	{ "allowed_uris = [ \"qemu\" ]", "allowed_uris: 'qemu' is not a libvirt URI", "" },
	/* what would open the door */
	{ "listen_tls = 1\ntls_no_verify_certificate = 1", "t.conf:2: tls_no_verify_certificate = 1 would let anybody in", "leave the key out" },
	{ "auth_tcp = \"none\"", "t.conf:1: auth_tcp = \"none\" would let anybody in", "auth_tcp = \"sasl\"" },
	{ "auth_tls = \"polkit\"", "auth_tls: 'polkit' is not \"none\" or \"sasl\"", "local users" },
	{ "auth_tls = \"SASL\"", "auth_tls: 'SASL' is not \"none\" or \"sasl\"", "" },
	/* contradictions */
	{ "\nlisten_tls = 0", "t.conf:2: nothing to listen on", "listen_unix" },
	{ "listen_tcp = 1\ntcp_port = \"16514\"", "t.conf:2: tls_port and tcp_port are both 16514", "" },
	{ "allowed_uris = []", "t.conf:1: allowed_uris is empty", "qemu:///system" },
	{ "unix_socket = \"/run/libvirt/libvirt-sock\"", "t.conf:1: unix_socket is libvirtd's own socket", "" },
	{ "run_dir = \"/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"\n"
	  "unix_socket = \"/x\"", "t.conf:1: run_dir is too long", "" },
};

static void
test_I82_bad_settings_are_explained(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct vg_error error = { .what = "", .hint = "" };
		struct settings *settings = settings_parse(bad[i].text, "t.conf", &error);

		if (settings != NULL || strstr(error.what, bad[i].what) == NULL || strstr(error.hint, bad[i].hint) == NULL ||
		    strncmp(error.what, "t.conf:", 7) != 0)
			fail_msg("'%s': got '%s' ('%s'), expected '%s' ('%s')", bad[i].text,
			    settings != NULL ? "settings" : error.what, error.hint, bad[i].what, bad[i].hint);
	}
}

static struct settings *
good(const char *text)
{
	struct vg_error error = { .what = "", .hint = "" };
	struct settings *settings = settings_parse(text, "t.conf", &error);

	if (settings == NULL)
		fail_msg("'%s': %s (%s)", text, error.what, error.hint);
	return settings;
}

static void
test_defaults(void **state)
{
	struct settings *settings = good("");

	(void)state;
	assert_true(settings->listen_tls);
	assert_false(settings->listen_tcp);
	assert_null(settings->listen_addr);
	assert_string_equal(settings->tls_port, "16514");
	assert_int_equal(settings->auth_tls, AUTH_NONE);
	assert_int_equal(settings->auth_tcp, AUTH_SASL);
	assert_string_equal(settings->ca_file, "/etc/pki/CA/cacert.pem");
	assert_null(settings->crl_file);
	assert_false(settings->tls_allowed_dn_list.set);
	assert_int_equal(settings->max_clients, 5000);
	assert_string_equal(settings->unix_socket, "/run/virtgate/virtgate-sock");
	assert_int_equal(settings->allowed_uris.num, 1);
	assert_string_equal(settings->allowed_uris.items[0], "qemu:///system");
	assert_string_equal(settings->user, "virtgate");
	assert_string_equal(settings->file, "t.conf");
	settings_destroy(settings);
}

static void
test_every_type(void **state)
{
	struct settings *settings = good(
	    "# libvirtd's syntax: no semicolons, comments, lists over several lines\n"
	    "listen_tls = 0\nlisten_tcp = 1 # behind a value\nlisten_unix=1\n"
	    "tcp_port = \"0\"\nauth_tls = \"sasl\"\nkeepalive_interval = -1\n"
	    "tls_allowed_dn_list = [ \"C=GB,O=Lab,CN=*\",\n  # within\n  \"CN=a\\\\,b 'c' #d\" ]\n"
	    "sasl_allowed_username_list = []\n"
	    "allowed_uris = [\"test:///default\", \"qemu:///system\"]\n"
	    "log_level = 3\nlog_filters = [ \"4:a\", \"2:b\" ]\nlog_outputs = [ \"1:stderr\", \"3:syslog:virtgated\" ]\n"
	    "audit_sinks = [ \"journald\", \"syslog\", \"syslog:/dev/log\", \"syslog+tcp://[::1]:601\", \"syslog+tls://log.example.com\" ]\n"
	    "run_dir = \"/tmp/x\"\n");

	(void)state;
	assert_false(settings->listen_tls);
	assert_true(settings->listen_tcp);
	assert_true(settings->listen_unix);
	assert_string_equal(settings->tcp_port, "0");
	assert_int_equal(settings->auth_tls, AUTH_SASL);
	assert_int_equal(settings->keepalive_interval, -1);
	assert_true(settings->tls_allowed_dn_list.set);
	assert_int_equal(settings->tls_allowed_dn_list.num, 2);
	assert_string_equal(settings->tls_allowed_dn_list.items[0], "C=GB,O=Lab,CN=*");
	assert_string_equal(settings->tls_allowed_dn_list.items[1], "CN=a\\,b 'c' #d");
	assert_true(settings->sasl_allowed_username_list.set);
	assert_int_equal(settings->sasl_allowed_username_list.num, 0);
	assert_int_equal(settings->allowed_uris.num, 2);
	assert_int_equal(settings->log_level, 2);
	assert_string_equal(settings->unix_socket, "/tmp/x/virtgate-sock");
	settings_destroy(settings);
}

static void
test_files(void **state)
{
	static const char with_nul[] = "listen_tls = 1\0listen_tls = 0\n";
	char file[] = "/tmp/virtgate-settings-XXXXXX";
	struct vg_error error;
	struct settings *settings;
	int fd = mkstemp(file);

	(void)state;
	assert_true(fd >= 0);
	settings = settings_load(file, &error);
	assert_non_null(settings);
	assert_string_equal(settings->file, file);
	settings_destroy(settings);
	assert_int_equal(write(fd, with_nul, sizeof(with_nul) - 1), sizeof(with_nul) - 1);
	assert_null(settings_load(file, &error));
	assert_non_null(strstr(error.what, "NUL"));
	close(fd);
	unlink(file);
	assert_null(settings_load(file, &error));
	assert_non_null(strstr(error.what, file));
	assert_non_null(strstr(error.hint, "--config"));
	assert_null(settings_load("/", &error));
}

/* ---- what people read ---- */

static char *
read_document(const char *name)
{
	char path[512];
	FILE *file;
	char *text = calloc(1, 65536);

	assert_non_null(text);
	(void)snprintf(path, sizeof(path), TOP_SRCDIR "/gateway/%s", name);
	file = fopen(path, "re");
	if (file == NULL)
		fail_msg("%s cannot be read", path);
	assert_true(fread(text, 1, 65535, file) > 0);
	(void)fclose(file);
	return text;
}

/* The same text with the '#' taken away from each "#key = value". */
static char *
uncomment(char *text)
{
	for (char *line = text; line != NULL; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (line[0] == '#' && line[1] >= 'a' && line[1] <= 'z')
			line[0] = ' ';
	}
	return text;
}

static void
must_be_equal(const char *key, bool equal)
{
	if (!equal)
		fail_msg("virtgated.conf.example: the value of %s is not the default", key);
}

static bool
same_text(const char *a, const char *b)
{
	return a != NULL && strcmp(a, b) == 0;
}

/* Every line of the sample, taken literally, loads and is the default (lists, and strings without one, are examples). */
static void
test_sample_shows_the_defaults(void **state)
{
	char *text = uncomment(read_document("virtgated.conf.example"));
	struct settings *sample = good(text), *defaults = good("");

	(void)state;
#define SETTING_BOOL(key, value, help) must_be_equal(#key, sample->key == defaults->key);
#define SETTING_INT(key, value, low, high, help) must_be_equal(#key, sample->key == defaults->key);
#define SETTING_STRING(key, value, help) must_be_equal(#key, (value) == NULL || same_text(sample->key, value));
#define SETTING_LIST(key, help) must_be_equal(#key, sample->key.set);
#define SETTING_AUTH(key, value, help) must_be_equal(#key, sample->key == defaults->key);
#include "gateway/core/settings.def"
	settings_destroy(sample);
	settings_destroy(defaults);
	free(text);
}

static void
test_every_key_is_documented_once(void **state)
{
	char *manual = read_document("virtgated.conf.5"), *sample = read_document("virtgated.conf.example");
	size_t keys = 0, entries = 0;

	(void)state;
	for (; settings_key(keys) != NULL; keys++) {
		char entry[64], line[64];

		(void)snprintf(entry, sizeof(entry), "\n.B %s\n", settings_key(keys));
		(void)snprintf(line, sizeof(line), "\n#%s = ", settings_key(keys));
		if (strstr(manual, entry) == NULL)
			fail_msg("virtgated.conf.5 has no entry for %s", settings_key(keys));
		if (strstr(sample, line) == NULL)
			fail_msg("virtgated.conf.example has no line for %s", settings_key(keys));
	}
	for (const char *at = manual; (at = strstr(at, "\n.TP\n.B ")) != NULL; at++)
		entries++;
	assert_int_equal(entries, keys);
	free(manual);
	free(sample);
}

/* A reload takes what can change and keeps what cannot, and says which. */
static void
test_keep_what_only_a_start_can_change(void **state)
{
	struct settings *old = good("tls_port = \"1\"\nmax_clients = 5\nrun_dir = \"/a\"\nlisten_addr = \"::1\"");
	struct settings *fresh = good("tls_port = \"2\"\nmax_clients = 6\nrun_dir = \"/a\"\nlisten_tcp = 1\n"
	    "log_outputs = [ \"1:stderr\" ]");
	char changed[256];

	(void)state;
	settings_keep(fresh, old, changed, sizeof(changed));
	assert_string_equal(changed, "listen_tcp, listen_addr, tls_port, log_outputs");
	assert_string_equal(fresh->tls_port, "1");
	assert_string_equal(fresh->listen_addr, "::1");
	assert_false(fresh->listen_tcp);
	assert_int_equal(fresh->max_clients, 6);
	settings_keep(fresh, fresh, changed, sizeof(changed));
	assert_string_equal(changed, "");
	settings_destroy(old);
	settings_destroy(fresh);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_I82_bad_settings_are_explained),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_every_type),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_sample_shows_the_defaults),
		cmocka_unit_test(test_every_key_is_documented_once),
		cmocka_unit_test(test_keep_what_only_a_start_can_change),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
