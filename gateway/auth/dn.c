/*
 * dn.c: distinguished names as GnuTLS writes them: RDNs in the certificate's order, joined by commas; the attributes of
 * one RDN by '+'; OIDs that have a name by that name; RFC 4514 escapes; '#' and hex where a value is no text.
 */
#include "gateway/auth/dn.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/asn1.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "gateway/core/buf.h"

/* How a value of an attribute may be encoded: any DirectoryString, or one type only. */
enum { ANY_STRING = -1 };

struct attribute {
	const char *oid;
	const char *name;	/* NULL: GnuTLS knows the type but prints the OID */
	int tag;		/* ANY_STRING, or the V_ASN1_ type */
};

static const struct attribute attributes[] = {
	{ "2.5.4.3", "CN", ANY_STRING },
	{ "2.5.4.4", "surName", ANY_STRING },
	{ "2.5.4.5", "serialNumber", V_ASN1_PRINTABLESTRING },
	{ "2.5.4.6", "C", V_ASN1_PRINTABLESTRING },
	{ "2.5.4.7", "L", ANY_STRING },
	{ "2.5.4.8", "ST", ANY_STRING },
	{ "2.5.4.9", "street", ANY_STRING },
	{ "2.5.4.10", "O", ANY_STRING },
	{ "2.5.4.11", "OU", ANY_STRING },
	{ "2.5.4.12", "title", ANY_STRING },
	{ "2.5.4.13", "description", ANY_STRING },
	{ "2.5.4.15", "businessCategory", ANY_STRING },
	{ "2.5.4.17", "postalCode", ANY_STRING },
	{ "2.5.4.20", "telephoneNumber", V_ASN1_PRINTABLESTRING },
	{ "2.5.4.41", "name", ANY_STRING },
	{ "2.5.4.42", "givenName", ANY_STRING },
	{ "2.5.4.43", "initials", ANY_STRING },
	{ "2.5.4.44", "generationQualifier", ANY_STRING },
	{ "2.5.4.46", "dnQualifier", V_ASN1_PRINTABLESTRING },
	{ "2.5.4.65", "pseudonym", ANY_STRING },
	{ "0.9.2342.19200300.100.1.1", "UID", ANY_STRING },
	{ "0.9.2342.19200300.100.1.25", "DC", V_ASN1_IA5STRING },
	{ "1.2.840.113549.1.9.1", "EMAIL", V_ASN1_IA5STRING },
	{ "1.2.840.113549.1.9.7", NULL, ANY_STRING },
	{ "1.2.840.113549.1.9.20", NULL, V_ASN1_BMPSTRING },
	{ "1.2.840.113549.1.9.21", NULL, V_ASN1_OCTET_STRING },
	{ "1.2.840.113556.1.4.656", "userPrincipalName", ANY_STRING },
	{ "1.2.643.100.1", "OGRN", V_ASN1_NUMERICSTRING },
	{ "1.2.643.100.3", "SNILS", V_ASN1_NUMERICSTRING },
	{ "1.2.643.100.5", "OGRNIP", V_ASN1_NUMERICSTRING },
	{ "1.2.643.3.131.1.1", "INN", V_ASN1_NUMERICSTRING },
	{ "1.3.6.1.4.1.311.60.2.1.1", "jurisdictionOfIncorporationLocalityName", ANY_STRING },
	{ "1.3.6.1.4.1.311.60.2.1.2", "jurisdictionOfIncorporationStateOrProvinceName", ANY_STRING },
	{ "1.3.6.1.4.1.311.60.2.1.3", "jurisdictionOfIncorporationCountryName", V_ASN1_PRINTABLESTRING },
	{ "1.3.6.1.5.5.7.8.5", "XmppAddr", V_ASN1_UTF8STRING },
	{ "1.3.6.1.5.5.7.9.2", "placeOfBirth", ANY_STRING },
	{ "1.3.6.1.5.5.7.9.3", "gender", V_ASN1_PRINTABLESTRING },
	{ "1.3.6.1.5.5.7.9.4", "countryOfCitizenship", V_ASN1_PRINTABLESTRING },
	{ "1.3.6.1.5.5.7.9.5", "countryOfResidence", V_ASN1_PRINTABLESTRING },
};

static const struct attribute *
find_attribute(const char *oid)
{
	for (size_t i = 0; i < sizeof(attributes) / sizeof(attributes[0]); i++)
		if (strcmp(attributes[i].oid, oid) == 0)
			return &attributes[i];
	return NULL;
}

static int
add_text(struct buf *out, const char *text)
{
	return buf_add(out, text, strlen(text));
}

static int
add_hex(struct buf *out, const uint8_t *data, size_t len)
{
	static const char digits[] = "0123456789abcdef";

	if (add_text(out, "#") < 0)
		return -1;
	for (size_t i = 0; i < len; i++) {
		char pair[2] = { digits[data[i] >> 4], digits[data[i] & 15] };

		if (buf_add(out, pair, sizeof(pair)) < 0)
			return -1;
	}
	return 0;
}

