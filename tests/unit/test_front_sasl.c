/* test_front_sasl.c: do the right names come out of SASL, and nothing out of everything else? */
#include <pwd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <sasl/sasl.h>

#include "gateway/core/link.h"
#include "gateway/front/rpc_auth.h"
#include "proto/rpc.h"
#include "proto/xdr.h"
#include "tests/unit/front_harness.h"

enum { AUTH_LIST = 66, SASL_INIT = 67, SASL_START = 68, SASL_STEP = 69 };

static struct harness harness;
static struct cert alice;
static char dir[] = "/tmp/front-sasl-XXXXXX";
static char settings[512];
static int silent = -1;			/* listens in saslauthd's place and never answers */

static void
write_file(const char *name, const char *text)
{
	char path[256];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

/* A user in the test's own sasldb, by cyrus-sasl's own tool. */
static void
add_user(const char *name, const char *password)
{
	char database[256];
	int fds[2], status;
	pid_t pid;

	snprintf(database, sizeof(database), "%s/sasldb2", dir);
	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		dup2(fds[0], 0);
		close(fds[1]);
		execl("/usr/sbin/saslpasswd2", "saslpasswd2", "-p", "-c", "-f", database, "-a", "libvirt", name, (char *)NULL);
		_exit(127);
	}
	close(fds[0]);
	assert_true(write_all(fds[1], password, strlen(password)));
	close(fds[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(chmod(database, 0644), 0);
}

/* libvirt.conf: PLAIN asks "saslauthd" at `socket` when that is not NULL, else the sasldb. */
static void
write_conf(const char *mechs, const char *socket)
{
	char text[1024];

	snprintf(text, sizeof(text), "mech_list: %s\nauxprop_plugin: sasldb\nsasldb_path: %s/sasldb2\n"
	    "pwcheck_method: %s\nsaslauthd_path: %s\n", mechs, dir, socket != NULL ? "saslauthd" : "auxprop",
	    socket != NULL ? socket : "/nowhere");
	write_file("libvirt.conf", text);
}

static int
make_directory(void **state)
{
	(void)state;
	if (access("/usr/sbin/saslpasswd2", X_OK) != 0)
		return 0;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(chmod(dir, 0755), 0);
	add_user("alice", "wonder");
	add_user("bob", "builder");
	return 0;
}

static int
remove_directory(void **state)
{
	static const char *const names[] = { "libvirt.conf", "sasldb2", "mux" };
	char path[256];

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		unlink(path);
	}
	rmdir(dir);
	return 0;
}

static void
start(const char *more)
{
	if (access("/usr/sbin/saslpasswd2", X_OK) != 0)
		skip();
	snprintf(settings, sizeof(settings), "auth_tls = \"sasl\"\nsasl_conf_dir = \"%s\"\n%s%s", dir,
	    strstr(more, "sasl_match_certificate") == NULL ? "sasl_match_certificate = 0\n" : "", more);
	harness_start(&harness, settings, NULL);
	if (!harness.ready)
		fail_msg("%s", harness.failed);
	alice = cert_make((struct cert_wish){ .cn = "alice", .issuer = &harness.ca });
}

static void
stop(void)
{
	cert_free(&alice);
	harness_stop(&harness);
}

/* ---- an RPC client that knows authentication only ---- */

static uint8_t message[RPC_MAX_LEN_BEFORE_AUTH];

static size_t
make_call(int32_t procedure, const char *mech, const uint8_t *data, size_t len)
{
	struct rpc_header header = { 0, RPC_PROGRAM_REMOTE, RPC_VERSION, procedure, RPC_CALL, 7, RPC_STATUS_OK };
	struct xdr_out out;

	xdr_out_init(&out, message, sizeof(message));
	rpc_header_put(message, &header);
	out.len = RPC_HEADER_LEN;
	if (mech != NULL)
		xdr_put_string(&out, mech);
	if (procedure == SASL_START || procedure == SASL_STEP) {
		xdr_put_i32(&out, data == NULL);
		xdr_put_u32(&out, (uint32_t)len);
		for (size_t i = 0; i < len; i++)
			xdr_put_i32(&out, (int8_t)data[i]);
	}
	assert_false(out.failed);
	header.length = (uint32_t)out.len;
	rpc_header_put(message, &header);
	return out.len;
}

/* Sends the call and reads the whole answer into `message`; 0 when the connection was closed. */
static size_t
ask(struct tls_client *client, size_t len)
{
	uint32_t length;

	if (SSL_write(client->ssl, message, (int)len) != (int)len || !tls_read_all(client, message, 4))
		return 0;
	length = (uint32_t)message[0] << 24 | (uint32_t)message[1] << 16 | (uint32_t)message[2] << 8 | message[3];
	assert_true(length >= RPC_HEADER_LEN && length <= sizeof(message));
	return tls_read_all(client, message + 4, length - 4) ? length : 0;
}

static uint32_t
word(size_t at)
{
	return (uint32_t)message[at] << 24 | (uint32_t)message[at + 1] << 16 | (uint32_t)message[at + 2] << 8 | message[at + 3];
}

static bool
is_error(size_t len)
{
	return len >= RPC_HEADER_LEN + 12 && word(24) == RPC_STATUS_ERROR && word(28) == RPC_ERR_AUTH_FAILED;
}

static void
read_mechs(struct tls_client *client, char *mechs, size_t size)
{
	size_t len = ask(client, make_call(SASL_INIT, NULL, NULL, 0));

	assert_true(len > RPC_HEADER_LEN + 4);
	assert_int_equal(word(24), RPC_STATUS_OK);
	snprintf(mechs, size, "%.*s", (int)word(28), (const char *)message + 32);
}

static const char *client_name, *client_password;

static int
give_name(void *context, int id, const char **result, unsigned *len)
{
	(void)context;
	(void)id;
	*result = client_name;
	if (len != NULL)
		*len = (unsigned)strlen(client_name);
	return SASL_OK;
}

static int
give_password(sasl_conn_t *conn, void *context, int id, sasl_secret_t **secret)
{
	static char room[sizeof(sasl_secret_t) + 64];

	(void)conn;
	(void)context;
	(void)id;
	*secret = (sasl_secret_t *)(void *)room;
	(*secret)->len = strlen(client_password);
	memcpy((*secret)->data, client_password, strlen(client_password) + 1);
	return SASL_OK;
}

/* cyrus-sasl's own client at the other end. True when the server says complete. */
static bool
log_in(struct tls_client *client, const char *mech, const char *name, const char *password)
{
	static const sasl_callback_t callbacks[] = {
		{ SASL_CB_USER, (int (*)(void))(uintptr_t)give_name, NULL },
		{ SASL_CB_AUTHNAME, (int (*)(void))(uintptr_t)give_name, NULL },
		{ SASL_CB_PASS, (int (*)(void))(uintptr_t)give_password, NULL },
		{ SASL_CB_LIST_END, NULL, NULL },
	};
	static bool started;
	sasl_conn_t *conn = NULL;
	const char *out, *chosen;
	unsigned out_len;
	bool complete = false;
	size_t len;
	int code;

	client_name = name;
	client_password = password;
	if (!started)
		assert_int_equal(sasl_client_init(NULL), SASL_OK);
	started = true;
	assert_int_equal(sasl_client_new("libvirt", "localhost", NULL, NULL, callbacks, SASL_SUCCESS_DATA, &conn), SASL_OK);
	code = sasl_client_start(conn, mech, NULL, &out, &out_len, &chosen);
	assert_true(code == SASL_OK || code == SASL_CONTINUE);
	len = ask(client, make_call(SASL_START, chosen, (const uint8_t *)out, out_len));
	for (;;) {
		char in[4096];
		size_t in_len;

		if (len == 0 || word(24) != RPC_STATUS_OK)
			break;
		complete = word(28) == 1;
		in_len = word(36);
		assert_true(in_len < sizeof(in));
		for (size_t i = 0; i < in_len; i++)
			in[i] = (char)message[40 + 4 * i + 3];
		if (complete && word(32) == 1)
			break;
		code = sasl_client_step(conn, word(32) == 1 ? NULL : in, (unsigned)in_len, NULL, &out, &out_len);
		assert_true(code == SASL_OK || code == SASL_CONTINUE);
		if (complete)
			break;
		len = ask(client, make_call(SASL_STEP, NULL, (const uint8_t *)out, out_len));
	}
	if (!complete)
		assert_true(len == 0 || is_error(len));
	sasl_dispose(&conn);
	return complete;
}

/* ---- tests ---- */

static void
test_I8_what_is_offered(void **state)
{
	struct tls_client client;
	char mechs[128];

	(void)state;
	write_conf("plain scram-sha-256 scram-sha-1 anonymous external digest-md5 cram-md5 login", NULL);
	start("");
	assert_true(tls_connect(&client, &harness, &alice, 0));
	assert_int_equal(ask(&client, make_call(AUTH_LIST, NULL, NULL, 0)), 36);
	assert_int_equal(word(28), 1);
	assert_int_equal(word(32), 1);
	read_mechs(&client, mechs, sizeof(mechs));
	assert_string_equal(mechs, "SCRAM-SHA-256,PLAIN");
	/* What was not offered is not taken, also when cyrus-sasl has it. */
	assert_true(is_error(ask(&client, make_call(SASL_START, "ANONYMOUS", (const uint8_t *)"x", 1))));
	tls_close(&client);
	stop();
}

static void
test_both_proofs_are_in_the_identity(void **state)
{
	static const char *const mechs[] = { "SCRAM-SHA-256", "PLAIN" };
	char offered[128];

	(void)state;
	write_conf("plain scram-sha-256", NULL);
	start("");
	for (int i = 0; i < 2; i++) {
		struct tls_client client;
		int stream;

		assert_true(tls_connect(&client, &harness, &alice, 0));
		read_mechs(&client, offered, sizeof(offered));
		assert_true(log_in(&client, mechs[i], "bob", "builder"));
		stream = harness_next_session(&harness);
		assert_true(stream >= 0);
		assert_int_equal(harness.identity.proofs, VG_PROOF_X509 | VG_PROOF_SASL);
		assert_string_equal(harness.identity.sasl_name, "bob");
		assert_string_equal(harness.identity.sasl_mech, mechs[i]);
		assert_string_equal(harness.identity.x509_dn, "O=Lab,CN=alice");
		assert_int_equal(harness.identity.sasl_ssf, 0);
		close(stream);
		tls_close(&client);
	}
	stop();
}

/* I8: unless told otherwise, certificate and password must be the same person's. */
static void
test_I8_certificate_and_password_of_one_person(void **state)
{
	static const struct { const char *name, *password; bool good; } rows[] = {
		{ "alice", "wonder", true }, { "bob", "builder", false },
	};
	char offered[128];

	(void)state;
	write_conf("scram-sha-256", NULL);
	start("sasl_match_certificate = 1\n");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct tls_client client;

		assert_true(tls_connect(&client, &harness, &alice, 0));
		read_mechs(&client, offered, sizeof(offered));
		assert_int_equal(log_in(&client, "SCRAM-SHA-256", rows[i].name, rows[i].password), rows[i].good);
		if (rows[i].good)
			close(harness_next_session(&harness));
		tls_close(&client);
	}
	assert_int_equal(harness.num_sessions, 1);
	stop();
}

