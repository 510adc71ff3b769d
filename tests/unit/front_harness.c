/* front_harness.c: see front_harness.h. Anything that goes wrong here ends the test program. */
#include "tests/unit/front_harness.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "gateway/core/audit_wire.h"
#include "gateway/core/handover.h"
#include "gateway/core/link.h"
#include "gateway/core/log.h"

#define need(condition) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "%s:%d: %s (errno %s)\n", __FILE__, __LINE__, #condition, strerror(errno)); \
			ERR_print_errors_fp(stderr); \
			abort(); \
		} \
	} while (0)

/* ---- certificates ---- */

X509_NAME *
name_make(const char *first, ...)
{
	X509_NAME *name = X509_NAME_new();
	const char *field, *text;
	va_list args;

	va_start(args, first);
	for (field = first; field != NULL; field = va_arg(args, const char *)) {
		text = va_arg(args, const char *);
		need(X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8, (const unsigned char *)text, -1, -1, 0) == 1);
	}
	va_end(args);
	return name;
}

static void
add_extension(X509 *x509, X509V3_CTX *ctx, const char *name, const char *value)
{
	X509_EXTENSION *extension = X509V3_EXT_conf(NULL, ctx, name, value);

	need(extension != NULL && X509_add_ext(x509, extension, -1) == 1);
	X509_EXTENSION_free(extension);
}

struct cert
cert_make(struct cert_wish wish)
{
	static long serial = 1;
	struct cert cert = { X509_new(), EVP_EC_gen("P-256") };
	const struct cert *issuer = wish.issuer != NULL ? wish.issuer : &cert;
	X509_NAME *name = wish.name != NULL ? wish.name : name_make("O", "Lab", "CN", wish.cn, NULL);
	X509V3_CTX ctx;

	need(cert.x509 != NULL && cert.key != NULL);
	need(X509_set_version(cert.x509, 2) == 1 && ASN1_INTEGER_set(X509_get_serialNumber(cert.x509), ++serial) == 1);
	X509_gmtime_adj(X509_getm_notBefore(cert.x509), wish.from * 86400L - 60);
	X509_gmtime_adj(X509_getm_notAfter(cert.x509), wish.seconds != 0 ? wish.seconds : (wish.until != 0 ? wish.until : 30) * 86400L);
	need(X509_set_subject_name(cert.x509, name) == 1 && X509_set_pubkey(cert.x509, cert.key) == 1);
	need(X509_set_issuer_name(cert.x509, X509_get_subject_name(issuer->x509)) == 1);
	X509V3_set_ctx(&ctx, issuer->x509, cert.x509, NULL, NULL, 0);
	add_extension(cert.x509, &ctx, "basicConstraints", wish.ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
	add_extension(cert.x509, &ctx, "keyUsage",
	    wish.ca ? "critical,keyCertSign,cRLSign" : "critical,digitalSignature,keyEncipherment");
	if (!wish.ca && (wish.usage == NULL || wish.usage[0] != '\0'))
		add_extension(cert.x509, &ctx, "extendedKeyUsage", wish.usage != NULL ? wish.usage : "clientAuth");
	if (wish.constraints != NULL)
		add_extension(cert.x509, &ctx, "nameConstraints", wish.constraints);
	if (wish.san != NULL)
		add_extension(cert.x509, &ctx, "subjectAltName", wish.san);
	need(X509_sign(cert.x509, issuer->key, EVP_sha256()) > 0);
	X509_NAME_free(name);
	return cert;
}

void
cert_free(struct cert *cert)
{
	X509_free(cert->x509);
	EVP_PKEY_free(cert->key);
	*cert = (struct cert){ NULL, NULL };
}

X509_CRL *
crl_make(const struct cert *issuer, const X509 *revoked, long until)
{
	X509_CRL *crl = X509_CRL_new();
	ASN1_TIME *from = X509_gmtime_adj(NULL, -86400L * 10), *next = X509_gmtime_adj(NULL, 86400L * until);

	need(X509_CRL_set_version(crl, 1) == 1);
	need(X509_CRL_set_issuer_name(crl, X509_get_subject_name(issuer->x509)) == 1);
	need(X509_CRL_set1_lastUpdate(crl, from) == 1 && X509_CRL_set1_nextUpdate(crl, next) == 1);
	if (revoked != NULL) {
		X509_REVOKED *entry = X509_REVOKED_new();

		need(X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber((X509 *)(uintptr_t)revoked)) == 1);
		need(X509_REVOKED_set_revocationDate(entry, from) == 1 && X509_CRL_add0_revoked(crl, entry) == 1);
	}
	need(X509_CRL_sign(crl, issuer->key, EVP_sha256()) > 0);
	ASN1_TIME_free(from);
	ASN1_TIME_free(next);
	return crl;
}

