/* test_front_session.c: does a client that may come in get through to the gate, byte for byte, and out again? */
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "gateway/core/link.h"
#include "gateway/front/framing.h"
#include "proto/rpc.h"
#include "tests/unit/front_harness.h"

static struct harness harness;
static struct cert alice;

static int
set_up(void **state)
{
	(void)state;
	harness_start(&harness, "", NULL);
	assert_true(harness.ready);
	alice = cert_make((struct cert_wish){ .cn = "alice", .issuer = &harness.ca, .san = "email:alice@lab.test,DNS:a.lab" });
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	cert_free(&alice);
	harness_stop(&harness);
	return 0;
}

/* A message of `len` bytes whose body is a pattern. */
static void
make_message(uint8_t *buf, uint32_t len, uint32_t serial)
{
	struct rpc_header header = { len, RPC_PROGRAM_REMOTE, RPC_VERSION, 1, RPC_REPLY, serial, RPC_STATUS_OK };

	rpc_header_put(buf, &header);
	for (uint32_t i = RPC_HEADER_LEN; i < len; i++)
		buf[i] = (uint8_t)(i * 7 + serial);
}

static void
test_identity_reaches_the_gate(void **state)
{
	struct tls_client client;
	int stream;

	(void)state;
	assert_true(tls_connect(&client, &harness, &alice, 0));
	stream = harness_next_session(&harness);
	assert_true(stream >= 0);
	assert_int_equal(harness.identity.proofs, VG_PROOF_X509);
	assert_string_equal(harness.identity.x509_dn, "O=Lab,CN=alice");
	assert_string_equal(harness.identity.x509_cn, "alice");
	assert_int_equal(strlen(harness.identity.x509_sha256), 64);
	assert_int_equal(harness.identity.num_x509_sans, 2);
	assert_string_equal(harness.identity.x509_sans[0], "email:alice@lab.test");
	assert_string_equal(harness.identity.x509_sans[1], "dns:a.lab");
	assert_string_equal(harness.identity.address, "127.0.0.1");
	assert_true(harness.identity.port != 0);
	assert_null(harness.identity.sasl_name);
	close(stream);
	tls_close(&client);
}

/* Up in one piece, back in another size; both ends see the same bytes and the end of the other. */
static void
test_bytes_both_ways(void **state)
{
	enum { LEN = 3000000 };
	uint8_t *sent = malloc(LEN), *got = malloc(LEN);
	struct tls_client client;
	int stream;
	pid_t writer;

	(void)state;
	assert_non_null(sent);
	assert_non_null(got);
	make_message(sent, LEN, 9);
	assert_true(tls_connect(&client, &harness, &alice, 0));
	stream = harness_next_session(&harness);
	writer = fork();
	if (writer == 0)
		_exit(write_all(stream, sent, LEN) ? 0 : 1);
	assert_true(tls_read_all(&client, got, LEN));
	assert_memory_equal(sent, got, LEN);
	memset(got, 0, LEN);
	for (int from = 0; from < LEN; from += 100000)
		assert_int_equal(SSL_write(client.ssl, sent + from, 100000), 100000), assert_true(read_all(stream, got + from, 100000));
	assert_memory_equal(sent, got, LEN);
	/* The gate ends: the client has a proper end of TLS. */
	close(stream);
	assert_int_equal(SSL_read(client.ssl, got, 1), 0);
	assert_int_equal(SSL_get_error(client.ssl, 0), SSL_ERROR_ZERO_RETURN);
	tls_close(&client);
	free(sent);
	free(got);
}

static void
test_client_leaving_ends_the_stream(void **state)
{
	struct tls_client client;
	uint8_t byte;
	int stream;

	(void)state;
	assert_true(tls_connect(&client, &harness, &alice, 0));
	stream = harness_next_session(&harness);
	SSL_shutdown(client.ssl);
	assert_int_equal(read(stream, &byte, 1), 0);
	/* Half closed: the gate may still say its last. */
	uint8_t last[RPC_HEADER_LEN], seen[RPC_HEADER_LEN];
	make_message(last, sizeof(last), 3);
	assert_true(write_all(stream, last, sizeof(last)));
	assert_true(tls_read_all(&client, seen, sizeof(seen)));
	assert_memory_equal(last, seen, sizeof(last));
	close(stream);
	tls_close(&client);
}

