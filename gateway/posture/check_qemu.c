/*
 * check_qemu.c: what stands between a guest that broke out of QEMU and the host. Keys and defaults: libvirt's src/qemu/qemu.conf.in.
 */
#include <errno.h>
#include <string.h>

#include "gateway/posture/checks.h"

#define FILTERED 2	/* Seccomp: of /proc/PID/status */

enum mac { MAC_NONE, MAC_SELINUX, MAC_SELINUX_PERMISSIVE, MAC_APPARMOR };

static enum mac
host_mac(const struct posture_host *host)
{
	char line[16];

	if (posture_line(host, "/sys/fs/selinux/enforce", line, sizeof(line)) == 0)
		return line[0] == '1' ? MAC_SELINUX : MAC_SELINUX_PERMISSIVE;
	if (posture_line(host, "/sys/module/apparmor/parameters/enabled", line, sizeof(line)) == 0 && line[0] == 'Y')
		return MAC_APPARMOR;
	return MAC_NONE;
}

void
check_mandatory_access(const struct posture_host *host, struct posture_result *result)
{
	switch (host_mac(host)) {
	case MAC_SELINUX:
		posture_say(result, POSTURE_PASS, "SELinux is enforcing");
		break;
	case MAC_APPARMOR:
		posture_say(result, POSTURE_PASS, "AppArmor is on");
		break;
	case MAC_SELINUX_PERMISSIVE:
		posture_say(result, POSTURE_FAIL, "SELinux is permissive: it writes down and stops nothing");
		posture_fix(result, "setenforce 1");
		posture_fix(result, "sed -i 's/^SELINUX=.*/SELINUX=enforcing/' /etc/selinux/config");
		break;
	case MAC_NONE:
		posture_say(result, POSTURE_FAIL, "neither SELinux nor AppArmor is on: sVirt has nothing to work with");
		break;
	}
}

void
check_security_driver(const struct posture_host *host, struct posture_result *result)
{
	const struct posture_conf_entry *entry = posture_conf_find(&host->qemu, "security_driver");

	for (size_t i = 0; entry != NULL && i < entry->num; i++)
		if (strcmp(entry->items[i], "none") == 0)
			posture_say(result, POSTURE_FAIL, "security_driver = \"none\": no guest is confined");
}

void
check_default_confined(const struct posture_host *host, struct posture_result *result)
{
	if (posture_conf_number(&host->qemu, "security_default_confined", 1) == 0)
		posture_say(result, POSTURE_FAIL, "security_default_confined = 0: guests are not confined unless they ask for it");
}

void
check_require_confined(const struct posture_host *host, struct posture_result *result)
{
	if (posture_conf_number(&host->qemu, "security_require_confined", 0) == 0)
		posture_say(result, POSTURE_WARN, "security_require_confined is off: <seclabel type='none'/> runs a guest without confinement");
}

void
check_guest_confined(const struct posture_host *host, struct posture_result *result)
{
	enum mac mac = host_mac(host);

	if (mac == MAC_NONE) {
		posture_say(result, POSTURE_SKIP, "there is neither SELinux nor AppArmor (see mandatory-access)");
		return;
	}
	for (size_t i = 0; i < host->num_guests; i++) {
		if (posture_guest_count(&host->guests[i], "./seclabel[(@model='selinux' or @model='apparmor') and not(@type='none')]") > 0)
			continue;
		posture_say(result, POSTURE_FAIL, "guests run without a label");
		posture_name(result, "%s", host->guests[i].name);
	}
}

void
check_qemu_seccomp(const struct posture_host *host, struct posture_result *result)
{
	if (posture_conf_number(&host->qemu, "seccomp_sandbox", -1) == 0)
		posture_say(result, POSTURE_FAIL, "seccomp_sandbox = 0: QEMU may make every system call");
	for (size_t i = 0; i < host->num_processes; i++) {
		if (!host->processes[i].is_qemu || host->processes[i].seccomp == FILTERED)
			continue;
		posture_say(result, POSTURE_FAIL, "QEMU runs without a seccomp filter");
		posture_name(result, "pid %ld", host->processes[i].pid);
	}
}

void
check_qemu_user(const struct posture_host *host, struct posture_result *result)
{
	const char *user = posture_conf_text(&host->qemu, "user", "");

	if (strcmp(user, "root") == 0 || strcmp(user, "+0") == 0 || strcmp(user, "0") == 0)
		posture_say(result, POSTURE_FAIL, "user = \"%s\": QEMU runs as root", user);
	for (size_t i = 0; i < host->num_processes; i++) {
		if (!host->processes[i].is_qemu || host->processes[i].uid != 0)
			continue;
		posture_say(result, POSTURE_FAIL, "QEMU runs as root");
		posture_name(result, "pid %ld", host->processes[i].pid);
	}
}

void
check_qemu_capabilities(const struct posture_host *host, struct posture_result *result)
{
	if (posture_conf_number(&host->qemu, "clear_emulator_capabilities", 1) == 0)
		posture_say(result, POSTURE_FAIL, "clear_emulator_capabilities = 0: QEMU keeps what it was started with");
	for (size_t i = 0; i < host->num_processes; i++) {
		if (!host->processes[i].is_qemu || host->processes[i].capabilities == 0 || host->processes[i].uid == 0)
			continue;
		posture_say(result, POSTURE_FAIL, "QEMU runs with capabilities");
		posture_name(result, "pid %ld", host->processes[i].pid);
	}
}

void
check_qemu_namespaces(const struct posture_host *host, struct posture_result *result)
{
	const struct posture_conf_entry *entry = posture_conf_find(&host->qemu, "namespaces");

	/* Unset: [ "mount" ]. */
	for (size_t i = 0; entry != NULL && i < entry->num; i++)
		if (strcmp(entry->items[i], "mount") == 0)
			return;
	if (entry != NULL)
		posture_say(result, POSTURE_FAIL, "namespaces does not name \"mount\": QEMU sees every device of the host in /dev");
}

void
check_qemu_ownership(const struct posture_host *host, struct posture_result *result)
{
	if (posture_conf_number(&host->qemu, "dynamic_ownership", 1) == 0)
		posture_say(result, POSTURE_WARN, "dynamic_ownership = 0: QEMU's user must be able to open all images at all times");
}
