/* pki.c: see pki.h. Every step: check what was asked, lock, check what is there, make in memory, write, publish. */
#include "certs/pki.h"

#include <errno.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "certs/ca.h"
#include "certs/names.h"

void
pki_result_clear(struct pki_result *result)
{
	index_record_clear(&result->record);
	memset(result, 0, sizeof(*result));
}

int
pki_make_password(char password[PKI_PASSWORD_GENERATED + 1], struct vg_error *error)
{
	/* 32 characters that are not taken for one another; groups of five are easier to type: 25 x 5 bits. */
	static const char alphabet[] = "abcdefghijkmnpqrstuvwxyz23456789";
	unsigned char random[25];
	size_t i, at = 0;

	if (RAND_priv_bytes(random, sizeof(random)) != 1)
		return vg_fail(error, "the system has no randomness");
	for (i = 0; i < sizeof(random); i++) {
		if (i > 0 && i % 5 == 0)
			password[at++] = '-';
		password[at++] = alphabet[random[i] % (sizeof(alphabet) - 1)];
	}
	password[at] = '\0';
	OPENSSL_cleanse(random, sizeof(random));
	return 0;
}

/* ---- what was asked ---- */

static int
check_request(const struct pki_request *request, struct vg_error *error)
{
	size_t i;

	if (request->org != NULL && name_check_text("organisation", request->org, error) < 0)
		return -1;
	if (request->org_unit != NULL && name_check_text("organisational unit", request->org_unit, error) < 0)
		return -1;
	if (request->days < 0 || request->days > PKI_DAYS_MAX)
		return vg_fail(error, "%d days: 1 to %d are possible", request->days, PKI_DAYS_MAX);
	if (request->num_hosts + request->num_emails > CERT_MAX_SANS - 1)
		return vg_fail(error, "%zu names in one certificate: at most %d",
		    request->num_hosts + request->num_emails, CERT_MAX_SANS - 1);
	for (i = 0; i < request->num_hosts; i++)
		if (name_check_host(request->hosts[i], error) < 0)
			return -1;
	for (i = 0; i < request->num_emails; i++)
		if (name_check_email(request->emails[i], error) < 0)
			return -1;
	if (request->password != NULL && strlen(request->password) < PKI_PASSWORD_MIN) {
		vg_fail(error, "the password of the PKCS#12 file has fewer than %d characters", PKI_PASSWORD_MIN);
		return vg_hint(error, "whoever gets the file can try passwords without limit");
	}
	return 0;
}

/* ---- writing ---- */

static int
stage_cert(struct file_set *set, const char *path, X509 *cert, struct vg_error *error)
{
	char *bytes;
	size_t len;
	int result;

	if (pem_cert(cert, &bytes, &len, error) < 0)
		return -1;
	result = file_set_add(set, path, bytes, len, 0644, false, error);
	file_free(bytes, len);
	return result;
}

static int
stage_key(struct file_set *set, const char *path, EVP_PKEY *key, struct vg_error *error)
{
	char *bytes;
	size_t len;
	int result;

	if (pem_key(key, &bytes, &len, error) < 0)
		return -1;
	result = file_set_add(set, path, bytes, len, 0600, false, error);
	file_free(bytes, len);
	return result;
}

static int
stage_p12(struct file_set *set, const char *path, const struct cert_pair *made, X509 *ca,
    const struct pki_request *request, struct vg_error *error)
{
	char *bytes;
	size_t len;
	int result;

	if (pkcs12_make(made, ca, request->name, request->password, &bytes, &len, error) < 0)
		return -1;
	result = file_set_add(set, path, bytes, len, 0600, false, error);
	file_free(bytes, len);
	return result;
}

static void
list_files(const struct file_set *set, struct pki_result *result)
{
	size_t i;

	for (i = 0; i < set->num && result->num_files < PKI_RESULT_FILES; i++)
		if (!set->files[i].replace)
			memcpy(result->files[result->num_files++], set->files[i].path, PKI_PATH_MAX);
}

/*
 * The index goes first: a certificate that exists is one that can be revoked by name. When the files cannot follow,
 * the index goes back to what it was.
 */
