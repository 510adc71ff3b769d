/*
 * What does the gate do between a viewer and a guest's VNC server, when one of them is hostile? The VNC server is the test's
 * own; the real one is in tests/integration/test_vnc.py. Names carry the invariant that a test proves.
 */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/session/harness.h"

static const char policy[] = "{ \"version\": 1, \"bindings\": ["
	"{ \"id\": \"web\", \"who\": [\"sasl:alice\"], \"role\": \"operator\", \"on\": [\"domain:web-*\"] },"
	"{ \"id\": \"watch\", \"who\": [\"sasl:carol\"], \"role\": \"console-viewer\", \"on\": [\"domain:web-*\"] },"
	"{ \"id\": \"look\", \"who\": [\"sasl:bob\"], \"role\": \"viewer\", \"on\": [\"*\"] },"
	"{ \"id\": \"one\", \"who\": [\"sasl:dave\"], \"role\": \"one-by-one\", \"on\": [\"domain:web-*\"] },"
	"{ \"id\": \"or-look\", \"who\": [\"sasl:erin\"], \"role\": \"one-or-look\", \"on\": [\"domain:web-*\"] },"
	"{ \"id\": \"copy\", \"who\": [\"sasl:frank\"], \"role\": \"look-and-copy\", \"on\": [\"domain:web-*\"] },"
	"{ \"id\": \"all\", \"who\": [\"sasl:root\"], \"role\": \"vm-admin\", \"on\": [\"domain:web-*\"] } ],"
	"\"roles\": { \"one-by-one\": { \"include\": [\"operator\"], \"deny\": [\"domain:share_graphics\", \"domain:paste_graphics\"] },"
	"\"look-and-copy\": { \"include\": [\"console-viewer\"], \"allow\": [\"domain:copy_graphics\"] },"
	"\"one-or-look\": { \"include\": [\"one-by-one\", \"console-viewer\"] } } }";
static const char narrow_policy[] = "{ \"version\": 1, \"bindings\": ["
	"{ \"id\": \"watch\", \"who\": [\"sasl:alice\", \"sasl:carol\"], \"role\": \"console-viewer\", \"on\": [\"domain:web-*\"] } ] }";

static const char carols_policy[] = "{ \"version\": 1, \"bindings\": ["
	"{ \"id\": \"watch\", \"who\": [\"sasl:carol\"], \"role\": \"console-viewer\", \"on\": [\"domain:web-*\"] } ] }";

static const char version[] = "RFB 003.008\n";
static const uint8_t failed[4] = { 0, 0, 0, 1 }, accepted[4] = { 0, 0, 0, 0 };
/* 320 x 200, 32 bits, a name of three bytes */
static const uint8_t server_init[] = { 1, 64, 0, 200, 32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0, 0, 0, 0, 0, 0, 0, 3, 'w', 'e', 'b' };
static const uint8_t key[] = { 4, 1, 0, 0, 0, 0, 0, 'a' }, pointer[] = { 5, 1, 0, 3, 0, 3 }, text[] = { 6, 0, 0, 0, 0, 0, 0, 1, 'x' },
	request[] = { 3, 0, 0, 0, 0, 0, 1, 64, 0, 200 };

static int
setup(void **state)
{
	(void)state;
	harness_settings("max_console_viewers = 3\n");
	harness_start(policy);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	harness_stop();
	return 0;
}

static void
expect_bytes(int fd, const void *bytes, size_t len)
{
	uint8_t got[1024];
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

	assert_true(len <= sizeof(got));
	for (size_t at = 0; at < len;) {
		ssize_t n;

		if (poll(&poll_fd, 1, 60000) != 1)
			fail_msg("nothing came for a minute; %zu of %zu bytes are here", at, len);
		n = recv(fd, got + at, len - at, 0);
		if (n <= 0)
			fail_msg("the end came after %zu of %zu bytes", at, len);
		at += (size_t)n;
	}
	assert_memory_equal(got, bytes, len);
}

