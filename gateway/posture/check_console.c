/*
 * check_console.c: where the screens of guests can be reached. Keys and defaults: libvirt's src/qemu/qemu.conf.in; addresses of a running
 * guest: <graphics><listen address=…/> of its live description.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "gateway/posture/checks.h"

static bool
is_local(const char *address)
{
	return strncmp(address, "127.", 4) == 0 || strcmp(address, "::1") == 0 || strcmp(address, "localhost") == 0;
}

void
check_console_default(const struct posture_host *host, struct posture_result *result)
{
	static const struct { const char *listen, *tls, *verify, *password; } kinds[] = {
		{ "vnc_listen", "vnc_tls", "vnc_tls_x509_verify", "vnc_password" },
		{ "spice_listen", "spice_tls", NULL, "spice_password" },
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		const char *address = posture_conf_text(&host->qemu, kinds[i].listen, "127.0.0.1");
		bool tls = posture_conf_number(&host->qemu, kinds[i].tls, 0) != 0;
		bool asks = (tls && kinds[i].verify != NULL && posture_conf_number(&host->qemu, kinds[i].verify, 0) != 0) ||
		    posture_conf_text(&host->qemu, kinds[i].password, "")[0] != '\0';

		if (is_local(address))
			continue;
		posture_say(result, tls && asks ? POSTURE_WARN : POSTURE_FAIL, "%s = \"%s\": new consoles listen on the network%s", kinds[i].listen, address,
		    !asks ? ", open to everybody" : tls ? "" : ", unencrypted");
		posture_name(result, "%s", host->qemu.path);
	}
}

/* "" when it has none. Freed with xmlFree. */
static xmlChar *
attribute(xmlNodePtr node, const char *name)
{
	xmlChar *value = xmlGetNoNsProp(node, (const xmlChar *)name);

	return value != NULL ? value : xmlStrdup((const xmlChar *)"");
}

static bool
is_element(xmlNodePtr node, const char *name)
{
	return node->type == XML_ELEMENT_NODE && strcmp((const char *)node->name, name) == 0;
}

/* A display of a running guest that can be reached by a port. */
struct display {
	xmlChar *type, *port, *tls_port, *password, *address;
	bool local;
};

static void
display_clear(struct display *display)
{
	xmlFree(display->type);
	xmlFree(display->port);
	xmlFree(display->tls_port);
	xmlFree(display->password);
	xmlFree(display->address);
}

/* False: it has no port (listen none or socket, or it is a window on the host). Clear it in any case. */
static bool
display_read(struct display *display, xmlNodePtr graphics)
{
	bool has_port;

	*display = (struct display){ .type = attribute(graphics, "type"), .port = attribute(graphics, "port"), .tls_port = attribute(graphics, "tlsPort"),
		.password = attribute(graphics, "passwd") };
	for (xmlNodePtr node = graphics->children; node != NULL && display->address == NULL; node = node->next) {
		xmlChar *kind;

		if (!is_element(node, "listen"))
			continue;
		kind = attribute(node, "type");
		if (kind != NULL && strcmp((const char *)kind, "none") != 0 && strcmp((const char *)kind, "socket") != 0)
			display->address = attribute(node, "address");
		xmlFree(kind);
	}
	if (display->type == NULL || display->address == NULL || display->port == NULL || display->tls_port == NULL || display->password == NULL)
		return false;
	/* libvirt writes the address that QEMU was given; without one it was told the default of qemu.conf. */
	display->local = display->address[0] == '\0' || is_local((const char *)display->address);
	has_port = atoi((const char *)display->port) > 0 || atoi((const char *)display->tls_port) > 0;
	return has_port && (strcmp((const char *)display->type, "vnc") == 0 || strcmp((const char *)display->type, "spice") == 0 ||
	    strcmp((const char *)display->type, "rdp") == 0);
}

/* Calls `judge` for each display with a port of each running guest. */
static void
each_display(const struct posture_host *host, struct posture_result *result,
    void (*judge)(const struct posture_host *host, const struct posture_guest *guest, const struct display *display, struct posture_result *result))
{
	for (size_t i = 0; i < host->num_guests; i++) {
		for (xmlNodePtr devices = host->guests[i].domain->children; devices != NULL; devices = devices->next) {
			if (!is_element(devices, "devices"))
				continue;
			for (xmlNodePtr node = devices->children; node != NULL; node = node->next) {
				struct display display;

				if (!is_element(node, "graphics"))
					continue;
				if (display_read(&display, node))
					judge(host, &host->guests[i], &display, result);
				display_clear(&display);
			}
		}
	}
}

static bool
has_password(const struct posture_host *host, const struct display *display)
{
	const char *key = strcmp((const char *)display->type, "vnc") == 0 ? "vnc_password" : "spice_password";

	return display->password[0] != '\0' || posture_conf_text(&host->qemu, key, "")[0] != '\0';
}

/* SASL asks who is there as well. */
static bool
asks_who(const struct posture_host *host, const struct display *display)
{
	const char *key = strcmp((const char *)display->type, "vnc") == 0 ? "vnc_sasl" : "spice_sasl";

	return has_password(host, display) || posture_conf_number(&host->qemu, key, 0) != 0;
}

static void
judge_network(const struct posture_host *host, const struct posture_guest *guest, const struct display *display, struct posture_result *result)
{
	bool tls = strcmp((const char *)display->type, "vnc") == 0 ? posture_conf_number(&host->qemu, "vnc_tls", 0) != 0 :
	    atoi((const char *)display->port) <= 0;
	bool verifies = tls && posture_conf_number(&host->qemu, "vnc_tls_x509_verify", 0) != 0;

	if (display->local)
		return;
	if (!asks_who(host, display) && !verifies)
		posture_say(result, POSTURE_FAIL, "guests show their screen on the network to everybody, without a password");
	else if (!tls)
		posture_say(result, POSTURE_FAIL, "guests show their screen on the network, unencrypted");
	else
		posture_say(result, POSTURE_WARN, "guests show their screen on the network beside the gateway");
	posture_name(result, "%s (%s %s port %s%s)", guest->name, (const char *)display->type, (const char *)display->address,
	    (const char *)(atoi((const char *)display->port) > 0 ? display->port : display->tls_port), asks_who(host, display) ? "" : ", no password");
}

void
check_console_network(const struct posture_host *host, struct posture_result *result)
{
	each_display(host, result, judge_network);
}

static void
judge_local(const struct posture_host *host, const struct posture_guest *guest, const struct display *display, struct posture_result *result)
{
	if (!display->local || asks_who(host, display))
		return;
	posture_say(result, POSTURE_WARN, "consoles without a password on a port of this host");
	posture_name(result, "%s (%s port %s)", guest->name, (const char *)display->type, (const char *)display->port);
}

void
check_console_local(const struct posture_host *host, struct posture_result *result)
{
	each_display(host, result, judge_local);
}
