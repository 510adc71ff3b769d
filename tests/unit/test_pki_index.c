/* test_pki_index.c: the index of what was issued, by several at once, and with no room on the disk. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/x509v3.h>

#include "tests/unit/pki_fixture.h"

static void
index_damage_is_told(void **state)
{
	struct fixture *f = *state;
	struct index index;
	FILE *out;

	init_ca(f);
	make_client(f, "alice");
	out = fopen(f->pki.tree.path[PKI_INDEX], "a");
	assert_non_null(out);
	(void)fprintf(out, "{\"serial\":\"zz\"}\n");
	(void)fclose(out);
	assert_int_equal(index_load(&index, f->pki.tree.path[PKI_INDEX], &f->error), -1);
	assert_non_null(strstr(f->error.what, "issued.jsonl:3:"));
}

/* Several processes at once: each certificate is in the index, and none twice. */
static void
two_at_once(void **state)
{
	enum { PROCESSES = 4, EACH = 4 };
	struct fixture *f = *state;
	struct index index;
	pid_t pids[PROCESSES];

	init_ca(f);
	for (int p = 0; p < PROCESSES; p++) {
		pids[p] = fork();
		assert_true(pids[p] >= 0);
		if (pids[p] != 0)
			continue;
		for (int i = 0; i < EACH; i++) {
			char name[32];
			struct pki_request request = { .name = name };
			struct pki_result result;

			(void)snprintf(name, sizeof(name), "user-%d-%d", p, i);
			if (pki_client(&f->pki, &request, &result, &f->error) < 0)
				_exit(1);
			pki_result_clear(&result);
		}
		_exit(0);
	}
	for (int p = 0; p < PROCESSES; p++) {
		int status;

		assert_int_equal(waitpid(pids[p], &status, 0), pids[p]);
		assert_int_equal(status, 0);
	}
	ok(f, index_load(&index, f->pki.tree.path[PKI_INDEX], &f->error));
	assert_int_equal(index.num, 1 + PROCESSES * EACH);
	for (size_t i = 0; i < index.num; i++)
		assert_ptr_equal(index_find_serial(&index, index.records[i].serial), &index.records[i]);
	index_clear(&index);
}

static unsigned
count_entries(const char *path)
{
	DIR *dir = opendir(path);
	unsigned num = 0;

	while (dir != NULL && readdir(dir) != NULL)
		num++;
	if (dir != NULL)
		(void)closedir(dir);
	return num;
}

/* Issues under a limit on the size of files, in a process of its own. Answers whether that went well. */
static bool
issue_with_little_room(struct fixture *f, rlim_t bytes)
{
	struct pki_request request = { .name = "bob", .password = "a long password" };
	struct pki_result result;
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		const struct rlimit limit = { .rlim_cur = bytes, .rlim_max = bytes };

		(void)signal(SIGXFSZ, SIG_IGN);
		if (setrlimit(RLIMIT_FSIZE, &limit) < 0)
			_exit(2);
		_exit(pki_client(&f->pki, &request, &result, &f->error) < 0 ? 1 : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) <= 1);
	return WEXITSTATUS(status) == 0;
}

/* Whichever file a full disk cuts short: nothing is left behind, and the index is what it was. */
static void
full_disk_leaves_nothing(void **state)
{
	struct fixture *f = *state;
	char *before, *after;
	size_t before_len, after_len, failures = 0;
	rlim_t room = 0;

	init_ca(f);
	make_client(f, "alice");
	ok(f, file_read(f->pki.tree.path[PKI_INDEX], &before, &before_len, &f->error));
	for (; !issue_with_little_room(f, room); room += 100, failures++) {
		assert_true(room < 10000);
		assert_true(count_entries(below(f, "clients/bob")) <= 2);
		assert_int_equal(count_entries(below(f, "CA")), 6);	/* three files, private, "." and ".." */
		ok(f, file_read(f->pki.tree.path[PKI_INDEX], &after, &after_len, &f->error));
		assert_int_equal(before_len, after_len);
		assert_memory_equal(before, after, before_len);
		file_free(after, after_len);
	}
	assert_true(failures > 5);
	assert_int_equal(count_entries(below(f, "clients/bob")), 6);
	assert_int_equal(verdict(f, below(f, "clients/bob/clientcert.pem"), X509_PURPOSE_SSL_CLIENT, NULL), X509_V_OK);
	file_free(before, before_len);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(index_damage_is_told, setup, teardown),
		cmocka_unit_test_setup_teardown(two_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(full_disk_leaves_nothing, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