/* SecurityResult "failed" and its reason, then the end. */
static void
expect_refusal(int fd, const char *reason)
{
	uint8_t len[4];
	char got[512] = "";

	expect_bytes(fd, failed, sizeof(failed));
	assert_int_equal(recv(fd, len, 4, MSG_WAITALL), 4);
	assert_int_equal(len[0] + len[1], 0);
	assert_true((len[2] << 8 | len[3]) < 512);
	assert_int_equal(recv(fd, got, (size_t)(len[2] << 8 | len[3]), MSG_WAITALL), len[2] << 8 | len[3]);
	if (strstr(got, reason) == NULL)
		fail_msg("expected a reason with '%s', got '%s'", reason, got);
	client_expect_end(fd);
}

/* QEMU's part up to SecurityResult. */
static void
serve_security(int qemu)
{
	client_send_raw(qemu, version, 12);
	expect_bytes(qemu, version, 12);
	client_send_raw(qemu, "\2\2\1", 3);
	expect_bytes(qemu, "\1", 1);
	client_send_raw(qemu, accepted, 4);
}

/* An open console: the viewer's end, and QEMU's in `qemu`. */
static int
open_console_sharing(const char *user, bool shares, int *qemu)
{
	int viewer = viewer_connect(user, "web-1");

	*qemu = harness_qemu();
	serve_security(*qemu);
	expect_bytes(viewer, accepted, 4);
	client_send_raw(viewer, shares ? "\1" : "\0", 1);
	expect_bytes(*qemu, "\1", 1);			/* whether he shares is not for QEMU to hear */
	client_send_raw(*qemu, server_init, sizeof(server_init));
	expect_bytes(viewer, server_init, sizeof(server_init));
	return viewer;
}

static int
open_console(const char *user, int *qemu)
{
	return open_console_sharing(user, false, qemu);
}

/* Another viewer is served as if nothing had happened. */
static void
expect_console_works(void)
{
	int qemu, viewer = open_console("alice", &qemu);

	close(viewer);
	client_expect_end(qemu);
}

/* Input passes; or it is dropped and a request passes all the same. */
static void
expect_input(int viewer, int qemu, bool passes)
{
	client_send_raw(viewer, key, sizeof(key));
	client_send_raw(viewer, request, sizeof(request));
	if (passes)
		expect_bytes(qemu, key, sizeof(key));
	expect_bytes(qemu, request, sizeof(request));
}

static void
test_both_ways(void **state)
{
	int qemu, viewer = open_console("alice", &qemu);

	(void)state;
	client_send_raw(viewer, key, sizeof(key));
	expect_bytes(qemu, key, sizeof(key));
	client_send_raw(qemu, "any bytes", 9);
	expect_bytes(viewer, "any bytes", 9);
	harness_expect_record("\"console.open\"", "\"domain:open_graphics\"");
	close(viewer);
	harness_expect_record("\"console.close\"", "\"bytes_to_guest\":8");
	client_expect_end(qemu);
}

static void
test_I70_nothing_reaches_qemu_before_the_record(void **state)
{
	int viewer;

	(void)state;
	harness_audit(false);
	viewer = viewer_connect("alice", "web-1");
	expect_refusal(viewer, "the audit trail cannot be written");
	assert_int_equal(harness_num_consoles(), 0);
}

static void
test_I70_nothing_reaches_qemu_without_the_right(void **state)
{
	(void)state;
	expect_refusal(viewer_connect("bob", "web-1"), "access denied: 'domain:open_graphics' on domain 'web-1'");
	expect_refusal(viewer_connect("alice", "db-1"), "authentication failed");
	expect_refusal(viewer_connect("alice", "no-such"), "authentication failed");
	expect_refusal(viewer_connect("mallory", "web-1"), "authentication failed");
	assert_int_equal(harness_num_consoles(), 0);
	harness_expect_record("VG1403W", "db-1");
}

