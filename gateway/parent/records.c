/* records.c: what the trail is told of the gateway itself: who asked for it, and what its settings and files are. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "gateway/core/log.h"
#include "gateway/parent/parent.h"

/* The private key is not here: the parent reads none, and its certificate tells which it is. */
static const char *const file_keys[PROCESS_NUM_FILES] = {
	[FILE_SETTINGS] = "settings", [FILE_CERT] = "cert_file", [FILE_CA] = "ca_file", [FILE_CRL] = "crl_file", [FILE_POLICY] = "policy_file"
};

static const char *
path_of(const struct settings *settings, enum process_file file)
{
	switch (file) {
	case FILE_SETTINGS:
		return settings->file;
	case FILE_CERT:
		return settings->cert_file;
	case FILE_CA:
		return settings->ca_file;
	case FILE_CRL:
		return settings->crl_file;
	default:
		return settings->policy_file;
	}
}

/* Without moving the place where a child will read. Empty: it cannot be read. */
static void
digest_one(int fd, char name[DOCUMENT_NAME_LEN + 1])
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	uint8_t digest[EVP_MAX_MD_SIZE], block[16384];
	off_t at = 0;
	ssize_t n = -1;

	name[0] = '\0';
	if (context != NULL && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1)
		while ((n = pread(fd, block, sizeof(block), at)) > 0 && EVP_DigestUpdate(context, block, (size_t)n) == 1)
			at += n;
	if (n == 0 && EVP_DigestFinal_ex(context, digest, NULL) == 1)
		document_name(digest, name);
	EVP_MD_CTX_free(context);
}

void
records_digest_files(const int files[PROCESS_NUM_FILES], char digests[PROCESS_NUM_FILES][DOCUMENT_NAME_LEN + 1])
{
	for (size_t i = 0; i < PROCESS_NUM_FILES; i++) {
		digests[i][0] = '\0';
		if (files[i] >= 0 && file_keys[i] != NULL)
			digest_one(files[i], digests[i]);
	}
}

json_t *
records_begin(enum audit_event event, const struct asker *by)
{
	json_t *record = audit_record_event(event);

	if (record != NULL && by != NULL && by->via != NULL)
		(void)json_object_set_new(record, "by", json_pack("{s:s, s:I}", "via", by->via, "uid", (json_int_t)by->uid));
	return record;
}

void
records_add_files(json_t *record, const struct settings *settings, char was[PROCESS_NUM_FILES][DOCUMENT_NAME_LEN + 1],
    char now[PROCESS_NUM_FILES][DOCUMENT_NAME_LEN + 1])
{
	json_t *files = json_object();

	for (size_t i = 0; i < PROCESS_NUM_FILES; i++) {
		const char *path = file_keys[i] == NULL ? NULL : path_of(settings, (enum process_file)i);
		json_t *file;

		if (path == NULL || (was != NULL ? strcmp(was[i], now[i]) == 0 : now[i][0] == '\0'))
			continue;
		file = json_pack("{s:o, s:s}", "path", audit_text(path, strlen(path)), "sha256", now[i]);
		if (file != NULL && was != NULL)
			(void)json_object_set_new(file, "was_sha256", json_string(was[i]));
		(void)json_object_set_new(files, file_keys[i], file);
	}
	if (record != NULL && json_object_size(files) > 0)
		(void)json_object_set(record, "files", files);
	json_decref(files);
}

static void
add_setting(const char *key, const char *was, const char *now, void *arg)
{
	(void)json_array_append_new(arg, json_pack("{s:s, s:o, s:o}", "key", key, "was", audit_text(was, strlen(was)), "now", audit_text(now, strlen(now))));
}

void
records_add_settings(json_t *record, const struct settings *was, const struct settings *now)
{
	json_t *list = json_array();

	settings_each_change(was, now, add_setting, list);
	if (record != NULL && json_array_size(list) > 0)
		(void)json_object_set(record, "settings", list);
	json_decref(list);
}

/* ---- was the run before ended? ---- */

static int
open_state_dir(const struct parent *parent)
{
	return open(parent->settings->state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* Since when it ran, as its mark says; false: there is none. */
static bool
find_mark(int dir, char since[64])
{
	int fd = openat(dir, SETTINGS_RUNNING_FILE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	ssize_t n = fd < 0 ? -1 : read(fd, since, 63);

	if (fd < 0)
		return false;
	close(fd);
	since[n < 0 ? 0 : n] = '\0';
	since[strspn(since, "0123456789-:TZ")] = '\0';
	return true;
}

static int
set_mark(int dir)
{
	struct tm now;
	char text[32];
	time_t clock = time(NULL);
	int fd, status = -1;

	(void)unlinkat(dir, SETTINGS_RUNNING_FILE, 0);
	fd = openat(dir, SETTINGS_RUNNING_FILE, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -1;
	if (gmtime_r(&clock, &now) != NULL && strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &now) > 0 &&
	    write(fd, text, strlen(text)) == (ssize_t)strlen(text) && fsync(fd) == 0 && fsync(dir) == 0)
		status = 0;
	close(fd);
	return status;
}

void
records_start_run(struct parent *parent)
{
	int dir = open_state_dir(parent);
	char since[64], text[160];
	json_t *record;

	if (dir >= 0 && find_mark(dir, since)) {
		(void)snprintf(text, sizeof(text), "the gateway that ran since %s did not end in order, or could not record its end", since);
		log_warn("%s", text);
		record = records_begin(AUDIT_CRASH, NULL);
		if (record != NULL)
			audit_add_result(record, "error", 0, text);
		(void)audit_submit(parent->audit, record, AUDIT_KEEP, NULL, NULL);
	}
	if (dir < 0 || set_mark(dir) < 0)
		log_warn("state_dir: %s/" SETTINGS_RUNNING_FILE " cannot be written: %s; should this run crash, the next start will not tell",
		    parent->settings->state_dir, strerror(errno));
	if (dir >= 0)
		close(dir);
}

void
records_end_run(const struct parent *parent)
{
	int dir = open_state_dir(parent);

	if (dir < 0)
		return;
	if (unlinkat(dir, SETTINGS_RUNNING_FILE, 0) == 0)
		(void)fsync(dir);
	close(dir);
}
