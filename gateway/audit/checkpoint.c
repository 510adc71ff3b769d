/*
 * checkpoint.c: checkpoints as text, and those that were kept elsewhere.
 */
#include "gateway/audit/checkpoint.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#define KEY_BYTES	(CHECKPOINT_KEY_LEN / 2)
#define SIGNATURE_BYTES	(CHECKPOINT_SIGNATURE_LEN / 2)
#define VERSION_WORD	"1"
#define HEX		"0123456789abcdef"

/* ---- hex ---- */

void
checkpoint_hex(const unsigned char *bytes, size_t len, char *hex)
{
	for (size_t i = 0; i < len; i++) {
		hex[2 * i] = HEX[bytes[i] >> 4];
		hex[2 * i + 1] = HEX[bytes[i] & 15];
	}
	hex[2 * len] = '\0';
}

static int
digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool
checkpoint_unhex(const char *hex, unsigned char *bytes, size_t len)
{
	if (strlen(hex) != 2 * len)
		return false;
	for (size_t i = 0; i < len; i++) {
		int high = digit(hex[2 * i]), low = digit(hex[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		bytes[i] = (unsigned char)(high << 4 | low);
	}
	return true;
}

/* ---- the text ---- */

size_t
checkpoint_print(const struct checkpoint *checkpoint, char text[CHECKPOINT_TEXT_MAX])
{
	int len = snprintf(text, CHECKPOINT_TEXT_MAX, CHECKPOINT_WORD " " VERSION_WORD " %llu %llu %s %s %s%s%s",
	    (unsigned long long)checkpoint->epoch, (unsigned long long)checkpoint->seq, checkpoint->hash, checkpoint->key,
	    checkpoint->next[0] != '\0' ? checkpoint->next : "-", checkpoint->signature[0] != '\0' ? " " : "",
	    checkpoint->signature);

	return (size_t)len;
}

static bool
take_number(const char *word, uint64_t *number)
{
	size_t len = strlen(word);

	if (len == 0 || len > 18 || strspn(word, "0123456789") != len || (word[0] == '0' && len > 1))
		return false;
	*number = strtoull(word, NULL, 10);
	return true;
}

static bool
take_hex(const char *word, char *out, size_t len)
{
	if (strlen(word) != len || strspn(word, HEX) != len)
		return false;
	memcpy(out, word, len + 1);
	return true;
}

bool
checkpoint_parse(const char *text, size_t len, struct checkpoint *checkpoint)
{
	enum { AT_WORD, AT_VERSION, AT_EPOCH, AT_SEQ, AT_HASH, AT_KEY, AT_NEXT, AT_SIGNATURE, NUM };
	char copy[CHECKPOINT_TEXT_MAX], again[CHECKPOINT_TEXT_MAX], *words[NUM], *rest = copy;

	memset(checkpoint, 0, sizeof(*checkpoint));
	if (len >= sizeof(copy) || memchr(text, '\0', len) != NULL)
		return false;
	memcpy(copy, text, len);
	copy[len] = '\0';
	for (int i = 0; i < NUM; i++)
		if ((words[i] = strsep(&rest, " ")) == NULL)
			return false;
	if (rest != NULL || strcmp(words[AT_WORD], CHECKPOINT_WORD) != 0 || strcmp(words[AT_VERSION], VERSION_WORD) != 0 ||
	    !take_number(words[AT_EPOCH], &checkpoint->epoch) || !take_number(words[AT_SEQ], &checkpoint->seq) ||
	    !take_hex(words[AT_HASH], checkpoint->hash, AUDIT_HASH_LEN) ||
	    !take_hex(words[AT_KEY], checkpoint->key, CHECKPOINT_KEY_LEN) ||
	    (strcmp(words[AT_NEXT], "-") != 0 && !take_hex(words[AT_NEXT], checkpoint->next, CHECKPOINT_KEY_LEN)) ||
	    !take_hex(words[AT_SIGNATURE], checkpoint->signature, CHECKPOINT_SIGNATURE_LEN))
		return false;
	return checkpoint_print(checkpoint, again) == len && memcmp(again, text, len) == 0;
}

bool
checkpoint_in_line(const char *line, size_t len, struct checkpoint *checkpoint)
{
	struct scan_member member;
	struct scan scan;

	scan_begin(&scan, line, len);
	while (scan_next(&scan, &member))
		if (member.key_len == sizeof(CHECKPOINT_MEMBER) - 1 && memcmp(member.key, CHECKPOINT_MEMBER, member.key_len) == 0)
			return member.value_len > 2 && checkpoint_parse(member.value + 1, member.value_len - 2, checkpoint);
	return false;
}

bool
checkpoint_right(const struct checkpoint *checkpoint)
{
	struct checkpoint unsigned_one = *checkpoint;
	unsigned char key[KEY_BYTES], signature[SIGNATURE_BYTES];
	char text[CHECKPOINT_TEXT_MAX];
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	EVP_PKEY *public = NULL;
	bool right = false;
	size_t len;

	unsigned_one.signature[0] = '\0';
	len = checkpoint_print(&unsigned_one, text);
	if (context == NULL || !checkpoint_unhex(checkpoint->key, key, sizeof(key)) ||
	    !checkpoint_unhex(checkpoint->signature, signature, sizeof(signature)))
		goto out;
	public = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, key, sizeof(key));
	right = public != NULL && EVP_DigestVerifyInit(context, NULL, NULL, NULL, public) == 1 &&
	    EVP_DigestVerify(context, signature, sizeof(signature), (const unsigned char *)text, len) == 1;
out:
	EVP_PKEY_free(public);
	EVP_MD_CTX_free(context);
	return right;
}

/* ---- those from another place ---- */

static int
add(struct checkpoints *checkpoints, const char *text, size_t len, const char *where, struct vg_error *error)
{
	struct checkpoint *more, checkpoint;

	if (!checkpoint_parse(text, len, &checkpoint))
		return vg_fail(error, "%.200s: not a whole checkpoint: '%.*s'", where, (int)(len < 100 ? len : 100), text);
	if (!checkpoint_right(&checkpoint))
		return vg_fail(error, "%.200s: the checkpoint of record %llu was not signed by the key that it names", where,
		    (unsigned long long)checkpoint.seq);
	more = reallocarray(checkpoints->items, checkpoints->num + 1, sizeof(*more));
	if (more == NULL)
		return vg_fail(error, "out of memory");
	checkpoints->items = more;
	checkpoints->items[checkpoints->num++] = checkpoint;
	return 0;
}

static int
compare(const void *a, const void *b)
{
	const struct checkpoint *left = a, *right = b;

	return (left->seq > right->seq) - (left->seq < right->seq);
}

/* Up to where the text of a checkpoint can go: its words are of hex digits, blanks and "-". */
static size_t
length_in(const char *line)
{
	size_t word = strlen(CHECKPOINT_WORD), len = word + strspn(line + word, HEX " -");

	while (len > 0 && line[len - 1] == ' ')
		len--;
	return len;
}

int
checkpoints_read(struct checkpoints *checkpoints, const char *what, struct vg_error *error)
{
	char *line = NULL, *at;
	size_t size = 0;
	ssize_t len;
	FILE *file;
	int result = 0;

	if (strncmp(what, CHECKPOINT_WORD " ", sizeof(CHECKPOINT_WORD)) == 0)
		return add(checkpoints, what, strlen(what), "--checkpoint", error);
	file = fopen(what, "re");
	if (file == NULL) {
		vg_fail(error, "%s: %s", what, strerror(errno));
		return vg_hint(error, "give a file that has checkpoints in it, or one itself: \"" CHECKPOINT_WORD " 1 ...\"");
	}
	while (result == 0 && (len = getline(&line, &size, file)) != -1)
		if (strlen(line) == (size_t)len && (at = strstr(line, CHECKPOINT_WORD " " VERSION_WORD " ")) != NULL)
			result = add(checkpoints, at, length_in(at), what, error);
	if (result == 0 && ferror(file))
		result = vg_fail(error, "%s: %s", what, strerror(errno));
	if (result == 0 && checkpoints->num == 0)
		result = vg_fail(error, "%s: no checkpoint is in it", what);
	if (checkpoints->num > 0)
		qsort(checkpoints->items, checkpoints->num, sizeof(checkpoints->items[0]), compare);
	free(line);
	fclose(file);
	return result;
}

void
checkpoints_free(struct checkpoints *checkpoints)
{
	free(checkpoints->items);
	memset(checkpoints, 0, sizeof(*checkpoints));
}