static FILE *
new_file(int *fd)
{
	FILE *file;

	*fd = memfd_create("test", MFD_CLOEXEC);
	need(*fd >= 0);
	file = fdopen(dup(*fd), "w");
	need(file != NULL);
	return file;
}

static int
finish_file(FILE *file, int fd)
{
	need(fclose(file) == 0 && lseek(fd, 0, SEEK_SET) == 0);
	return fd;
}

int
file_of_certs(const X509 *first, ...)
{
	int fd;
	FILE *file = new_file(&fd);
	va_list args;

	va_start(args, first);
	for (const X509 *x509 = first; x509 != NULL; x509 = va_arg(args, const X509 *))
		need(PEM_write_X509(file, (X509 *)(uintptr_t)x509) == 1);
	va_end(args);
	return finish_file(file, fd);
}

int
file_of_crls(X509_CRL *first, ...)
{
	int fd;
	FILE *file = new_file(&fd);
	va_list args;

	va_start(args, first);
	for (X509_CRL *crl = first; crl != NULL; crl = va_arg(args, X509_CRL *)) {
		need(PEM_write_X509_CRL(file, crl) == 1);
		X509_CRL_free(crl);
	}
	va_end(args);
	return finish_file(file, fd);
}

int
file_of_key(EVP_PKEY *key)
{
	int fd;
	FILE *file = new_file(&fd);

	need(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) == 1);
	return finish_file(file, fd);
}

int
file_of_text(const char *text)
{
	int fd;
	FILE *file = new_file(&fd);

	need(fputs(text, file) >= 0);
	return finish_file(file, fd);
}

/* ---- the front ---- */

static void
on_parent(struct link *link, enum link_type type, const uint8_t *body, size_t len, const int *fds, size_t num_fds, void *arg)
{
	struct harness *harness = arg;

	(void)link;
	(void)fds;
	need(num_fds == 0);
	switch (type) {
	case LINK_READY:
		harness->ready = true;
		break;
	case LINK_FAILED:
		snprintf(harness->failed, sizeof(harness->failed), "%.*s", (int)len, (const char *)body);
		break;
	case LINK_RELOADED:
		harness->has_reloaded = true;
		snprintf(harness->reloaded, sizeof(harness->reloaded), "%.*s", (int)len, (const char *)body);
		break;
	default:
		need(false);
	}
}

static void
on_session(struct link *link, enum link_type type, const uint8_t *body, size_t len, const int *fds, size_t num_fds, void *arg)
{
	struct harness *harness = arg;

	(void)link;
	need(type == LINK_SESSION && num_fds == 1);
	identity_clear(&harness->identity);
	need(handover_get(body, len, &harness->identity) == 0);
	if (harness->session_fd >= 0)
		close(harness->session_fd);
	harness->session_fd = fds[0];
	harness->num_sessions++;
}

/* The members of a record as text, one "key=value " after the other. */
static void
on_record(struct link *link, enum link_type type, const uint8_t *body, size_t len, const int *fds, size_t num_fds, void *arg)
{
	struct harness *harness = arg;
	const uint8_t *at = body + AUDIT_WIRE_HEAD;
	struct audit_member member;
	size_t used = 0;
	bool bad = false;

	(void)link;
	(void)fds;
	need(type == LINK_RECORD && num_fds == 0 && len > 0);
	if (body[0] != AUDIT_WIRE_RECORD)
		return;
	while (audit_wire_next(&at, body + len, &member, &bad) && used < sizeof(harness->record))
		used += (size_t)snprintf(harness->record + used, sizeof(harness->record) - used, "%.*s=%.*s ",
		    (int)member.key_len, member.key, (int)member.value_len, member.value);
	need(!bad);
	harness->num_records++;
}

