#include "tests/unit/pki_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/x509v3.h>

#include "certs/names.h"

/* Good enough a DN here: the text of virt-pki-query-dn has its own test. */
static char *
dn_text(const X509_NAME *name)
{
	char text[512];

	return X509_NAME_oneline(name, text, (int)sizeof(text)) != NULL ? strdup(text) : NULL;
}

static void
remove_tree(const char *path)
{
	struct stat st;
	DIR *dir;
	struct dirent *entry;

	if (lstat(path, &st) < 0)
		return;
	if (!S_ISDIR(st.st_mode)) {
		(void)unlink(path);
		return;
	}
	dir = opendir(path);
	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		char below[PKI_PATH_MAX];

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		(void)snprintf(below, sizeof(below), "%s/%s", path, entry->d_name);
		remove_tree(below);
	}
	if (dir != NULL)
		(void)closedir(dir);
	(void)rmdir(path);
}

int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	const char *tmp = getenv("TMPDIR");

	assert_non_null(f);
	(void)snprintf(f->dir, sizeof(f->dir), "%.40s/test_pki.XXXXXX", tmp != NULL ? tmp : "/tmp");
	assert_non_null(mkdtemp(f->dir));
	assert_int_equal(pki_tree_init(&f->pki.tree, f->dir, &f->error), 0);
	f->pki.dn_text = dn_text;
	f->pki.now = time(NULL);
	*state = f;
	return 0;
}

int
teardown(void **state)
{
	struct fixture *f = *state;

	remove_tree(f->dir);
	free(f);
	return 0;
}

void
ok(const struct fixture *f, int result)
{
	if (result != 0)
		fail_msg("%s (%s)", f->error.what, f->error.hint);
}

void
init_ca(struct fixture *f)
{
	struct pki_request request = { .name = "Test CA", .org = "Test" };
	struct pki_result result;

	ok(f, pki_init(&f->pki, &request, &result, &f->error));
	pki_result_clear(&result);
}

void
make_client(struct fixture *f, const char *name)
{
	struct pki_request request = { .name = name };
	struct pki_result result;

	ok(f, pki_client(&f->pki, &request, &result, &f->error));
	pki_result_clear(&result);
}

const char *
below(const struct fixture *f, const char *name)
{
	static char path[32][PKI_PATH_MAX];
	static unsigned next;
	char *into = path[next++ % 32];

	(void)snprintf(into, PKI_PATH_MAX, "%s/%s", f->dir, name);
	return into;
}

unsigned
mode_of(const char *path)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		fail_msg("%s: %s", path, strerror(errno));
	return st.st_mode & 07777u;
}

X509 *
load_cert(const char *path)
{
	STACK_OF(X509) *certs;
	struct vg_error error;
	X509 *cert;

	if (pem_load_certs(path, &certs, &error) < 0)
		fail_msg("%s", error.what);
	assert_int_equal(sk_X509_num(certs), 1);
	cert = sk_X509_shift(certs);
	certs_free(certs);
	return cert;
}

X509_CRL *
load_crl(const char *path)
{
	STACK_OF(X509_CRL) *crls;
	struct vg_error error;
	X509_CRL *crl;

	if (pem_load_crls(path, &crls, &error) < 0)
		fail_msg("%s", error.what);
	assert_int_equal(sk_X509_CRL_num(crls), 1);
	crl = sk_X509_CRL_shift(crls);
	sk_X509_CRL_pop_free(crls, X509_CRL_free);
	return crl;
}

int
verdict(const struct fixture *f, const char *path, int purpose, const char *host)
{
	X509 *ca = load_cert(below(f, "CA/cacert.pem")), *cert = load_cert(path);
	X509_CRL *crl = load_crl(below(f, "CA/cacrl.pem"));
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *context = X509_STORE_CTX_new();
	X509_VERIFY_PARAM *param = X509_STORE_get0_param(store);
	int result;

	assert_int_equal(X509_STORE_add_cert(store, ca), 1);
	assert_int_equal(X509_STORE_add_crl(store, crl), 1);
	X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_X509_STRICT | X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
	X509_VERIFY_PARAM_set_time(param, f->pki.now + 1);
	assert_int_equal(X509_VERIFY_PARAM_set_purpose(param, purpose), 1);
	assert_int_equal(X509_STORE_CTX_init(context, store, cert, NULL), 1);
	if (host != NULL && name_is_ip(host, NULL, NULL))
		X509_VERIFY_PARAM_set1_ip_asc(X509_STORE_CTX_get0_param(context), host);
	else if (host != NULL)
		X509_VERIFY_PARAM_set1_host(X509_STORE_CTX_get0_param(context), host, 0);
	result = X509_verify_cert(context) == 1 ? X509_V_OK : X509_STORE_CTX_get_error(context);
	X509_STORE_CTX_free(context);
	X509_STORE_free(store);
	X509_CRL_free(crl);
	X509_free(cert);
	X509_free(ca);
	return result;
}
