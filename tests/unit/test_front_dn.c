/*
 * test_front_dn.c: is our text of a certificate's name the one that virt-pki-query-dn prints? Each row has the expected
 * text; where the tool is installed, it is asked as well.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <openssl/pem.h>

#include "gateway/core/handover.h"
#include "gateway/auth/dn.h"
#include "gateway/auth/utf8.h"
#include "tests/unit/front_harness.h"

struct part {
	const char *field;	/* name or OID; NULL ends */
	int type;		/* V_ASN1_… */
	const char *bytes;
	int len;		/* -1: strlen */
	int set;		/* 0: an RDN of its own; -1: joins the one before */
};

struct row {
	struct part parts[6];
	const char *text;
};

#define UTF8(field, bytes) { field, V_ASN1_UTF8STRING, bytes, -1, 0 }
#define PRINTABLE(field, bytes) { field, V_ASN1_PRINTABLESTRING, bytes, -1, 0 }

static const struct row rows[] = {
	{ { PRINTABLE("C", "DE"), UTF8("O", "Lab"), UTF8("CN", "alice") }, "C=DE,O=Lab,CN=alice" },
	{ { UTF8("CN", "alice"), UTF8("O", "Lab") }, "CN=alice,O=Lab" },
	{ { UTF8("O", "Lab, Inc."), UTF8("CN", "a\"b\\c<d>e;f+g=h") }, "O=Lab\\, Inc.,CN=a\\\"b\\\\c\\<d\\>e\\;f\\+g=h" },
	{ { UTF8("CN", " blank ") }, "CN=\\ blank\\ " },
	{ { UTF8("CN", "  two  ") }, "CN=\\  two \\ " },
	{ { UTF8("CN", " ") }, "CN=\\ " },
	{ { UTF8("CN", "#1 a#b") }, "CN=\\#1 a#b" },
	{ { UTF8("CN", "J\xc3\xbcrgen \xe6\x9c\xac") }, "CN=J\xc3\xbcrgen \xe6\x9c\xac" },
	{ { UTF8("O", "Lab"), UTF8("CN", "alice"), { "UID", V_ASN1_UTF8STRING, "a1", -1, -1 } }, "O=Lab,CN=alice+UID=a1" },
	{ { UTF8("O", "Lab"), { "OU", V_ASN1_UTF8STRING, "x", -1, -1 }, UTF8("CN", "bob") }, "OU=x+O=Lab,CN=bob" },
	{ { { "emailAddress", V_ASN1_IA5STRING, "a@b.c", -1, 0 }, UTF8("CN", "a") }, "EMAIL=a@b.c,CN=a" },
	{ { { "DC", V_ASN1_IA5STRING, "lab", -1, 0 }, { "DC", V_ASN1_IA5STRING, "test", -1, 0 } }, "DC=lab,DC=test" },
	{ { UTF8("1.2.3.4.5", "odd"), UTF8("CN", "a") }, "1.2.3.4.5=#0c036f6464,CN=a" },
	{ { UTF8("ST", "BY"), UTF8("L", "Muc"), UTF8("street", "Way 1"), UTF8("title", "Dr"), UTF8("GN", "A"), UTF8("SN", "B") },
	    "ST=BY,L=Muc,street=Way 1,title=Dr,givenName=A,surName=B" },
	{ { PRINTABLE("serialNumber", "17"), PRINTABLE("dnQualifier", "q"), UTF8("initials", "AB"), UTF8("generationQualifier", "II"),
	    UTF8("pseudonym", "p"), UTF8("name", "n") }, "serialNumber=17,dnQualifier=q,initials=AB,generationQualifier=II,pseudonym=p,name=n" },
	{ { UTF8("description", "d"), UTF8("businessCategory", "b"), UTF8("postalCode", "1"), PRINTABLE("2.5.4.20", "123") },
	    "description=d,businessCategory=b,postalCode=1,telephoneNumber=123" },
	{ { { "CN", V_ASN1_BMPSTRING, "\0a\0\xfc", 4, 0 } }, "CN=a\xc3\xbc" },
	{ { { "CN", V_ASN1_T61STRING, "plain", -1, 0 } }, "CN=plain" },
	{ { { "CN", V_ASN1_T61STRING, "J\xfcrgen", -1, 0 } }, "CN=\\#4afc7267656e" },
	{ { { "CN", V_ASN1_UNIVERSALSTRING, "\0\0\0a", 4, 0 } }, "CN=\\#00000061" },
	{ { { "CN", V_ASN1_IA5STRING, "ia5", -1, 0 } }, "CN=#1603696135" },
	{ { { "CN", V_ASN1_UTF8STRING, "a\0b", 3, 0 } }, "CN=#0c03610062" },
	{ { UTF8("CN", "line\nbreak\x01") }, "CN=line\nbreak\x01" },
	{ { UTF8("C", "DE"), UTF8("CN", "a") }, "C=#0c024445,CN=a" },
	{ { { "emailAddress", V_ASN1_UTF8STRING, "a@b.c", -1, 0 } }, "EMAIL=#0c056140622e63" },
	{ { UTF8("1.3.6.1.5.5.7.8.5", "a@x.org"), UTF8("CN", "a") }, "XmppAddr=a@x.org,CN=a" },
	{ { UTF8("1.2.840.113556.1.4.656", "a@x.org") }, "userPrincipalName=a@x.org" },
	{ { UTF8("1.3.6.1.4.1.311.60.2.1.1", "Muc"), UTF8("1.3.6.1.4.1.311.60.2.1.2", "BY"), PRINTABLE("1.3.6.1.4.1.311.60.2.1.3", "DE") },
	    "jurisdictionOfIncorporationLocalityName=Muc,jurisdictionOfIncorporationStateOrProvinceName=BY,jurisdictionOfIncorporationCountryName=DE" },
	{ { { "1.2.643.100.1", V_ASN1_NUMERICSTRING, "123", -1, 0 }, { "1.2.643.3.131.1.1", V_ASN1_NUMERICSTRING, "9", -1, 0 } },
	    "OGRN=123,INN=9" },
	{ { UTF8("1.3.6.1.5.5.7.9.2", "Muc"), PRINTABLE("1.3.6.1.5.5.7.9.3", "F"), PRINTABLE("1.3.6.1.5.5.7.9.4", "DE"),
	    PRINTABLE("1.3.6.1.5.5.7.9.5", "FR") }, "placeOfBirth=Muc,gender=F,countryOfCitizenship=DE,countryOfResidence=FR" },
	{ { UTF8("1.2.840.113549.1.9.7", "pw") }, "1.2.840.113549.1.9.7=pw" },
	{ { { "1.2.840.113549.1.9.20", V_ASN1_BMPSTRING, "\0f", 2, 0 } }, "1.2.840.113549.1.9.20=f" },
	{ { UTF8("unstructuredName", "u") }, "1.2.840.113549.1.9.2=#0c0175" },
	{ { UTF8("2.5.4.97", "VATDE-1") }, "2.5.4.97=#0c0756415444452d31" },
};