static void
test_client_reset_ends_the_stream(void **state)
{
	struct linger hard = { 1, 0 };
	struct tls_client client;
	uint8_t byte;
	int stream;

	(void)state;
	assert_true(tls_connect(&client, &harness, &alice, 0));
	stream = harness_next_session(&harness);
	setsockopt(client.fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	tls_close(&client);
	assert_int_equal(read(stream, &byte, 1), 0);
	close(stream);
}

/* Application data records of the client's side, by length of their plaintext. */
static unsigned num_records;
static size_t record_lens[64];

static void
on_tls_message(int write, int version, int type, const void *buf, size_t len, SSL *ssl, void *arg)
{
	const uint8_t *bytes = buf;

	(void)version;
	(void)ssl;
	(void)arg;
	if (write || type != SSL3_RT_HEADER || len < 5 || bytes[0] != SSL3_RT_APPLICATION_DATA)
		return;
	if (num_records < 64)
		record_lens[num_records] = (size_t)bytes[3] << 8 | bytes[4];
	num_records++;
}

/* Trap B: two messages in one write of the gate become two records, however they are cut up on the way. */
static void
test_trap_b_no_record_holds_two_messages(void **state)
{
	enum { FIRST = 40, SECOND = 64, OVERHEAD = 17 };	/* TLS 1.3: tag and type */
	struct tls_client client;
	uint8_t both[FIRST + SECOND], got[FIRST + SECOND];
	int stream;

	(void)state;
	make_message(both, FIRST, 1);
	make_message(both + FIRST, SECOND, 2);
	assert_true(tls_connect(&client, &harness, &alice, TLS1_3_VERSION));
	stream = harness_next_session(&harness);
	SSL_set_msg_callback(client.ssl, on_tls_message);
	for (size_t cut = 0; cut <= sizeof(both); cut++) {
		size_t before = 0;

		num_records = 0;
		if (cut > 0)
			assert_true(write_all(stream, both, cut));
		if (cut > 0 && cut < sizeof(both)) {
			assert_true(tls_read_all(&client, got, cut));
			before = cut;
		}
		if (cut < sizeof(both))
			assert_true(write_all(stream, both + cut, sizeof(both) - cut));
		assert_true(tls_read_all(&client, got + before, sizeof(both) - before));
		assert_memory_equal(both, got, sizeof(both));
		assert_int_equal(num_records, cut == 0 || cut == FIRST || cut == sizeof(both) ? 2 : 3);
		for (size_t i = 0, at = 0; i < num_records; i++) {
			size_t from = at;

			at += record_lens[i] - OVERHEAD;
			assert_true(at <= FIRST || from >= FIRST);
		}
	}
	close(stream);
	tls_close(&client);
}

static void
test_gate_that_breaks_framing_is_cut_off(void **state)
{
	static const uint8_t nonsense[32] = { 0, 0, 0, 3 };
	struct tls_client client;
	uint8_t byte;
	int stream;

	(void)state;
	assert_true(tls_connect(&client, &harness, &alice, 0));
	stream = harness_next_session(&harness);
	assert_true(write_all(stream, nonsense, sizeof(nonsense)));
	assert_true(SSL_read(client.ssl, &byte, 1) <= 0);
	close(stream);
	tls_close(&client);
}

/* A client that does not read stops the gate, a gate that does not read stops the client; both get all of it later. */
static void
test_I80_back_pressure_both_ways(void **state)
{
	enum { LEN = 20000000, STEP = 100000 };
	uint8_t *sent = malloc(LEN), *got = malloc(STEP);
	struct tls_client client;
	size_t done = 0;
	long before, after;
	int stream;

	(void)state;
	assert_non_null(sent);
	assert_non_null(got);
	make_message(sent, LEN, 5);
	assert_true(tls_connect(&client, &harness, &alice, 0));
	stream = harness_next_session(&harness);
	before = harness_private_kib(&harness);
	for (;;) {
		struct pollfd room = { stream, POLLOUT, 0 };
		ssize_t n = send(stream, sent + done, LEN - done, MSG_DONTWAIT);

		if (n > 0)
			done += (size_t)n;
		else if (poll(&room, 1, 300) == 0)
			break;		/* nothing is taken any more */
	}
	assert_true(done < LEN);
	after = harness_private_kib(&harness);
	assert_true(after - before < 3000);
	if (fork() == 0)
		_exit(write_all(stream, sent + done, LEN - done) ? 0 : 1);
	for (size_t at = 0; at < LEN; at += STEP) {
		assert_true(tls_read_all(&client, got, STEP));
		assert_memory_equal(sent + at, got, STEP);
	}
	close(stream);
	tls_close(&client);
	free(sent);
	free(got);
}

/* Nobody reloads, and nothing is sent: the session ends with the certificate that it was opened with. */
static void
test_I11_session_ends_when_the_certificate_expires(void **state)
{
	struct cert brief;
	struct tls_client client, other;
	int stream, others;
	uint8_t byte;

	(void)state;
	assert_true(tls_connect(&other, &harness, &alice, 0));
	others = harness_next_session(&harness);
	brief = cert_make((struct cert_wish){ .cn = "brief", .issuer = &harness.ca, .seconds = 6 });
	assert_true(tls_connect(&client, &harness, &brief, 0));
	stream = harness_next_session(&harness);
	assert_true(stream >= 0 && others >= 0);
	assert_true(poll(&(struct pollfd){ .fd = stream, .events = POLLIN }, 1, 60000) == 1);
	assert_int_equal(read(stream, &byte, 1), 0);
	assert_int_equal(poll(&(struct pollfd){ .fd = others, .events = POLLIN }, 1, 0), 0);
	close(stream);
	close(others);
	tls_close(&client);
	tls_close(&other);
	cert_free(&brief);
}

static void
test_unix_peer_is_the_identity(void **state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	uint8_t message[RPC_HEADER_LEN], got[RPC_HEADER_LEN];
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), stream;

	(void)state;
	memcpy(address.sun_path, harness.unix_path, sizeof(address.sun_path));
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	make_message(message, sizeof(message), 1);
	assert_true(write_all(fd, message, sizeof(message)));
	stream = harness_next_session(&harness);
	assert_true(stream >= 0);
	assert_int_equal(harness.identity.proofs, VG_PROOF_UNIX);
	assert_int_equal(harness.identity.unix_uid, getuid());
	assert_int_equal(harness.identity.via, VG_VIA_RPC_UNIX);
	assert_non_null(harness.identity.unix_user);
	if (getpwuid(getuid()) != NULL) {
		struct group *own = getgrgid(getpwuid(getuid())->pw_gid);
		bool told = false;

		for (size_t i = 0; own != NULL && i < harness.identity.num_unix_groups; i++)
			told = told || strcmp(harness.identity.unix_groups[i], own->gr_name) == 0;
		assert_int_equal(told, own != NULL);
	}
	assert_true(read_all(stream, got, sizeof(got)));
	assert_memory_equal(message, got, sizeof(got));
	assert_true(write_all(stream, message, sizeof(message)));
	assert_true(read_all(fd, got, sizeof(got)));
	close(stream);
	close(fd);
}

