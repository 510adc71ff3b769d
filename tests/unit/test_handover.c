#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "gateway/core/handover.h"
#include "gateway/core/link.h"

static struct vg_identity
everything(void)
{
	struct vg_identity identity = {
		.proofs = VG_PROOF_X509 | VG_PROOF_SASL,
		.sasl_name = (char *)"alice@EXAMPLE.COM",
		.sasl_mech = (char *)"SCRAM-SHA-256",
		.x509_dn = (char *)"CN=alice,O=Lab",
		.x509_cn = (char *)"alice",
		.x509_sha256 = (char *)"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
		.x509_sans = { (char *)"dns:alice.example.com", (char *)"" },
		.num_x509_sans = 2,
		.via = VG_VIA_RPC_TLS,
		.address = "2001:db8::7",
		.port = 41022,
	};

	return identity;
}

static void
test_round_trip(void **state)
{
	struct vg_identity in = everything(), out;
	uint8_t bytes[1024];
	char text[256];
	size_t len = handover_put(bytes, sizeof(bytes), &in);

	(void)state;
	assert_true(len > 0);
	assert_int_equal(handover_get(bytes, len, &out), 0);
	assert_int_equal(out.proofs, in.proofs);
	assert_string_equal(out.sasl_name, in.sasl_name);
	assert_string_equal(out.sasl_mech, in.sasl_mech);
	assert_string_equal(out.x509_dn, in.x509_dn);
	assert_string_equal(out.x509_cn, in.x509_cn);
	assert_string_equal(out.x509_sha256, in.x509_sha256);
	assert_null(out.unix_user);
	assert_int_equal(out.num_x509_sans, 2);
	assert_string_equal(out.x509_sans[0], in.x509_sans[0]);
	assert_string_equal(out.x509_sans[1], "");
	assert_int_equal(out.via, in.via);
	assert_string_equal(out.address, in.address);
	assert_int_equal(out.port, in.port);
	assert_string_equal(identity_text(&out, text, sizeof(text)),
	    "alice@EXAMPLE.COM (CN=alice,O=Lab) from [2001:db8::7]:41022");
	identity_clear(&out);
	assert_null(out.sasl_name);
}

static void
test_every_truncation_is_refused(void **state)
{
	struct vg_identity in = everything(), out;
	uint8_t bytes[1024];
	size_t len = handover_put(bytes, sizeof(bytes) - 1, &in);

	(void)state;
	for (size_t cut = 0; cut < len; cut++) {
		uint8_t *exact = malloc(cut + 1);	/* so that a sanitizer sees a read behind the end */

		assert_non_null(exact);
		memcpy(exact + 1, bytes, cut);
		assert_int_equal(handover_get(exact + 1, cut, &out), -1);
		assert_null(out.sasl_name);
		assert_int_equal(handover_put(exact + 1, cut, &in), 0);
		free(exact);
	}
	bytes[len] = 0;
	assert_int_equal(handover_get(bytes, len + 1, &out), -1);
}

/* A name without its proof, or a proof without its name, never arrives as an identity. */
static void
test_proofs_and_names_belong_together(void **state)
{
	uint8_t bytes[1024];
	struct vg_identity out;

	(void)state;
	for (unsigned proofs = 0; proofs < 16; proofs++) {
		struct vg_identity in = everything();
		int want = proofs == (VG_PROOF_X509 | VG_PROOF_SASL) ? 0 : -1;

		in.proofs = proofs;
		assert_int_equal(handover_get(bytes, handover_put(bytes, sizeof(bytes), &in), &out), want);
		identity_clear(&out);
	}
}

static void
test_nul_inside_a_name_is_refused(void **state)
{
	struct vg_identity in = everything(), out;
	uint8_t bytes[1024];
	size_t len = handover_put(bytes, sizeof(bytes), &in);
	uint8_t *at = memmem(bytes, len, "alice@", 6);

	(void)state;
	assert_non_null(at);
	at[5] = '\0';
	assert_int_equal(handover_get(bytes, len, &out), -1);
}

static void
test_longest_fits_a_link_message(void **state)
{
	static uint8_t bytes[LINK_MAX_BODY];
	struct vg_identity in = everything(), out;
	char *name = malloc(4098);
	size_t len;

	(void)state;
	assert_non_null(name);
	memset(name, 'a', 4097);
	name[4096] = '\0';
	in.sasl_name = in.sasl_mech = in.x509_dn = in.x509_cn = in.x509_sha256 = name;
	in.num_x509_sans = VG_IDENTITY_MAX_SANS;
	for (size_t i = 0; i < VG_IDENTITY_MAX_SANS; i++)
		in.x509_sans[i] = name;
	len = handover_put(bytes, sizeof(bytes), &in);
	assert_true(len > 0);
	assert_int_equal(handover_get(bytes, len, &out), 0);
	identity_clear(&out);
	name[4096] = 'a';
	name[4097] = '\0';
	assert_int_equal(handover_put(bytes, sizeof(bytes), &in), 0);
	free(name);
}

