/*
 * settings_together.c: values that must agree with one another, and those that are never right.
 */
#include "gateway/core/settings_options.h"

#include <string.h>

#include <libconfig.h>

#include "gateway/core/settings_check.h"

static unsigned
line_of(const config_t *config, const char *key)
{
	const config_setting_t *value = config_lookup(config, key);

	return value != NULL ? config_setting_source_line(value) : 0;
}

/* "FILE:LINE", or "FILE" for a key that is not there and has its default. */
static const char *
place(const config_t *config, const char *file, const char *key, char *buf, size_t size)
{
	unsigned line = line_of(config, key);

	if (line == 0)
		(void)snprintf(buf, size, "%s", file);
	else
		(void)snprintf(buf, size, "%s:%u", file, line);
	return buf;
}

static int
check_ports_differ(const config_t *config, const struct settings *settings, struct vg_error *error)
{
	const struct { bool listens; const char *key, *port; } ports[] = {
		{ settings->listen_tls, "tls_port", settings->tls_port }, { settings->listen_tcp, "tcp_port", settings->tcp_port },
		{ settings->listen_vnc, "vnc_port", settings->vnc_port }, { settings->listen_web, "web_port", settings->web_port },
	};
	char at[512];

	for (size_t i = 1; i < sizeof(ports) / sizeof(ports[0]); i++) {
		for (size_t j = 0; j < i; j++) {
			if (ports[i].listens && ports[j].listens && strcmp(ports[i].port, "0") != 0 && strcmp(ports[i].port, ports[j].port) == 0)
				return vg_fail(error, "%s: %s and %s are both %s", place(config, settings->file, ports[i].key, at, sizeof(at)),
				    ports[j].key, ports[i].key, ports[i].port);
		}
	}
	return 0;
}

static int
check_vnc(const config_t *config, const struct settings *settings, struct vg_error *error)
{
	const struct settings_list *list = &settings->vnc_security;
	char at[512];

	(void)place(config, settings->file, "vnc_security", at, sizeof(at));
	for (size_t i = 0; i < list->num; i++) {
		if (strcmp(list->items[i], "vencrypt") == 0 || strcmp(list->items[i], "sasl") == 0)
			continue;
		(void)vg_fail(error, "%s: vnc_security: '%.100s' is not offered to viewers", at, list->items[i]);
		return vg_hint(error, "\"vencrypt\" and \"sasl\" are known");
	}
	if (list->num == 0) {
		(void)vg_fail(error, "%s: vnc_security is empty: no viewer could log in", at);
		return vg_hint(error, "leave the key out for [ \"vencrypt\" ], or set listen_vnc = 0");
	}
	if (settings_vnc_offers(settings, "sasl") && settings->auth_vnc != AUTH_SASL) {
		(void)vg_fail(error, "%s: vnc_security offers sasl, but auth_vnc = \"none\"", at);
		return vg_hint(error, "set auth_vnc = \"sasl\"");
	}
	return 0;
}

int
settings_check_together(const config_t *config, const struct settings *settings, struct vg_error *error)
{
	const char *file = settings->file;
	char at[512];

	if (settings->tls_no_verify_certificate) {
		(void)vg_fail(error, "%s: tls_no_verify_certificate = 1 would let anybody in",
		    place(config, file, "tls_no_verify_certificate", at, sizeof(at)));
		return vg_hint(error, "client certificates are always verified; leave the key out");
	}
	if (settings->auth_tcp != AUTH_SASL) {
		(void)vg_fail(error, "%s: auth_tcp = \"none\" would let anybody in",
		    place(config, file, "auth_tcp", at, sizeof(at)));
		return vg_hint(error, "plain TCP is always authenticated: auth_tcp = \"sasl\"");
	}
	if (!settings->listen_tls && !settings->listen_tcp && !settings->listen_unix && !settings->listen_vnc &&
	    !settings->listen_web) {
		(void)vg_fail(error, "%s: nothing to listen on", place(config, file, "listen_tls", at, sizeof(at)));
		return vg_hint(error, "one of listen_tls, listen_tcp, listen_unix, listen_vnc, listen_web must be 1");
	}
	if (check_ports_differ(config, settings, error) < 0 || check_vnc(config, settings, error) < 0)
		return -1;
	if (settings->audit_sinks.num > SETTINGS_MAX_SINKS)
		return vg_fail(error, "%s: audit_sinks has %zu sinks, at most %d are possible",
		    place(config, file, "audit_sinks", at, sizeof(at)), settings->audit_sinks.num, SETTINGS_MAX_SINKS);
	if ((settings->audit_sink_cert_file == NULL) != (settings->audit_sink_key_file == NULL)) {
		const char *key = settings->audit_sink_cert_file != NULL ? "audit_sink_cert_file" : "audit_sink_key_file";

		(void)vg_fail(error, "%s: %s is set alone", place(config, file, key, at, sizeof(at)), key);
		return vg_hint(error, "audit_sink_cert_file and audit_sink_key_file belong together");
	}
	if (settings->allowed_uris.num == 0) {
		(void)vg_fail(error, "%s: allowed_uris is empty: no client could open anything",
		    place(config, file, "allowed_uris", at, sizeof(at)));
		return vg_hint(error, "leave the key out for [ \"qemu:///system\" ]");
	}
	if (strcmp(settings->unix_socket, settings->backend_socket) == 0 ||
	    strcmp(settings->unix_socket, settings->backend_socket_ro) == 0) {
		return vg_fail(error, "%s: unix_socket is libvirtd's own socket",
		    place(config, file, "unix_socket", at, sizeof(at)));
	}
	if (strlen(settings->run_dir) + sizeof("/virtgate-sock") > SETTINGS_MAX_SOCKET) {
		return vg_fail(error, "%s: run_dir is too long for a socket in it; at most %zu bytes",
		    place(config, file, "run_dir", at, sizeof(at)), SETTINGS_MAX_SOCKET - sizeof("/virtgate-sock"));
	}
	return 0;
}
