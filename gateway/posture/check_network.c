/*
 * check_network.c: what keeps guests, and the people behind them, on their own networks. Sources: Documentation/networking/{bridge,ip-sysctl}
 * of the kernel; libvirt's docs/formatdomain (interfaces) and docs/formatnwfilter.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/posture/checks.h"

#define MAX_PORTS 512

/* /sys/class/net/NAME/WHAT */
static bool
has_part(const struct posture_host *host, const char *name, const char *what)
{
	char path[512];
	struct stat st;

	return snprintf(path, sizeof(path), "/sys/class/net/%s/%s", name, what) < (int)sizeof(path) && posture_stat(host, path, &st) == 0;
}

/* Calls `each` for the names in a directory; -1 with errno when it cannot be read. */
static int
each_name(const struct posture_host *host, const char *path, void (*each)(const struct posture_host *host, const char *name, void *arg), void *arg)
{
	char full[POSTURE_PATH_SIZE];
	struct dirent **names = NULL;
	int num = posture_path(host, path, full) == NULL ? -1 : scandir(full, &names, NULL, alphasort);

	for (int i = 0; i < num; i++) {
		if (names[i]->d_name[0] != '.')
			each(host, names[i]->d_name, arg);
		free(names[i]);
	}
	free(names);
	return num < 0 ? -1 : 0;
}

static void
note_bridge(const struct posture_host *host, const char *name, void *arg)
{
	if (has_part(host, name, "bridge"))
		*(bool *)arg = true;
}

void
check_bridge_filter(const struct posture_host *host, struct posture_result *result)
{
	static const char *const keys[] = { "bridge-nf-call-iptables", "bridge-nf-call-ip6tables", "bridge-nf-call-arptables" };
	bool bridges = false;

	(void)each_name(host, "/sys/class/net", note_bridge, &bridges);
	for (size_t i = 0; bridges && i < sizeof(keys) / sizeof(keys[0]); i++) {
		char path[128], value[16];

		(void)snprintf(path, sizeof(path), "/proc/sys/net/bridge/%s", keys[i]);
		if (posture_line(host, path, value, sizeof(value)) < 0 || value[0] == '0')
			continue;
		posture_say(result, POSTURE_WARN, "the host's own packet filter also judges, and tracks, what guests send each other on a bridge");
		posture_name(result, "net.bridge.%s = %s", keys[i], value);
		posture_fix(result, "sysctl -w net.bridge.%s=0", keys[i]);
	}
}

/* ---- bridges that join what VLANs keep apart ---- */

struct bridge {
	const char *name;
	const char *vlans;	/* /proc/net/vlan/config */
	size_t num_ids;
	unsigned ids[MAX_PORTS];	/* of its ports, 0: a device of the host without a tag */
	struct posture_result *result;
};

/* Line "eth0.10  | 10  | eth0"; -1: not a VLAN of this host. */
static long
vlan_id(const char *config, const char *port)
{
	size_t len = strlen(port);

	for (const char *line = config; line != NULL && *line != '\0'; line = strchr(line, '\n'), line += line != NULL) {
		const char *bar;

		if (strncmp(line, port, len) != 0)
			continue;
		bar = line + len + strspn(line + len, " ");
		if (*bar == '|')
			return strtol(bar + 1, NULL, 10);
	}
	return -1;
}

static void
note_port(const struct posture_host *host, const char *port, void *arg)
{
	struct bridge *bridge = arg;
	long id = vlan_id(bridge->vlans, port);

	/* A guest's tap, a veth, a dummy: no device behind it, so no wire that could carry another VLAN. */
	if (id < 0 && !has_part(host, port, "device"))
		return;
	if (id < 0)
		id = 0;
	for (size_t i = 0; i < bridge->num_ids; i++)
		if (bridge->ids[i] == (unsigned)id)
			return;
	if (bridge->num_ids < MAX_PORTS)
		bridge->ids[bridge->num_ids++] = (unsigned)id;
}

static void
judge_bridge(const struct posture_host *host, const char *name, void *arg)
{
	struct bridge *bridge = arg;
	char path[512], filtering[8];

	if (!has_part(host, name, "bridge") || snprintf(path, sizeof(path), "/sys/class/net/%s/bridge/vlan_filtering", name) >=
	    (int)sizeof(path))
		return;
	/* It keeps VLANs apart by itself, port by port. */
	if (posture_line(host, path, filtering, sizeof(filtering)) == 0 && filtering[0] == '1')
		return;
	bridge->num_ids = 0;
	if (snprintf(path, sizeof(path), "/sys/class/net/%s/brif", name) < (int)sizeof(path))
		(void)each_name(host, path, note_port, bridge);
	if (bridge->num_ids < 2)
		return;
	posture_say(bridge->result, POSTURE_FAIL, "bridges join networks that VLANs keep apart");
	posture_name(bridge->result, "%s (%s%u and %s%u)", name, bridge->ids[0] == 0 ? "untagged, " : "VLAN ", bridge->ids[0],
	    bridge->ids[1] == 0 ? "untagged, " : "VLAN ", bridge->ids[1]);
}