static void
test_I9_names_are_exact(void **state)
{
	static const struct { const char *name, *password; bool good; } rows[] = {
		{ "bob", "builder", true }, { "bob", "Builder", false }, { "bob", "", false }, { "Bob", "builder", false },
		{ "bob@elsewhere", "builder", false }, { "nobody", "builder", false }, { "alice", "builder", false },
		{ "alice", "wonder", true },
	};
	char offered[128];

	(void)state;
	write_conf("plain scram-sha-256", NULL);
	start("");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (int plain = 0; plain <= 1; plain++) {
			struct tls_client client;

			harness.num_records = 0;
			assert_true(tls_connect(&client, &harness, &alice, 0));
			read_mechs(&client, offered, sizeof(offered));
			if (log_in(&client, plain ? "PLAIN" : "SCRAM-SHA-256", rows[i].name, rows[i].password) != rows[i].good)
				fail_msg("%s:%s: %s", rows[i].name, rows[i].password, rows[i].good ? "refused" : "let in");
			if (rows[i].good) {
				close(harness_next_session(&harness));
				assert_string_equal(harness.identity.sasl_name, rows[i].name);
			} else {
				assert_true(harness_next_record(&harness));
				assert_non_null(strstr(harness.record, "O=Lab,CN=alice"));
				assert_non_null(strstr(harness.record, rows[i].name));
				assert_int_equal(harness.session_fd, -1);
			}
			tls_close(&client);
		}
	}
	stop();
}