static void
test_I71_view_only(void **state)
{
	static const uint8_t size[] = { 251, 0, 1, 64, 0, 200, 0, 0 }, xvp[] = { 250, 0, 1, 4 };
	int qemu, viewer = open_console("carol", &qemu);

	(void)state;
	client_send_raw(viewer, key, sizeof(key));
	client_send_raw(viewer, pointer, sizeof(pointer));
	client_send_raw(viewer, text, sizeof(text));
	client_send_raw(viewer, size, sizeof(size));
	client_send_raw(viewer, xvp, sizeof(xvp));
	client_send_raw(viewer, request, sizeof(request));
	expect_bytes(qemu, request, sizeof(request));
	close(viewer);
	harness_expect_record("\"console.close\"", "\"dropped_messages\":5");
	close(qemu);
}

static void
test_I71_encodings_are_filtered(void **state)
{
	static const uint8_t asked[] = { 2, 0, 0, 4, 0, 0, 0, 7, 0xc0, 0xa1, 0xe5, 0xce, 0xff, 0xff, 0xfe, 0xcb, 0xff, 0xff, 0xff, 0x21 };
	static const uint8_t passed[] = { 2, 0, 0, 2, 0, 0, 0, 7, 0xff, 0xff, 0xff, 0x21 };
	int qemu, viewer = open_console("alice", &qemu);

	(void)state;
	client_send_raw(viewer, asked, sizeof(asked));
	expect_bytes(qemu, passed, sizeof(passed));
	close(viewer);
	close(qemu);
}

static void
test_viewer_that_babbles_is_ended(void **state)
{
	int qemu, viewer = open_console("alice", &qemu);

	(void)state;
	client_send_raw(viewer, key, sizeof(key));
	client_send_raw(viewer, "\7", 1);
	expect_bytes(qemu, key, sizeof(key));
	client_expect_end(viewer);
	client_expect_end(qemu);
	harness_expect_record("VG1201W", "type 7");
}

static void
test_messages_split_at_every_byte(void **state)
{
	int qemu, viewer = open_console("alice", &qemu);
	uint8_t all[sizeof(key) + sizeof(text) + sizeof(request)];

	(void)state;
	memcpy(all, key, sizeof(key));
	memcpy(all + sizeof(key), text, sizeof(text));
	memcpy(all + sizeof(key) + sizeof(text), request, sizeof(request));
	for (size_t i = 0; i < sizeof(all); i++)
		client_send_raw(viewer, all + i, 1);
	expect_bytes(qemu, all, sizeof(all));
	close(viewer);
	close(qemu);
}

