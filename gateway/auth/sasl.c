/* sasl.c: cyrus-sasl behind a narrow door: which mechanisms, what may be in their messages, whose name comes out. */
#include "gateway/auth/sasl.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <sasl/sasl.h>

#include <openssl/crypto.h>

#include "gateway/auth/sasl_options.h"
#include "gateway/auth/utf8.h"

/* Everything that may ever be offered. PLAIN shows the password to this end: under TLS only. */
static const struct {
	const char *name;
	bool clear_password;
} allowed_mechs[] = {
	{ "SCRAM-SHA-512", false },
	{ "SCRAM-SHA-256", false },
	{ "GSSAPI", false },
	{ "PLAIN", true },
};

struct sasl_session {
	sasl_conn_t *conn;
	char mechs[128];
	char mech[32];
	const char *answer;		/* cyrus-sasl's, until the next step */
	unsigned answer_len;
	char *name;
	char *claimed;
	char *guest;
	sasl_callback_t callbacks[3];	/* of a viewer's connection */
	unsigned ssf, max_encode;
	char problem[512];
};

/* What cyrus-sasl and its plugins last complained about; steps run in threads. */
static _Thread_local char complaint[256];
/* Asked once: looking a host name up may block. */
static char *host_name;

static int
on_log(void *context, int level, const char *message)
{
	(void)context;
	if (level <= SASL_LOG_WARN && message != NULL)
		snprintf(complaint, sizeof(complaint), "%s", message);
	return SASL_OK;
}

static const sasl_callback_t callbacks[] = {
	{ SASL_CB_LOG, (int (*)(void))(uintptr_t)on_log, NULL },
	{ SASL_CB_LIST_END, NULL, NULL },
};

static void *
mutex_new(void)
{
	pthread_mutex_t *mutex = malloc(sizeof(*mutex));

	if (mutex != NULL)
		pthread_mutex_init(mutex, NULL);
	return mutex;
}

static int
mutex_lock(void *mutex)
{
	return pthread_mutex_lock(mutex) == 0 ? 0 : -1;
}

static int
mutex_unlock(void *mutex)
{
	return pthread_mutex_unlock(mutex) == 0 ? 0 : -1;
}

static void
mutex_free(void *mutex)
{
	if (mutex != NULL)
		pthread_mutex_destroy(mutex);
	free(mutex);
}

/* cyrus-sasl's own idea of this host's name, which is also the realm that saslpasswd2 files users under. */
static char *
find_host_name(void)
{
	sasl_conn_t *conn = NULL;
	const void *value = NULL;
	char *name = NULL;

	if (sasl_server_new("libvirt", NULL, NULL, NULL, NULL, NULL, 0, &conn) == SASL_OK &&
	    sasl_getprop(conn, SASL_SERVERFQDN, &value) == SASL_OK && value != NULL)
		name = strdup(value);
	sasl_dispose(&conn);
	return name;
}

int
sasl_library_start(const char *conf_dir, struct vg_error *error)
{
	char *dir = strdup(conf_dir);	/* cyrus-sasl wants it writable, and copies it */
	int code;

	if (host_name != NULL) {	/* started already: a reload */
		free(dir);
		return 0;
	}
	if (dir == NULL)
		return vg_fail(error, "out of memory");
	sasl_set_mutex(mutex_new, mutex_lock, mutex_unlock, mutex_free);
	code = sasl_set_path(SASL_PATH_TYPE_CONFIG, dir);
	free(dir);
	complaint[0] = '\0';
	if (code == SASL_OK)
		code = sasl_server_init(callbacks, "libvirt");
	if (code != SASL_OK) {
		vg_fail(error, "cyrus-sasl cannot start: %s", complaint[0] != '\0' ? complaint :
		    sasl_errstring(code, NULL, NULL));
		return vg_hint(error, "look at %s/libvirt.conf", conf_dir);
	}
	if (sasl_options_load(conf_dir, "vnc.conf", error) < 0)
		return -1;
	host_name = find_host_name();
	return host_name != NULL ? 0 : vg_fail(error, "cyrus-sasl does not find this host's name");
}

/* Leaves in session->mechs what is both ours and cyrus-sasl's, in our order. */
static void
choose_mechs(struct sasl_session *session, const char *listed, bool encrypted)
{
	size_t len = 0;

	for (size_t i = 0; i < sizeof(allowed_mechs) / sizeof(allowed_mechs[0]); i++) {
		const char *name = allowed_mechs[i].name;
		const char *at = listed;

		if (allowed_mechs[i].clear_password && !encrypted)
			continue;
		while ((at = strcasestr(at, name)) != NULL) {
			char end = at[strlen(name)];

			if ((at == listed || at[-1] == ',') && (end == ',' || end == '\0'))
				break;
			at++;
		}
		if (at != NULL && len + strlen(name) + 2 <= sizeof(session->mechs))
			len += (size_t)snprintf(session->mechs + len, sizeof(session->mechs) - len, "%s%s",
			    len > 0 ? "," : "", name);
	}
}

