#include "gateway/core/settings_check.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "gateway/core/log.h"
#include "gateway/core/settings.h"
#include "virtgate/nearest.h"

/* ---- the text ---- */

struct scan {
	const char *at;
	unsigned line;
	bool after_string;	/* nothing but space and comments since a string ended */
};

static void
skip_comment(struct scan *scan)
{
	bool block = scan->at[0] == '/' && scan->at[1] == '*';

	scan->at += block ? 2 : 1;
	while (*scan->at != '\0') {
		if (block ? strncmp(scan->at, "*/", 2) == 0 : *scan->at == '\n') {
			scan->at += block ? 2 : 0;
			return;
		}
		if (*scan->at == '\n')
			scan->line++;
		scan->at++;
	}
}

/* false when it never ends */
static bool
skip_string(struct scan *scan)
{
	for (scan->at++; *scan->at != '\0' && *scan->at != '"'; scan->at++) {
		if (*scan->at == '\\' && scan->at[1] != '\0')
			scan->at++;
		if (*scan->at == '\n')
			scan->line++;
	}
	if (*scan->at == '\0')
		return false;
	scan->at++;
	return true;
}

int
settings_check_text(const char *text, const char *file, struct vg_error *error)
{
	struct scan scan = { text, 1, false };
	unsigned line;

	while (*scan.at != '\0') {
		switch (*scan.at) {
		case '\n':
			scan.line++;
			scan.at++;
			break;
		case ' ':
		case '\t':
		case '\r':
		case '\f':
			scan.at++;
			break;
		case '/':
			if (scan.at[1] != '/' && scan.at[1] != '*') {
				scan.at++;
				break;
			}
			/* fall through */
		case '#':
			skip_comment(&scan);
			break;
		case '"':
			if (scan.after_string) {
				(void)vg_fail(error, "%s:%u: a string directly behind another", file, scan.line);
				return vg_hint(error, "put a comma between them");
			}
			line = scan.line;
			if (!skip_string(&scan))
				return vg_fail(error, "%s:%u: a string that is never closed", file, line);
			scan.after_string = true;
			break;
		case '\'':
			(void)vg_fail(error, "%s:%u: a string in single quotes", file, scan.line);
			return vg_hint(error, "use double quotes");
		case '@':
			(void)vg_fail(error, "%s:%u: @include is not supported", file, scan.line);
			return vg_hint(error, "put all settings into one file");
		default:
			scan.after_string = false;
			scan.at++;
			break;
		}
	}
	return 0;
}

/* ---- values ---- */

/* Digits up to `end`: a port from 0 to 65535, or -1. */
static long
port_number(const char *value, const char *end)
{
	long port = 0;

	if (end == value || end - value > 5)
		return -1;
	for (; value != end; value++) {
		if (*value < '0' || *value > '9')
			return -1;
		port = port * 10 + (*value - '0');
	}
	return port <= 65535 ? port : -1;
}

int
settings_ports(const char *value, unsigned *first)
{
	const char *dash = strchrnul(value, '-');
	long from = port_number(value, dash), to = from;

	if (*dash == '-')
		to = port_number(dash + 1, dash + strlen(dash));
	if (from == 0 && *dash == '\0')
		return 0;
	if (from <= 0 || to < from || to - from >= SETTINGS_MAX_PORTS)
		return -1;
	*first = (unsigned)from;
	return (int)(to - from + 1);
}

static const char *
check_ports(const char *value)
{
	unsigned first;

	return settings_ports(value, &first) >= 0 ? NULL : "a range of at most 256 ports, like \"5901-5999\", or \"0\" for none";
}

static const char *
check_port(const char *value)
{
	static const char expected[] = "a port from \"0\" (any free one) to \"65535\"";
	unsigned port = 0;

	if (strlen(value) > 5)
		return expected;
	for (; *value != '\0'; value++) {
		if (*value < '0' || *value > '9')
			return expected;
		port = port * 10 + (unsigned)(*value - '0');
	}
	return port <= 65535 ? NULL : expected;
}

static const char *
check_path(const char *value)
{
	return value[0] == '/' ? NULL : "an absolute path";
}

static const char *
check_socket(const char *value)
{
	return value[0] == '/' && strlen(value) <= SETTINGS_MAX_SOCKET ? NULL : "an absolute path of at most 107 bytes";
}

static const char *
check_uri(const char *value)
{
	return strstr(value, ":/") != NULL ? NULL : "a libvirt URI such as qemu:///system";
}

/* As gate/uri.c compares them: nothing but these parts. */
static const char *
check_migration_uri(const char *value)
{
	const char *host = strstr(value, "://");

	return host != NULL && host != value && host[3] != '\0' && host[3] != '/' && strpbrk(value, "@?#%* ") == NULL ? NULL :
	    "SCHEME://HOST[:PORT][/PATH], such as tcp://kvm2.example.com or qemu+tls://kvm2.example.com/system";
}

/* As a browser writes it (RFC 6454, 6.2): it is compared as a text. */
static const char *
check_origin(const char *value)
{
	const char *host = value + 8;

	return strncmp(value, "https://", 8) == 0 && host[0] != '\0' && strlen(host) < 256 &&
	    strspn(host, "abcdefghijklmnopqrstuvwxyz0123456789.-:[]") == strlen(host) ? NULL :
	    "https://HOST[:PORT] in small letters and without a path, such as https://portal.example.com";
}

/* As a client's hello has it. */
static const char *
check_host(const char *value)
{
	return strlen(value) < 256 && strspn(value, "abcdefghijklmnopqrstuvwxyz0123456789.-") == strlen(value) ? NULL :
	    "a name in small letters, such as consoles.example.com";
}