static void
on_closed(struct link *link, void *arg)
{
	struct harness *harness = arg;

	if (link == harness->parent) {
		harness->parent = NULL;
		harness->stopped = true;
	} else if (link == harness->gate) {
		harness->gate = NULL;
	} else if (link == harness->audit) {
		harness->audit = NULL;
	}
	link_destroy(link);
}

static int
listen_tcp(uint16_t *port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	need(fd >= 0 && bind(fd, (struct sockaddr *)&address, len) == 0 && listen(fd, 512) == 0);
	need(getsockname(fd, (struct sockaddr *)&address, &len) == 0);
	*port = ntohs(address.sin_port);
	return fd;
}

static int
listen_unix(char path[108])
{
	static unsigned number;
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "/tmp/front-test-%d-%u", (int)getpid(), ++number);
	need(fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 && listen(fd, 64) == 0);
	memcpy(path, address.sun_path, 108);
	return fd;
}

static struct settings *
make_settings(struct harness *harness, const char *more)
{
	struct vg_error error;
	struct settings *settings;

	/* Started as root, a front becomes somebody who owns nothing. */
	snprintf(harness->settings, sizeof(harness->settings),
	    "user = \"nobody\"\ngroup = \"nogroup\"\nfront_processes = 1\nlog_level = %s\n%s",
	    getenv("FRONT_TEST_LOG") != NULL ? getenv("FRONT_TEST_LOG") : "4", more);
	settings = settings_parse(harness->settings, "test.conf", &error);
	if (settings == NULL)
		fprintf(stderr, "%s\n", error.what);
	need(settings != NULL);
	return settings;
}

static bool
wait_for(struct harness *harness, const bool *flag, const char *text)
{
	struct timespec begin, now;
	struct timeval tick = { 0, 20000 };

	clock_gettime(CLOCK_MONOTONIC, &begin);
	do {
		if (*flag || (text != NULL && text[0] != '\0'))
			return *flag;
		event_base_loopexit(harness->base, &tick);
		event_base_loop(harness->base, EVLOOP_ONCE);
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec - begin.tv_sec < 60);
	return *flag;
}

bool
harness_wait(struct harness *harness, const unsigned *counter, unsigned was)
{
	struct timespec begin, now;
	struct timeval tick = { 0, 20000 };

	clock_gettime(CLOCK_MONOTONIC, &begin);
	do {
		if (*counter != was)
			return true;
		event_base_loopexit(harness->base, &tick);
		event_base_loop(harness->base, EVLOOP_ONCE);
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec - begin.tv_sec < 60);
	return *counter != was;
}

static struct link *
connect_peer(struct harness *harness, enum process_kind kind, link_message_cb *message)
{
	struct link_peer peer = { kind, 0 };
	struct link *link;
	int fds[2];

	need(link_pair(fds) == 0);
	link = link_create(harness->base, fds[0], message, on_closed, harness);
	need(link != NULL);
	/* A front that could not start may be gone already. */
	(void)link_send(harness->parent, LINK_PEER, &peer, sizeof(peer), &fds[1], 1);
	close(fds[1]);
	return link;
}

void
harness_connect_gate(struct harness *harness)
{
	harness->gate = connect_peer(harness, PROCESS_GATE, on_session);
}

static void
make_default_files(struct harness *harness, const int *given, int files[PROCESS_NUM_FILES])
{
	for (int i = 0; i < PROCESS_NUM_FILES; i++)
		files[i] = given != NULL ? given[i] : -1;
	if (files[FILE_CERT] < 0)
		files[FILE_CERT] = file_of_certs(harness->server.x509, NULL);
	if (files[FILE_KEY] < 0)
		files[FILE_KEY] = file_of_key(harness->server.key);
	if (files[FILE_CA] < 0)
		files[FILE_CA] = file_of_certs(harness->ca.x509, NULL);
}

