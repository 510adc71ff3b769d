/*
 * posture_rows.h: hosts, and what `virtgate posture` must say of them. A row: check, verdict, a part of what is said (of the text or of a
 * name), and the files that this host has beside those of every host. "PATH MODE" sets a mode, "->TARGET" is a link, "PATH/" a directory; \\001 becomes NUL.
 */
#ifndef TESTS_POSTURE_ROWS_H
#define TESTS_POSTURE_ROWS_H

#include "gateway/posture/posture.h"

#define POSTURE_ROW_FILES 12

struct posture_file {
	const char *path, *text;
};

struct posture_row {
	const char *id;
	enum posture_level level;
	const char *says;
	struct posture_file files[POSTURE_ROW_FILES];
};

#define TCP_HEAD "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
/* A listening socket: address and port in hexadecimal, as the kernel prints them. */
#define TCP(where, inode) "   0: " where " 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 " inode " 1 0000000000000000 100 0 0 10 0\n"
#define TCP6(where, inode) "   0: " where " 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 " inode \
	" 1 0000000000000000 100 0 0 10 0\n"
#define STATUS(uid, caps, seccomp, nnp) "Name:\tx\nUid:\t" uid "\t" uid "\t" uid "\t" uid "\nCapEff:\t" caps "\nNoNewPrivs:\t" nnp "\nSeccomp:\t" seccomp "\n"
#define NO_CAPS "0000000000000000"
#define SOME_CAPS "00000000000000ff"
#define QEMU(pid, status) { "/proc/" pid "/comm", "qemu-system-x86\n" }, { "/proc/" pid "/status", status }, { "/proc/" pid "/cmdline", "qemu\001-name\001guest=a,debug-threads=on\001-S\001" }
/* A guest that runs, with what stands in its <devices>, and behind them. */
#define GUEST_XML(name, devices, behind) "<domstatus state='running' reason='booted' pid='7'>\n<domain type='kvm' id='1'>\n<name>" name "</name>\n" \
	"<devices>" devices "</devices>\n" behind "</domain>\n</domstatus>\n"
#define RUNS(name, devices, behind) { "/run/libvirt/qemu/" name ".xml 600", GUEST_XML(name, devices, behind) }
#define LABEL "<seclabel type='dynamic' model='apparmor' relabel='yes'><label>libvirt-1</label></seclabel><seclabel type='dynamic' model='dac' relabel='yes'/>"
#define DAC_ONLY "<seclabel type='dynamic' model='dac' relabel='yes'><label>+64055:+64055</label></seclabel>"
#define VNC(address, port, more) "<graphics type='vnc' port='" port "' autoport='yes' listen='" address "'" more "><listen type='address' address='" address "'/></graphics>"
#define APPARMOR { "/sys/module/apparmor/parameters/enabled", "Y\n" }
#define LIBVIRTD(text) { "/etc/libvirt/libvirtd.conf", text }
#define QEMU_CONF(text) { "/etc/libvirt/qemu.conf 600", text }
#define GATEWAY(text) { "/etc/virtgate/virtgated.conf", text }

#define NIC(kind, more) "<interface type='" kind "'><mac address='52:54:00:00:00:01'/>" more "</interface>"
#define DISK(path) "<disk type='file' device='disk'><source file='" path "'/><target dev='vda'/></disk>"
#define POOL_DISK "<disk type='volume' device='disk'><source pool='default' volume='a.qcow2'/><target dev='vda'/></disk>"
#define VLANS { "/proc/net/vlan/config", "VLAN Dev name    | VLAN ID\nName-Type: VLAN_NAME_TYPE_RAW_PLUS_VID_NO_PAD\n" \
	"eth0.10        | 10  | eth0\neth0.20        | 20  | eth0\n" }
#define MOUNTS "20 1 0:22 / / rw - overlay overlay rw\n21 20 254:1 / /img rw,relatime shared:1 - ext4 /dev/mapper/vg-img rw\n" \
	"22 20 0:40 / /net rw - nfs4 server:/x rw\n"
#define TRIE(address) "Local:\n  +-- 127.0.0.0/8 2 0 2\n     |-- 127.0.0.1\n        /32 host LOCAL\n     |-- " address "\n        /32 host LOCAL\n"

