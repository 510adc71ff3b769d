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
	{ "libvirt-socket-group", POSTURE_PASS, "no group", { { "/etc/group", "root:x:0:\n" } } },
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
};

#endif