static const char *
check_output(const char *value)
{
	return log_check_output(value) == 0 ? NULL :
	    "LEVEL:stderr, LEVEL:journald, LEVEL:file:/PATH or LEVEL:syslog:NAME, with a level from 1 to 4";
}

static const char *
check_filter(const char *value)
{
	return value[0] >= '1' && value[0] <= '4' && value[1] == ':' && value[2] != '\0' ? NULL :
	    "LEVEL:NAME with a level from 1 to 4";
}

/* The sink itself says what is wrong behind these words. */
static const char *
check_sink(const char *value)
{
	static const char *const begins[] = { "journald:/", "syslog:/", "syslog+tcp://", "syslog+tls://" };

	if (strcmp(value, "journald") == 0 || strcmp(value, "syslog") == 0 || strcmp(value, SETTINGS_SINK_AUDIT) == 0)
		return NULL;
	for (size_t i = 0; i < sizeof(begins) / sizeof(begins[0]); i++)
		if (strncmp(value, begins[i], strlen(begins[i])) == 0 && strlen(value) > strlen(begins[i]))
			return NULL;
	return "linux-audit, journald[:/PATH], syslog[:/PATH], syslog+tcp://HOST[:PORT] or syslog+tls://HOST[:PORT]";
}

/* Keys that are not here take any string that is not empty: names and globs. */
static const struct {
	const char *key;
	const char *(*check)(const char *value);
} checks[] = {
	{ "tls_port", check_port },
	{ "tcp_port", check_port },
	{ "vnc_port", check_port },
	{ "vnc_ports", check_ports },
	{ "web_port", check_port },
	{ "key_file", check_path },
	{ "cert_file", check_path },
	{ "ca_file", check_path },
	{ "crl_file", check_path },
	{ "policy_file", check_path },
	{ "audit_dir", check_path },
	{ "audit_sinks", check_sink },
	{ "audit_sink_ca_file", check_path },
	{ "audit_sink_cert_file", check_path },
	{ "audit_sink_key_file", check_path },
	{ "state_dir", check_path },
	{ "run_dir", check_path },
	{ "sasl_conf_dir", check_path },
	{ "backend_socket", check_socket },
	{ "backend_socket_ro", check_socket },
	{ "unix_socket", check_socket },
	{ "allowed_uris", check_uri },
	{ "save_dirs", check_path },
	{ "pool_dirs", check_path },
	{ "migration_uris", check_migration_uri },
	{ "web_embed_origins", check_origin },
	{ "web_embed_hosts", check_host },
	{ "log_outputs", check_output },
	{ "log_filters", check_filter },
};

const char *
settings_check_value(const char *key, const char *value)
{
	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
		if (strcmp(checks[i].key, key) == 0)
			return checks[i].check(value);
	}
	return NULL;
}

/* ---- keys ---- */

/* libvirtd's keys that mean nothing in front of it; somebody who copies his libvirtd.conf is told which to drop. */
static const struct {
	const char *key, *hint;
} foreign[] = {
	{ "access_drivers", "access is decided by policy_file" },
	{ "admin_keepalive_count", NULL },
	{ "admin_keepalive_interval", NULL },
	{ "admin_max_client_requests", NULL },
	{ "admin_max_clients", NULL },
	{ "admin_max_queued_clients", NULL },
	{ "admin_max_workers", NULL },
	{ "admin_min_workers", NULL },
	{ "audit_level", "every change is recorded, in audit_dir" },
	{ "audit_logging", "every change is recorded, in audit_dir" },
	{ "auth_unix_ro", "local clients are known by their user; policy_file says what each may do" },
	{ "auth_unix_rw", "local clients are known by their user; policy_file says what each may do" },
	{ "host_uuid", NULL },
	{ "host_uuid_source", NULL },
	{ "max_queued_clients", "max_anonymous_clients bounds who is not authenticated yet" },
	{ "max_workers", "front_processes is the number of processes that face the network" },
	{ "mdns_adv", NULL },
	{ "mdns_name", NULL },
	{ "min_workers", "front_processes is the number of processes that face the network" },
	{ "ovs_timeout", NULL },
	{ "prio_workers", NULL },
	{ "tls_no_sanity_certificate", "certificates are always checked; `virtgate pki check` explains" },
	{ "tls_priority", "the gateway's own choice of TLS 1.2 and 1.3 ciphers cannot be widened" },
	{ "unix_sock_admin_perms", NULL },
	{ "unix_sock_dir", "set unix_socket" },
	{ "unix_sock_group", "unix_socket is open to all local users; policy_file says what each may do" },
	{ "unix_sock_ro_perms", "unix_socket is open to all local users; policy_file says what each may do" },
	{ "unix_sock_rw_perms", "unix_socket is open to all local users; policy_file says what each may do" },
};

int
settings_unknown_key(const char *key, const char *file, unsigned line, struct vg_error *error)
{
	struct nearest nearest = { .word = key };

	for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++) {
		if (strcmp(foreign[i].key, key) != 0)
			continue;
		(void)vg_fail(error, "%s:%u: libvirtd's setting '%s' has no meaning here", file, line, key);
		if (foreign[i].hint != NULL)
			return vg_hint(error, "%s", foreign[i].hint);
		return vg_hint(error, "leave it in libvirtd.conf and take it out of this file");
	}
	(void)vg_fail(error, "%s:%u: unknown setting '%.100s'", file, line, key);
	for (size_t i = 0; settings_key(i) != NULL; i++)
		nearest_offer(&nearest, settings_key(i));
	return nearest.best != NULL ? vg_hint(error, "did you mean '%s'?", nearest.best) :
	    vg_hint(error, "virtgated.conf(5) has all of them");
}
