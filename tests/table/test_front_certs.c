/* test_front_certs.c: whose certificate gets in? One row a certificate; each is tried over TLS 1.2 and 1.3. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#include "gateway/auth/tls_context.h"
#include "gateway/core/link.h"
#include "gateway/front/front.h"
#include "tests/unit/front_harness.h"

static struct harness harness;
static struct cert other_ca, intermediate;

static void
start(const char *settings, const int *files)
{
	harness.ca = cert_make((struct cert_wish){ .cn = "Lab CA", .ca = true });
	harness.server = cert_make((struct cert_wish){ .cn = "localhost", .issuer = &harness.ca, .usage = "serverAuth" });
	harness_start(&harness, settings, files);
}

/* Is it let in, by both versions alike? */
static bool
gets_in(const struct cert *cert)
{
	static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
	int let_in = 0;

	for (int i = 0; i < 2; i++) {
		struct tls_client client;

		if (tls_connect(&client, &harness, cert, versions[i])) {
			int stream = harness_next_session(&harness);

			assert_true(stream >= 0);
			close(stream);
			let_in++;
		}
		tls_close(&client);
	}
	assert_true(let_in == 0 || let_in == 2);
	return let_in == 2;
}

struct row {
	const char *what;
	struct cert_wish wish;
	bool good;
	const char *record;	/* a piece of the audit record of the refusal */
};