void
harness_start_without_gate(struct harness *harness, const char *settings, const int *files)
{
	struct process process = { .kind = PROCESS_FRONT };
	int fds[2];

	signal(SIGPIPE, SIG_IGN);
	if (harness->ca.x509 == NULL) {
		harness->ca = cert_make((struct cert_wish){ .cn = "Lab CA", .ca = true });
		harness->server = cert_make((struct cert_wish){ .cn = "localhost", .issuer = &harness->ca, .usage = "serverAuth" });
	}
	harness->session_fd = -1;
	harness->ready = harness->stopped = harness->has_reloaded = false;
	harness->failed[0] = '\0';
	harness->num_sessions = harness->num_records = 0;
	need(link_pair(fds) == 0);
	process.settings = make_settings(harness, settings);
	process.parent_fd = fds[1];
	make_default_files(harness, files, process.files);
	process.listeners[0] = (struct listener){ LISTENER_TLS, listen_tcp(&harness->tls_port) };
	process.listeners[1] = (struct listener){ LISTENER_TCP, listen_tcp(&harness->tcp_port) };
	process.listeners[2] = (struct listener){ LISTENER_UNIX, listen_unix(harness->unix_path) };
	need(chmod(harness->unix_path, 0777) == 0);
	process.num_listeners = 3;
	harness->pid = fork();
	need(harness->pid >= 0);
	if (harness->pid == 0) {
		close(fds[0]);
		if (harness->max_files != 0)
			need(setrlimit(RLIMIT_NOFILE, &(struct rlimit){ harness->max_files, harness->max_files }) == 0);
		(void)log_setup(process.settings->log_level, NULL, 0);
		front_main(&process);
	}
	close(fds[1]);
	for (int i = 0; i < PROCESS_NUM_FILES; i++)
		if (process.files[i] >= 0)
			close(process.files[i]);
	for (unsigned i = 0; i < process.num_listeners; i++)
		close(process.listeners[i].fd);
	settings_destroy(process.settings);
	harness->base = event_base_new();
	need(harness->base != NULL);
	harness->parent = link_create(harness->base, fds[0], on_parent, on_closed, harness);
	need(harness->parent != NULL);
	harness->audit = connect_peer(harness, PROCESS_AUDIT, on_record);
	(void)wait_for(harness, &harness->ready, harness->failed);
}

void
harness_start(struct harness *harness, const char *settings, const int *files)
{
	harness_start_without_gate(harness, settings, files);
	if (harness->ready)
		harness_connect_gate(harness);
}

void
harness_stop(struct harness *harness)
{
	int status;

	if (harness->parent != NULL)
		(void)link_send(harness->parent, LINK_STOP, NULL, 0, NULL, 0);
	need(waitpid(harness->pid, &status, 0) == harness->pid);
	if (harness->failed[0] == '\0')
		need(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	link_destroy(harness->parent);
	link_destroy(harness->gate);
	link_destroy(harness->audit);
	event_base_free(harness->base);
	if (harness->session_fd >= 0)
		close(harness->session_fd);
	identity_clear(&harness->identity);
	unlink(harness->unix_path);
	cert_free(&harness->ca);
	cert_free(&harness->server);
	*harness = (struct harness){ .session_fd = -1 };
}

static void
limit_time(int fd)
{
	struct timeval limit = { 5, 0 };

	need(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK) == 0);
	need(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) == 0);
	need(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) == 0);
}

int
harness_next_session(struct harness *harness)
{
	int fd;

	if (harness->session_fd < 0 && !harness_wait(harness, &harness->num_sessions, harness->num_sessions))
		return -1;
	fd = harness->session_fd;
	harness->session_fd = -1;
	limit_time(fd);
	return fd;
}

bool
harness_next_record(struct harness *harness)
{
	return harness_wait(harness, &harness->num_records, 0) && (harness->num_records = 0, true);
}