static void
test_names_for_people(void **state)
{
	struct vg_identity local = { .proofs = VG_PROOF_UNIX, .unix_user = (char *)"root", .via = VG_VIA_RPC_UNIX };
	struct vg_identity cert = { .proofs = VG_PROOF_X509, .x509_dn = (char *)"CN=bob", .address = "10.0.0.7", .port = 9 };
	char text[64];

	(void)state;
	assert_string_equal(identity_name(&local), "unix:root");
	assert_string_equal(identity_text(&local, text, sizeof(text)), "unix:root from this host");
	assert_string_equal(identity_text(&cert, text, sizeof(text)), "CN=bob from 10.0.0.7:9");
	assert_string_equal(identity_text(&cert, text, 5), "CN=b");
}

/* Groups come with the local person whose they are, and with nobody else. */
static void
test_unix_groups(void **state)
{
	struct vg_identity in = { .proofs = VG_PROOF_UNIX, .unix_user = (char *)"bob", .unix_groups = { (char *)"bob", (char *)"ops" },
		.num_unix_groups = 2, .via = VG_VIA_RPC_UNIX }, out;
	struct vg_identity liar = everything();
	uint8_t bytes[1024];

	(void)state;
	assert_int_equal(handover_get(bytes, handover_put(bytes, sizeof(bytes), &in), &out), 0);
	assert_int_equal(out.num_unix_groups, 2);
	assert_string_equal(out.unix_groups[0], "bob");
	assert_string_equal(out.unix_groups[1], "ops");
	identity_clear(&out);
	liar.unix_groups[0] = (char *)"ops";
	liar.num_unix_groups = 1;
	assert_int_equal(handover_get(bytes, handover_put(bytes, sizeof(bytes), &liar), &out), -1);
	assert_int_equal(out.num_unix_groups, 0);
}

/* A viewer wants one screen, by name or by port; nobody else wants any. */
static void
test_what_a_viewer_wants(void **state)
{
	static const struct {
		enum vg_via via;
		const char *console;
		uint16_t port;
		int expected;
	} rows[] = {
		{ VG_VIA_VNC, "web-1", 0, 0 }, { VG_VIA_VNC, NULL, 5901, 0 }, { VG_VIA_VNC, NULL, 0, -1 }, { VG_VIA_VNC, "web-1", 5901, -1 },
		{ VG_VIA_RPC_TLS, "web-1", 0, -1 }, { VG_VIA_RPC_TLS, NULL, 5901, -1 }, { VG_VIA_RPC_TLS, NULL, 0, 0 },
	};
	uint8_t bytes[1024];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct vg_identity in = { .proofs = VG_PROOF_SASL, .sasl_name = (char *)(uintptr_t)"alice", .via = rows[i].via,
			.console = (char *)(uintptr_t)rows[i].console, .console_port = rows[i].port };
		struct vg_identity out;
		size_t len = handover_put(bytes, sizeof(bytes), &in);

		assert_int_equal(handover_get(bytes, len, &out), rows[i].expected);
		if (rows[i].expected == 0 && rows[i].console != NULL)
			assert_string_equal(out.console, rows[i].console);
		if (rows[i].expected == 0)
			assert_int_equal(out.console_port, rows[i].port);
		identity_clear(&out);
	}
}

/* A name that is too long is cut between letters: a close frame must be UTF-8. */
static void
test_the_last_word(void **state)
{
	static const struct {
		const char *by, *heard;
	} rows[] = {
		{ NULL, "" }, { "bob", "bob" },
		{ "0123456789012345678901234567890123456789012345678901234567890123", "0123456789012345678901234567890123456789012345678901234567890123" },
		{ "012345678901234567890123456789012345678901234567890123456789012\xc3\xa4", "012345678901234567890123456789012345678901234567890123456789012" },
		{ "01234567890123456789012345678901234567890123456789012345678901\xe2\x82\xac", "01234567890123456789012345678901234567890123456789012345678901" },
	};
	char by[HANDOVER_BY_SIZE];
	unsigned reason;
	int fds[2];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(link_pair(fds), 0);
		assert_false(handover_hear_end(fds[0], &reason, by));
		handover_say_end(fds[1], 7, rows[i].by);
		close(fds[1]);
		assert_true(handover_hear_end(fds[0], &reason, by));
		assert_int_equal(reason, 7);
		assert_string_equal(by, rows[i].heard);
		assert_false(handover_hear_end(fds[0], &reason, by));
		close(fds[0]);
	}
	assert_int_equal(link_pair(fds), 0);
	assert_int_equal(send(fds[1], "half", 4, 0), 4);
	assert_false(handover_hear_end(fds[0], &reason, by));
	close(fds[0]);
	handover_say_end(fds[1], 7, "to nobody");
	close(fds[1]);
}

/* A front that is not itself any more may give a descriptor that nobody reads, and that waits: the gate does not. */
static void
test_the_last_word_waits_for_nobody(void **state)
{
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds), 0);
	while (send(fds[1], "full", 4, MSG_DONTWAIT) > 0)
		;
	alarm(60);
	handover_say_end(fds[1], 7, NULL);
	alarm(0);
	close(fds[0]);
	close(fds[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unix_groups),
		cmocka_unit_test(test_what_a_viewer_wants),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_every_truncation_is_refused),
		cmocka_unit_test(test_proofs_and_names_belong_together),
		cmocka_unit_test(test_nul_inside_a_name_is_refused),
		cmocka_unit_test(test_longest_fits_a_link_message),
		cmocka_unit_test(test_names_for_people),
		cmocka_unit_test(test_the_last_word),
		cmocka_unit_test(test_the_last_word_waits_for_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
