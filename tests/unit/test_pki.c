/* test_pki.c: names, files and the steps of a PKI, each in a directory of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/pkcs12.h>
#include <openssl/x509v3.h>

#include "certs/names.h"
#include "tests/unit/pki_fixture.h"

#define DAY 86400

/* ---- names ---- */

static void
names_of_clients(void **state)
{
	static const char *const good[] = { "alice", "bob@EXAMPLE.COM", "Anna Maria", "J\xc3\xbcrgen", "a.b-c_d", "7" };
	static const char *const bad[] = { "", ".", "..", ".hidden", "-x", "a/b", "a\nb", "a\tb", "\x1b[2J", " a", "a ",
	    "a,CN=root", "a=b", "a*", "a?", "a+b", "a\\b", "a\"b", "a;b", "a#b", "a<b", "\xff", "\xc3", "\xc0\xaf",
	    "\xed\xa0\x80", "a\xe2\x80\xae" "b", "a\xc2\x85" "b",
	    "0123456789012345678901234567890123456789012345678901234567890123x" };
	struct vg_error error;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		if (name_check_client(good[i], &error) < 0)
			fail_msg("'%s' refused: %s", good[i], error.what);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (name_check_client(bad[i], &error) == 0)
			fail_msg("'%s' accepted", bad[i]);
}

static void
names_of_hosts(void **state)
{
	static const char *const good[] = { "gw", "gw.example.com", "*.example.com", "192.0.2.1", "::1", "2001:db8::7",
	    "xn--bcher-kva.example", "3com.com", "a_b.example" };
	static const char *const bad[] = { "", "*", "*.", "a..b", ".a", "a.", "-a", "a-", "a b", "a/b", "10.0.0.256",
	    "1.2.3", "[::1]", "::1%eth0", "gw:16514", "b\303\274cher.example", "a.*.b", "a*.b", "gw\n",
	    "x123456789012345678901234567890123456789012345678901234567890123.com" };
	struct vg_error error;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		if (name_check_host(good[i], &error) < 0)
			fail_msg("'%s' refused: %s", good[i], error.what);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (name_check_host(bad[i], &error) == 0)
			fail_msg("'%s' accepted", bad[i]);
	assert_int_equal(name_check_email("a@example.com", &error), 0);
	assert_int_equal(name_check_email("a b@example.com", &error), -1);
	assert_int_equal(name_check_email("@example.com", &error), -1);
	assert_int_equal(name_check_email("a@b@example.com", &error), -1);
	assert_int_equal(name_check_email("a@", &error), -1);
}

/* ---- certificates ---- */

static void
ca_and_modes(void **state)
{
	struct fixture *f = *state;
	mode_t before = umask(0077);
	X509 *ca;

	init_ca(f);
	(void)umask(before);
	assert_int_equal(mode_of(below(f, "CA/private/cakey.pem")), 0600);
	assert_int_equal(mode_of(below(f, "CA/private")), 0700);
	assert_int_equal(mode_of(below(f, "CA/cacert.pem")), 0644);
	assert_int_equal(mode_of(below(f, "CA/cacrl.pem")), 0644);
	assert_int_equal(mode_of(below(f, "CA")), 0755);
	ca = load_cert(below(f, "CA/cacert.pem"));
	assert_int_equal(X509_check_ca(ca), 1);
	assert_int_equal(X509_get_key_usage(ca), KU_KEY_CERT_SIGN | KU_CRL_SIGN);
	assert_int_equal(X509_get_pathlen(ca), 0);
	assert_non_null(X509_get0_subject_key_id(ca));
	X509_free(ca);
}

static void
server_certificate(void **state)
{
	static const char *const hosts[] = { "gw.example.com", "gw", "192.0.2.7", "2001:db8::7" };
	struct fixture *f = *state;
	struct pki_request request = { .hosts = hosts, .num_hosts = 4, .org_unit = "doors" };
	struct pki_result result;
	const char *path = below(f, "libvirt/servercert.pem");
	X509 *cert;

	init_ca(f);
	ok(f, pki_server(&f->pki, &request, &result, &f->error));
	assert_string_equal(result.record.name, "gw.example.com");
	assert_string_equal(result.record.dn, "/CN=gw.example.com/OU=doors/O=Test");
	assert_int_equal(result.num_files, 2);
	assert_int_equal(mode_of(below(f, "libvirt/private/serverkey.pem")), 0600);
	assert_int_equal(mode_of(path), 0644);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(verdict(f, path, X509_PURPOSE_SSL_SERVER, hosts[i]), X509_V_OK);
	assert_int_equal(verdict(f, path, X509_PURPOSE_SSL_SERVER, "other.example.com"), X509_V_ERR_HOSTNAME_MISMATCH);
	assert_int_equal(verdict(f, path, X509_PURPOSE_SSL_CLIENT, NULL), X509_V_ERR_INVALID_PURPOSE);
	cert = load_cert(path);
	assert_int_equal(X509_get_key_usage(cert), KU_DIGITAL_SIGNATURE | KU_KEY_ENCIPHERMENT);
	assert_int_equal(X509_get_extended_key_usage(cert), XKU_SSL_SERVER);
	assert_true(X509_get_serialNumber(cert)->length >= 12);
	assert_int_equal(X509_get_signature_nid(cert), NID_ecdsa_with_SHA256);
	X509_free(cert);
	pki_result_clear(&result);
}