static int
record_and_publish(const struct pki *pki, struct index *index, struct file_set *set, struct pki_result *result,
    struct vg_error *error)
{
	const char *path = pki->tree.path[PKI_INDEX];
	struct file_set index_set = { .num = 0 };
	int done = -1;

	if (index_add(index, &result->record, error) == 0 && index_stage(index, path, &index_set, error) == 0 &&
	    file_set_publish(&index_set, error) == 0) {
		done = file_set_publish(set, error);
		if (done < 0) {
			file_set_clear(&index_set);
			index_record_clear(&index->records[--index->num]);
			if (index_stage(index, path, &index_set, NULL) == 0)
				(void)file_set_publish(&index_set, NULL);
		}
	}
	file_set_clear(&index_set);
	if (done == 0)
		list_files(set, result);
	return done;
}

/* ---- the steps ---- */

static int
make_tree(const struct pki *pki, struct vg_error *error)
{
	static const struct {
		enum pki_file file;
		mode_t mode;
	} dirs[] = {
		{ PKI_CA_CERT, 0755 },
		{ PKI_CA_KEY, 0700 },
	};
	size_t i;

	for (i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		char dir[PKI_PATH_MAX];

		memcpy(dir, pki->tree.path[dirs[i].file], sizeof(dir));
		*strrchr(dir, '/') = '\0';
		if (make_dir(dir, dirs[i].mode, error) < 0)
			return -1;
	}
	return 0;
}

int
pki_init(const struct pki *pki, const struct pki_request *request, struct pki_result *result, struct vg_error *error)
{
	struct cert_request ca_request = {
		.kind = CERT_CA, .cn = request->name, .org = request->org, .org_unit = request->org_unit,
		.not_before = pki->now - PKI_SKEW_SECONDS,
		.not_after = pki->now + (time_t)(request->days != 0 ? request->days : PKI_DAYS_CA) * DAY_SECONDS,
	};
	struct cert_pair ca = { NULL, NULL };
	struct file_set set = { .num = 0 };
	struct index index = { NULL, 0, 0 };
	time_t next;
	int lock = -1, done = -1;

	memset(result, 0, sizeof(*result));
	if (name_check_text("CA name", request->name, error) < 0 || check_request(request, error) < 0)
		return -1;
	/* First, so that a refusal makes no directories. */
	if (file_must_not_exist(pki->tree.path[PKI_CA_KEY], error) < 0 ||
	    file_must_not_exist(pki->tree.path[PKI_CA_CERT], error) < 0)
		return -1;
	if (make_tree(pki, error) < 0 || (lock = pki_lock(&pki->tree, error)) < 0)
		return -1;
	/* Whoever had the lock before may have made them; and the rest must not be another CA's either. */
	if (file_must_not_exist(pki->tree.path[PKI_CA_KEY], error) < 0 ||
	    file_must_not_exist(pki->tree.path[PKI_CA_CERT], error) < 0 ||
	    file_must_not_exist(pki->tree.path[PKI_CRL], error) < 0 ||
	    file_must_not_exist(pki->tree.path[PKI_INDEX], error) < 0)
		goto out;
	if (cert_make(&ca_request, NULL, &ca, error) < 0 ||
	    ca_describe(pki, ca.cert, CERT_CA, request->name, &result->record, error) < 0 ||
	    stage_key(&set, pki->tree.path[PKI_CA_KEY], ca.key, error) < 0 ||
	    stage_cert(&set, pki->tree.path[PKI_CA_CERT], ca.cert, error) < 0 ||
	    ca_stage_crl(pki, &set, &ca, &index, 0, &next, error) < 0)
		goto out;
	done = record_and_publish(pki, &index, &set, result, error);
	if (done == 0)
		memcpy(result->files[result->num_files++], pki->tree.path[PKI_CRL], PKI_PATH_MAX);
out:
	file_set_clear(&set);
	index_clear(&index);
	cert_pair_clear(&ca);
	(void)close(lock);
	if (done < 0)
		pki_result_clear(result);
	return done;
}