static const struct posture_file posture_every_host[] = {
	{ "/etc/libvirt/", NULL },
	{ "/proc/net/tcp", TCP_HEAD },
	{ "/etc/passwd", "root:x:0:0:root:/root:/bin/sh\nvirtgate:x:990:64055::/:/usr/sbin/nologin\nalice:x:1000:1000::/home/alice:/bin/sh\n" },
};

static const struct posture_row posture_rows[] = {
	/* ---- ways round the gateway ---- */
	{ "libvirt-network", POSTURE_PASS, "no libvirt daemon", { { "/proc/44/comm", "virtgated-front\n" }, { "/proc/44/status", STATUS("990", NO_CAPS, "2", "1") },
	    GATEWAY("listen_tls = 1\n"), { "/proc/net/tcp", TCP_HEAD TCP("00000000:4082", "77") } } },
	{ "libvirt-network", POSTURE_PASS, "no libvirt daemon", { { "/proc/44/comm", "libvirtd\n" }, { "/proc/44/status", STATUS("0", SOME_CAPS, "0", "0") },
	    { "/proc/44/fd/3", "->socket:[78]" }, { "/proc/net/tcp", TCP_HEAD TCP("00000000:4082", "77") }, { "/proc/45/comm", "virtgated\n" },
	    { "/proc/45/status", STATUS("0", SOME_CAPS, "0", "0") }, { "/proc/45/fd/9", "->socket:[77]" } } },
	{ "libvirt-network", POSTURE_FAIL, "libvirtd 0.0.0.0 port 16509", { { "/proc/44/comm", "libvirtd\n" }, { "/proc/44/status", STATUS("0", SOME_CAPS, "0", "0") },
	    { "/proc/44/fd/3", "->socket:[77]" }, { "/proc/net/tcp", TCP_HEAD TCP("00000000:407D", "77") } } },
	{ "libvirt-network", POSTURE_FAIL, "virtproxyd :: port 12345", { { "/proc/44/comm", "virtproxyd\n" }, { "/proc/44/status", STATUS("0", SOME_CAPS, "0", "0") },
	    { "/proc/44/fd/3", "->socket:[77]" }, { "/proc/net/tcp6", TCP_HEAD TCP6("00000000000000000000000000000000:3039", "77") } } },
	{ "libvirt-network", POSTURE_FAIL, "systemd 192.0.2.1 port 16514", { { "/proc/1/comm", "systemd\n" }, { "/proc/1/status", STATUS("0", SOME_CAPS, "0", "0") },
	    { "/proc/1/fd/3", "->socket:[77]" }, { "/proc/net/tcp", TCP_HEAD TCP("010200C0:4082", "77") } } },
	{ "libvirt-network", POSTURE_WARN, "127.0.0.1 port 16509", { { "/proc/44/comm", "libvirtd\n" }, { "/proc/44/status", STATUS("0", SOME_CAPS, "0", "0") },
	    { "/proc/44/fd/3", "->socket:[77]" }, { "/proc/net/tcp", TCP_HEAD TCP("0100007F:407D", "77") } } },
	{ "libvirt-network", POSTURE_WARN, "as root it could be seen", { { "/proc/net/tcp", TCP_HEAD TCP("00000000:407D", "77") } } },
	{ "libvirt-listen-settings", POSTURE_PASS, "opens no port", { LIBVIRTD("#listen_tcp = 1\nlisten_tls = 0\n") } },
	{ "libvirt-listen-settings", POSTURE_PASS, "opens no port", { { NULL, NULL } } },
	{ "libvirt-listen-settings", POSTURE_WARN, "listen_tcp", { LIBVIRTD("listen_tcp = 1\n") } },
	{ "libvirt-listen-settings", POSTURE_WARN, "virtproxyd.conf", { { "/etc/libvirt/virtproxyd.conf", "listen_tls = 1\n" } } },
	{ "libvirt-listen-settings", POSTURE_SKIP, "libvirtd.conf:2: not understood", { LIBVIRTD("\nlisten_tcp = yes\n") } },
	{ "libvirt-auth", POSTURE_PASS, "asks who", { LIBVIRTD("auth_unix_rw = \"polkit\"\nauth_tcp = \"sasl\"\n") } },
	{ "libvirt-auth", POSTURE_PASS, "asks who", { LIBVIRTD("auth_unix_rw = \"none\"\nunix_sock_rw_perms = \"0770\"\n"), { "/run/libvirt/libvirt-sock 770", "" } } },
	{ "libvirt-auth", POSTURE_FAIL, "every user of this host", { LIBVIRTD("auth_unix_rw = \"none\"\n"), { "/run/libvirt/libvirt-sock 777", "" } } },
	{ "libvirt-auth", POSTURE_FAIL, "unix_sock_rw_perms", { LIBVIRTD("auth_unix_rw = \"none\"\nunix_sock_rw_perms = \"0777\"\n") } },
	{ "libvirt-auth", POSTURE_WARN, "once it is opened", { LIBVIRTD("auth_tcp = \"none\"\n") } },
	{ "libvirt-auth", POSTURE_FAIL, "without a password", { LIBVIRTD("auth_tcp = \"none\"\n"), { "/proc/44/comm", "libvirtd\n" },
	    { "/proc/44/status", STATUS("0", SOME_CAPS, "0", "0") }, { "/proc/44/fd/3", "->socket:[77]" }, { "/proc/net/tcp", TCP_HEAD TCP("00000000:407D", "77") } } },
	{ "libvirt-socket-group", POSTURE_PASS, "nobody but the gateway", { { "/etc/group", "root:x:0:\nlibvirt:x:64055:virtgate\n" } } },
	{ "libvirt-socket-group", POSTURE_PASS, "nobody but", { { "/etc/group", "root:x:0:\n" } } },
	{ "libvirt-socket-group", POSTURE_FAIL, "bob", { { "/etc/group", "root:x:0:\nlibvirt:x:107:bob\n" }, { "/run/libvirt/libvirt-sock 600", "" } } },
	{ "libvirt-socket-group", POSTURE_FAIL, "alice", { { "/etc/group", "root:x:0:\nlibvirt:x:1000:\n" } } },
	{ "libvirt-socket-group", POSTURE_PASS, "nobody but", { { "/etc/group", "root:x:0:\nlibvirt:x:107:bob\nvirt:x:108:virtgate\n" },
	    LIBVIRTD("auth_unix_rw = \"none\"\nunix_sock_group = \"virt\"\n") } },
	{ "libvirt-socket-group", POSTURE_FAIL, "alice", { { "/etc/group", "root:x:0:\nlibvirt:x:64055:virtgate,alice\n" } } },
	{ "libvirt-socket-group", POSTURE_FAIL, "alice", { { "/etc/group", "staff:x:1000:\n" }, LIBVIRTD("unix_sock_group = \"staff\"\n") } },
	{ "libvirt-socket-group", POSTURE_SKIP, "could not see", { { NULL, NULL } } },
	{ "libvirt-dn-list", POSTURE_PASS, "no TLS port of its own", { { NULL, NULL } } },
	{ "libvirt-dn-list", POSTURE_WARN, "every certificate", { { "/proc/44/comm", "libvirtd\n" }, { "/proc/44/status", STATUS("0", SOME_CAPS, "0", "0") },
	    { "/proc/44/fd/3", "->socket:[77]" }, { "/proc/net/tcp", TCP_HEAD TCP("00000000:4082", "77") } } },
	{ "libvirt-dn-list", POSTURE_FAIL, "need no certificate", { LIBVIRTD("tls_no_verify_certificate = 1\ntls_allowed_dn_list = [\"CN=a\"]\n"),
	    { "/proc/44/comm", "libvirtd\n" }, { "/proc/44/status", STATUS("0", SOME_CAPS, "0", "0") },
	    { "/proc/44/fd/3", "->socket:[77]" }, { "/proc/net/tcp", TCP_HEAD TCP("00000000:4082", "77") } } },

	/* ---- consoles ---- */
	{ "console-default-address", POSTURE_PASS, "", { QEMU_CONF("vnc_listen = \"127.0.0.1\"\nspice_listen = \"::1\"\n") } },
	{ "console-default-address", POSTURE_FAIL, "open to everybody", { QEMU_CONF("vnc_listen = \"0.0.0.0\"\n") } },
	{ "console-default-address", POSTURE_FAIL, "unencrypted", { QEMU_CONF("spice_listen = \"192.0.2.1\"\nspice_password = \"secret\"\n") } },
	{ "console-default-address", POSTURE_WARN, "vnc_listen", { QEMU_CONF("vnc_listen = \"0.0.0.0\"\nvnc_tls = 1\nvnc_tls_x509_verify = 1\n") } },
	{ "console-network", POSTURE_PASS, "no running guest", { RUNS("a", VNC("127.0.0.1", "5900", ""), "") } },
	{ "console-network", POSTURE_PASS, "no running guest", { RUNS("a", "<graphics type='vnc'><listen type='none'/></graphics>", "") } },
	{ "console-network", POSTURE_PASS, "no running guest", { RUNS("a", "<graphics type='vnc' socket='/x'><listen type='socket' socket='/x'/></graphics>", "") } },
	{ "console-network", POSTURE_FAIL, "a (vnc 0.0.0.0 port 5900, no password)", { RUNS("a", VNC("0.0.0.0", "5900", ""), "") } },
	{ "console-network", POSTURE_FAIL, "unencrypted", { RUNS("a", VNC("192.0.2.1", "5900", " passwd='x'"), "") } },
	{ "console-network", POSTURE_WARN, "beside the gateway", { RUNS("a", VNC("::", "5900", " passwd='x'"), ""), QEMU_CONF("vnc_tls = 1\n") } },
	{ "console-network", POSTURE_SKIP, "not a live description", { { "/run/libvirt/qemu/a.xml", "<domstatus/>" } } },
	{ "console-local", POSTURE_PASS, "", { RUNS("a", VNC("127.0.0.1", "5900", " passwd='x'"), "") } },
	{ "console-local", POSTURE_PASS, "", { RUNS("a", VNC("127.0.0.1", "5900", ""), ""), QEMU_CONF("vnc_password = \"x\"\n") } },
	{ "console-local", POSTURE_WARN, "a (vnc port 5900)", { RUNS("a", VNC("127.0.0.1", "5900", ""), "") } },

	/* ---- QEMU's walls ---- */
	{ "mandatory-access", POSTURE_PASS, "AppArmor", { APPARMOR } },
	{ "mandatory-access", POSTURE_PASS, "SELinux", { { "/sys/fs/selinux/enforce", "1" } } },
	{ "mandatory-access", POSTURE_FAIL, "permissive", { { "/sys/fs/selinux/enforce", "0" } } },
	{ "mandatory-access", POSTURE_FAIL, "neither", { { "/sys/module/apparmor/parameters/enabled", "N\n" } } },
	{ "qemu-security-driver", POSTURE_PASS, "", { QEMU_CONF("security_driver = [ \"apparmor\", \"dac\" ]\n") } },
	{ "qemu-security-driver", POSTURE_FAIL, "none", { QEMU_CONF("security_driver = \"none\"\n") } },
	{ "qemu-security-driver", POSTURE_SKIP, "could not see", { QEMU_CONF("security_driver = none\n") } },
	{ "qemu-default-confined", POSTURE_PASS, "", { { NULL, NULL } } },
	{ "qemu-default-confined", POSTURE_FAIL, "security_default_confined", { QEMU_CONF("security_default_confined = 0\n") } },
	{ "qemu-require-confined", POSTURE_PASS, "", { QEMU_CONF("security_require_confined = 1\n") } },
	{ "qemu-require-confined", POSTURE_WARN, "is off", { { NULL, NULL } } },
	{ "guest-confined", POSTURE_PASS, "", { APPARMOR, RUNS("a", "", LABEL) } },
	{ "guest-confined", POSTURE_FAIL, "b", { APPARMOR, RUNS("a", "", LABEL), RUNS("b", "", DAC_ONLY) } },
	{ "guest-confined", POSTURE_FAIL, "a", { APPARMOR, RUNS("a", "", "<seclabel type='none' model='apparmor'/>") } },
	{ "guest-confined", POSTURE_SKIP, "mandatory-access", { RUNS("a", "", DAC_ONLY) } },
	{ "qemu-seccomp", POSTURE_PASS, "", { QEMU("70", STATUS("64055", NO_CAPS, "2", "1")) } },
	{ "qemu-seccomp", POSTURE_FAIL, "seccomp_sandbox", { QEMU_CONF("seccomp_sandbox = 0\n") } },
	{ "qemu-seccomp", POSTURE_FAIL, "pid 70", { QEMU("70", STATUS("64055", NO_CAPS, "0", "1")) } },
	{ "qemu-user", POSTURE_FAIL, "pid 70", { QEMU("70", STATUS("0", SOME_CAPS, "2", "1")) } },
	{ "qemu-user", POSTURE_PASS, "", { QEMU_CONF("user = \"libvirt-qemu\"\n") } },
	{ "qemu-user", POSTURE_FAIL, "runs as root", { QEMU_CONF("user = \"+0\"\n") } },
	{ "qemu-user", POSTURE_PASS, "", { QEMU("70", STATUS("64055", NO_CAPS, "2", "1")) } },
	{ "qemu-capabilities", POSTURE_FAIL, "pid 70", { QEMU("70", STATUS("64055", SOME_CAPS, "2", "1")) } },
	{ "qemu-capabilities", POSTURE_PASS, "", { { NULL, NULL } } },
	{ "qemu-capabilities", POSTURE_FAIL, "clear_emulator_capabilities", { QEMU_CONF("clear_emulator_capabilities = 0\n") } },
	{ "qemu-namespaces", POSTURE_PASS, "", { QEMU_CONF("namespaces = [ \"mount\" ]\n") } },
	{ "qemu-namespaces", POSTURE_FAIL, "every device", { QEMU_CONF("namespaces = [ ]\n") } },
	{ "qemu-ownership", POSTURE_PASS, "", { { NULL, NULL } } },
	{ "qemu-ownership", POSTURE_WARN, "dynamic_ownership", { QEMU_CONF("dynamic_ownership = 0\n") } },
	{ "guest-raw-arguments", POSTURE_PASS, "", { RUNS("a", "", LABEL) } },
	{ "guest-raw-arguments", POSTURE_WARN, "a", { RUNS("a", "",
	    "<q:commandline xmlns:q='http://libvirt.org/schemas/domain/qemu/1.0'><q:arg value='-s'/></q:commandline>") } },

	/* ---- networks of guests ---- */
	{ "bridge-filter", POSTURE_PASS, "", { { "/sys/class/net/br0/bridge/", NULL }, { "/proc/sys/net/bridge/bridge-nf-call-iptables", "0\n" } } },
	{ "bridge-filter", POSTURE_PASS, "", { { "/proc/sys/net/bridge/bridge-nf-call-iptables", "1\n" } } },
	{ "bridge-filter", POSTURE_WARN, "bridge-nf-call-ip6tables", { { "/sys/class/net/br0/bridge/", NULL },
	    { "/proc/sys/net/bridge/bridge-nf-call-ip6tables", "1\n" } } },
	{ "bridge-vlans", POSTURE_PASS, "", { VLANS, { "/sys/class/net/br0/bridge/", NULL }, { "/sys/class/net/br0/brif/eth0.10/", NULL },
	    { "/sys/class/net/br0/brif/vnet3/", NULL }, { "/sys/class/net/eth0/device/", NULL } } },
	{ "bridge-vlans", POSTURE_PASS, "", { VLANS, { "/sys/class/net/br0/bridge/vlan_filtering", "1\n" }, { "/sys/class/net/br0/brif/eth0.10/", NULL },
	    { "/sys/class/net/br0/brif/eth0.20/", NULL } } },
	{ "bridge-vlans", POSTURE_FAIL, "br0 (VLAN 10 and VLAN 20)", { VLANS, { "/sys/class/net/br0/bridge/vlan_filtering", "0\n" },
	    { "/sys/class/net/br0/brif/eth0.10/", NULL }, { "/sys/class/net/br0/brif/eth0.20/", NULL } } },
	{ "bridge-vlans", POSTURE_FAIL, "untagged, 0 and VLAN 20", { VLANS, { "/sys/class/net/br0/bridge/", NULL }, { "/sys/class/net/eth0/device/", NULL },
	    { "/sys/class/net/br0/brif/eth0/", NULL }, { "/sys/class/net/br0/brif/eth0.20/", NULL } } },
	{ "guest-network-filter", POSTURE_PASS, "", { RUNS("a", NIC("network", "<filterref filter='clean-traffic'/>"), "") } },
	{ "guest-network-filter", POSTURE_PASS, "", { RUNS("a", NIC("user", ""), "") } },
	{ "guest-network-filter", POSTURE_WARN, "a", { RUNS("a", NIC("bridge", ""), "") } },
	{ "guest-fixed-mac", POSTURE_PASS, "", { RUNS("a", NIC("network", ""), "") } },
	{ "guest-fixed-mac", POSTURE_WARN, "a", { RUNS("a", "<interface type='network'/>", "") } },
	{ "guest-fixed-mac", POSTURE_WARN, "a", { RUNS("a", "<interface type='direct' trustGuestRxFilters='yes'><mac address='52:54:00:00:00:01'/></interface>", "") } },
	{ "guest-past-bridge", POSTURE_PASS, "", { RUNS("a", NIC("network", ""), "") } },
	{ "guest-past-bridge", POSTURE_WARN, "b", { RUNS("a", NIC("network", ""), ""), RUNS("b", NIC("direct", ""), "") } },
	{ "firewall", POSTURE_PASS, "nftables", { { "/etc/systemd/system/sysinit.target.wants/nftables.service", "->/lib/systemd/system/nftables.service" } } },
	{ "firewall", POSTURE_PASS, "ufw", { { "/etc/ufw/ufw.conf", "# ufw\nENABLED=yes\n" } } },
	{ "firewall", POSTURE_WARN, "no firewall", { { "/etc/ufw/ufw.conf", "# ENABLED=yes\nENABLED=no\n" } } },

	/* ---- images ---- */
	{ "image-mode", POSTURE_PASS, "", { RUNS("a", DISK("/img/a"), ""), { "/img/a 600", "" } } },
	{ "image-mode", POSTURE_PASS, "", { RUNS("a", DISK("/img/a"), ""), { "/img/a 666", "" }, { "/img/ 711", NULL }, { "/img/ 710", NULL } } },
	{ "image-mode", POSTURE_PASS, "", { RUNS("a", "<disk type='file' device='cdrom'><source file='/img/a'/><readonly/></disk>", ""), { "/img/a 644", "" } } },
	{ "image-mode", POSTURE_WARN, "a: /img/a (mode 0644)", { RUNS("a", DISK("/img/a"), ""), { "/img/a 644", "" } } },
	{ "image-mode", POSTURE_FAIL, "change", { RUNS("a", DISK("/img/a"), ""), { "/img/a 646", "" } } },
	{ "image-encryption", POSTURE_PASS, "", { RUNS("a", "<disk type='file' device='disk'><source file='/img/a'><encryption format='luks'/></source></disk>", "") } },
	{ "image-encryption", POSTURE_PASS, "", { RUNS("a", DISK("/img/a"), ""), { "/proc/self/mountinfo", MOUNTS }, { "/sys/dev/block/254:1/dm/uuid", "LVM-x\n" },
	    { "/sys/dev/block/254:1/slaves/dm-0/dm/uuid", "CRYPT-LUKS2-x\n" } } },
	{ "image-encryption", POSTURE_WARN, "a: /img/a", { RUNS("a", DISK("/img/a"), ""), { "/proc/self/mountinfo", MOUNTS }, { "/sys/dev/block/254:1/dm/uuid", "LVM-x\n" } } },
	{ "image-mode", POSTURE_SKIP, "volumes of pools", { RUNS("a", POOL_DISK, "") } },
	{ "image-encryption", POSTURE_SKIP, "volumes of pools", { RUNS("a", POOL_DISK, "") } },
	{ "image-encryption", POSTURE_SKIP, "on the network", { RUNS("a", "<disk type='network' device='disk'><source protocol='rbd' name='p/i'/></disk>", "") } },
	{ "image-encryption", POSTURE_SKIP, "could not see", { RUNS("a", DISK("/net/a"), ""), { "/proc/self/mountinfo", MOUNTS } } },
	{ "swtpm", POSTURE_PASS, "", { { "/usr/bin/swtpm", "" } } },
	{ "swtpm", POSTURE_WARN, "not installed", { { NULL, NULL } } },
	{ "page-sharing", POSTURE_PASS, "", { { "/sys/kernel/mm/ksm/run", "0\n" } } },
	{ "page-sharing", POSTURE_WARN, "KSM", { { "/sys/kernel/mm/ksm/run", "1\n" } } },
	{ "cpu-vulnerabilities", POSTURE_PASS, "", { { "/sys/devices/system/cpu/vulnerabilities/l1tf", "Not affected\n" },
	    { "/sys/devices/system/cpu/vulnerabilities/mds", "Mitigation: Clear CPU buffers; SMT vulnerable\n" } } },
	{ "cpu-vulnerabilities", POSTURE_WARN, "mds: Vulnerable", { { "/sys/devices/system/cpu/vulnerabilities/mds", "Vulnerable\n" } } },

	/* ---- the host's own audit ---- */
	{ "audit-daemon", POSTURE_PASS, "", { { "/proc/33/comm", "auditd\n" }, { "/proc/33/status", STATUS("0", SOME_CAPS, "0", "0") } } },
	{ "audit-daemon", POSTURE_WARN, "auditd", { { NULL, NULL } } },
	{ "audit-level", POSTURE_PASS, "", { LIBVIRTD("audit_level = 2\n") } },
	{ "audit-level", POSTURE_FAIL, "audit_level", { { "/etc/libvirt/virtqemud.conf", "audit_level = 0\n" } } },
	{ "audit-level", POSTURE_FAIL, "audit_level", { LIBVIRTD("audit_level = 0\n") } },
	{ "audit-rules", POSTURE_PASS, "", { GATEWAY(""), { "/etc/audit/rules.d/a.rules", "-w /etc/pki/libvirt/private/ -p r\n" },
	    { "/etc/audit/rules.d/b.rules", "-a always,exit -F path=/etc/virtgate/policy.json -F perm=wa\n-a always,exit -F dir=/var/log/virtgate -F perm=wa\n" } } },
	{ "audit-rules", POSTURE_WARN, "/etc/virtgate/policy.json", { GATEWAY(""), { "/etc/audit/audit.rules",
	    "-w /etc/pki/libvirt -p r\n#-w /etc/virtgate/policy.json\n-w /etc/virtgate/policy -p w\n-w /var/log\n" } } },
	{ "audit-rules", POSTURE_SKIP, "could not see", { { NULL, NULL } } },

	/* ---- the gateway itself ---- */
	{ "gateway-address", POSTURE_PASS, "192.0.2.7", { GATEWAY("listen_addr = \"192.0.2.7\"\n") } },
	{ "gateway-address", POSTURE_PASS, "the only network", { GATEWAY(""), { "/proc/net/fib_trie", TRIE("192.0.2.7") } } },
	{ "gateway-address", POSTURE_WARN, "192.168.122.1", { GATEWAY(""), { "/proc/net/fib_trie", TRIE("192.0.2.7") TRIE("192.168.122.1") TRIE("192.0.2.7") } } },
	{ "gateway-certificates", POSTURE_PASS, "no way in", { GATEWAY("listen_tls = 0\nlisten_tcp = 1\n") } },
	{ "gateway-certificates", POSTURE_FAIL, "/etc/pki/libvirt/servercert.pem: no server certificate", { GATEWAY("") } },
	{ "gateway-certificates", POSTURE_FAIL, "every user of this machine can read the private key", { GATEWAY(""), { "/etc/pki/libvirt/private/serverkey.pem 644", "" } } },
	{ "ca-key", POSTURE_PASS, "", { { NULL, NULL } } },
	{ "ca-key", POSTURE_WARN, "cakey.pem", { { "/etc/pki/CA/private/cakey.pem 600", "" } } },
	{ "gateway-files", POSTURE_PASS, "", { GATEWAY(""), { "/etc/virtgate/policy.json 644", "" }, { "/var/log/virtgate/ 700", NULL } } },
	{ "gateway-files", POSTURE_FAIL, "/etc/virtgate/policy.json (mode 0664)", { GATEWAY(""), { "/etc/virtgate/policy.json 664", "" } } },
	{ "gateway-files", POSTURE_FAIL, "/etc/virtgate (mode 0777)", { GATEWAY(""), { "/etc/virtgate/ 777", NULL } } },
	{ "gateway-files", POSTURE_FAIL, "/var/log/virtgate (mode 0755)", { GATEWAY(""), { "/var/log/virtgate/ 755", NULL } } },
	{ "gateway-processes", POSTURE_PASS, "", { { "/proc/44/comm", "virtgated-front\n" }, { "/proc/44/status", STATUS("990", NO_CAPS, "0", "1") },
	    { "/proc/43/comm", "virtgated-paren\n" }, { "/proc/43/status", STATUS("0", SOME_CAPS, "0", "0") } } },
	{ "gateway-processes", POSTURE_FAIL, "virtgated-gate, pid 44, root, with capabilities, may gain", { { "/proc/44/comm", "virtgated-gate\n" },
	    { "/proc/44/status", STATUS("0", SOME_CAPS, "0", "0") } } },
	{ "gateway-processes", POSTURE_SKIP, "does not run", { { NULL, NULL } } },
};

#endif