/* I10: steps that are failed, cancelled, repeated or out of order leave nobody authenticated, and end the connection. */
static void
test_I10_order(void **state)
{
	static const char plain[] = "\0bob\0builder", two_names[] = "alice\0bob\0builder", three[] = "\0bob\0builder\0x",
	    cut[] = "\0bob";
	const struct { const char *mech; const void *data; size_t len; } starts[] = {
		{ "PLAIN", two_names, sizeof(two_names) - 1 }, { "PLAIN", three, sizeof(three) - 1 },
		{ "PLAIN", cut, sizeof(cut) - 1 }, { "PLAIN", "", 0 }, { "plain", plain, sizeof(plain) - 1 },
		{ "PLAIN,SCRAM-SHA-256", plain, sizeof(plain) - 1 }, { "", plain, sizeof(plain) - 1 },
		{ "SCRAM-SHA-256", "n,,n=bob\0x,r=abc", 16 }, { "SCRAM-SHA-256", "p=tls-unique,,n=bob,r=a", 23 },
		{ "SCRAM-SHA-256", "n,a=alice,n=bob,r=abcdefgh", 26 }, { "SCRAM-SHA-256", "", 0 },
	};
	struct tls_client client;
	char offered[128];
	uint8_t byte;

	(void)state;
	write_conf("plain scram-sha-256", NULL);
	start("");
	for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
		size_t len;

		assert_true(tls_connect(&client, &harness, &alice, 0));
		read_mechs(&client, offered, sizeof(offered));
		len = ask(&client, make_call(SASL_START, starts[i].mech, starts[i].data, starts[i].len));
		/* SCRAM tells of some mistakes only in its second answer: that is no success either. */
		if (!(is_error(len) || (len > 32 && word(24) == RPC_STATUS_OK && word(28) == 0)))
			fail_msg("start %zu is taken", i);
		tls_close(&client);
	}
	/* A start before init, a step before start, a second init. */
	for (int i = 0; i < 3; i++) {
		assert_true(tls_connect(&client, &harness, &alice, 0));
		if (i > 0)
			read_mechs(&client, offered, sizeof(offered));
		assert_true(is_error(ask(&client, i == 0 ? make_call(SASL_START, "PLAIN", (const uint8_t *)plain, 12) :
		    i == 1 ? make_call(SASL_STEP, NULL, (const uint8_t *)plain, 12) : make_call(SASL_INIT, NULL, NULL, 0))));
		assert_true(SSL_read(client.ssl, &byte, 1) <= 0);
		tls_close(&client);
	}
	assert_int_equal(harness.num_sessions, 0);
	stop();
}