/* The gate was away: who comes meanwhile waits for the next one, whose predecessor's sessions have ended. */
static void
test_I76_gate_comes_back(void **state)
{
	struct tls_client before, after;
	uint8_t byte;
	int stream;

	(void)state;
	assert_true(tls_connect(&before, &harness, &alice, 0));
	stream = harness_next_session(&harness);
	link_destroy(harness.gate);
	harness.gate = NULL;
	close(stream);
	assert_true(SSL_read(before.ssl, &byte, 1) <= 0);
	assert_true(tls_connect(&after, &harness, &alice, 0));
	harness_connect_gate(&harness);
	stream = harness_next_session(&harness);
	assert_true(stream >= 0);
	close(stream);
	tls_close(&before);
	tls_close(&after);
}

/* Out of descriptors: who is in goes on, who knocks waits, and gets in when somebody has left. */
static void
test_I79_descriptors_run_out(void **state)
{
	enum { NUM = 40 };
	struct tls_client first, late;
	uint8_t message[RPC_HEADER_LEN], got[RPC_HEADER_LEN];
	int knocking[NUM], stream;

	(void)state;
	harness.max_files = 48;
	harness_start(&harness, "", NULL);
	harness.max_files = 0;
	alice = cert_make((struct cert_wish){ .cn = "alice", .issuer = &harness.ca });
	assert_true(tls_connect(&first, &harness, &alice, 0));
	stream = harness_next_session(&harness);
	for (int i = 0; i < NUM; i++)
		knocking[i] = connect_tcp(harness.tls_port);
	for (int i = 0; i < 3; i++) {
		make_message(message, sizeof(message), 1);
		assert_true(write_all(stream, message, sizeof(message)));
		assert_true(tls_read_all(&first, got, sizeof(got)));
		assert_int_equal(SSL_write(first.ssl, message, sizeof(message)), sizeof(message));
		assert_true(read_all(stream, got, sizeof(got)));
	}
	for (int i = 0; i < NUM; i++)
		close(knocking[i]);
	assert_true(tls_connect(&late, &harness, &alice, 0));
	close(harness_next_session(&harness));
	close(stream);
	tls_close(&first);
	tls_close(&late);
	cert_free(&alice);
	harness_stop(&harness);
}

