/* index.c: see index.h. */
#include "certs/index.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

static const char *const kind_names[CERT_NUM_KINDS] = { "ca", "server", "client" };

const char *
cert_kind_name(enum cert_kind kind)
{
	return (unsigned)kind < CERT_NUM_KINDS ? kind_names[kind] : "?";
}

const char *
cert_state_name(enum cert_state state)
{
	static const char *const names[] = { "valid", "not yet valid", "expired", "revoked" };

	return (unsigned)state < sizeof(names) / sizeof(names[0]) ? names[state] : "?";
}

enum cert_state
index_state(const struct index_record *record, time_t now)
{
	if (record->revoked != 0)
		return CERT_REVOKED;
	if (now > record->not_after)
		return CERT_EXPIRED;
	return now < record->not_before ? CERT_NOT_YET : CERT_VALID;
}

void
time_text(time_t when, char text[21])
{
	struct tm tm;

	if (gmtime_r(&when, &tm) == NULL || strftime(text, 21, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		(void)snprintf(text, 21, "?");
}

static bool
time_parse(const char *text, time_t *when)
{
	struct tm tm = { 0 };
	const char *end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm);

	if (end == NULL || *end != '\0')
		return false;
	*when = timegm(&tm);
	return true;
}

void
index_record_clear(struct index_record *record)
{
	free(record->name);
	free(record->dn);
	memset(record, 0, sizeof(*record));
}

void
index_clear(struct index *index)
{
	size_t i;

	for (i = 0; i < index->num; i++)
		index_record_clear(&index->records[i]);
	free(index->records);
	memset(index, 0, sizeof(*index));
}

int
index_add(struct index *index, const struct index_record *record, struct vg_error *error)
{
	struct index_record *into;

	if (index->num == index->size) {
		size_t size = index->size == 0 ? 16 : index->size * 2;

		into = reallocarray(index->records, size, sizeof(*into));
		if (into == NULL)
			return vg_fail(error, "no memory for the index of certificates");
		index->records = into;
		index->size = size;
	}
	into = &index->records[index->num];
	*into = *record;
	into->name = strdup(record->name);
	into->dn = strdup(record->dn);
	if (into->name == NULL || into->dn == NULL) {
		index_record_clear(into);
		return vg_fail(error, "no memory for the index of certificates");
	}
	index->num++;
	return 0;
}

struct index_record *
index_find_serial(struct index *index, const char *serial)
{
	size_t i;

	serial += strspn(serial, "0");
	for (i = 0; i < index->num; i++)
		if (strcasecmp(index->records[i].serial + strspn(index->records[i].serial, "0"), serial) == 0)
			return &index->records[i];
	return NULL;
}

/* The record borrows its strings from `object`. */
static bool
record_from_json(json_t *object, struct index_record *record)
{
	const char *serial, *kind, *name, *dn, *not_before, *not_after, *sha256, *revoked = NULL, *reason = NULL;
	size_t i;

	memset(record, 0, sizeof(*record));
	if (json_unpack(object, "{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s?s, s?s}", "serial", &serial, "kind", &kind,
	    "name", &name, "dn", &dn, "not_before", &not_before, "not_after", &not_after, "sha256", &sha256,
	    "revoked", &revoked, "reason", &reason) < 0)
		return false;
	for (i = 0; i < CERT_NUM_KINDS && strcmp(kind, kind_names[i]) != 0; i++)
		continue;
	record->kind = (enum cert_kind)i;
	record->name = (char *)(uintptr_t)name;
	record->dn = (char *)(uintptr_t)dn;
	if (i == CERT_NUM_KINDS || strlen(serial) == 0 || strlen(serial) > SERIAL_HEX_MAX ||
	    strspn(serial, "0123456789ABCDEF") != strlen(serial) || strlen(sha256) != 64 ||
	    (reason != NULL && strlen(reason) >= sizeof(record->reason)) ||
	    !time_parse(not_before, &record->not_before) ||
	    !time_parse(not_after, &record->not_after) || (revoked != NULL && !time_parse(revoked, &record->revoked)))
		return false;
	memcpy(record->serial, serial, strlen(serial) + 1);
	memcpy(record->sha256, sha256, 65);
	if (reason != NULL)
		memcpy(record->reason, reason, strlen(reason) + 1);
	return true;
}

static int
load_line(struct index *index, const char *path, size_t number, const char *line, size_t len, struct vg_error *error)
{
	json_t *object = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
	struct index_record record;
	int result = -1;

	if (object == NULL || !record_from_json(object, &record)) {
		vg_fail(error, "%s:%zu: not a record of an issued certificate", path, number);
		vg_hint(error, "restore the file from a backup; without the line its certificate cannot be revoked by "
		    "name");
	} else {
		result = index_add(index, &record, error);
	}
	json_decref(object);
	return result;
}

int
index_load(struct index *index, const char *path, struct vg_error *error)
{
	char *bytes, *line, *end;
	size_t len, number = 1;
	int result = 0;

	memset(index, 0, sizeof(*index));
	if (access(path, F_OK) < 0 && errno == ENOENT)
		return 0;
	if (file_read(path, &bytes, &len, error) < 0)
		return -1;
	for (line = bytes; result == 0 && line < bytes + len; line = end + 1, number++) {
		end = memchr(line, '\n', (size_t)(bytes + len - line));
		if (end == NULL)
			end = bytes + len;
		result = load_line(index, path, number, line, (size_t)(end - line), error);
	}
	file_free(bytes, len);
	if (result < 0)
		index_clear(index);
	return result;
}

static char *
record_line(const struct index_record *record)
{
	char not_before[21], not_after[21], revoked[21];
	json_t *object;
	char *line;

	time_text(record->not_before, not_before);
	time_text(record->not_after, not_after);
	time_text(record->revoked, revoked);
	object = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "serial", record->serial, "kind",
	    cert_kind_name(record->kind), "name", record->name, "dn", record->dn, "not_before", not_before, "not_after",
	    not_after, "sha256", record->sha256);
	if (object == NULL)
		return NULL;
	if (record->revoked != 0 && (json_object_set_new(object, "revoked", json_string(revoked)) < 0 ||
	    json_object_set_new(object, "reason", json_string(record->reason)) < 0)) {
		json_decref(object);
		return NULL;
	}
	line = json_dumps(object, JSON_PRESERVE_ORDER);
	json_decref(object);
	return line;
}

int
index_stage(const struct index *index, const char *path, struct file_set *set, struct vg_error *error)
{
	char *text = NULL;
	size_t len = 0, i;
	FILE *out = open_memstream(&text, &len);
	bool failed = out == NULL;
	int result = -1;

	for (i = 0; i < index->num && !failed; i++) {
		char *line = record_line(&index->records[i]);

		failed = line == NULL || fprintf(out, "%s\n", line) < 0;
		free(line);
	}
	if (out != NULL && fclose(out) != 0)
		failed = true;
	if (failed)
		vg_fail(error, "%s: no memory to write the index of certificates", path);
	else if (len > PKI_FILE_MAX_BYTES)
		vg_fail(error, "%s: the index would be larger than %d bytes", path, PKI_FILE_MAX_BYTES);
	else
		result = file_set_add(set, path, text, len, 0644, true, error);
	free(text);
	return result;
}