static void
test_allow_list(void **state)
{
	struct tls_client client;
	char offered[128];

	(void)state;
	write_conf("scram-sha-256", NULL);
	start("sasl_allowed_username_list = [ \"ali*\" ]\n");
	assert_true(tls_connect(&client, &harness, &alice, 0));
	read_mechs(&client, offered, sizeof(offered));
	assert_false(log_in(&client, "SCRAM-SHA-256", "bob", "builder"));
	assert_true(harness_next_record(&harness));
	assert_non_null(strstr(harness.record, "sasl_allowed_username_list"));
	tls_close(&client);
	assert_true(tls_connect(&client, &harness, &alice, 0));
	read_mechs(&client, offered, sizeof(offered));
	assert_true(log_in(&client, "SCRAM-SHA-256", "alice", "wonder"));
	close(harness_next_session(&harness));
	tls_close(&client);
	stop();
}

/* Where passwords are asked of a daemon that does not answer, its askers wait; nobody else does. */
static void
test_blocked_step_does_not_stall_others(void **state)
{
	enum { NUM_BLOCKED = 8 };
	static const char plain[] = "\0bob\0builder";
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct tls_client blocked[NUM_BLOCKED], client;
	char offered[128];

	(void)state;
	if (access("/usr/sbin/saslpasswd2", X_OK) != 0)
		skip();
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/mux", dir);
	silent = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(silent, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(silent, 64), 0);
	assert_int_equal(chmod(address.sun_path, 0777), 0);
	write_conf("plain scram-sha-256", address.sun_path);
	start("");
	for (int i = 0; i < NUM_BLOCKED; i++) {
		size_t len;

		assert_true(tls_connect(&blocked[i], &harness, &alice, 0));
		read_mechs(&blocked[i], offered, sizeof(offered));
		len = make_call(SASL_START, "PLAIN", (const uint8_t *)plain, sizeof(plain) - 1);
		assert_int_equal(SSL_write(blocked[i].ssl, message, (int)len), (int)len);
		/* The worker has got as far as asking. */
		int asked = accept(silent, NULL, NULL);
		char piece[2];
		assert_true(asked >= 0);
		assert_true(read_all(asked, piece, 2));
		/* Not closed: the worker waits for an answer until the front ends. */
	}
	assert_true(tls_connect(&client, &harness, &alice, 0));
	read_mechs(&client, offered, sizeof(offered));
	assert_true(log_in(&client, "SCRAM-SHA-256", "bob", "builder"));
	close(harness_next_session(&harness));
	tls_close(&client);
	/* One that leaves while its step is blocked harms nobody. */
	for (int i = 0; i < NUM_BLOCKED; i++)
		tls_close(&blocked[i]);
	assert_true(tls_connect(&client, &harness, &alice, 0));
	tls_close(&client);
	stop();
	close(silent);
}