static void
test_I3_certificates(void **state)
{
	start("", NULL);
	assert_true(harness.ready);
	other_ca = cert_make((struct cert_wish){ .cn = "Lab CA", .ca = true });

	const struct cert no_ca = cert_make((struct cert_wish){ .cn = "mallory", .issuer = &harness.ca });
	const struct row rows[] = {
		{ "good", { .cn = "alice", .issuer = &harness.ca }, true, NULL },
		{ "server and client", { .cn = "host", .issuer = &harness.ca, .usage = "serverAuth,clientAuth" }, true, NULL },
		{ "expired", { .cn = "alice", .issuer = &harness.ca, .from = -10, .until = -1 }, false, "certificate has expired" },
		{ "not yet valid", { .cn = "alice", .issuer = &harness.ca, .from = 2 }, false, "not yet valid" },
		{ "wrong CA of the same name", { .cn = "alice", .issuer = &other_ca }, false, "O=Lab,CN=alice" },
		{ "self-signed", { .cn = "alice" }, false, "self-signed" },
		{ "issued by a certificate that is no CA", { .cn = "alice", .issuer = &no_ca }, false, "unable to get" },
		{ "server only", { .cn = "alice", .issuer = &harness.ca, .usage = "serverAuth" }, false, "purpose" },
		{ "no extended usage", { .cn = "alice", .issuer = &harness.ca, .usage = "" }, false, "clientAuth" },
		{ "any usage", { .cn = "alice", .issuer = &harness.ca, .usage = "anyExtendedKeyUsage" }, false, "purpose" },
		{ "two CNs", { .name = name_make("CN", "alice", "CN", "root", NULL), .issuer = &harness.ca }, false, "more than one CN" },
		{ "SAN twice", { .cn = "alice", .issuer = &harness.ca, .san = "DNS:a,DNS:a" }, false, "twice" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct cert cert = cert_make(rows[i].wish);

		harness.num_records = 0;
		if (gets_in(&cert) != rows[i].good)
			fail_msg("%s: %s", rows[i].what, rows[i].good ? "refused" : "let in");
		if (!rows[i].good) {
			assert_true(harness_next_record(&harness));
			if (strstr(harness.record, rows[i].record) == NULL)
				fail_msg("%s: recorded as %s", rows[i].what, harness.record);
			assert_non_null(strstr(harness.record, "VG1102W"));
		}
		cert_free(&cert);
	}
	struct cert nobody = no_ca;
	cert_free(&nobody);
	cert_free(&other_ca);
	harness_stop(&harness);
}

static void
test_no_certificate(void **state)
{
	struct tls_client client;

	(void)state;
	start("", NULL);
	assert_false(tls_connect(&client, &harness, NULL, TLS1_3_VERSION));
	tls_close(&client);
	assert_false(tls_connect(&client, &harness, NULL, TLS1_2_VERSION));
	tls_close(&client);
	harness_stop(&harness);
}

static void
test_allow_list(void **state)
{
	struct cert alice, bob, malice;

	(void)state;
	start("tls_allowed_dn_list = [ \"O=Lab,CN=bob\", \"*CN=ali?e\" ]\n", NULL);
	assert_true(harness.ready);
	alice = cert_make((struct cert_wish){ .cn = "alice", .issuer = &harness.ca });
	bob = cert_make((struct cert_wish){ .cn = "bob", .issuer = &harness.ca });
	malice = cert_make((struct cert_wish){ .cn = "alice2", .issuer = &harness.ca });
	assert_true(gets_in(&alice));
	assert_true(gets_in(&bob));
	harness.num_records = 0;
	assert_false(gets_in(&malice));
	assert_true(harness_next_record(&harness));
	assert_non_null(strstr(harness.record, "tls_allowed_dn_list"));
	assert_non_null(strstr(harness.record, "O=Lab,CN=alice2"));
	/* An empty list allows nobody. */
	harness_reload(&harness, "tls_allowed_dn_list = []\n", NULL);
	assert_string_equal(harness.reloaded, "");
	cert_free(&alice);
	cert_free(&bob);
	cert_free(&malice);
	harness_stop(&harness);
}

/* crl_file is set; which lists are in it is the row's. */
static void
test_I3_revocation(void **state)
{
	struct cert leaf, revoked, below;
	int files[PROCESS_NUM_FILES] = { -1, -1, -1, -1, -1, -1 };

	(void)state;
	harness.ca = cert_make((struct cert_wish){ .cn = "Lab CA", .ca = true });
	harness.server = cert_make((struct cert_wish){ .cn = "localhost", .issuer = &harness.ca, .usage = "serverAuth" });
	intermediate = cert_make((struct cert_wish){ .cn = "Lab Sub CA", .issuer = &harness.ca, .ca = true });
	leaf = cert_make((struct cert_wish){ .cn = "alice", .issuer = &harness.ca });
	revoked = cert_make((struct cert_wish){ .cn = "bob", .issuer = &harness.ca });
	below = cert_make((struct cert_wish){ .cn = "carol", .issuer = &intermediate });

	/* A valid list of the one CA; the sub-CA's is missing. */
	files[FILE_CA] = file_of_certs(harness.ca.x509, intermediate.x509, NULL);
	files[FILE_CRL] = file_of_crls(crl_make(&harness.ca, revoked.x509, 10), NULL);
	harness_start(&harness, "crl_file = \"/crl.pem\"\n", files);
	assert_true(harness.ready);
	assert_true(gets_in(&leaf));
	harness.num_records = 0;
	assert_false(gets_in(&revoked));
	assert_true(harness_next_record(&harness));
	assert_non_null(strstr(harness.record, "revoked"));
	assert_false(gets_in(&below));

	/* Both lists: now the sub-CA's clients get in. */
	files[FILE_CA] = file_of_certs(harness.ca.x509, intermediate.x509, NULL);
	files[FILE_CRL] = file_of_crls(crl_make(&harness.ca, NULL, 10), crl_make(&intermediate, NULL, 10), NULL);
	harness_reload(&harness, "crl_file = \"/crl.pem\"\n", files);
	assert_string_equal(harness.reloaded, "");
	assert_true(gets_in(&below));
	assert_true(gets_in(&revoked));

	/* The sub-CA itself is revoked. */
	files[FILE_CA] = file_of_certs(harness.ca.x509, intermediate.x509, NULL);
	files[FILE_CRL] = file_of_crls(crl_make(&harness.ca, intermediate.x509, 10), crl_make(&intermediate, NULL, 10), NULL);
	harness_reload(&harness, "crl_file = \"/crl.pem\"\n", files);
	assert_string_equal(harness.reloaded, "");
	assert_true(gets_in(&leaf));
	assert_false(gets_in(&below));

	/* An expired list refuses everybody. */
	files[FILE_CA] = -1;
	files[FILE_CRL] = file_of_crls(crl_make(&harness.ca, NULL, -1), NULL);
	harness_reload(&harness, "crl_file = \"/crl.pem\"\n", files);
	assert_string_equal(harness.reloaded, "");
	assert_false(gets_in(&leaf));

	/* I12, I82: a missing or broken list is refused and the old one stays in force. */
	files[FILE_CRL] = file_of_crls(crl_make(&harness.ca, revoked.x509, 10), NULL);
	harness_reload(&harness, "crl_file = \"/crl.pem\"\n", files);
	files[FILE_CRL] = -1;
	harness_reload(&harness, "crl_file = \"/crl.pem\"\n", files);
	assert_non_null(strstr(harness.reloaded, "/crl.pem"));
	files[FILE_CRL] = file_of_text("no list at all\n");
	harness_reload(&harness, "crl_file = \"/crl.pem\"\n", files);
	assert_non_null(strstr(harness.reloaded, "/crl.pem"));
	assert_true(gets_in(&leaf));
	assert_false(gets_in(&revoked));

	cert_free(&leaf);
	cert_free(&revoked);
	cert_free(&below);
	cert_free(&intermediate);
	harness_stop(&harness);
}

/* A reload ends the sessions of those whom it would not let in, and of nobody else. */
static void
test_I11_revoked_while_inside(void **state)
{
	struct cert leaf, revoked;
	struct tls_client stays, goes;
	int files[PROCESS_NUM_FILES] = { -1, -1, -1, -1, -1, -1 }, staying, going;
	uint8_t byte = 7;

	(void)state;
	start("", NULL);
	leaf = cert_make((struct cert_wish){ .cn = "alice", .issuer = &harness.ca });
	revoked = cert_make((struct cert_wish){ .cn = "bob", .issuer = &harness.ca });
	assert_true(tls_connect(&stays, &harness, &leaf, 0));
	staying = harness_next_session(&harness);
	assert_true(tls_connect(&goes, &harness, &revoked, 0));
	going = harness_next_session(&harness);
	harness_reload(&harness, "", NULL);
	assert_int_equal(SSL_write(goes.ssl, &byte, 1), 1);
	assert_int_equal(read(going, &byte, 1), 1);
	files[FILE_CRL] = file_of_crls(crl_make(&harness.ca, revoked.x509, 10), NULL);
	harness_reload(&harness, "crl_file = \"/crl.pem\"\n", files);
	assert_int_equal(read(going, &byte, 1), 0);
	assert_int_equal(SSL_write(stays.ssl, &byte, 1), 1);
	assert_int_equal(read(staying, &byte, 1), 1);
	/* The allow-list, too. */
	files[FILE_CRL] = file_of_crls(crl_make(&harness.ca, revoked.x509, 10), NULL);
	harness_reload(&harness, "crl_file = \"/crl.pem\"\ntls_allowed_dn_list = [ \"*CN=carol\" ]\n", files);
	assert_int_equal(read(staying, &byte, 1), 0);
	close(staying);
	close(going);
	tls_close(&stays);
	tls_close(&goes);
	cert_free(&leaf);
	cert_free(&revoked);
	harness_stop(&harness);
}

static void
test_I3_name_constraints(void **state)
{
	struct cert inside, outside;
	int files[PROCESS_NUM_FILES] = { -1, -1, -1, -1, -1, -1 };

	(void)state;
	harness.ca = cert_make((struct cert_wish){ .cn = "Lab CA", .ca = true });
	harness.server = cert_make((struct cert_wish){ .cn = "localhost", .issuer = &harness.ca, .usage = "serverAuth" });
	intermediate = cert_make((struct cert_wish){ .cn = "Lab Sub CA", .issuer = &harness.ca, .ca = true,
	    .constraints = "critical,permitted;email:good.lab" });
	inside = cert_make((struct cert_wish){ .cn = "alice", .issuer = &intermediate, .san = "email:alice@good.lab" });
	outside = cert_make((struct cert_wish){ .cn = "alice", .issuer = &intermediate, .san = "email:alice@bad.lab" });
	files[FILE_CA] = file_of_certs(harness.ca.x509, intermediate.x509, NULL);
	harness_start(&harness, "", files);
	assert_true(gets_in(&inside));
	assert_false(gets_in(&outside));
	cert_free(&inside);
	cert_free(&outside);
	cert_free(&intermediate);
	harness_stop(&harness);
}

static void
test_I12_no_start_without_the_list(void **state)
{
	(void)state;
	start("crl_file = \"/nowhere/crl.pem\"\n", NULL);
	assert_false(harness.ready);
	assert_non_null(strstr(harness.failed, "/nowhere/crl.pem"));
	harness_stop(&harness);
}

/* What front_check says of files that do not fit. */
static void
test_check_explains(void **state)
{
	struct cert ca = cert_make((struct cert_wish){ .cn = "Lab CA", .ca = true });
	struct cert good = cert_make((struct cert_wish){ .cn = "localhost", .issuer = &ca, .usage = "serverAuth" });
	struct cert other = cert_make((struct cert_wish){ .cn = "localhost", .issuer = &ca, .usage = "serverAuth" });
	struct cert old = cert_make((struct cert_wish){ .cn = "localhost", .issuer = &ca, .from = -9, .until = -1 });
	char secret[] = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAA=\n-----END ENCRYPTED PRIVATE KEY-----\n";
	const struct { X509 *cert; int key; int ca; int crl; const char *error; } rows[] = {
		{ good.x509, file_of_key(good.key), file_of_certs(ca.x509, NULL), -2, NULL },
		{ good.x509, file_of_key(other.key), file_of_certs(ca.x509, NULL), -2, "does not belong to the certificate" },
		{ good.x509, file_of_text(secret), file_of_certs(ca.x509, NULL), -2, "key" },
		{ good.x509, -1, file_of_certs(ca.x509, NULL), -2, "cannot read the private key" },
		{ old.x509, file_of_key(old.key), file_of_certs(ca.x509, NULL), -2, "has expired" },
		{ good.x509, file_of_key(good.key), file_of_certs(good.x509, NULL), -2, "is not a CA certificate" },
		{ good.x509, file_of_key(good.key), file_of_text(""), -2, "no CA certificate" },
		{ good.x509, file_of_key(good.key), file_of_certs(ca.x509, NULL), -1, "cannot read the revocation list" },
		{ good.x509, file_of_key(good.key), file_of_certs(ca.x509, NULL), file_of_crls(crl_make(&ca, NULL, -1), NULL), "has expired" },
		{ good.x509, file_of_key(good.key), file_of_certs(ca.x509, NULL), file_of_crls(crl_make(&ca, NULL, 3), NULL), NULL },
	};
	struct vg_error error;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int files[PROCESS_NUM_FILES] = { -1, -1, -1, -1, -1, -1 };
		struct settings *settings = settings_parse(rows[i].crl == -2 ? "" : "crl_file = \"/crl.pem\"\n", "test.conf", &error);

		assert_non_null(settings);
		files[FILE_CERT] = file_of_certs(rows[i].cert, NULL);
		files[FILE_KEY] = rows[i].key;
		files[FILE_CA] = rows[i].ca;
		files[FILE_CRL] = rows[i].crl;
		error = (struct vg_error){ .what = "" };
		if ((front_check(settings, files, &error) == 0) != (rows[i].error == NULL))
			fail_msg("row %zu: %s", i, error.what);
		if (rows[i].error != NULL && strstr(error.what, rows[i].error) == NULL)
			fail_msg("row %zu: %s", i, error.what);
		for (int f = 0; f < PROCESS_NUM_FILES; f++)
			if (files[f] >= 0)
				close(files[f]);
		settings_destroy(settings);
	}
	cert_free(&ca);
	cert_free(&good);
	cert_free(&other);
	cert_free(&old);
}