/* Each split of two messages gives the same pieces, put together, and never one that spans both. */
static void
test_framing_split_at_every_byte(void **state)
{
	enum { FIRST = 28, SECOND = 61 };
	uint8_t bytes[FIRST + SECOND];

	(void)state;
	make_message(bytes, FIRST, 1);
	make_message(bytes + FIRST, SECOND, 2);
	for (size_t cut = 1; cut < sizeof(bytes); cut++) {
		struct framing framing = { 0 };
		size_t at = 0;

		while (at < sizeof(bytes)) {
			size_t end = at < cut ? cut : sizeof(bytes), piece = framing_piece(&framing, bytes + at, end - at);

			assert_true(piece > 0 && piece <= end - at);
			assert_true(at >= FIRST || at + piece <= FIRST);
			at += piece;
		}
		assert_int_equal(framing.left, 0);
		assert_int_equal(framing.have, 0);
	}
	for (uint32_t length = 0; length < RPC_HEADER_LEN; length++) {
		struct framing framing = { 0 };
		const uint8_t word[4] = { 0, 0, 0, (uint8_t)length };

		assert_int_equal(framing_piece(&framing, word, sizeof(word)), 0);
	}
}

static void
test_idle_memory(void **state)
{
	enum { NUM = 200 };
	static struct tls_client clients[NUM];
	int streams[NUM];
	long before, after;

	(void)state;
	assert_true(tls_connect(&clients[0], &harness, &alice, 0));
	streams[0] = harness_next_session(&harness);
	before = harness_private_kib(&harness);
	for (int i = 1; i < NUM; i++) {
		assert_true(tls_connect(&clients[i], &harness, &alice, 0));
		streams[i] = harness_next_session(&harness);
		assert_true(streams[i] >= 0);
	}
	after = harness_private_kib(&harness);
	print_message("%.1f KiB per idle TLS connection in the front\n", (double)(after - before) / (NUM - 1));
#ifndef __SANITIZE_ADDRESS__
	assert_true((after - before) / (NUM - 1) <= 32);
#endif
	for (int i = 0; i < NUM; i++) {
		close(streams[i]);
		tls_close(&clients[i]);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_identity_reaches_the_gate, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_bytes_both_ways, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_client_leaving_ends_the_stream, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_client_reset_ends_the_stream, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_trap_b_no_record_holds_two_messages, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_gate_that_breaks_framing_is_cut_off, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_I80_back_pressure_both_ways, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_I11_session_ends_when_the_certificate_expires, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_unix_peer_is_the_identity, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_I76_gate_comes_back, set_up, tear_down),
		cmocka_unit_test(test_I79_descriptors_run_out),
		cmocka_unit_test(test_framing_split_at_every_byte),
		cmocka_unit_test_setup_teardown(test_idle_memory, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
