/*
 * secrets_hidden.c: values that may be secrets though libvirt shows them to whom may read the document: what QEMU is given in its own words, and
 * what a guest is given at its start. Nothing that the gateway keeps has them.
 */
#include "gateway/gate/secrets.h"

#include <stdlib.h>
#include <string.h>

#include <libxml/tree.h>

#define NUM(array) (sizeof(array) / sizeof(array[0]))

/* ---- does a text tell a secret? ---- */

static bool
has_word(const char *text, const char *const *words, size_t num)
{
	for (size_t i = 0; i < num; i++)
		if (strcasestr(text, words[i]) != NULL)
			return true;
	return false;
}

/* "scheme://user:password@host": a colon before the '@' that ends before the path. */
static bool
has_user_with_password(const char *text)
{
	while ((text = strstr(text, "://")) != NULL) {
		size_t len;

		text += 3;
		len = strcspn(text, "/?# ,\"'");
		if (memchr(text, '@', len) != NULL && memchr(text, ':', len) != NULL)
			return true;
	}
	return false;
}

/*
 * "data=", "string=" and "value=" are those of -object secret, -fw_cfg and -smbios; the same in JSON. Too much rather than too little: a reference to a
 * secret ("password-secret=") is hidden with them.
 */
static bool
text_tells(xmlNodePtr node, const char *text)
{
	static const char *const words[] = { "passw", "secret", "cookie", "token", "credential", "keyring", "auth=", "key=", "data=", "string=", "value=",
		"pass=", "key\"", "data\"", "string\"", "value\"" };

	(void)node;
	return has_word(text, words, NUM(words)) || has_user_with_password(text);
}

/* Where the name stands in an attribute of its own. */
static bool
name_tells(xmlNodePtr node, const char *text)
{
	static const char *const words[] = { "pass", "secret", "cookie", "token", "credential", "key", "auth", "data" };
	xmlChar *name = xmlGetNoNsProp(node, (const xmlChar *)"name");
	bool tells = name == NULL || has_word((const char *)name, words, NUM(words)) || text_tells(node, text);

	xmlFree(name);
	return tells;
}

/* ---- where they stand ---- */

/* Names without their prefix; what libvirt's schemas have (domaincommon.rng, storagepool.rng). */
static const struct place {
	const char *element, *parent;	/* parent: NULL for any */
	const char *attribute;		/* NULL: its text */
	bool (*tells)(xmlNodePtr node, const char *text);	/* NULL: always hidden */
} places[] = {
	{ "env", "commandline", "value", NULL },
	{ "arg", "commandline", "value", text_tells },
	{ "property", "frontend", "value", name_tells },
	{ "cmdline", "os", NULL, text_tells },
	{ "initarg", "os", NULL, text_tells },
	{ "initenv", "os", NULL, NULL },
	{ "entry", "oemStrings", NULL, NULL },	/* cloud-init, systemd's credentials */
	{ "entry", "sysinfo", NULL, NULL },	/* fwcfg: Ignition */
	{ "source", NULL, "query", NULL },	/* a signed URL */
	{ "option", "mount_opts", "name", text_tells },
	{ "option", "config_opts", "value", name_tells },
	{ "option", "options", "value", text_tells },	/* dnsmasq */
};

static bool
is_named(const xmlNode *node, const char *name)
{
	const char *local = strrchr((const char *)node->name, ':');	/* of a prefix that was not declared */

	return strcmp(local == NULL ? (const char *)node->name : local + 1, name) == 0;
}

static bool
hide_one(xmlNodePtr node, const struct place *place)
{
	xmlChar *text = place->attribute == NULL ? xmlNodeGetContent(node) : xmlGetNoNsProp(node, (const xmlChar *)place->attribute);
	bool hides = text != NULL && text[0] != '\0' && strcmp((const char *)text, SECRETS_HIDDEN) != 0 &&
	    (place->tells == NULL || place->tells(node, (const char *)text));

	xmlFree(text);
	if (hides && place->attribute == NULL)
		xmlNodeSetContent(node, (const xmlChar *)SECRETS_HIDDEN);
	else if (hides)
		(void)xmlSetProp(node, (const xmlChar *)place->attribute, (const xmlChar *)SECRETS_HIDDEN);
	return hides;
}

size_t
secrets_hide_in(struct _xmlNode *node)
{
	size_t num = 0;

	for (size_t i = 0; i < NUM(places); i++)
		if (is_named(node, places[i].element) &&
		    (places[i].parent == NULL || (node->parent != NULL && node->parent->type == XML_ELEMENT_NODE && is_named(node->parent, places[i].parent))))
			num += hide_one(node, &places[i]);
	return num;
}

/* An element of such a name; of one that is in most documents also its attribute, somewhere behind. */
static bool
is_a_place(const char *name, size_t len, const char *end)
{
	for (size_t i = 0; i < NUM(places); i++) {
		const struct place *place = &places[i];

		if (place->element[0] != *name || strlen(place->element) != len || memcmp(place->element, name, len) != 0)
			continue;
		if (place->parent != NULL || memmem(name, (size_t)(end - name), place->attribute, strlen(place->attribute)) != NULL)
			return true;
	}
	return false;
}

/* One pass over the tags: most documents have none of them, and need not be parsed. */
bool
secrets_may_hide(const char *xml, size_t len)
{
	const char *at = xml, *end = xml + len;

	while ((at = memchr(at, '<', (size_t)(end - at))) != NULL) {
		const char *name = ++at;

		while (at < end && strchr(" \t\r\n/>", *at) == NULL) {
			if (*at == ':')
				name = at + 1;
			at++;
		}
		if (at > name && is_a_place(name, (size_t)(at - name), end))
			return true;
	}
	return false;
}