static void
test_I2_only_authentication_before_it(void **state)
{
	static const int32_t procedures[] = { 1, 3, 70, 419, 60, 0, -1, 9999 };
	struct tls_client client;
	uint8_t ping[RPC_HEADER_LEN], byte;
	struct rpc_header pong;

	(void)state;
	write_conf("scram-sha-256", NULL);
	start("");
	assert_true(tls_connect(&client, &harness, &alice, 0));
	rpc_put_keepalive(ping, RPC_KEEPALIVE_PING);
	memcpy(message, ping, sizeof(ping));
	assert_int_equal(ask(&client, sizeof(ping)), RPC_HEADER_LEN);
	assert_int_equal(rpc_header_get(message, RPC_HEADER_LEN, &pong), VG_OK);
	assert_int_equal(pong.procedure, RPC_KEEPALIVE_PONG);
	tls_close(&client);
	for (size_t i = 0; i < sizeof(procedures) / sizeof(procedures[0]); i++) {
		assert_true(tls_connect(&client, &harness, &alice, 0));
		assert_int_equal(ask(&client, make_call(procedures[i], NULL, NULL, 0)), 0);
		assert_true(SSL_read(client.ssl, &byte, 1) <= 0);
		tls_close(&client);
	}
	assert_int_equal(harness.num_sessions, 0);
	stop();
}

/* I13: the claim of a length costs nothing and is refused by its four bytes. */
static void
test_I13_lengths(void **state)
{
	static const uint8_t lengths[][4] = { { 0, 0, 0, 0 }, { 0, 0, 0, 27 }, { 0, 4, 4, 1 }, { 2, 0, 0, 4 }, { 255, 255, 255, 255 } };
	struct tls_client client;
	uint8_t byte;

	(void)state;
	write_conf("scram-sha-256", NULL);
	start("");
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		assert_true(tls_connect(&client, &harness, &alice, 0));
		assert_int_equal(SSL_write(client.ssl, lengths[i], 4), 4);
		assert_true(SSL_read(client.ssl, &byte, 1) <= 0);
		tls_close(&client);
	}
	stop();
}

static void
test_plain_tcp_offers_no_password(void **state)
{
	struct rpc_header header;
	size_t len;
	int fd;

	(void)state;
	write_conf("plain scram-sha-256", NULL);
	start("listen_tcp = 1\n");
	fd = connect_tcp(harness.tcp_port);
	len = make_call(SASL_INIT, NULL, NULL, 0);
	assert_true(write_all(fd, message, len));
	assert_true(read_all(fd, message, RPC_HEADER_LEN + 4));
	assert_int_equal(rpc_header_get(message, RPC_HEADER_LEN, &header), VG_OK);
	assert_int_equal(header.status, RPC_STATUS_ERROR);
	assert_int_equal(word(28), RPC_ERR_AUTH_FAILED);
	close(fd);
	stop();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_I8_what_is_offered),
		cmocka_unit_test(test_both_proofs_are_in_the_identity),
		cmocka_unit_test(test_I8_certificate_and_password_of_one_person),
		cmocka_unit_test(test_I9_names_are_exact),
		cmocka_unit_test(test_I10_order),
		cmocka_unit_test(test_allow_list),
		cmocka_unit_test(test_blocked_step_does_not_stall_others),
		cmocka_unit_test(test_I2_only_authentication_before_it),
		cmocka_unit_test(test_I13_lengths),
		cmocka_unit_test(test_plain_tcp_offers_no_password),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