/* I5, I7: what TLS must not do here, by a client that would. */
static void
test_I5_I7_protocol(void **state)
{
	struct tls_client client;
	struct cert alice;
	SSL_SESSION *session;

	(void)state;
	start("", NULL);
	alice = cert_make((struct cert_wish){ .cn = "alice", .issuer = &harness.ca });
	assert_false(tls_connect(&client, &harness, &alice, TLS1_1_VERSION));
	tls_close(&client);
	assert_false(tls_connect(&client, &harness, &alice, TLS1_VERSION));
	tls_close(&client);

	/* No ticket, no session id that could be used again; trying all the same gives a full handshake. */
	for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		int fd;

		assert_true(tls_connect(&client, &harness, &alice, version));
		close(harness_next_session(&harness));
		session = SSL_get1_session(client.ssl);
		assert_int_equal(SSL_SESSION_has_ticket(session), 0);
		fd = connect_tcp(harness.tls_port);
		SSL *again = SSL_new(client.ctx);
		SSL_set_fd(again, fd);
		SSL_set_session(again, session);
		assert_int_equal(SSL_connect(again), 1);
		assert_int_equal(SSL_session_reused(again), 0);
		SSL_free(again);
		close(fd);
		SSL_SESSION_free(session);
		tls_close(&client);
		close(harness_next_session(&harness));
	}

	/* Renegotiation: refused, and the connection with it. */
	assert_true(tls_connect(&client, &harness, &alice, TLS1_2_VERSION));
	close(harness_next_session(&harness));
	assert_int_equal(SSL_renegotiate(client.ssl), 1);
	assert_int_not_equal(SSL_do_handshake(client.ssl), 1);
	tls_close(&client);
	ERR_clear_error();
	cert_free(&alice);
	harness_stop(&harness);
}