static void
client_certificate_and_pkcs12(void **state)
{
	static const char *const emails[] = { "alice@example.com" };
	struct fixture *f = *state;
	struct pki_request request = { .name = "alice", .emails = emails, .num_emails = 1, .org = "Other", .password =
	    "correct horse" };
	struct pki_result result;
	PKCS12 *p12;
	FILE *in;
	EVP_PKEY *key = NULL;
	X509 *cert = NULL;
	STACK_OF(X509) *chain = NULL;

	init_ca(f);
	ok(f, pki_client(&f->pki, &request, &result, &f->error));
	assert_string_equal(result.record.dn, "/CN=alice/O=Other");
	assert_int_equal(result.num_files, 4);
	pki_result_clear(&result);
	assert_int_equal(verdict(f, below(f, "clients/alice/clientcert.pem"), X509_PURPOSE_SSL_CLIENT, NULL),
	    X509_V_OK);
	assert_int_equal(mode_of(below(f, "clients/alice")), 0700);
	assert_int_equal(mode_of(below(f, "clients/alice/clientkey.pem")), 0600);
	assert_int_equal(mode_of(below(f, "clients/alice/client.p12")), 0600);
	in = fopen(below(f, "clients/alice/client.p12"), "r");
	assert_non_null(in);
	p12 = d2i_PKCS12_fp(in, NULL);
	(void)fclose(in);
	assert_non_null(p12);
	assert_int_equal(PKCS12_verify_mac(p12, "wrong horse", -1), 0);
	assert_int_equal(PKCS12_parse(p12, "correct horse", &key, &cert, &chain), 1);
	assert_int_equal(X509_check_private_key(cert, key), 1);
	assert_int_equal(X509_check_email(cert, emails[0], 0, 0), 1);
	assert_int_equal(sk_X509_num(chain), 1);
	certs_free(chain);
	X509_free(cert);
	EVP_PKEY_free(key);
	PKCS12_free(p12);
}

static void
ends_with_its_ca(void **state)
{
	struct fixture *f = *state;
	struct pki_request ca = { .name = "Short CA", .days = 10 }, client = { .name = "alice", .days = 30 };
	struct pki_result result;

	ok(f, pki_init(&f->pki, &ca, &result, &f->error));
	pki_result_clear(&result);
	ok(f, pki_client(&f->pki, &client, &result, &f->error));
	assert_true(result.shortened);
	assert_int_equal(result.record.not_after, f->pki.now + 10 * DAY);
	pki_result_clear(&result);
	f->pki.now += 11 * DAY;
	client.name = "bob";
	assert_int_equal(pki_client(&f->pki, &client, &result, &f->error), -1);
	assert_non_null(strstr(f->error.what, "expired"));
}

/* ---- never overwrites ---- */

static void
never_overwrites(void **state)
{
	static const char *const hosts[] = { "gw" };
	struct fixture *f = *state;
	struct pki_request ca = { .name = "Other CA" }, server = { .hosts = hosts, .num_hosts = 1 };
	struct pki_result result;
	struct index index;
	char *before, *after;
	size_t before_len, after_len;

	init_ca(f);
	ok(f, file_read(below(f, "CA/private/cakey.pem"), &before, &before_len, &f->error));
	assert_int_equal(pki_init(&f->pki, &ca, &result, &f->error), -1);
	assert_non_null(strstr(f->error.what, "never overwritten"));
	assert_non_null(strstr(f->error.hint, "mv "));
	ok(f, file_read(below(f, "CA/private/cakey.pem"), &after, &after_len, &f->error));
	assert_int_equal(before_len, after_len);
	assert_memory_equal(before, after, before_len);
	file_free(before, before_len);
	file_free(after, after_len);

	ok(f, pki_server(&f->pki, &server, &result, &f->error));
	pki_result_clear(&result);
	assert_int_equal(pki_server(&f->pki, &server, &result, &f->error), -1);
	assert_non_null(strstr(f->error.what, "serverkey.pem exists"));

	/* A dangling symbolic link is something that exists, too: nothing is written through it. */
	make_client(f, "alice");
	ok(f, make_dir(below(f, "clients/bob"), 0700, &f->error));
	assert_int_equal(symlink(below(f, "elsewhere"), below(f, "clients/bob/clientkey.pem")), 0);
	ca.name = "bob";
	assert_int_equal(pki_client(&f->pki, &ca, &result, &f->error), -1);
	assert_int_equal(access(below(f, "elsewhere"), F_OK), -1);

	/* Refused ones left no record. */
	ok(f, index_load(&index, f->pki.tree.path[PKI_INDEX], &f->error));
	assert_int_equal(index.num, 3);
	index_clear(&index);
}