/* What a guest's VNC server may say instead of what it should, and at which step. */
static void
test_I73_hostile_vnc_server(void **state)
{
	static const struct {
		int step;		/* 0: version, 1: security types, 2: SecurityResult, 3: before ClientInit, 4: ServerInit */
		const char *bytes;
		size_t len;
	} rows[] = {
		{ 0, "RFB 003.003\n", 12 }, { 0, "RFB 004.000\n", 12 }, { 0, "HTTP/1.1 400", 12 }, { 0, "S", 1 }, { 0, "", 0 },
		{ 1, "\0\0\0\0\3no!", 8 }, { 1, "\1\2", 2 }, { 1, "\3\2\23\24", 4 }, { 1, "", 0 },
		{ 2, "\0\0\0\1\0\0\0\0", 8 }, { 2, "\1\0\0\0", 4 }, { 2, "", 0 },
		{ 3, "x", 1 }, { 3, "", 0 },
		{ 4, "\1\100\0\310\40\30\0\1\0\377\0\377\0\377\20\10\0\0\0\0\377\377\377\377", 24 }, { 4, "", 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int viewer = viewer_connect("alice", "web-1"), qemu = harness_qemu();

		if (rows[i].step > 0) {
			client_send_raw(qemu, version, 12);
			expect_bytes(qemu, version, 12);
		}
		if (rows[i].step > 1) {
			client_send_raw(qemu, "\1\1", 2);
			expect_bytes(qemu, "\1", 1);
		}
		if (rows[i].step > 2) {
			client_send_raw(qemu, accepted, 4);
			expect_bytes(viewer, accepted, 4);
		}
		if (rows[i].step > 3) {
			client_send_raw(viewer, "\1", 1);
			expect_bytes(qemu, "\1", 1);
		}
		if (rows[i].len > 0)
			client_send_raw(qemu, rows[i].bytes, rows[i].len);
		else
			shutdown(qemu, SHUT_WR);
		if (rows[i].step < 3 && rows[i].len > 0)
			expect_refusal(viewer, "the console is not available");
		else
			client_expect_end(viewer);
		close(qemu);
	}
	expect_console_works();
}

/* A viewer that does not read: QEMU is not read either, after what the gate may keep. */
static void
test_I73_slow_viewer_costs_bounded_memory(void **state)
{
	static uint8_t block[65536];
	int qemu, viewer = open_console("alice", &qemu);
	struct pollfd poll_fd = { .fd = qemu, .events = POLLOUT };
	size_t total = 0;

	(void)state;
	while (poll(&poll_fd, 1, 500) == 1) {
		ssize_t n = send(qemu, block, sizeof(block), MSG_NOSIGNAL | MSG_DONTWAIT);

		total += n > 0 ? (size_t)n : 0;
		assert_true(total < 16u * 1024 * 1024);
	}
	for (size_t got = 0; got < total;) {
		ssize_t n = recv(viewer, block, sizeof(block), 0);

		assert_true(n > 0);
		got += (size_t)n;
	}
	client_send_raw(qemu, "more", 4);
	expect_bytes(viewer, "more", 4);
	close(viewer);
	close(qemu);
}

static void
reload(const char *new_policy)
{
	char *problem = harness_reload(new_policy);

	assert_string_equal(problem, "");
	free(problem);
}

static void
test_I11_revoked_right_ends_it(void **state)
{
	int alices, carols, alice = open_console("alice", &alices), carol = open_console("carol", &carols);

	(void)state;
	reload(carols_policy);
	client_expect_end(alice);
	client_expect_end(alices);
	harness_expect_record("\"console.close\"", "rights revoked");
	client_send_raw(carol, request, sizeof(request));
	expect_bytes(carols, request, sizeof(request));
	close(carol);
	close(carols);
}

/* She goes on looking; what she held down is let go, and input comes back with the next viewer only. */
static void
test_I11_right_to_input_that_ends_leaves_the_look(void **state)
{
	static const uint8_t extended[] = { 255, 0, 0, 1, 0, 0, 0, 'b', 0, 0, 0, 0x30 };
	static const uint8_t released[] = { 4, 0, 0, 0, 0, 0, 0, 'a', 255, 0, 0, 0, 0, 0, 0, 'b', 0, 0, 0, 0x30, 5, 0, 0, 3, 0, 3 };
	static const uint8_t up[] = { 4, 0, 0, 0, 0, 0, 0, 'c' }, down[] = { 4, 1, 0, 0, 0, 0, 0, 'c' };
	int qemu, viewer = open_console("alice", &qemu);

	(void)state;
	client_send_raw(viewer, key, sizeof(key));
	client_send_raw(viewer, down, sizeof(down));
	client_send_raw(viewer, extended, sizeof(extended));
	client_send_raw(viewer, up, sizeof(up));
	client_send_raw(viewer, pointer, sizeof(pointer));
	expect_bytes(qemu, key, sizeof(key));
	expect_bytes(qemu, down, sizeof(down));
	expect_bytes(qemu, extended, sizeof(extended));
	expect_bytes(qemu, up, sizeof(up));
	expect_bytes(qemu, pointer, sizeof(pointer));
	reload(narrow_policy);
	expect_bytes(qemu, released, sizeof(released));
	harness_expect_record("VG1406I", "\"mode\":\"view\"");
	expect_input(viewer, qemu, false);
	client_send_raw(viewer, text, sizeof(text));
	client_send_raw(qemu, "picture", 7);
	expect_bytes(viewer, "picture", 7);
	reload(policy);
	expect_input(viewer, qemu, false);
	reload(carols_policy);
	client_expect_end(viewer);
	client_expect_end(qemu);
	harness_expect_record("\"console.close\"", "\"mode\":\"view\"");
}

/* Whose input was taken away is no hindrance to the next one who works there, not even if he had the screen for himself. */
static void
test_I74_input_that_was_taken_away_is_free(void **state)
{
	static const char narrowed[] = "{ \"version\": 1, \"bindings\": ["
		"{ \"id\": \"watch\", \"who\": [\"sasl:root\"], \"role\": \"console-viewer\", \"on\": [\"domain:web-*\"] },"
		"{ \"id\": \"one\", \"who\": [\"sasl:dave\"], \"role\": \"one-by-one\", \"on\": [\"domain:web-*\"] } ],"
		"\"roles\": { \"one-by-one\": { \"include\": [\"operator\"], \"deny\": [\"domain:share_graphics\"] } } }";
	int roots, daves, root = open_console_sharing("root", false, &roots), dave;

	(void)state;
	expect_input(root, roots, true);
	reload(narrowed);
	harness_expect_record("VG1406I", "root");
	expect_bytes(roots, "\4\0\0\0\0\0\0a", 8);
	dave = open_console("dave", &daves);
	expect_input(dave, daves, true);
	expect_input(root, roots, false);
	close(dave);
	close(daves);
	close(root);
	close(roots);
}

static void
test_I66_renamed_guest_is_judged_by_its_new_name(void **state)
{
	int qemu, viewer = open_console("alice", &qemu);

	(void)state;
	harness_event("hr-1", uuid_web1);
	client_expect_end(viewer);
	client_expect_end(qemu);
	harness_expect_record("\"console.close\"", "hr-1");
}

static void
test_libvirtd_without_a_descriptor(void **state)
{
	(void)state;
	harness_mischief(NO_DESCRIPTOR);
	expect_refusal(viewer_connect("alice", "web-1"), "libvirtd gave no descriptor");
	harness_mischief(TWO_DESCRIPTORS);
	expect_refusal(viewer_connect("alice", "web-1"), "does not decode");
	harness_mischief(BEHAVE);
	close(harness_qemu());
	expect_console_works();
}

static void
test_viewer_leaves_while_libvirtd_thinks(void **state)
{
	int viewer;

	(void)state;
	harness_mischief(STAY_SILENT);
	viewer = viewer_connect("alice", "web-1");
	while (harness_num_consoles() == 0)
		poll(NULL, 0, 10);
	harness_mischief(BEHAVE);
	close(viewer);
	harness_expect_record("\"console.close\"", "client went away");
	expect_console_works();
}

/* What he says before his turn is neither lost nor taken for more than it is. */
static void
test_viewer_speaks_before_its_turn(void **state)
{
	int qemu, viewer = viewer_connect("alice", "web-1");

	(void)state;
	client_send_raw(viewer, "\1", 1);
	qemu = harness_qemu();
	serve_security(qemu);
	expect_bytes(viewer, accepted, 4);
	expect_bytes(qemu, "\1", 1);
	client_send_raw(qemu, server_init, sizeof(server_init));
	expect_bytes(viewer, server_init, sizeof(server_init));
	close(viewer);
	client_expect_end(qemu);
}

/* ---- several at one screen ---- */

static void
test_I74_without_the_right_to_share_there_is_input_for_one(void **state)
{
	int alices, erins, daves, alice = open_console("alice", &alices), erin = open_console("erin", &erins), dave;

	(void)state;
	expect_input(alice, alices, true);
	expect_input(erin, erins, false);
	harness_expect_record("\"console.open\"", "\"others\":1");
	expect_refusal(viewer_connect("dave", "web-1"), "somebody else works at this screen");
	harness_expect_record("\"denied\"", "somebody else works at this screen");
	close(alice);
	client_expect_end(alices);
	expect_input(erin, erins, false);	/* what she came in with does not widen */
	dave = open_console("dave", &daves);	/* she only looks: nobody works here */
	expect_input(dave, daves, true);
	close(dave);
	close(daves);
	close(erin);
	close(erins);
}

static void
test_I74_who_shares_works_beside_others(void **state)
{
	int alices, others, alice = open_console("alice", &alices), other = open_console("alice", &others);

	(void)state;
	expect_input(alice, alices, true);
	expect_input(other, others, true);
	close(alice);
	close(alices);
	close(other);
	close(others);
}

static void
test_I75_takeover_is_a_right_of_its_own(void **state)
{
	int alices, carols, roots, alice = open_console("alice", &alices), carol = open_console("carol", &carols), root;

	(void)state;
	expect_input(alice, alices, true);	/* carol's wish not to share ended nobody */
	root = open_console_sharing("root", false, &roots);
	client_expect_end(alice);
	client_expect_end(carol);
	client_expect_end(alices);
	client_expect_end(carols);
	harness_expect_record("\"console.takeover\"", "\"ended\":2");
	harness_expect_record("\"console.close\"", "another viewer took the screen");
	expect_refusal(viewer_connect("alice", "web-1"), "taken this screen for himself");
	expect_input(root, roots, true);
	close(root);
	client_expect_end(roots);
	expect_console_works();
	root = open_console_sharing("root", true, &roots);
	alice = open_console("alice", &alices);		/* who holds the right and shares takes nothing */
	expect_input(root, roots, true);
	close(alice);
	close(alices);
	close(root);
	close(roots);
}

static void
test_I74_viewers_of_a_guest_are_limited(void **state)
{
	int viewers[3], qemus[3];

	(void)state;
	for (size_t i = 0; i < 3; i++)
		viewers[i] = open_console(i == 0 ? "carol" : "alice", &qemus[i]);
	expect_refusal(viewer_connect("root", "web-1"), "max_console_viewers");
	for (size_t i = 0; i < 3; i++)
		expect_input(viewers[i], qemus[i], i > 0);
	close(viewers[0]);
	client_expect_end(qemus[0]);
	expect_console_works();
	for (size_t i = 1; i < 3; i++) {
		close(viewers[i]);
		close(qemus[i]);
	}
}

static void
test_I71_pasting_is_a_right_of_its_own(void **state)
{
	int daves, alices, dave = open_console("dave", &daves), alice;

	(void)state;
	client_send_raw(dave, text, sizeof(text));
	expect_input(dave, daves, true);
	close(dave);
	client_expect_end(daves);
	alice = open_console("alice", &alices);
	client_send_raw(alice, text, sizeof(text));
	expect_bytes(alices, text, sizeof(text));
	close(alice);
	close(alices);
}

/* Who may have the guest's text and not put any there: asks, and offers in vain. Nothing before the encoding (CVE-2023-6683). */
static void
test_I71_copying_is_a_right_of_its_own(void **state)
{
	static const uint8_t encodings[] = { 2, 0, 0, 2, 0, 0, 0, 7, 0xc0, 0xa1, 0xe5, 0xce }, old[] = { 2, 0, 0, 1, 0, 0, 0, 7 };
	static const uint8_t asks[] = { 6, 0, 0, 0, 255, 255, 255, 252, 2, 0, 0, 3 }, asked[] = { 6, 0, 0, 0, 255, 255, 255, 252, 2, 0, 0, 1 };
	static const uint8_t offers[] = { 6, 0, 0, 0, 255, 255, 255, 252, 8, 0, 0, 1 };
	/* "\0\0\0\1x" */
	static const uint8_t gives[] = { 6, 0, 0, 0, 255, 255, 255, 239, 16, 0, 0, 1, 0x78, 0x9c, 0x63, 0x60, 0x60, 0x60, 0xac, 0x00, 0x00,
		0x00, 0x7f, 0x00, 0x7a };
	const char *const users[] = { "frank", "root", "alice" };

	(void)state;
	for (size_t i = 0; i < sizeof(users) / sizeof(users[0]); i++) {
		int qemu, viewer = open_console_sharing(users[i], true, &qemu);

		client_send_raw(viewer, asks, sizeof(asks));
		client_send_raw(viewer, encodings, sizeof(encodings));
		expect_bytes(qemu, i < 2 ? encodings : old, i < 2 ? sizeof(encodings) : sizeof(old));
		client_send_raw(viewer, asks, sizeof(asks));
		client_send_raw(viewer, offers, sizeof(offers));
		client_send_raw(viewer, gives, sizeof(gives));
		client_send_raw(viewer, request, sizeof(request));
		if (i < 2)
			expect_bytes(qemu, asked, sizeof(asked));
		if (i == 1) {
			uint8_t stored[] = { 6, 0, 0, 0, 255, 255, 255, 236, 16, 0, 0, 1, 0x78, 0x01, 1, 5, 0, 250, 255, 0, 0, 0, 1, 'x', 0, 0x7f, 0, 0x7a };

			expect_bytes(qemu, offers, sizeof(offers));
			expect_bytes(qemu, stored, sizeof(stored));
		}
		expect_bytes(qemu, request, sizeof(request));
		close(viewer);
		client_expect_end(qemu);
	}
}

static void
expect_reloaded(const char *settings)
{
	char *problem;

	harness_settings(settings);
	problem = harness_reload(policy);
	assert_string_equal(problem, "");
	free(problem);
}

static void
test_viewers_who_do_nothing_are_ended(void **state)
{
	int alices, carols, alice = open_console("alice", &alices), carol = open_console("carol", &carols);
	struct pollfd end = { .fd = carol, .events = POLLIN };
	int turns = 0;

	(void)state;
	expect_reloaded("console_idle_seconds = 5\n");
	/* Asking for the screen is not doing something, pointing is, also where it is dropped. */
	while (poll(&end, 1, 200) == 0 && turns++ < 50) {
		client_send_raw(carol, request, sizeof(request));
		expect_input(alice, alices, true);
	}
	client_expect_end(carol);
	harness_expect_record("\"console.close\"", "nobody typed");
	expect_input(alice, alices, true);
	close(carols);
	expect_reloaded("console_max_seconds = 1\n");
	client_expect_end(alice);
	harness_expect_record("\"console.close\"", "open for console_max_seconds");
	close(alices);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_both_ways), TEST(test_I70_nothing_reaches_qemu_before_the_record),
		TEST(test_I70_nothing_reaches_qemu_without_the_right), TEST(test_I71_view_only),
		TEST(test_I71_encodings_are_filtered), TEST(test_viewer_that_babbles_is_ended),
		TEST(test_messages_split_at_every_byte), TEST(test_I73_hostile_vnc_server),
		TEST(test_I73_slow_viewer_costs_bounded_memory), TEST(test_I11_revoked_right_ends_it),
		TEST(test_I11_right_to_input_that_ends_leaves_the_look), TEST(test_I74_input_that_was_taken_away_is_free),
		TEST(test_I66_renamed_guest_is_judged_by_its_new_name), TEST(test_libvirtd_without_a_descriptor),
		TEST(test_viewer_leaves_while_libvirtd_thinks), TEST(test_viewer_speaks_before_its_turn),
		TEST(test_I74_without_the_right_to_share_there_is_input_for_one), TEST(test_I74_who_shares_works_beside_others),
		TEST(test_I74_viewers_of_a_guest_are_limited), TEST(test_I75_takeover_is_a_right_of_its_own),
		TEST(test_I71_pasting_is_a_right_of_its_own), TEST(test_I71_copying_is_a_right_of_its_own), TEST(test_viewers_who_do_nothing_are_ended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
