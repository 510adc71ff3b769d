/*
 * names.c: what people call this server, and which pages may show its consoles.
 */
#include "web/web.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/x509v3.h>

#include "gateway/core/settings.h"
#include "virtgate/glob.h"

static void
add_name(struct web *web, const char *name)
{
	if (web->num_names < WEB_MAX_NAMES && (web->names[web->num_names] = strdup(name)) != NULL)
		web->num_names++;
}

static void
add_address(struct web *web, const ASN1_OCTET_STRING *ip)
{
	char text[INET6_ADDRSTRLEN + 2];
	int len = ASN1_STRING_length(ip);

	if (len == 4 && inet_ntop(AF_INET, ASN1_STRING_get0_data(ip), text, INET6_ADDRSTRLEN) != NULL) {
		add_name(web, text);
	} else if (len == 16) {
		text[0] = '[';
		if (inet_ntop(AF_INET6, ASN1_STRING_get0_data(ip), text + 1, INET6_ADDRSTRLEN) != NULL) {
			(void)strncat(text, "]", 2);
			add_name(web, text);
		}
	}
}

/* Those in the certificate: a browser that came by another one was warned. */
void
names_read(struct web *web)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(SSL_CTX_get0_certificate(web->tls), NID_subject_alt_name, NULL, NULL);

	while (web->num_names > 0)
		free(web->names[--web->num_names]);
	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

		if (name->type == GEN_DNS && memchr(ASN1_STRING_get0_data(name->d.dNSName), 0, (size_t)ASN1_STRING_length(name->d.dNSName)) == NULL)
			add_name(web, (const char *)ASN1_STRING_get0_data(name->d.dNSName));
		else if (name->type == GEN_IPADD)
			add_address(web, name->d.iPAddress);
	}
	GENERAL_NAMES_free(names);
}

static bool
has_item(const struct settings_list *list, const char *text)
{
	for (size_t i = 0; i < list->num; i++)
		if (strcmp(list->items[i], text) == 0)
			return true;
	return false;
}

bool
web_may_embed(const struct web *web, const char *origin)
{
	return has_item(&web->settings->web_embed_origins, origin);
}

bool
web_is_embed_host(const struct web *web, const char *name)
{
	return has_item(&web->settings->web_embed_hosts, name);
}

bool
web_is_our_host(const struct web *web, const char *host)
{
	const struct settings_list *list = &web->settings->web_hosts;
	char name[256];
	size_t len = host[0] == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":");

	if (len == 0 || len >= sizeof(name) || len > strlen(host) || (host[len] != '\0' && (host[len] != ':' ||
	    strspn(host + len + 1, "0123456789") != strlen(host + len + 1))))
		return false;
	memcpy(name, host, len);
	name[len] = '\0';
	for (char *at = name; *at != '\0'; at++)
		if (*at >= 'A' && *at <= 'Z')
			*at = (char)(*at - 'A' + 'a');
	if (web_is_embed_host(web, name))
		return true;
	for (size_t i = 0; list->set && i < list->num; i++)
		if (glob_match(list->items[i], name))
			return true;
	for (size_t i = 0; !list->set && i < web->num_names; i++) {
		/* A wildcard of a certificate is one label. */
		const char *dot = strncmp(web->names[i], "*.", 2) == 0 ? strchr(name, '.') : NULL;

		if (strcasecmp(web->names[i], name) == 0 || (dot != NULL && dot != name && strcasecmp(web->names[i] + 1, dot) == 0))
			return true;
	}
	return false;
}