static int
on_option(void *context, const char *plugin, const char *option, const char **value, unsigned *len)
{
	(void)context;
	*value = sasl_options_find(plugin, option);
	if (*value == NULL)
		return SASL_FAIL;		/* cyrus-sasl goes on with libvirt.conf */
	if (len != NULL)
		*len = (unsigned)strlen(*value);
	return SASL_OK;
}

/*
 * Parts guest from name before cyrus-sasl looks for the user. Kerberos names have an '@' of their own, and no place for a
 * guest.
 */
static int
on_name(sasl_conn_t *conn, void *context, const char *in, unsigned in_len, unsigned flags, const char *realm, char *out,
    unsigned out_size, unsigned *out_len)
{
	struct sasl_session *session = context;
	const char *at = strcmp(session->mech, "GSSAPI") == 0 ? NULL : memrchr(in, '@', in_len);
	size_t len = at != NULL ? (size_t)(at - in) : in_len;

	(void)conn;
	(void)flags;
	(void)realm;
	if (len >= out_size)
		return SASL_BUFOVER;
	if (at != NULL && session->guest == NULL && (session->guest = strndup(at + 1, in_len - len - 1)) == NULL)
		return SASL_NOMEM;
	memcpy(out, in, len);
	out[len] = '\0';
	*out_len = (unsigned)len;
	return SASL_OK;
}

static void
set_callbacks(struct sasl_session *session, const struct sasl_rules *rules)
{
	session->callbacks[0] = (sasl_callback_t){ SASL_CB_GETOPT, (int (*)(void))(uintptr_t)on_option, NULL };
	session->callbacks[1] = (sasl_callback_t){ SASL_CB_LIST_END, NULL, NULL };
	if (rules->guest_in_name)
		session->callbacks[1] = (sasl_callback_t){ SASL_CB_CANON_USER, (int (*)(void))(uintptr_t)on_name, session };
	session->callbacks[2] = (sasl_callback_t){ SASL_CB_LIST_END, NULL, NULL };
}

struct sasl_session *
sasl_session_create(const struct sasl_rules *rules)
{
	struct sasl_session *session = calloc(1, sizeof(*session));
	sasl_security_properties_t properties = {
		.min_ssf = rules->encrypted ? 0 : rules->min_ssf,
		.max_ssf = rules->encrypted ? 0 : 256,
		.maxbufsize = SASL_MAX_PACKET,
		.security_flags = SASL_SEC_NOANONYMOUS | (rules->encrypted ? 0 : SASL_SEC_NOPLAINTEXT),
	};
	sasl_ssf_t external = rules->external_ssf;
	const char *listed;
	unsigned listed_len;
	int num;

	if (session == NULL)
		return NULL;
	set_callbacks(session, rules);
	if (sasl_server_new(rules->vnc ? "vnc" : "libvirt", host_name, NULL, NULL, NULL, rules->vnc ? session->callbacks : NULL,
	    SASL_SUCCESS_DATA, &session->conn) != SASL_OK ||
	    (rules->encrypted && sasl_setprop(session->conn, SASL_SSF_EXTERNAL, &external) != SASL_OK) ||
	    sasl_setprop(session->conn, SASL_SEC_PROPS, &properties) != SASL_OK) {
		sasl_session_destroy(session);
		return NULL;
	}
	if (sasl_listmech(session->conn, NULL, "", ",", "", &listed, &listed_len, &num) == SASL_OK)
		choose_mechs(session, listed, rules->encrypted);
	return session;
}

void
sasl_session_destroy(struct sasl_session *session)
{
	if (session == NULL)
		return;
	sasl_dispose(&session->conn);
	free(session->name);
	free(session->claimed);
	free(session->guest);
	free(session);
}

const char *
sasl_session_mechs(const struct sasl_session *session)
{
	return session->mechs;
}

bool
sasl_session_offers(const struct sasl_session *session, const char *mech, size_t len)
{
	const char *at = session->mechs;

	while (*at != '\0') {
		size_t one = strcspn(at, ",");

		if (one == len && memcmp(at, mech, len) == 0)
			return true;
		at += one + (at[one] == ',');
	}
	return false;
}

/*
 * Names must be exact bytes, but cyrus-sasl's functions stop at a NUL: PLAIN has exactly the two that part its fields,
 * SCRAM is text and has none.
 */
static bool
message_is_sound(const char *mech, const uint8_t *data, size_t len)
{
	size_t nuls = 0;

	for (size_t i = 0; i < len; i++)
		nuls += data[i] == 0;
	if (strcmp(mech, "PLAIN") == 0)
		return data == NULL || nuls == 2;
	return strncmp(mech, "SCRAM-", 6) != 0 || nuls == 0;
}

