/*
 * check_image.c: the images of running guests, and what of the host they share. Devices below a file: /proc/self/mountinfo (proc(5)),
 * /sys/dev/block/MAJOR:MINOR/{dm/uuid,slaves}.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "gateway/posture/checks.h"

#define MAX_DEPTH 8	/* devices upon devices: LVM on RAID on dm-crypt */
#define WRITABLE_DISKS "./devices/disk[(@device='disk' or not(@device)) and not(readonly)]/source"

/* Can others than its owner and group come as far as the file? */
static bool
is_reachable(const struct posture_host *host, const char *path)
{
	char dir[POSTURE_PATH_SIZE];
	struct stat st;

	(void)snprintf(dir, sizeof(dir), "%s", path);
	for (char *slash = strchr(dir + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		bool closed;

		*slash = '\0';
		closed = posture_stat(host, dir, &st) == 0 && (st.st_mode & S_IXOTH) == 0;
		*slash = '/';
		if (closed)
			return false;
	}
	return true;
}

struct image_walk {
	const struct posture_host *host;
	const struct posture_guest *guest;
	struct posture_result *result;
};

static void
judge_mode(const char *path, void *arg)
{
	const struct image_walk *walk = arg;
	struct posture_result *result = walk->result;
	struct stat st;

	if (posture_stat(walk->host, path, &st) < 0) {
		if (errno != ENOENT)
			posture_say(result, POSTURE_SKIP, "could not see: %.200s: %s", path, strerror(errno));
		return;
	}
	if ((st.st_mode & (S_IROTH | S_IWOTH)) == 0 || !is_reachable(walk->host, path))
		return;
	posture_say(result, (st.st_mode & S_IWOTH) != 0 ? POSTURE_FAIL : POSTURE_WARN, "every user of this host can %s disks of running guests",
	    (st.st_mode & S_IWOTH) != 0 ? "change" : "read");
	posture_name(result, "%s: %s (mode %04o)", walk->guest->name, path, (unsigned)st.st_mode & 07777u);
	if (posture_quotable(path))
		posture_fix(result, "chmod o-rwx '%s'", path);
}

void
check_image_mode(const struct posture_host *host, struct posture_result *result)
{
	for (size_t i = 0; i < host->num_guests; i++) {
		struct image_walk walk = { host, &host->guests[i], result };

		posture_guest_values(&host->guests[i], WRITABLE_DISKS "/@file | " WRITABLE_DISKS "/@dev", judge_mode, &walk);
		if (posture_guest_count(&host->guests[i], WRITABLE_DISKS "[@pool]") > 0)
			posture_say(result, POSTURE_SKIP, "could not see: where volumes of pools lie that running guests have as disks");
	}
}

/* ---- encryption ---- */

enum below { BELOW_PLAIN, BELOW_ENCRYPTED, BELOW_UNKNOWN };

/* Goes down from a device of /sys to what it stands on. Mirrors and stripes: the first of them speaks for all. */
static enum below
device_below(const struct posture_host *host, const char *device)
{
	char at[1024], path[1100], line[128];
	struct stat st;

	(void)snprintf(at, sizeof(at), "%s", device);
	if (posture_stat(host, at, &st) < 0)
		return BELOW_UNKNOWN;
	for (int depth = 0; depth < MAX_DEPTH; depth++) {
		char full[POSTURE_PATH_SIZE];
		const struct dirent *entry;
		DIR *dir;
		size_t len;

		(void)snprintf(path, sizeof(path), "%s/dm/uuid", at);
		if (posture_line(host, path, line, sizeof(line)) == 0 && strncmp(line, "CRYPT-", 6) == 0)
			return BELOW_ENCRYPTED;
		(void)snprintf(path, sizeof(path), "%s/slaves", at);
		dir = posture_path(host, path, full) == NULL ? NULL : opendir(full);
		if (dir == NULL)
			return BELOW_PLAIN;
		while ((entry = readdir(dir)) != NULL && entry->d_name[0] == '.')
			continue;
		len = strlen(at);
		if (entry == NULL || (size_t)snprintf(at + len, sizeof(at) - len, "/slaves/%s", entry->d_name) >= sizeof(at) - len) {
			(void)closedir(dir);
			return entry == NULL ? BELOW_PLAIN : BELOW_UNKNOWN;
		}
		(void)closedir(dir);
	}
	return BELOW_UNKNOWN;
}

/* The device of the file system that holds `path`, as a path in /sys; -1 when it has none (network, overlay). */
static int
device_of(const char *mounts, const char *path, char *device, size_t size)
{
	size_t best = 0;
	int found = -1;

	for (const char *line = mounts; line != NULL && *line != '\0'; line = strchr(line, '\n'), line += line != NULL) {
		char place[1024], source[256] = "";
		unsigned major_number, minor_number;
		const char *rest;
		size_t len;

		if (sscanf(line, "%*u %*u %u:%u %*s %1023s", &major_number, &minor_number, place) != 3)
			continue;
		len = strcmp(place, "/") == 0 ? 0 : strlen(place);
		if (len < best || strncmp(path, place, len) != 0 || path[len] != '/')
			continue;
		best = len;
		rest = strstr(line, " - ");
		if (rest == NULL || sscanf(rest, " - %*s %255s", source) != 1)
			source[0] = '\0';
		found = -1;
		/* Btrfs numbers its file systems by itself, but names the device. */
		if (major_number != 0)
			found = snprintf(device, size, "/sys/dev/block/%u:%u", major_number, minor_number) < (int)size ? 0 : -1;
		else if (strncmp(source, "/dev/", 5) == 0 && strchr(source + 5, '/') == NULL)
			found = snprintf(device, size, "/sys/class/block/%s", source + 5) < (int)size ? 0 : -1;
	}
	return found;
}

struct crypt_walk {
	const struct posture_host *host;
	const struct posture_guest *guest;
	struct posture_result *result;
	const char *mounts;
};

static void
judge_encryption(const char *path, void *arg)
{
	const struct crypt_walk *walk = arg;
	char device[300];
	struct stat st;
	enum below below = BELOW_UNKNOWN;

	if (posture_stat(walk->host, path, &st) == 0 && S_ISBLK(st.st_mode)) {
		(void)snprintf(device, sizeof(device), "/sys/dev/block/%u:%u", major(st.st_rdev), minor(st.st_rdev));
		below = device_below(walk->host, device);
	} else if (device_of(walk->mounts, path, device, sizeof(device)) == 0) {
		below = device_below(walk->host, device);
	}
	if (below == BELOW_ENCRYPTED)
		return;
	posture_say(walk->result, below == BELOW_PLAIN ? POSTURE_WARN : POSTURE_SKIP, below == BELOW_PLAIN ?
	    "disks of running guests are not encrypted: neither by QEMU, nor the device they lie on" :
	    "could not see: what some disks of running guests lie on");
	if (below == BELOW_PLAIN)
		posture_name(walk->result, "%s: %s", walk->guest->name, path);
}

void
check_image_encrypted(const struct posture_host *host, struct posture_result *result)
{
	/* In the source since libvirt 4.5, beside it before; the live description has both places in use. */
	static const char plain[] = "./devices/disk[(@device='disk' or not(@device)) and not(readonly) and not(encryption)]/source[not(encryption)]";
	char xpath[sizeof(plain) * 2 + 32], elsewhere[sizeof(plain) + 32];
	size_t len;
	char *mounts = posture_read(host, "/proc/self/mountinfo", 16 * 1024 * 1024, &len);

	(void)snprintf(xpath, sizeof(xpath), "%s/@file | %s/@dev", plain, plain);
	(void)snprintf(elsewhere, sizeof(elsewhere), "%s[not(@file) and not(@dev)]", plain);
	for (size_t i = 0; i < host->num_guests; i++) {
		struct crypt_walk walk = { host, &host->guests[i], result, mounts != NULL ? mounts : "" };

		posture_guest_values(&host->guests[i], xpath, judge_encryption, &walk);
		if (posture_guest_count(&host->guests[i], elsewhere) > 0)
			posture_say(result, POSTURE_SKIP, "could not see: what disks of running guests lie on that are volumes of pools, or on the network");
	}
	free(mounts);
}

/* ---- the machine ---- */

void
check_swtpm(const struct posture_host *host, struct posture_result *result)
{
	static const char *const places[] = { "/usr/bin/swtpm", "/usr/local/bin/swtpm" };
	struct stat st;

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		if (posture_stat(host, places[i], &st) == 0)
			return;
	posture_say(result, POSTURE_WARN, "swtpm is not installed: guests have no TPM for their disk's keys and measured boot");
}

void
check_page_sharing(const struct posture_host *host, struct posture_result *result)
{
	char line[16];

	if (posture_line(host, "/sys/kernel/mm/ksm/run", line, sizeof(line)) == 0 && line[0] == '1')
		posture_say(result, POSTURE_WARN, "KSM merges the memory of guests: one can find out by timing what another holds");
}

void
check_cpu(const struct posture_host *host, struct posture_result *result)
{
	static const char where[] = "/sys/devices/system/cpu/vulnerabilities";
	char full[POSTURE_PATH_SIZE];
	struct dirent **names = NULL;
	int num = posture_path(host, where, full) == NULL ? -1 : scandir(full, &names, NULL, alphasort);

	if (num < 0)
		posture_say(result, POSTURE_SKIP, "could not see: %s: %s", where, strerror(errno));
	for (int i = 0; i < num; i++) {
		char path[512], line[256];

		if (names[i]->d_name[0] != '.' && snprintf(path, sizeof(path), "%s/%s", where, names[i]->d_name) < (int)sizeof(path) &&
		    posture_line(host, path, line, sizeof(line)) == 0 && strncmp(line, "Vulnerable", 10) == 0) {
			posture_say(result, POSTURE_WARN, "the processor leaks, and nothing is done about it");
			posture_name(result, "%s: %s", names[i]->d_name, line);
		}
		free(names[i]);
	}
	free(names);
}