/* The server certificate travels alone when its issuer is a root: libvirt's client has the root. */
static void
test_chain_without_root(void **state)
{
	struct tls_client client;
	struct cert alice;

	(void)state;
	start("", NULL);
	alice = cert_make((struct cert_wish){ .cn = "alice", .issuer = &harness.ca });
	assert_true(tls_connect(&client, &harness, &alice, TLS1_3_VERSION));
	close(harness_next_session(&harness));
	assert_int_equal(sk_X509_num(SSL_get_peer_cert_chain(client.ssl)), 1);
	tls_close(&client);
	cert_free(&alice);
	harness_stop(&harness);
}

/* One row a key_share extension; each also at every shorter length, where it must say no and read no further. */
static void
test_key_shares(void **state)
{
	static const struct { uint8_t groups[3]; size_t num; size_t short_by; bool found; } rows[] = {
		{ { 0 }, 0, 0, false },
		{ { 0x1d }, 1, 0, true },
		{ { 0x17 }, 1, 0, false },
		{ { 0x17, 0x1d }, 2, 0, true },
		{ { 0x17, 0x18, 0x1d }, 3, 0, true },
		{ { 0x17, 0x18 }, 2, 0, false },
		{ { 0x1d }, 1, 1, false },		/* a share of X25519 that is not 32 bytes */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t extension[256] = { 0 };
		size_t len = 2;

		for (size_t g = 0; g < rows[i].num; g++) {
			size_t share = (rows[i].groups[g] == 0x1d ? 32u : 65u) - rows[i].short_by;

			extension[len + 1] = rows[i].groups[g];
			extension[len + 3] = (uint8_t)share;
			len += 4 + share;
		}
		extension[0] = (uint8_t)((len - 2) >> 8);
		extension[1] = (uint8_t)(len - 2);
		assert_int_equal(tls_shares_x25519(extension, len), rows[i].found);
		for (size_t cut = 0; cut < len; cut++) {
			uint8_t *copy = malloc(cut + 1);	/* exact, so that a sanitizer sees a step too far */

			assert_non_null(copy);
			memcpy(copy, extension, cut);
			assert_false(tls_shares_x25519(copy, cut));
			/* The same with a length that agrees: a share that is cut off. */
			if (cut >= 2) {
				copy[0] = (uint8_t)((cut - 2) >> 8);
				copy[1] = (uint8_t)(cut - 2);
				(void)tls_shares_x25519(copy, cut);
			}
			free(copy);
		}
	}
}