void
harness_reload(struct harness *harness, const char *settings, const int *given)
{
	int files[PROCESS_NUM_FILES], fds[PROCESS_NUM_FILES];
	uint8_t body[PROCESS_NUM_FILES];
	size_t num = 0;

	settings_destroy(make_settings(harness, settings));
	make_default_files(harness, given, files);
	files[FILE_SETTINGS] = file_of_text(harness->settings);
	for (int i = 0; i < PROCESS_NUM_FILES; i++) {
		body[i] = files[i] >= 0;
		if (files[i] >= 0)
			fds[num++] = files[i];
	}
	harness->has_reloaded = false;
	need(link_send(harness->parent, LINK_RELOAD, body, sizeof(body), fds, num) == 0);
	for (size_t i = 0; i < num; i++)
		close(fds[i]);
	need(wait_for(harness, &harness->has_reloaded, NULL));
}

long
harness_private_kib(const struct harness *harness)
{
	char path[64], line[256];
	long sum = 0, kib;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)harness->pid);
	file = fopen(path, "r");
	need(file != NULL);
	while (fgets(line, sizeof(line), file) != NULL)
		if (sscanf(line, "Private_Dirty: %ld", &kib) == 1 || sscanf(line, "Private_Clean: %ld", &kib) == 1)
			sum += kib;
	fclose(file);
	return sum;
}

/* ---- a client ---- */

int
connect_tcp(uint16_t port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	need(fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
	limit_time(fd);
	return fd;
}

bool
tls_connect(struct tls_client *client, const struct harness *harness, const struct cert *cert, int version)
{
	uint8_t byte = 0;

	*client = (struct tls_client){ .fd = connect_tcp(harness->tls_port), .ctx = SSL_CTX_new(TLS_client_method()) };
	need(client->ctx != NULL);
	need(X509_STORE_add_cert(SSL_CTX_get_cert_store(client->ctx), harness->ca.x509) == 1);
	SSL_CTX_set_verify(client->ctx, SSL_VERIFY_PEER, NULL);
	if (version != 0) {
		SSL_CTX_set_security_level(client->ctx, 0);
		need(SSL_CTX_set_min_proto_version(client->ctx, version) == 1);
		need(SSL_CTX_set_max_proto_version(client->ctx, version) == 1);
	}
	if (cert != NULL)
		need(SSL_CTX_use_certificate(client->ctx, cert->x509) == 1 &&
		    SSL_CTX_use_PrivateKey(client->ctx, cert->key) == 1);
	client->ssl = SSL_new(client->ctx);
	need(client->ssl != NULL && SSL_set_fd(client->ssl, client->fd) == 1);
	ERR_clear_error();
	if (SSL_connect(client->ssl) == 1 && SSL_read(client->ssl, &byte, 1) == 1 && byte == 1) {
		client->confirmed = true;
		return true;
	}
	if (ERR_peek_error() != 0)
		ERR_error_string_n(ERR_peek_error(), client->problem, sizeof(client->problem));
	else
		snprintf(client->problem, sizeof(client->problem), "closed");
	ERR_clear_error();
	return false;
}

void
tls_close(struct tls_client *client)
{
	SSL_free(client->ssl);
	SSL_CTX_free(client->ctx);
	if (client->fd >= 0)
		close(client->fd);
	*client = (struct tls_client){ .fd = -1 };
}

bool
read_all(int fd, void *buf, size_t len)
{
	uint8_t *at = buf;
	ssize_t n;

	for (; len > 0; at += n, len -= (size_t)n)
		if ((n = read(fd, at, len)) <= 0)
			return false;
	return true;
}

bool
write_all(int fd, const void *buf, size_t len)
{
	const uint8_t *at = buf;
	ssize_t n;

	for (; len > 0; at += n, len -= (size_t)n)
		if ((n = write(fd, at, len)) <= 0)
			return false;
	return true;
}

bool
tls_read_all(struct tls_client *client, void *buf, size_t len)
{
	uint8_t *at = buf;
	int n;

	for (; len > 0; at += n, len -= (size_t)n)
		if ((n = SSL_read(client->ssl, at, (int)len)) <= 0)
			return false;
	return true;
}