/* Where the files of one certificate go. */
struct places {
	char dir[PKI_PATH_MAX];		/* made with 0700 when missing; empty: the tree's own */
	char ca[PKI_PATH_MAX];		/* copy of the CA certificate; empty: none */
	char cert[PKI_PATH_MAX];
	char key[PKI_PATH_MAX];
	char p12[PKI_PATH_MAX];		/* empty: none */
};

static int
places_in_dir(struct places *places, const char *dir, enum cert_kind kind, bool p12, struct vg_error *error)
{
	bool server = kind == CERT_SERVER;

	if (strlen(dir) == 0 || strlen(dir) >= sizeof(places->dir))
		return vg_fail(error, "the path '%.200s' is empty or too long", dir);
	memcpy(places->dir, dir, strlen(dir) + 1);
	if (path_join(places->ca, dir, "cacert.pem", error) < 0 ||
	    path_join(places->cert, dir, server ? "servercert.pem" : "clientcert.pem", error) < 0 ||
	    path_join(places->key, dir, server ? "serverkey.pem" : "clientkey.pem", error) < 0)
		return -1;
	return p12 ? path_join(places->p12, dir, "client.p12", error) : 0;
}

static int
places_of(const struct pki *pki, const struct pki_request *request, enum cert_kind kind, struct places *places,
    struct vg_error *error)
{
	char dir[PKI_PATH_MAX];

	memset(places, 0, sizeof(*places));
	if (request->out != NULL)
		return places_in_dir(places, request->out, kind, request->password != NULL, error);
	if (kind == CERT_CLIENT) {
		if (path_join(dir, pki->tree.path[PKI_CLIENTS], request->name, error) < 0)
			return -1;
		return places_in_dir(places, dir, kind, request->password != NULL, error);
	}
	memcpy(places->cert, pki->tree.path[PKI_SERVER_CERT], sizeof(places->cert));
	memcpy(places->key, pki->tree.path[PKI_SERVER_KEY], sizeof(places->key));
	return 0;
}

static int
places_free(const struct places *places, struct vg_error *error)
{
	const char *const all[] = { places->key, places->cert, places->ca, places->p12 };
	size_t i;

	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (all[i][0] != '\0' && file_must_not_exist(all[i], error) < 0)
			return -1;
	return 0;
}

static int
places_make(const struct places *places, struct vg_error *error)
{
	char dir[PKI_PATH_MAX];

	if (places->dir[0] != '\0')
		return make_dir(places->dir, 0700, error);
	memcpy(dir, places->cert, sizeof(dir));
	*strrchr(dir, '/') = '\0';
	if (make_dir(dir, 0755, error) < 0)
		return -1;
	memcpy(dir, places->key, sizeof(dir));
	*strrchr(dir, '/') = '\0';
	return make_dir(dir, 0700, error);
}

static int
refuse_second(const struct pki *pki, const struct index *index, const char *name, struct vg_error *error)
{
	size_t i;

	for (i = 0; i < index->num; i++) {
		const struct index_record *record = &index->records[i];
		char until[21];

		if (record->kind != CERT_CLIENT || strcmp(record->name, name) != 0 ||
		    index_state(record, pki->now) != CERT_VALID)
			continue;
		time_text(record->not_after, until);
		vg_fail(error, "'%s' has a certificate that is valid until %.10s (serial %s)", name, until,
		    record->serial);
		return vg_hint(error, "revoke it first (virtgate pki revoke NAME), or have both valid with "
		    "--force-new");
	}
	return 0;
}

static int
make_and_stage(const struct pki *pki, const struct pki_request *request, struct cert_request *cert_request,
    const struct places *places, const struct cert_pair *ca, struct file_set *set, struct pki_result *result,
    struct vg_error *error)
{
	time_t ca_end = cert_time(X509_get0_notAfter(ca->cert)), ca_start = cert_time(X509_get0_notBefore(ca->cert));
	struct cert_pair made = { NULL, NULL };
	char *org = request->org == NULL ? ca_org(ca->cert) : NULL;
	int done = -1;

