/*
 * test_argument.c: the rules on arguments: is every risk of the procedure table answered for, and what do the rules on paths, URIs
 * and disks say of what hostile people write?
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "gateway/core/settings.h"
#include "gateway/gate/argument.h"

/* ---- the table ---- */

static bool
has_argument(const struct rpc_proc *proc, const char *path)
{
	char name[64];

	(void)snprintf(name, sizeof(name), "%.*s", (int)strcspn(path, "["), path);
	for (const struct xdr_field *field = proc->args; field->name != NULL; field++)
		if (strcmp(field->name, name) == 0)
			return true;
	return false;
}

/* Each of the calls whose arguments reach beyond their object is safe by a rule, or for those who may do everything. */
static void
test_i39_to_i46_every_risk_has_a_rule(void **state)
{
	const struct rpc_proc *proc;
	size_t num = 0;

	(void)state;
	for (size_t i = 0; (proc = rpc_proc_at(i)) != NULL; i++) {
		const struct argument *argument;
		bool any = false;

		for (size_t k = 0; (argument = argument_at(k)) != NULL; k++)
			any = any || strcmp(argument->proc, proc->name) == 0;
		if (argument_needed(proc) != any)
			fail_msg("%s: %s in argument.def", proc->name, any ? "has no risk but stands" : "has a risk but no row");
		num += any;
	}
	assert_true(num > 100);
}

static void
test_rows_name_what_is_there(void **state)
{
	const struct argument *argument;

	(void)state;
	for (size_t k = 0; (argument = argument_at(k)) != NULL; k++) {
		const struct rpc_proc *proc = rpc_proc_by_name(argument->proc);

		if (proc == NULL)
			fail_msg("argument.def: no call '%s'", argument->proc);
		if (argument->path != NULL && !has_argument(proc, argument->path))
			fail_msg("argument.def: %s has no argument '%s'", argument->proc, argument->path);
		if (argument->rule == RULE_SAFE && argument->why[0] == '\0')
			fail_msg("argument.def: why is '%s' of %s safe?", argument->path == NULL ? "" : argument->path, argument->proc);
		if (argument->path == NULL && argument->rule != RULE_SAFE && argument->rule != RULE_HOST && argument->rule != RULE_EVERYTHING)
			fail_msg("argument.def: %s: this rule needs an argument", argument->proc);
	}
}

/* ---- paths ---- */

static char top[] = "/tmp/virtgate-argument-XXXXXX";

static void
make(const char *name, int kind)
{
	char path[300];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", top, name);
	switch (kind) {
	case 'd':
		assert_int_equal(mkdir(path, 0755), 0);
		break;
	case 'f':
		fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
		assert_true(fd >= 0);
		close(fd);
		break;
	case 'p':
		assert_int_equal(mkfifo(path, 0644), 0);
		break;
	case 'w':
		assert_int_equal(mkdir(path, 0755), 0);
		assert_int_equal(chmod(path, 0777), 0);
		break;
	default:
		assert_int_equal(symlink(kind == 'l' ? "saves" : "../other", path), 0);
	}
}

static int
setup(void **state)
{
	char from[300], to[300];

	(void)state;
	assert_non_null(mkdtemp(top));
	make("saves", 'd');
	make("saves/deep", 'd');
	make("saves/there", 'f');
	make("saves/pipe", 'p');
	make("saves/out", 'o');
	make("saves/deep/out", 'o');
	make("saves/open", 'w');
	make("other", 'd');
	make("other/secret", 'f');
	(void)snprintf(from, sizeof(from), "%s/other/secret", top);
	(void)snprintf(to, sizeof(to), "%s/saves/hard", top);
	assert_int_equal(link(from, to), 0);
	make("savesmore", 'd');
	make("link", 'l');
	return 0;
}

static int
teardown(void **state)
{
	static const char *const names[] = { "link", "savesmore", "other/secret", "other", "saves/deep/out", "saves/out", "saves/pipe",
		"saves/there", "saves/hard", "saves/open", "saves/deep", "saves", "" };
	char path[300];

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", top, names[i]);
		assert_int_equal(remove(path), 0);
	}
	return 0;
}

static void
test_i39_paths(void **state)
{
	static const struct { const char *path, *why; bool exists; } cases[] = {
		{ "saves/new", NULL, false }, { "saves/there", NULL, true }, { "saves/deep/new", NULL, false }, { "saves/...", NULL, false },
		{ "saves/pipe", "not a regular file", false }, { "saves/deep", "not a regular file", false },
		{ "saves/out", "not a regular file", false }, { "saves/out/secret", "not a directory", false },
		{ "saves/deep/out/x", "not a directory", false }, { "saves/missing/x", "cannot be looked at", false },
		{ "saves/../other/secret", "plain names", false }, { "saves/./x", "plain names", false }, { "saves//x", "plain names", false },
		{ "saves/x/", "plain names", false }, { "saves", "none of the directories", false }, { "savesmore/x", "none of the directories", false },
		{ "other/secret", "none of the directories", false }, { "link/x", "none of the directories", false },
		{ "saves/open/x", "everybody can write", false }, { "saves/hard", "another name", false },
		{ "saves/a\nb", "plain names", false }, { "saves/a\177", "plain names", false },
	};
	char dir[300], path[400], relative[] = "saves/new", *dirs[] = { dir };
	struct settings_list list = { .set = true, .num = 1, .items = dirs }, nothing = { .num = 0 };
	struct vg_error error;
	bool exists;

	(void)state;
	(void)snprintf(dir, sizeof(dir), "%s/saves", top);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int r;

		exists = false;
		(void)snprintf(path, sizeof(path), "%s/%s", top, cases[i].path);
		r = path_check(&list, path, &exists, &error);
		if ((r == 0) != (cases[i].why == NULL) || (r == 0 && exists != cases[i].exists) || (r < 0 && strstr(error.what, cases[i].why) == NULL))
			fail_msg("%s: %s", cases[i].path, r == 0 ? exists ? "accepted, exists" : "accepted" : error.what);
	}
	assert_int_equal(path_check(&list, relative, &exists, &error), -1);
	assert_int_equal(path_check(&list, "", &exists, &error), -1);
	assert_int_equal(path_check(&list, "/dev/sda", &exists, &error), -1);
	assert_int_equal(path_check(&list, "/proc/self/mem", &exists, &error), -1);
	(void)snprintf(path, sizeof(path), "%s/new", dir);
	assert_int_equal(path_check(&nothing, path, &exists, &error), -1);
	assert_non_null(strstr(error.what, "save_dirs"));
	/* "/" is no directory for such files. */
	(void)snprintf(dir, sizeof(dir), "/");
	assert_int_equal(path_check(&list, "/etc/x", &exists, &error), -1);
}