/* I7: one row a cipher or group that is not taken, or is. */
static void
test_I7_ciphers(void **state)
{
	static const struct { const char *cipher, *group; bool good; } rows[] = {
		{ "ECDHE-ECDSA-AES128-GCM-SHA256", "P-256", true },
		{ "ECDHE-ECDSA-AES256-GCM-SHA384", "X25519:P-256", true },
		{ "ECDHE-ECDSA-CHACHA20-POLY1305", "P-256", true },
		{ "ECDHE-ECDSA-AES128-SHA256", "P-256", false },	/* CBC */
		{ "ECDHE-ECDSA-AES128-CCM8", "P-256", false },
		{ "AES128-GCM-SHA256", "P-256", false },		/* RSA key exchange */
		{ "DHE-RSA-AES128-GCM-SHA256", "P-256", false },
		{ "ECDHE-ECDSA-NULL-SHA", "P-256", false },
		{ "AECDH-AES128-SHA", "P-256", false },
		{ NULL, "X25519", true },				/* TLS 1.3 */
		{ NULL, "P-256", true },
		{ NULL, "P-384", true },
		{ NULL, "P-521", false },
		{ NULL, "X448", false },
	};
	struct cert alice;

	(void)state;
	start("", NULL);
	alice = cert_make((struct cert_wish){ .cn = "alice", .issuer = &harness.ca });
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
		int fd = connect_tcp(harness.tls_port), done;
		SSL *ssl;

		SSL_CTX_set_security_level(ctx, 0);
		if (rows[i].cipher != NULL) {
			SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION);
			assert_int_equal(SSL_CTX_set_cipher_list(ctx, rows[i].cipher), 1);
		} else {
			SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION);
		}
		assert_int_equal(SSL_CTX_set1_groups_list(ctx, rows[i].group), 1);
		SSL_CTX_use_certificate(ctx, alice.x509);
		SSL_CTX_use_PrivateKey(ctx, alice.key);
		ssl = SSL_new(ctx);
		SSL_set_fd(ssl, fd);
		done = SSL_connect(ssl);
		if ((done == 1) != rows[i].good)
			fail_msg("%s with %s: %s", rows[i].cipher != NULL ? rows[i].cipher : "TLS 1.3", rows[i].group, done == 1 ? "taken" : "refused");
		if (done == 1)
			close(harness_next_session(&harness));
		SSL_free(ssl);
		SSL_CTX_free(ctx);
		close(fd);
		ERR_clear_error();
	}
	cert_free(&alice);
	harness_stop(&harness);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_I3_certificates),
		cmocka_unit_test(test_no_certificate),
		cmocka_unit_test(test_allow_list),
		cmocka_unit_test(test_I3_revocation),
		cmocka_unit_test(test_I11_revoked_while_inside),
		cmocka_unit_test(test_I3_name_constraints),
		cmocka_unit_test(test_I12_no_start_without_the_list),
		cmocka_unit_test(test_check_explains),
		cmocka_unit_test(test_I5_I7_protocol),
		cmocka_unit_test(test_chain_without_root),
		cmocka_unit_test(test_key_shares),
		cmocka_unit_test(test_I7_ciphers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