/* RFC 4514 with GnuTLS's set of characters. */
static int
add_escaped(struct buf *out, const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		bool special = strchr(",+\"\\<>;", data[i]) != NULL || (i == 0 && data[i] == '#') ||
		    ((i == 0 || i == len - 1) && data[i] == ' ');

		if ((special && add_text(out, "\\") < 0) || buf_add(out, &data[i], 1) < 0)
			return -1;
	}
	return 0;
}

static bool
is_ascii(const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (data[i] >= 0x80)
			return false;
	return true;
}

/*
 * UNREADABLE: not of a type that GnuTLS takes for this attribute, or with a NUL inside. BYTES: of a type that is no
 * text.
 */
enum value_kind { VALUE_TEXT, VALUE_BYTES, VALUE_UNREADABLE, VALUE_NO_MEMORY };

static enum value_kind
copy_text(const uint8_t *data, size_t len, uint8_t **text)
{
	if (memchr(data, 0, len) != NULL)
		return VALUE_UNREADABLE;
	*text = OPENSSL_memdup(data, len > 0 ? len : 1);
	return *text != NULL ? VALUE_TEXT : VALUE_NO_MEMORY;
}

/* The value as text into `text`, which is OpenSSL's memory. */
static enum value_kind
value_text(const struct attribute *attribute, const ASN1_STRING *value, uint8_t **text, size_t *len)
{
	const uint8_t *data = ASN1_STRING_get0_data(value);
	int type = ASN1_STRING_type(value), converted;

	*len = (size_t)ASN1_STRING_length(value);
	if (attribute->tag != ANY_STRING && attribute->tag != type)
		return VALUE_UNREADABLE;
	switch (type) {
	case V_ASN1_BMPSTRING:
		converted = ASN1_STRING_to_UTF8(text, value);
		if (converted < 0)
			return VALUE_BYTES;
		*len = (size_t)converted;
		return memchr(*text, 0, *len) == NULL ? VALUE_TEXT : VALUE_UNREADABLE;
	case V_ASN1_T61STRING:
		return is_ascii(data, *len) ? copy_text(data, *len, text) : VALUE_BYTES;
	case V_ASN1_UNIVERSALSTRING:
		return VALUE_BYTES;
	case V_ASN1_UTF8STRING:
	case V_ASN1_PRINTABLESTRING:
		return copy_text(data, *len, text);
	default:
		return attribute->tag == type ? copy_text(data, *len, text) : VALUE_UNREADABLE;
	}
}

/* A value that GnuTLS cannot read as text: its whole encoding in hex. */
static int
add_encoding(struct buf *out, const ASN1_STRING *value)
{
	ASN1_TYPE any = { .type = ASN1_STRING_type(value) };
	uint8_t *der = NULL;
	int len, ret;

	any.value.asn1_string = (ASN1_STRING *)(uintptr_t)value;
	len = i2d_ASN1_TYPE(&any, &der);
	ret = len > 0 ? add_hex(out, der, (size_t)len) : -1;
	OPENSSL_free(der);
	return ret;
}

static int
add_value(struct buf *out, const struct attribute *attribute, const ASN1_STRING *value)
{
	struct buf hex = { 0 };
	uint8_t *text = NULL;
	size_t len;
	int ret;

	if (attribute == NULL)
		return add_encoding(out, value);
	switch (value_text(attribute, value, &text, &len)) {
	case VALUE_TEXT:
		ret = add_escaped(out, text, len);
		break;
	case VALUE_BYTES:
		/* GnuTLS takes the hex for text and escapes its first character. */
		ret = add_hex(&hex, ASN1_STRING_get0_data(value), len);
		if (ret == 0)
			ret = add_escaped(out, buf_head(&hex), buf_len(&hex));
		buf_free(&hex);
		break;
	case VALUE_UNREADABLE:
		ret = add_encoding(out, value);
		break;
	default:
		ret = -1;
		break;
	}
	OPENSSL_free(text);
	return ret;
}

char *
dn_text(const X509_NAME *name)
{
	struct buf out = { 0 };
	char *text = NULL;
	int set = -1;

	for (int i = 0; i < X509_NAME_entry_count(name); i++) {
		const X509_NAME_ENTRY *entry = X509_NAME_get_entry(name, i);
		const struct attribute *attribute;
		char oid[128];

		if (OBJ_obj2txt(oid, sizeof(oid), X509_NAME_ENTRY_get_object(entry), 1) >= (int)sizeof(oid))
			goto out;
		attribute = find_attribute(oid);
		if (i > 0 && add_text(&out, X509_NAME_ENTRY_set(entry) == set ? "+" : ",") < 0)
			goto out;
		set = X509_NAME_ENTRY_set(entry);
		if (add_text(&out, attribute != NULL && attribute->name != NULL ? attribute->name : oid) < 0 ||
		    add_text(&out, "=") < 0 || add_value(&out, attribute, X509_NAME_ENTRY_get_data(entry)) < 0)
			goto out;
	}
	if (buf_len(&out) > 0)
		text = strndup((const char *)buf_head(&out), buf_len(&out));
out:
	buf_free(&out);
	ERR_clear_error();
	return text;
}