/* ---- URIs ---- */

static void
test_i44_uris(void **state)
{
	static char tcp[] = "tcp://kvm2.example.com", port[] = "tcp://kvm3.example.com:49152", libvirt[] = "qemu+tls://kvm2.example.com/system",
	    six[] = "tcp://[2001:db8::2]";
	static char *items[] = { tcp, port, libvirt, six };
	static const struct settings_list list = { .set = true, .num = 4, .items = items };
	static const char *const good[] = { "tcp://kvm2.example.com", "tcp:kvm2.example.com:49152", "tcp://kvm2.example.com:1",
		"tcp://kvm3.example.com:49152", "qemu+tls://kvm2.example.com/system", "qemu+tls://kvm2.example.com:16514/system",
		"tcp://[2001:db8::2]:49152" };
	static const char *const bad[] = { "", "tcp", "tcp:", "tcp://", "//kvm2.example.com", "rdma://kvm2.example.com", "tcp://kvm2.example.com.evil.org",
		"tcp://evil.org", "tcp://kvm2.example.com@evil.org", "tcp://kvm2.example.com:1@evil.org", "tcp://user@kvm2.example.com",
		"tcp://kvm2.example.com#evil", "tcp://kvm2.example.com?command=x", "tcp://kvm3.example.com", "tcp://kvm3.example.com:49153",
		"tcp://kvm3.example.com:491520", "qemu+tls://kvm2.example.com/session", "qemu+tls://kvm2.example.com/system?pkipath=/x",
		"qemu+ssh://kvm2.example.com/system", "qemu+ext://kvm2.example.com/system", "qemu:///system", "unix:///run/x",
		"tcp://KVM2.example.com", "tcp://kvm2.example.com\n", "tcp://kvm2.example.com ", "tcp://kvm2.example.com/x", "tcp://[2001:db8::2",
		"tcp://[2001:db8::2]evil.org", "tcp://[]", "tcp:////kvm2.example.com", "qemu+tls:kvm2.example.com/system",
		"qemu+tls:/kvm2.example.com/system", "exec:sh", "fd:3", "tcp://%6bvm2.example.com" };

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		if (!uri_is_allowed(&list, good[i]))
			fail_msg("refused: %s", good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (uri_is_allowed(&list, bad[i]))
			fail_msg("allowed: %s", bad[i]);
	assert_true(uri_host_is_allowed(&list, "kvm2.example.com"));
	assert_true(uri_host_is_allowed(&list, "2001:db8::2"));
	assert_false(uri_host_is_allowed(&list, "0.0.0.0"));
	assert_false(uri_host_is_allowed(&list, ""));
}

/* ---- disks ---- */

static void
test_i41_disks(void **state)
{
	static const char xml[] = "<domain><description>/etc/passwd vdz</description><metadata><disk><target dev='vdm'/></disk></metadata><devices>"
	    "<disk type='file'><source file='/p/top' index='1'/><backingStore type='file' index='2'><format type='raw'/><source file='/p/base'/>"
	    "<backingStore/></backingStore><target dev='vda'/></disk><disk type='block'><source dev='/dev/vg/lv'/><target dev='vdb'/></disk>"
	    "<interface><target dev='vnet0'/><source file='/p/nic'/></interface></devices></domain>";
	static const char *const good[] = { "vda", "vda[1]", "vda[2]", "vdb", "/p/top", "/p/base", "/dev/vg/lv" };
	static const char *const bad[] = { "", "vd", "vdaa", "vdm", "vdz", "vnet0", "/p/nic", "/etc/passwd", "vda[", "vda[x]", "vda[1]x", "vda]", "[1]",
		"/p/top ", "/p/../p/top", "vda[1][2]" };

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		if (!disk_is_in(xml, strlen(xml), good[i]))
			fail_msg("no disk: %s", good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (disk_is_in(xml, strlen(xml), bad[i]))
			fail_msg("a disk: %s", bad[i]);
	assert_false(disk_is_in("<domain", 7, "vda"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_i39_to_i46_every_risk_has_a_rule),
		cmocka_unit_test(test_rows_name_what_is_there),
		cmocka_unit_test_setup_teardown(test_i39_paths, setup, teardown),
		cmocka_unit_test(test_i44_uris),
		cmocka_unit_test(test_i41_disks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