/* The name in a first message of PLAIN (authzid NUL authcid NUL password) or SCRAM (n,,n=NAME,r=…): for the record. */
static char *
find_claimed(const char *mech, const uint8_t *data, size_t len)
{
	const uint8_t *name, *end;

	if (data == NULL || len == 0)
		return NULL;
	if (strcmp(mech, "PLAIN") == 0) {
		name = memchr(data, 0, len);
		name = name != NULL ? name + 1 : NULL;
		end = name != NULL ? memchr(name, 0, len - (size_t)(name - data)) : NULL;
	} else if (strncmp(mech, "SCRAM-", 6) == 0) {
		name = memmem(data, len, ",n=", 3);
		name = name != NULL ? name + 3 : NULL;
		end = name != NULL ? memchr(name, ',', len - (size_t)(name - data)) : NULL;
	} else {
		return NULL;
	}
	if (end == NULL || end == name || !utf8_is_name(name, (size_t)(end - name)))
		return NULL;
	return strndup((const char *)name, (size_t)(end - name));
}

/* After the mechanism is content: name, layer. False when cyrus-sasl does not tell. */
static bool
take_result(struct sasl_session *session)
{
	const void *name = NULL, *ssf = NULL, *max = NULL;

	if (sasl_getprop(session->conn, SASL_USERNAME, &name) != SASL_OK || name == NULL ||
	    sasl_getprop(session->conn, SASL_SSF, &ssf) != SASL_OK || ssf == NULL ||
	    sasl_getprop(session->conn, SASL_MAXOUTBUF, &max) != SASL_OK || max == NULL)
		return false;
	session->name = strdup(name);
	session->ssf = *(const sasl_ssf_t *)ssf;
	session->max_encode = *(const unsigned *)max;
	return session->name != NULL;
}

enum sasl_progress
sasl_session_step(struct sasl_session *session, const char *mech, const uint8_t *data, size_t len)
{
	int code;

	complaint[0] = '\0';
	session->answer = NULL;
	session->answer_len = 0;
	if (mech != NULL) {
		snprintf(session->mech, sizeof(session->mech), "%s", mech);
		session->claimed = find_claimed(mech, data, len);
	}
	if (!message_is_sound(session->mech, data, len)) {
		snprintf(session->problem, sizeof(session->problem), "malformed message for %s", session->mech);
		return SASL_PROGRESS_FAILED;
	}
	code = mech != NULL ?
	    sasl_server_start(session->conn, mech, (const char *)data, (unsigned)len, &session->answer,
	    &session->answer_len) :
	    sasl_server_step(session->conn, (const char *)data, (unsigned)len, &session->answer, &session->answer_len);
	if (code == SASL_CONTINUE && session->answer_len <= SASL_MAX_DATA)
		return SASL_PROGRESS_CONTINUE;
	if (code == SASL_OK && session->answer_len <= SASL_MAX_DATA && take_result(session))
		return SASL_PROGRESS_DONE;
	snprintf(session->problem, sizeof(session->problem), "%s: %s%s%s", session->mech,
	    sasl_errstring(code, NULL, NULL), complaint[0] != '\0' ? ": " : "", complaint);
	return SASL_PROGRESS_FAILED;
}

size_t
sasl_session_answer(const struct sasl_session *session, const uint8_t **data)
{
	*data = (const uint8_t *)session->answer;
	return session->answer_len;
}

const char *
sasl_session_name(const struct sasl_session *session)
{
	return session->name;
}

const char *
sasl_session_guest(const struct sasl_session *session)
{
	return session->guest;
}

unsigned
sasl_session_ssf(const struct sasl_session *session)
{
	return session->ssf;
}

const char *
sasl_session_mech(const struct sasl_session *session)
{
	return session->mech;
}

const char *
sasl_session_problem(const struct sasl_session *session)
{
	return session->problem;
}

const char *
sasl_session_claimed(const struct sasl_session *session)
{
	return session->claimed;
}

size_t
sasl_session_max_encode(const struct sasl_session *session)
{
	return session->max_encode;
}

int
sasl_session_encode(struct sasl_session *session, const uint8_t *in, size_t in_len, const uint8_t **out,
    size_t *out_len)
{
	const char *encoded = NULL;
	unsigned len = 0;

	if (sasl_encode(session->conn, (const char *)in, (unsigned)in_len, &encoded, &len) != SASL_OK)
		return -1;
	*out = (const uint8_t *)encoded;
	*out_len = len;
	return 0;
}

int
sasl_session_decode(struct sasl_session *session, const uint8_t *in, size_t in_len, const uint8_t **out,
    size_t *out_len)
{
	const char *decoded = NULL;
	unsigned len = 0;

	if (sasl_decode(session->conn, (const char *)in, (unsigned)in_len, &decoded, &len) != SASL_OK)
		return -1;
	*out = (const uint8_t *)decoded;
	*out_len = len;
	return 0;
}