static void
set_is_all_or_nothing(void **state)
{
	struct fixture *f = *state;
	struct file_set set = { .num = 0 };
	char *text;
	size_t len;
	DIR *dir;
	unsigned entries = 0;

	ok(f, file_set_add(&set, below(f, "one"), "1", 1, 0644, false, &f->error));
	ok(f, file_set_add(&set, below(f, "two"), "2", 1, 0600, false, &f->error));
	assert_int_equal(symlink("/nonexistent", below(f, "two")), 0);
	assert_int_equal(file_set_publish(&set, &f->error), -1);
	assert_non_null(strstr(f->error.what, "two exists"));
	file_set_clear(&set);
	assert_int_equal(access(below(f, "one"), F_OK), -1);
	dir = opendir(f->dir);
	while (readdir(dir) != NULL)
		entries++;
	(void)closedir(dir);
	assert_int_equal(entries, 3);	/* ".", ".." and the link */

	assert_int_equal(unlink(below(f, "two")), 0);
	ok(f, file_set_add(&set, below(f, "two"), "2", 1, 0600, false, &f->error));
	ok(f, file_set_publish(&set, &f->error));
	file_set_clear(&set);
	ok(f, file_read(below(f, "two"), &text, &len, &f->error));
	assert_string_equal(text, "2");
	file_free(text, len);
}

/* ---- revocation ---- */

static void
revoked_is_refused(void **state)
{
	struct fixture *f = *state;
	struct pki_request again = { .name = "alice", .out = NULL, .force_new = true };
	struct pki_result result;
	struct index revoked;
	const char *alice = below(f, "clients/alice/clientcert.pem"), *bob = below(f, "clients/bob/clientcert.pem");
	char out[PKI_PATH_MAX];
	X509_CRL *crl;

	init_ca(f);
	make_client(f, "alice");
	make_client(f, "bob");
	again.force_new = false;
	assert_int_equal(pki_client(&f->pki, &again, &result, &f->error), -1);
	assert_non_null(strstr(f->error.hint, "--force-new"));
	again.force_new = true;
	(void)snprintf(out, sizeof(out), "%s/second", f->dir);
	again.out = out;
	ok(f, pki_client(&f->pki, &again, &result, &f->error));
	pki_result_clear(&result);

	ok(f, pki_revoke(&f->pki, PKI_BY_NAME, "alice", "keycompromise", &revoked, &f->error));
	assert_int_equal(revoked.num, 2);
	assert_string_equal(revoked.records[0].reason, "keyCompromise");
	index_clear(&revoked);
	assert_int_equal(verdict(f, alice, X509_PURPOSE_SSL_CLIENT, NULL), X509_V_ERR_CERT_REVOKED);
	assert_int_equal(verdict(f, below(f, "second/clientcert.pem"), X509_PURPOSE_SSL_CLIENT, NULL),
	    X509_V_ERR_CERT_REVOKED);
	assert_int_equal(verdict(f, bob, X509_PURPOSE_SSL_CLIENT, NULL), X509_V_OK);

	assert_int_equal(pki_revoke(&f->pki, PKI_BY_NAME, "alice", NULL, &revoked, &f->error), 1);
	assert_non_null(strstr(f->error.what, "revoked already"));
	assert_int_equal(pki_revoke(&f->pki, PKI_BY_NAME, "nobody", NULL, &revoked, &f->error), 1);
	assert_int_equal(pki_revoke(&f->pki, PKI_BY_NAME, "Test CA", NULL, &revoked, &f->error), 1);
	assert_int_equal(pki_revoke(&f->pki, PKI_BY_NAME, "bob", "because", &revoked, &f->error), -1);
	assert_int_equal(pki_revoke(&f->pki, PKI_BY_FILE, below(f, "CA/cacert.pem"), NULL, &revoked, &f->error), -1);

	/* One that the index does not know, by its file; the list keeps the others even without the index. */
	assert_int_equal(unlink(f->pki.tree.path[PKI_INDEX]), 0);
	ok(f, pki_revoke(&f->pki, PKI_BY_FILE, bob, "superseded", &revoked, &f->error));
	assert_int_equal(revoked.num, 1);
	assert_int_equal(revoked.records[0].kind, CERT_CLIENT);
	assert_string_equal(revoked.records[0].name, "bob");
	index_clear(&revoked);
	assert_int_equal(verdict(f, bob, X509_PURPOSE_SSL_CLIENT, NULL), X509_V_ERR_CERT_REVOKED);
	assert_int_equal(verdict(f, alice, X509_PURPOSE_SSL_CLIENT, NULL), X509_V_ERR_CERT_REVOKED);
	crl = load_crl(f->pki.tree.path[PKI_CRL]);
	assert_int_equal(sk_X509_REVOKED_num(X509_CRL_get_REVOKED(crl)), 3);
	X509_CRL_free(crl);
}

