#include "gateway/core/handover.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Numbers are 32 bits, strings a length and that many bytes, all in host order: both ends are one program. A string
 * that is not there has the length NO_STRING.
 */
#define HANDOVER_MAGIC	0x56474831u	/* "VGH1" */
#define NO_STRING	UINT32_MAX
#define MAX_STRING	4096u
#define KNOWN_PROOFS	((unsigned)VG_PROOF_X509 | (unsigned)VG_PROOF_SASL | (unsigned)VG_PROOF_UNIX)

/* ---- writing: a writer that ran out of room stays at `bad` ---- */

struct writer {
	uint8_t *at;
	size_t left;
	bool bad;
};

static void
put_bytes(struct writer *writer, const void *data, size_t len)
{
	if (writer->bad || len > writer->left) {
		writer->bad = true;
		return;
	}
	memcpy(writer->at, data, len);
	writer->at += len;
	writer->left -= len;
}

static void
put_number(struct writer *writer, uint32_t value)
{
	put_bytes(writer, &value, sizeof(value));
}

static void
put_string(struct writer *writer, const char *text)
{
	size_t len;

	if (text == NULL) {
		put_number(writer, NO_STRING);
		return;
	}
	len = strlen(text);
	if (len > MAX_STRING) {
		writer->bad = true;
		return;
	}
	put_number(writer, (uint32_t)len);
	put_bytes(writer, text, len);
}

size_t
handover_put(uint8_t *buf, size_t size, const struct vg_identity *identity)
{
	struct writer writer = { buf, size, false };

	put_number(&writer, HANDOVER_MAGIC);
	put_number(&writer, identity->proofs);
	put_number(&writer, (uint32_t)identity->via);
	put_number(&writer, identity->port);
	put_number(&writer, identity->sasl_ssf);
	put_number(&writer, identity->unix_uid);
	put_string(&writer, identity->address);
	put_string(&writer, identity->sasl_name);
	put_string(&writer, identity->sasl_mech);
	put_string(&writer, identity->x509_dn);
	put_string(&writer, identity->x509_cn);
	put_string(&writer, identity->x509_sha256);
	put_string(&writer, identity->unix_user);
	put_string(&writer, identity->console);
	put_number(&writer, identity->console_port);
	put_bytes(&writer, identity->console_uuid, sizeof(identity->console_uuid));
	put_number(&writer, identity->console_view);
	put_number(&writer, (uint32_t)identity->num_x509_sans);
	for (size_t i = 0; i < identity->num_x509_sans; i++)
		put_string(&writer, identity->x509_sans[i]);
	put_number(&writer, (uint32_t)identity->num_unix_groups);
	for (size_t i = 0; i < identity->num_unix_groups; i++)
		put_string(&writer, identity->unix_groups[i]);
	return writer.bad ? 0 : size - writer.left;
}

/* ---- reading: a reader that met nonsense stays at `bad` and answers zeros ---- */

struct reader {
	const uint8_t *at;
	size_t left;
	bool bad;
};

static void
get_bytes(struct reader *reader, void *data, size_t len)
{
	if (reader->bad || len > reader->left) {
		reader->bad = true;
		memset(data, 0, len);
		return;
	}
	memcpy(data, reader->at, len);
	reader->at += len;
	reader->left -= len;
}

/* A number no greater than `most`. */
static uint32_t
get_number(struct reader *reader, uint32_t most)
{
	uint32_t value;

	get_bytes(reader, &value, sizeof(value));
	if (value <= most)
		return value;
	reader->bad = true;
	return 0;
}

/* A copy, NULL when there is none (or on nonsense). */
static char *
get_string(struct reader *reader)
{
	uint32_t len = get_number(reader, NO_STRING);
	char *text;

	if (reader->bad || len == NO_STRING)
		return NULL;
	if (len > MAX_STRING || len > reader->left || (text = malloc((size_t)len + 1)) == NULL) {
		reader->bad = true;
		return NULL;
	}
	get_bytes(reader, text, len);
	text[len] = '\0';
	if (strlen(text) == len)
		return text;
	reader->bad = true;		/* a NUL inside would cut the name that others compare */
	free(text);
	return NULL;
}

static void
get_address(struct reader *reader, char *address, size_t size)
{
	uint32_t len = get_number(reader, (uint32_t)size - 1);

	get_bytes(reader, address, len);
	address[len] = '\0';
	if (strlen(address) != len)
		reader->bad = true;
}

/* As many texts as a number before them says. */
static void
get_strings(struct reader *reader, char **texts, size_t *num, uint32_t most)
{
	uint32_t announced = get_number(reader, most);

	for (; *num < announced; (*num)++) {
		char *text = get_string(reader);

		if (text == NULL) {
			reader->bad = true;
			return;
		}
		texts[*num] = text;
	}
}

/* Each proof has its name, each name its proof; somebody who proved nothing is nobody. */
static bool
adds_up(const struct vg_identity *identity)
{
	bool x509 = (identity->proofs & VG_PROOF_X509) != 0;
	bool sasl = (identity->proofs & VG_PROOF_SASL) != 0;
	bool local = (identity->proofs & VG_PROOF_UNIX) != 0;

	return identity->proofs != 0 && (identity->proofs & ~KNOWN_PROOFS) == 0 &&
	    x509 == (identity->x509_dn != NULL) && x509 == (identity->x509_sha256 != NULL) &&
	    (x509 || (identity->x509_cn == NULL && identity->num_x509_sans == 0)) &&
	    sasl == (identity->sasl_name != NULL) && (sasl || identity->sasl_mech == NULL) &&
	    local == (identity->unix_user != NULL) && (local || identity->num_unix_groups == 0) &&
	    (identity->via == VG_VIA_WEB ? identity->console_port == 0 :
	    (identity->via == VG_VIA_VNC) == (identity->console != NULL || identity->console_port != 0)) &&
	    (identity->console == NULL || identity->console_port == 0);
}