static X509_NAME *
make_name(const struct part *parts)
{
	X509_NAME *name = X509_NAME_new();

	for (int i = 0; i < 6 && parts[i].field != NULL; i++) {
		ASN1_OBJECT *object = OBJ_txt2obj(parts[i].field, 0);
		X509_NAME_ENTRY *entry = X509_NAME_ENTRY_create_by_OBJ(NULL, object, parts[i].type,
		    (const unsigned char *)parts[i].bytes, parts[i].len < 0 ? (int)strlen(parts[i].bytes) : parts[i].len);

		assert_non_null(entry);
		assert_int_equal(X509_NAME_add_entry(name, entry, -1, parts[i].set), 1);
		X509_NAME_ENTRY_free(entry);
		ASN1_OBJECT_free(object);
	}
	return name;
}

/* What virt-pki-query-dn says: its line, NULL when it refuses. */
static char *
ask_tool(const struct cert *cert)
{
	char path[64], *line = NULL;
	size_t size = 0;
	ssize_t len;
	int fds[2], file = file_of_certs(cert->x509, NULL), status;
	FILE *out;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		dup2(file, 100);
		dup2(fds[1], 1);
		dup2(fds[1], 2);
		close(fds[0]);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", 100);
		execlp("virt-pki-query-dn", "virt-pki-query-dn", path, (char *)NULL);
		_exit(127);
	}
	close(fds[1]);
	close(file);
	out = fdopen(fds[0], "r");
	len = getdelim(&line, &size, EOF, out);
	fclose(out);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (len <= 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		free(line);
		return NULL;
	}
	line[len - 1] = '\0';
	return line;
}

static bool
tool_is_there(void)
{
	return access("/usr/bin/virt-pki-query-dn", X_OK) == 0;
}

static void
test_I4_text_is_that_of_the_tool(void **state)
{
	unsigned wrong = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		X509_NAME *name = make_name(rows[i].parts);
		struct cert cert = cert_make((struct cert_wish){ .name = name, .cn = "" });
		char *text = dn_text(X509_get_subject_name(cert.x509)), *told = NULL;
		bool right = text != NULL && strcmp(text, rows[i].text) == 0;

		if (tool_is_there()) {
			told = ask_tool(&cert);
			right = right && told != NULL && strcmp(told, rows[i].text) == 0;
		}
		if (!right) {
			print_error("row %zu: expected <%s>, ours <%s>, virt-pki-query-dn <%s>\n", i,
			    rows[i].text, text != NULL ? text : "refused",
			    told != NULL ? told : "refused");
			wrong++;
		}
		free(text);
		free(told);
		cert_free(&cert);
	}
	assert_int_equal(wrong, 0);
	if (!tool_is_there())
		print_message("virt-pki-query-dn is not installed: compared with the table only\n");
}