static void
crl_is_renewed(void **state)
{
	struct fixture *f = *state;
	const char *alice = below(f, "clients/alice/clientcert.pem");
	ASN1_INTEGER *number;
	X509_CRL *crl;
	time_t next;

	init_ca(f);
	make_client(f, "alice");
	ok(f, pki_crl(&f->pki, 7, &next, &f->error));
	assert_int_equal(next, f->pki.now + 7 * DAY);
	f->pki.now += 8 * DAY;
	assert_int_equal(verdict(f, alice, X509_PURPOSE_SSL_CLIENT, NULL), X509_V_ERR_CRL_HAS_EXPIRED);
	ok(f, pki_crl(&f->pki, 7, &next, &f->error));
	assert_int_equal(verdict(f, alice, X509_PURPOSE_SSL_CLIENT, NULL), X509_V_OK);
	crl = load_crl(f->pki.tree.path[PKI_CRL]);
	number = X509_CRL_get_ext_d2i(crl, NID_crl_number, NULL, NULL);
	assert_int_equal(ASN1_INTEGER_get(number), 3);
	ASN1_INTEGER_free(number);
	X509_CRL_free(crl);
}

static void
crl_of_another_ca_is_kept(void **state)
{
	struct fixture *f = *state, *other;
	void *other_state;
	char *bytes;
	size_t len;
	time_t next;
	struct file_set set = { .num = 0 };

	setup(&other_state);
	other = other_state;
	init_ca(f);
	init_ca(other);
	ok(f, file_read(other->pki.tree.path[PKI_CRL], &bytes, &len, &f->error));
	ok(f, file_set_add(&set, f->pki.tree.path[PKI_CRL], bytes, len, 0644, true, &f->error));
	ok(f, file_set_publish(&set, &f->error));
	assert_int_equal(pki_crl(&f->pki, 0, &next, &f->error), -1);
	assert_non_null(strstr(f->error.what, "not signed by this CA"));
	file_free(bytes, len);
	teardown(&other_state);
}

static void
passwords(void **state)
{
	struct fixture *f = *state;
	struct pki_request request = { .name = "alice", .password = "short" };
	char one[PKI_PASSWORD_GENERATED + 1], two[PKI_PASSWORD_GENERATED + 1];
	struct pki_result result;

	ok(f, pki_make_password(one, &f->error));
	ok(f, pki_make_password(two, &f->error));
	assert_int_equal(strlen(one), PKI_PASSWORD_GENERATED);
	assert_string_not_equal(one, two);
	init_ca(f);
	assert_int_equal(pki_client(&f->pki, &request, &result, &f->error), -1);
	assert_non_null(strstr(f->error.what, "password"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_of_clients),
		cmocka_unit_test(names_of_hosts),
		cmocka_unit_test_setup_teardown(ca_and_modes, setup, teardown),
		cmocka_unit_test_setup_teardown(server_certificate, setup, teardown),
		cmocka_unit_test_setup_teardown(client_certificate_and_pkcs12, setup, teardown),
		cmocka_unit_test_setup_teardown(ends_with_its_ca, setup, teardown),
		cmocka_unit_test_setup_teardown(never_overwrites, setup, teardown),
		cmocka_unit_test_setup_teardown(set_is_all_or_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(revoked_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(crl_is_renewed, setup, teardown),
		cmocka_unit_test_setup_teardown(crl_of_another_ca_is_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(passwords, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