int
handover_get(const uint8_t *buf, size_t len, struct vg_identity *identity)
{
	struct reader reader = { buf, len, false };

	*identity = (struct vg_identity){ 0 };
	if (get_number(&reader, UINT32_MAX) != HANDOVER_MAGIC)
		return -1;
	identity->proofs = get_number(&reader, KNOWN_PROOFS);
	identity->via = (enum vg_via)get_number(&reader, VG_NUM_VIAS - 1);
	identity->port = (uint16_t)get_number(&reader, UINT16_MAX);
	identity->sasl_ssf = get_number(&reader, UINT16_MAX);
	identity->unix_uid = get_number(&reader, UINT32_MAX);
	get_address(&reader, identity->address, sizeof(identity->address));
	identity->sasl_name = get_string(&reader);
	identity->sasl_mech = get_string(&reader);
	identity->x509_dn = get_string(&reader);
	identity->x509_cn = get_string(&reader);
	identity->x509_sha256 = get_string(&reader);
	identity->unix_user = get_string(&reader);
	identity->console = get_string(&reader);
	identity->console_port = (uint16_t)get_number(&reader, UINT16_MAX);
	get_bytes(&reader, identity->console_uuid, sizeof(identity->console_uuid));
	identity->console_view = get_number(&reader, 1) == 1;
	get_strings(&reader, identity->x509_sans, &identity->num_x509_sans, VG_IDENTITY_MAX_SANS);
	get_strings(&reader, identity->unix_groups, &identity->num_unix_groups, VG_IDENTITY_MAX_GROUPS);
	if (!reader.bad && reader.left == 0 && adds_up(identity))
		return 0;
	identity_clear(identity);
	return -1;
}

/* ---- names ---- */

/* As one message of a socket pair that keeps them apart. */
struct last_word {
	uint32_t reason;
	char by[HANDOVER_BY_SIZE];
};

void
handover_say_end(int fd, unsigned reason, const char *by)
{
	struct last_word word = { .reason = reason };
	size_t len = by == NULL ? 0 : strlen(by);

	if (len >= sizeof(word.by))
		for (len = sizeof(word.by) - 1; len > 0 && ((unsigned char)by[len] & 0xc0) == 0x80; len--)
			;
	if (len > 0)
		memcpy(word.by, by, len);
	(void)send(fd, &word, sizeof(word), MSG_DONTWAIT | MSG_NOSIGNAL);
}

bool
handover_hear_end(int fd, unsigned *reason, char by[HANDOVER_BY_SIZE])
{
	struct last_word word;

	if (recv(fd, &word, sizeof(word), MSG_DONTWAIT) != (ssize_t)sizeof(word) || memchr(word.by, '\0', sizeof(word.by)) == NULL)
		return false;
	*reason = word.reason;
	memcpy(by, word.by, sizeof(word.by));
	return true;
}

void
identity_clear(struct vg_identity *identity)
{
	free(identity->sasl_name);
	free(identity->sasl_mech);
	free(identity->x509_dn);
	free(identity->x509_cn);
	free(identity->x509_sha256);
	free(identity->unix_user);
	free(identity->console);
	for (size_t i = 0; i < identity->num_x509_sans; i++)
		free(identity->x509_sans[i]);
	for (size_t i = 0; i < identity->num_unix_groups; i++)
		free(identity->unix_groups[i]);
	*identity = (struct vg_identity){ 0 };
}

const char *
identity_name(const struct vg_identity *identity)
{
	static _Thread_local char local[256];

	if (identity->sasl_name != NULL)
		return identity->sasl_name;
	if (identity->x509_dn != NULL)
		return identity->x509_dn;
	if (identity->unix_user == NULL)
		return "(not authenticated)";
	(void)snprintf(local, sizeof(local), "unix:%s", identity->unix_user);
	return local;
}

void
identity_set_address(struct vg_identity *identity, const struct sockaddr *address)
{
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)address;
	const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)address;

	if (address->sa_family == AF_INET) {
		inet_ntop(AF_INET, &in->sin_addr, identity->address, sizeof(identity->address));
		identity->port = ntohs(in->sin_port);
	} else if (address->sa_family == AF_INET6) {
		if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr))
			inet_ntop(AF_INET, &in6->sin6_addr.s6_addr[12], identity->address, sizeof(identity->address));
		else
			inet_ntop(AF_INET6, &in6->sin6_addr, identity->address, sizeof(identity->address));
		identity->port = ntohs(in6->sin6_port);
	}
}

const char *
identity_text(const struct vg_identity *identity, char *buf, size_t size)
{
	bool both = identity->sasl_name != NULL && identity->x509_dn != NULL;
	bool v6 = strchr(identity->address, ':') != NULL;
	char from[96];

	if (identity->address[0] == '\0')
		(void)snprintf(from, sizeof(from), "this host");
	else
		(void)snprintf(from, sizeof(from), "%s%s%s:%u", v6 ? "[" : "", identity->address, v6 ? "]" : "",
		    identity->port);
	(void)snprintf(buf, size, "%s%s%s%s from %s", identity_name(identity), both ? " (" : "",
	    both ? identity->x509_dn : "", both ? ")" : "", from);
	return buf;
}