void
check_bridge_vlans(const struct posture_host *host, struct posture_result *result)
{
	struct bridge bridge = { .result = result };
	size_t len;
	char *vlans = posture_read(host, "/proc/net/vlan/config", 1024 * 1024, &len);

	if (vlans == NULL && errno != ENOENT)
		posture_say(result, POSTURE_SKIP, "could not see: /proc/net/vlan/config: %s", strerror(errno));
	else {
		bridge.vlans = vlans == NULL ? "" : vlans;
		(void)each_name(host, "/sys/class/net", judge_bridge, &bridge);
	}
	free(vlans);
}

/* ---- the management network ---- */

/* Addresses of this host, but 127.0.0.0/8: the lines "|-- ADDRESS" of /proc/net/fib_trie that "/32 host LOCAL" follows. */
static size_t
note_addresses(char *trie, struct posture_result *result)
{
	char *line, *rest = trie, last[64] = "", seen[POSTURE_MAX_NAMES][64];
	size_t num = 0;

	while ((line = strsep(&rest, "\n")) != NULL) {
		const char *leaf = strstr(line, "|-- ");
		bool again = false;

		if (leaf != NULL)
			(void)snprintf(last, sizeof(last), "%s", leaf + 4);
		else if (strstr(line, "host LOCAL") != NULL && strncmp(last, "127.", 4) != 0 && num < POSTURE_MAX_NAMES) {
			/* The table of main and that of local are printed both. */
			for (size_t i = 0; i < num; i++)
				again = again || strcmp(seen[i], last) == 0;
			if (!again)
				(void)snprintf(seen[num++], sizeof(seen[0]), "%s", last);
		}
	}
	for (size_t i = 0; num > 1 && i < num; i++)
		posture_name(result, "%s", seen[i]);
	return num;
}

void
check_gateway_address(const struct posture_host *host, struct posture_result *result)
{
	const char *address = host->settings->listen_addr;
	size_t len;
	char *trie;

	if (!host->settings->listen_tls && !host->settings->listen_tcp && !host->settings->listen_vnc) {
		posture_say(result, POSTURE_PASS, "the gateway listens on no network");
		return;
	}
	if (address != NULL && strcmp(address, "0.0.0.0") != 0 && strcmp(address, "::") != 0) {
		posture_say(result, POSTURE_PASS, "the gateway listens on %.100s only", address);
		return;
	}
	trie = posture_read(host, "/proc/net/fib_trie", 16 * 1024 * 1024, &len);
	if (trie == NULL)
		posture_say(result, POSTURE_SKIP, "could not see: /proc/net/fib_trie: %s", strerror(errno));
	else if (note_addresses(trie, result) > 1)
		posture_say(result, POSTURE_WARN, "the gateway listens on every network of this host, those of guests among them");
	else
		posture_say(result, POSTURE_PASS, "the gateway listens on the only network that there is");
	free(trie);
}

/* A link of systemd's counts by itself: what it points to is the service, not below our root perhaps. */
static bool
is_enabled(const struct posture_host *host, const char *path)
{
	char full[POSTURE_PATH_SIZE];
	struct stat st;

	return posture_path(host, path, full) != NULL && lstat(full, &st) == 0;
}

void
check_firewall(const struct posture_host *host, struct posture_result *result)
{
	static const struct { const char *name, *enabled; } services[] = {
		{ "nftables", "/etc/systemd/system/sysinit.target.wants/nftables.service" },
		{ "nftables", "/etc/systemd/system/multi-user.target.wants/nftables.service" },
		{ "firewalld", "/etc/systemd/system/multi-user.target.wants/firewalld.service" },
		{ "netfilter-persistent", "/etc/systemd/system/multi-user.target.wants/netfilter-persistent.service" },
		{ "iptables", "/etc/systemd/system/multi-user.target.wants/iptables.service" },
		{ "iptables", "/etc/systemd/system/basic.target.wants/iptables.service" },
		{ "shorewall", "/etc/systemd/system/basic.target.wants/shorewall.service" },
		{ "ferm", "/etc/systemd/system/multi-user.target.wants/ferm.service" },
		{ "pve-firewall", "/etc/systemd/system/multi-user.target.wants/pve-firewall.service" },
	};
	size_t len;
	char *ufw = posture_read(host, "/etc/ufw/ufw.conf", 65536, &len);
	bool ufw_on = ufw != NULL && (strncmp(ufw, "ENABLED=yes", 11) == 0 || strstr(ufw, "\nENABLED=yes") != NULL);

	free(ufw);
	for (size_t i = 0; i < sizeof(services) / sizeof(services[0]); i++) {
		if (is_enabled(host, services[i].enabled)) {
			posture_say(result, POSTURE_PASS, "%s is started with the host (its rules were not looked at)", services[i].name);
			return;
		}
	}
	if (ufw_on)
		posture_say(result, POSTURE_PASS, "ufw is on (its rules were not looked at)");
	else if (posture_process(host, "firewalld") != NULL)
		posture_say(result, POSTURE_PASS, "firewalld runs (its rules were not looked at)");
	else
		posture_say(result, POSTURE_WARN, "no firewall that starts with the host was found");
}