	cert_request->org = request->org != NULL ? request->org : org;
	if (cert_request->not_after > ca_end) {
		cert_request->not_after = ca_end;
		result->shortened = true;
	}
	if (cert_request->not_before < ca_start)
		cert_request->not_before = ca_start;
	if (cert_make(cert_request, ca, &made, error) < 0)
		goto out;
	if (ca_describe(pki, made.cert, cert_request->kind, request->name != NULL ? request->name : request->hosts[0],
	    &result->record, error) < 0)
		goto out;
	if (places_make(places, error) < 0 || stage_key(set, places->key, made.key, error) < 0 ||
	    stage_cert(set, places->cert, made.cert, error) < 0)
		goto out;
	if (places->ca[0] != '\0' && stage_cert(set, places->ca, ca->cert, error) < 0)
		goto out;
	if (places->p12[0] != '\0' && stage_p12(set, places->p12, &made, ca->cert, request, error) < 0)
		goto out;
	done = 0;
out:
	cert_pair_clear(&made);
	free(org);
	return done;
}

/* What server and client have in common, behind their own checks. */
static int
issue(const struct pki *pki, const struct pki_request *request, struct cert_request *cert_request,
    struct pki_result *result, struct vg_error *error)
{
	struct places places;
	struct cert_pair ca = { NULL, NULL };
	struct index index = { NULL, 0, 0 };
	struct file_set set = { .num = 0 };
	int lock, done = -1;

	memset(result, 0, sizeof(*result));
	if (places_of(pki, request, cert_request->kind, &places, error) < 0)
		return -1;
	lock = pki_lock(&pki->tree, error);
	if (lock < 0)
		return -1;
	if (ca_load(pki, &ca, error) < 0 || index_load(&index, pki->tree.path[PKI_INDEX], error) < 0)
		goto out;
	if (cert_request->kind == CERT_CLIENT && !request->force_new &&
	    refuse_second(pki, &index, request->name, error) < 0)
		goto out;
	if (places_free(&places, error) < 0 ||
	    make_and_stage(pki, request, cert_request, &places, &ca, &set, result, error) < 0)
		goto out;
	done = record_and_publish(pki, &index, &set, result, error);
out:
	file_set_clear(&set);
	index_clear(&index);
	cert_pair_clear(&ca);
	(void)close(lock);
	if (done < 0)
		pki_result_clear(result);
	return done;
}

int
pki_server(const struct pki *pki, const struct pki_request *request, struct pki_result *result, struct vg_error *error)
{
	struct cert_request cert_request = {
		.kind = CERT_SERVER, .org_unit = request->org_unit, .not_before = pki->now - PKI_SKEW_SECONDS,
		.not_after = pki->now + (time_t)(request->days != 0 ? request->days : PKI_DAYS_SERVER) * DAY_SECONDS,
	};
	size_t i;

	if (check_request(request, error) < 0)
		return -1;
	if (request->num_hosts == 0)
		return vg_fail(error, "a server certificate without a host name or address");
	for (i = 0; i < request->num_hosts; i++)
		cert_request.hosts[cert_request.num_hosts++] = request->hosts[i];
	/* Clients look at the SANs; a name too long for a CN is only there. */
	if (strlen(request->hosts[0]) <= NAME_MAX_BYTES)
		cert_request.cn = request->hosts[0];
	return issue(pki, request, &cert_request, result, error);
}

int
pki_client(const struct pki *pki, const struct pki_request *request, struct pki_result *result, struct vg_error *error)
{
	struct cert_request cert_request = {
		.kind = CERT_CLIENT, .cn = request->name, .org_unit = request->org_unit,
		.not_before = pki->now - PKI_SKEW_SECONDS,
		.not_after = pki->now + (time_t)(request->days != 0 ? request->days : PKI_DAYS_CLIENT) * DAY_SECONDS,
	};
	size_t i;

	if (name_check_client(request->name, error) < 0 || check_request(request, error) < 0)
		return -1;
	for (i = 0; i < request->num_emails; i++)
		cert_request.emails[cert_request.num_emails++] = request->emails[i];
	return issue(pki, request, &cert_request, result, error);
}
