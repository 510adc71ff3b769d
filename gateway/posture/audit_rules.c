/*
 * audit_rules.c: rules for the Linux audit system with the paths of this host: who touches the gateway's key, policy and trail, who writes to
 * the disks of guests but QEMU, and what a QEMU that was taken over would try. Syntax: auditctl(8), audit.rules(7); exe takes != since
 * Linux 4.18 (kernel/auditfilter.c).
 */
#include <errno.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libxml/parser.h>

#include "gateway/posture/checks.h"
#include "virtgate/xml_cost.h"

#define MAX_PATHS 128
#define POOLS "/etc/libvirt/storage"
#define GATEWAY_PROGRAM "/usr/sbin/virtgated"
#define QEMU_PROGRAM "/usr/bin/qemu-system-x86_64"
/* Arguments of one rule: the kernel takes 64 fields, auditctl lines of 4,096 bytes. */
#define MAX_EXES 16

/* Paths that occur once each, in the order in which they came. */
struct paths {
	size_t num;
	char *items[MAX_PATHS];
	size_t left_out;	/* that a line of audit.rules cannot hold, or too many */
};

/* The rules have no quotes: what is no plain path is left out and told. */
static bool
is_plain(const char *path)
{
	return path[0] == '/' && path[strspn(path, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/._-+@:,")] == '\0' && strlen(path) < 1024;
}

static void
paths_add(struct paths *paths, const char *path)
{
	for (size_t i = 0; i < paths->num; i++)
		if (strcmp(paths->items[i], path) == 0)
			return;
	if (!is_plain(path) || paths->num == MAX_PATHS || (paths->items[paths->num] = strdup(path)) == NULL)
		paths->left_out++;
	else
		paths->num++;
}

static void
paths_clear(struct paths *paths)
{
	for (size_t i = 0; i < paths->num; i++)
		free(paths->items[i]);
}

static void
add_directory_of(const char *path, void *arg)
{
	char dir[POSTURE_PATH_SIZE];
	char *slash;

	(void)snprintf(dir, sizeof(dir), "%s", path);
	slash = strrchr(dir, '/');
	if (slash != NULL && slash != dir && strncmp(dir, "/dev", 4) != 0) {
		*slash = '\0';
		paths_add(arg, dir);
	}
}

static void
add_path(const char *path, void *arg)
{
	paths_add(arg, path);
}

/* Directories of the pools that are defined: <pool type='dir'><target><path>. */
static void
add_pools(const struct posture_host *host, struct paths *paths)
{
	char full[POSTURE_PATH_SIZE], path[512];
	struct dirent **names = NULL;
	int num = posture_path(host, POOLS, full) == NULL ? -1 : scandir(full, &names, NULL, alphasort);

	for (int i = 0; i < num; i++) {
		struct posture_guest pool = { 0 };
		size_t len = strlen(names[i]->d_name);
		char *text = NULL;

		if (len > 4 && strcmp(names[i]->d_name + len - 4, ".xml") == 0 &&
		    snprintf(path, sizeof(path), POOLS "/%s", names[i]->d_name) < (int)sizeof(path))
			text = posture_read(host, path, 1024 * 1024, &len);
		if (text != NULL && xml_refusal(text, len) == NULL)
			pool.doc = xmlReadMemory(text, (int)len, "pool", NULL, XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
		free(text);
		if (pool.doc != NULL && (pool.domain = xmlDocGetRootElement(pool.doc)) != NULL)
			posture_guest_values(&pool, "self::pool[@type='dir' or @type='fs' or @type='netfs']/target/path", add_path, paths);
		xmlFreeDoc(pool.doc);
		free(names[i]);
	}
	free(names);
}

/* The gateway's own program, as it runs. A process that has ended meanwhile, or whose file was replaced, tells none: the next may. */
static void
gateway_program(const struct posture_host *host, char program[POSTURE_PATH_SIZE])
{
	char path[64], full[POSTURE_PATH_SIZE];

	for (size_t i = 0; i < host->num_processes; i++) {
		ssize_t len;

		if (strncmp(host->processes[i].comm, "virtgated", 9) != 0)
			continue;
		(void)snprintf(path, sizeof(path), "/proc/%ld/exe", host->processes[i].pid);
		len = posture_path(host, path, full) == NULL ? -1 : readlink(full, program, POSTURE_PATH_SIZE - 1);
		program[len < 0 ? 0 : len] = '\0';
		if (is_plain(program))
			return;
	}
	(void)snprintf(program, POSTURE_PATH_SIZE, GATEWAY_PROGRAM);
}

/*
 * The kernel refuses a rule whose directory is not there, and then none of the rules behind it is loaded: such a one becomes a comment.
 * Prints the beginning of the rule.
 */
static void
print_watch(const struct posture_host *host, FILE *out, const char *kind, const char *path, const char *perm)
{
	char dir[POSTURE_PATH_SIZE];
	struct stat st;
	bool there;

	(void)snprintf(dir, sizeof(dir), "%s", path);
	if (strcmp(kind, "path") == 0 && strrchr(dir, '/') != NULL)
		*strrchr(dir, '/') = '\0';
	there = posture_stat(host, dir[0] == '\0' ? "/" : dir, &st) == 0 ? S_ISDIR(st.st_mode) : errno != ENOENT;
	fprintf(out, "%s-a always,exit -F %s=%s -F perm=%s", there ? "" : "# not there: ", kind, path, perm);
}

static void
print_left_out(FILE *out, const struct paths *paths, const char *what)
{
	if (paths->left_out > 0)
		fprintf(out, "# %zu %s left out: a rule cannot hold more than %d, nor blanks or quotes in a path.\n", paths->left_out, what, MAX_PATHS);
}

static void
print_gateway(const struct posture_host *host, FILE *out)
{
	const struct settings *settings = host->settings;
	char program[POSTURE_PATH_SIZE];
	struct paths keys = { 0 }, steering = { 0 }, own = { 0 };

	gateway_program(host, program);
	paths_add(&keys, settings->key_file);
	paths_add(&steering, settings->policy_file);
	paths_add(&steering, settings->file + (strncmp(settings->file, host->root, strlen(host->root)) == 0 ? strlen(host->root) : 0));
	paths_add(&steering, settings->cert_file);
	paths_add(&steering, settings->ca_file);
	if (settings->crl_file != NULL)
		paths_add(&steering, settings->crl_file);
	fprintf(out, "\n## The private key, touched by anything but the gateway\n");
	for (size_t i = 0; i < keys.num; i++) {
		print_watch(host, out, "path", keys.items[i], "rwa");
		fprintf(out, " -F exe!=%s -k virtgate-key\n", program);
	}
	print_left_out(out, &keys, "key files");
	fprintf(out, "\n## Settings, policy and certificates, changed by anybody\n");
	for (size_t i = 0; i < steering.num; i++) {
		print_watch(host, out, "path", steering.items[i], "wa");
		fprintf(out, " -k virtgate-policy\n");
	}
	print_left_out(out, &steering, "files");
	fprintf(out, "\n## The trail and the gateway's state, changed by anything but the gateway\n");
	paths_add(&own, settings->audit_dir);
	paths_add(&own, settings->state_dir);
	for (size_t i = 0; i < own.num; i++) {
		print_watch(host, out, "dir", own.items[i], "wa");
		fprintf(out, " -F exe!=%s -k virtgate-trail\n", program);
	}
	print_left_out(out, &own, "directories");
	paths_clear(&keys);
	paths_clear(&steering);
	paths_clear(&own);
}

static void
print_guests(const struct posture_host *host, FILE *out)
{
	struct paths images = { 0 }, emulators = { 0 };

	paths_add(&images, "/var/lib/libvirt/images");
	add_pools(host, &images);
	for (size_t i = 0; i < host->num_guests; i++) {
		posture_guest_values(&host->guests[i], "./devices/disk[(@device='disk' or not(@device)) and not(readonly)]/source/@file", add_directory_of,
		    &images);
		posture_guest_values(&host->guests[i], "./devices/emulator", add_path, &emulators);
	}
	if (emulators.num == 0)
		paths_add(&emulators, QEMU_PROGRAM);
	fprintf(out, "\n## libvirt's own configuration and descriptions of guests\n");
	print_watch(host, out, "dir", "/etc/libvirt", "wa");
	fprintf(out, " -k virtgate-libvirt\n");
	fprintf(out, "\n## Disks of guests, written to by anything but QEMU\n");
	for (size_t i = 0; i < images.num; i++) {
		print_watch(host, out, "dir", images.items[i], "wa");
		for (size_t exe = 0; exe < emulators.num && exe < MAX_EXES; exe++)
			fprintf(out, " -F exe!=%s", emulators.items[exe]);
		fprintf(out, " -k virtgate-images\n");
	}
	print_left_out(out, &images, "directories of images");
	fprintf(out, "\n## QEMU reaching for what is not its guest's: files that it may not open, other processes\n");
	for (size_t exe = 0; exe < emulators.num && exe < MAX_EXES; exe++) {
		static const char *const refusals[] = { "EACCES", "EPERM" };

		for (size_t i = 0; i < 2; i++)
			fprintf(out, "-a always,exit -F arch=b64 -S open,openat,openat2,connect -F exe=%s -F exit=-%s -k virtgate-qemu\n", emulators.items[exe],
			    refusals[i]);
		fprintf(out, "-a always,exit -F arch=b64 -S ptrace,process_vm_readv,process_vm_writev,pidfd_getfd -F exe=%s -k virtgate-qemu\n",
		    emulators.items[exe]);
	}
	print_left_out(out, &emulators, "emulators");
	paths_clear(&images);
	paths_clear(&emulators);
}

int
posture_audit_rules(const struct posture_host *host, FILE *out, struct vg_error *error)
{
	if (host->settings == NULL)
		return vg_fail(error, "%s", host->settings_unseen);
	fprintf(out, "## Made by virtgate posture --audit-rules for the paths of this host; make it anew when they change.\n"
	    "## /etc/audit/rules.d/virtgate.rules, then augenrules --load. What it finds: ausearch -k virtgate-key, and so on.\n");
	if (host->guests_unseen[0] != '\0')
		fprintf(out, "## The guests that run were not seen (%s): as root there may be more directories of images.\n", host->guests_unseen);
	print_gateway(host, out);
	print_guests(host, out);
	return 0;
}
