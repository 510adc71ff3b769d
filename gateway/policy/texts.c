/*
 * texts.c: parts of a policy as people write them.
 */
#include <stdio.h>
#include <string.h>

#include "gateway/policy/texts.h"

void
conditions_text(const struct when *when, unsigned given, char *buf, size_t size)
{
	unsigned proofs = when->proofs & ~given;
	char proof[32];
	size_t len = 0;
	const struct {
		const char *name, *text;
	} parts[] = { { "from ", when->from_text }, { "proof", proofs != 0 ? proof : NULL }, { "hours ", when->hours_text },
		{ "until ", when->until_text } };

	snprintf(proof, sizeof(proof), "%s%s%s", (proofs & VG_PROOF_X509) != 0 ? " x509" : "",
	    (proofs & VG_PROOF_SASL) != 0 ? " sasl" : "", (proofs & VG_PROOF_UNIX) != 0 ? " unix" : "");
	buf[0] = '\0';
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]) && len < size; i++) {
		if (parts[i].text != NULL)
			len += (size_t)snprintf(buf + len, size - len, "%s%s%s", len > 0 ? "; " : "", parts[i].name, parts[i].text);
	}
}

void
who_text(const struct who *who, char *buf, size_t size)
{
	static const char *const prefixes[] = {
		[WHO_ANYONE] = "anyone", [WHO_SASL] = "sasl:", [WHO_X509] = "x509:", [WHO_X509_CN] = "x509-cn:",
		[WHO_X509_SAN] = "x509-san:", [WHO_X509_SHA256] = "x509-sha256:", [WHO_UNIX] = "unix:",
		[WHO_UNIX_GROUP] = "unix-group:", [WHO_GROUP] = "group:",
	};

	snprintf(buf, size, "%s%s", prefixes[who->kind], who->text != NULL ? who->text : "");
}

void
pattern_text(const struct pattern *pattern, char *buf, size_t size)
{
	const uint8_t *u = pattern->uuid;
	const char *class = class_name(pattern->class);

	switch (pattern->kind) {
	case PATTERN_ALL:
		snprintf(buf, size, "%s%s*", pattern->class != VG_CLASS_none ? class : "", pattern->class != VG_CLASS_none ? ":" : "");
		return;
	case PATTERN_NAME:
		snprintf(buf, size, "%s:%s%s%s", class, pattern->parent != NULL ? pattern->parent : "",
		    pattern->parent != NULL ? "/" : "", pattern->name);
		return;
	case PATTERN_UUID:
		snprintf(buf, size, "%s:uuid:%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", class, u[0], u[1],
		    u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11], u[12], u[13], u[14], u[15]);
		return;
	}
}

size_t
policy_dn_cn(const char *dn, const char **cn)
{
	size_t len, found = 0;

	if (strpbrk(dn, "\\\"+") != NULL)
		return 0;
	for (const char *part = dn;; part += len + 1) {
		len = strcspn(part, ",");
		if (strncmp(part, "CN=", 3) == 0) {
			if (found > 0 || len == 3)
				return 0;
			*cn = part + 3;
			found = len - 3;
		}
		if (part[len] == '\0')
			return found;
	}
}