struct identity_row {
	struct part parts[4];
	const char *san;
	bool good;
	const char *cn;
};

static const struct identity_row identity_rows[] = {
	{ { UTF8("O", "Lab"), UTF8("CN", "alice") }, NULL, true, "alice" },
	{ { UTF8("O", "Lab") }, NULL, true, NULL },
	{ { UTF8("CN", "a"), UTF8("CN", "b") }, NULL, false, NULL },
	{ { { "CN", V_ASN1_UTF8STRING, "a\0b", 3, 0 } }, NULL, false, NULL },
	{ { { "O", V_ASN1_UTF8STRING, "a\0b", 3, 0 }, UTF8("CN", "a") }, NULL, false, NULL },
	{ { UTF8("CN", "a\nb") }, NULL, false, NULL },
	{ { UTF8("CN", "a"), UTF8("O", "x\x7f") }, NULL, false, NULL },
	{ { { "CN", V_ASN1_T61STRING, "plain", -1, 0 } }, NULL, false, NULL },
	{ { { NULL, 0, NULL, 0, 0 } }, NULL, false, NULL },
	{ { UTF8("CN", "a") }, "DNS:a.lab,email:a@lab.test,IP:10.0.0.1,URI:urn:a", true, "a" },
	{ { UTF8("CN", "a") }, "DNS:a.lab,DNS:a.lab", false, NULL },
	{ { UTF8("CN", "a") }, "DNS:a.lab,DNS:A.lab", true, "a" },
	{ { UTF8("CN", "a") }, "DNS:1,DNS:2,DNS:3,DNS:4,DNS:5,DNS:6,DNS:7,DNS:8,DNS:9,DNS:10,DNS:11,DNS:12,DNS:13,DNS:14,DNS:15,DNS:16,DNS:17",
	    false, NULL },
};

static void
test_I4_ambiguous_names_are_no_identity(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(identity_rows) / sizeof(identity_rows[0]); i++) {
		struct cert cert = cert_make((struct cert_wish){ .name = make_name(identity_rows[i].parts), .san = identity_rows[i].san });
		struct vg_identity identity = { 0 };
		struct vg_error error = { .what = "" };
		int ret = dn_identity(cert.x509, &identity, &error);

		if ((ret == 0) != identity_rows[i].good)
			fail_msg("row %zu: %s %s", i, ret == 0 ? "taken" : "refused", error.what);
		if (ret == 0 && identity_rows[i].cn != NULL)
			assert_string_equal(identity.x509_cn, identity_rows[i].cn);
		if (ret == 0 && identity_rows[i].cn == NULL)
			assert_null(identity.x509_cn);
		identity_clear(&identity);
		cert_free(&cert);
	}
}

static void
test_I4_utf8(void **state)
{
	static const struct { const char *bytes; size_t len; bool good; } texts[] = {
		{ "", 0, true }, { "alice", 5, true }, { "a\0b", 3, false }, { "\x1f", 1, false }, { "\x7f", 1, false },
		{ "\xc2\x80", 2, false }, { "\xc2\x9f", 2, false }, { "\xc2\xa0", 2, true }, { "\xc0\x80", 2, false },
		{ "\xc1\xbf", 2, false }, { "\xe0\x80\x80", 3, false }, { "\xe0\x9f\xbf", 3, false }, { "\xe0\xa0\x80", 3, true },
		{ "\xed\xa0\x80", 3, false }, { "\xed\x9f\xbf", 3, true }, { "\xf0\x8f\xbf\xbf", 4, false },
		{ "\xf0\x90\x80\x80", 4, true }, { "\xf4\x8f\xbf\xbf", 4, true }, { "\xf4\x90\x80\x80", 4, false },
		{ "\xf5\x80\x80\x80", 4, false }, { "\xe6\x9c", 2, false }, { "\xe6\x9c\x41", 3, false }, { "\x80", 1, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (utf8_is_name((const uint8_t *)texts[i].bytes, texts[i].len) != texts[i].good)
			fail_msg("text %zu", i);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_I4_text_is_that_of_the_tool),
		cmocka_unit_test(test_I4_ambiguous_names_are_no_identity),
		cmocka_unit_test(test_I4_utf8),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
