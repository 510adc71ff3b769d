/*
 * test_args.c: what the audit trail shows of arguments, for every call of the table: which texts it has in the clear, that no secret is
 * among them in any form, and the names of flags.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/core/document.h"
#include "tests/table/matrix_body.h"

#define PLANTED "plant3d"

/* Fields of calls that are told as they came: names, places and kinds. One that is new stands here, or is left out by args.c. */
static const char *const clear[] = {
	"alias", "arch", "base", "cap", "cpumap", "dconnuri", "destination_name", "dev", "dev_name", "device", "disk", "dname", "driverName", "emulator",
	"emulatorbin", "event", "file", "from", "group", "key", "keys", "mac", "machine", "metadata", "mountPoint", "mountpoints", "name",
	"nativeConfig", "nativeFormat", "new_name", "path", "srcSpec", "to", "top", "type", "uri", "uri_in", "usageID", "user", "virttype", "wwnn", "wwpn",
	"cmd", "portdev", "pool", "uuids", "mech",
};

static const char *
planted_text(const char *field)
{
	(void)field;
	return PLANTED;
}

static bool
is_clear(const char *name)
{
	const char *last = strrchr(name, '.');
	size_t len;

	last = last == NULL ? name : last + 1;
	len = strcspn(last, "[#");
	for (size_t i = 0; i < sizeof(clear) / sizeof(clear[0]); i++)
		if (strlen(clear[i]) == len && memcmp(clear[i], last, len) == 0)
			return true;
	return false;
}

/* Of every call: what is told in the clear is listed above. */
static void
test_I61_texts_in_the_clear_are_those_that_may(void **state)
{
	const struct rpc_proc *proc;
	size_t num = 0;

	(void)state;
	for (size_t i = 0; (proc = rpc_proc_at(i)) != NULL; i++) {
		struct body body = { .optionals = true, .text = planted_text, .number = 1, .xml = "<a/>" };
		const char *name;
		json_t *args, *value;

		if (proc->kind == RPC_KIND_EVENT)
			continue;
		assert_true(body_build(&body, proc->args));
		args = record_args(proc, body.data, body.len);
		assert_non_null(args);
		json_object_foreach(args, name, value) {
			assert_non_null(value);
			if (json_is_string(value) && strstr(json_string_value(value), PLANTED) != NULL && !is_clear(name))
				fail_msg("%s: the trail would show '%s'", proc->name, name);
			num++;
		}
		json_decref(args);
	}
	assert_true(num > 800);
}

/* ---- secrets, where they are ---- */

static const char *text_to_put;

static const char *
given_text(const char *field)
{
	(void)field;
	return text_to_put;
}

/* All that is told of a call whose texts are all this one. */
static char *
told(const char *call, const char *text)
{
	const struct rpc_proc *proc = rpc_proc_by_name(call);
	struct body body = { .optionals = true, .text = given_text, .number = 30 };
	json_t *args;
	char *dumped;

	text_to_put = text;
	assert_non_null(proc);
	assert_true(body_build(&body, proc->args));
	args = record_args(proc, body.data, body.len);
	assert_non_null(args);
	dumped = json_dumps(args, JSON_COMPACT | JSON_SORT_KEYS);
	json_decref(args);
	return dumped;
}

static void
test_I61_secrets_in_texts_are_left_out(void **state)
{
	static const struct { const char *call, *text, *kept; } rows[] = {
		{ "domain_agent_command", "{\"execute\":\"guest-set-user-password\",\"arguments\":{\"username\":\"root\",\"password\":\"plant3d\"}}",
		    "\"cmd\":\"{\\\"execute\\\":\\\"guest-set-user-password\\\",\\\"arguments\\\":{\\\"username\\\":\\\"root\\\",\\\"password\\\":\\\"(secret)\\\"}}\"" },
		{ "domain_agent_command", "{\"execute\":\"guest-file-write\",\"arguments\":{\"handle\":1,\"buf-b64\":\"plant3d\"}}", "guest-file-write" },
		{ "domain_agent_command", "{\"execute\":\"guest-exec\",\"arguments\":{\"path\":\"chpasswd\",\"input-data\":\"plant3d\"}}", "guest-exec" },
		{ "domain_monitor_command", "{\"execute\":\"set_password\",\"arguments\":{\"protocol\":\"vnc\",\"password\":\"plant3d\"}}", "set_password" },
		{ "domain_monitor_command", "{\"execute\":\"object-add\",\"arguments\":{\"qom-type\":\"secret\",\"id\":\"s0\",\"data\":\"plant3d\"}}", "object-add" },
		{ "domain_monitor_command", "{\"execute\":\"send-key\",\"arguments\":{\"keys\":[{\"type\":\"qcode\",\"data\":\"plant3d\"}]}}", "send-key" },
		{ "domain_monitor_command", "{\"execute\":\"human-monitor-command\",\"arguments\":{\"command-line\":\"change vnc password plant3d\"}}",
		    "human-monitor-command" },
		{ "domain_monitor_command", "set_password vnc plant3d", "\"begins\":\"set_password\"" },
		{ "domain_monitor_command", "sendkey plant3d", "\"begins\":\"sendkey\"" },
		{ "domain_monitor_command_with_files", "object_add secret,id=s,data=plant3d", "\"begins\":\"object_add\"" },
		{ "domain_set_user_password", "plant3d", "\"password\":\"(secret)\"" },
		{ "connect_domain_xml_from_native", "-object secret,id=sec0,data=plant3d", "\"nativeConfig\":\"(secret)\"" },
		{ "domain_migrate_perform3", "qemu+libssh2://root:plant3d@host/system", "qemu+libssh2://root:(secret)@host/system" },
		{ "domain_define_xml", "<domain><graphics type='vnc' passwd='plant3d'/></domain>", "\"xml_sha256\"" },
		{ "connect_domain_xml_to_native", "<domain><graphics type='vnc' passwd='plant3d'/></domain>", "\"domainXml_sha256\"" },
		{ "domain_define_xml", "<domain><graphics type='vnc' passwd='plant3d'/>", "\"xml_len\"" },
		{ "domain_set_metadata", "<m><cookies><cookie name='a'>plant3d</cookie></cookies></m>", "\"metadata_sha256\"" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *text = told(rows[i].call, rows[i].text);

		/* The other texts of a call are the same; only those that may hold a secret are looked at. */
		if (strcmp(rows[i].call, "domain_set_user_password") != 0 && strcmp(rows[i].call, "connect_domain_xml_from_native") != 0 && strstr(text, PLANTED) != NULL)
			fail_msg("%s: the trail would show %s", rows[i].call, text);
		if (strstr(text, rows[i].kept) == NULL)
			fail_msg("%s: %s is not in %s", rows[i].call, rows[i].kept, text);
		free(text);
	}
}

/* What is plain stays readable: a filter that hides all proves nothing. */
static void
test_plain_commands_stay(void **state)
{
	static const struct { const char *call, *text, *kept; } rows[] = {
		{ "domain_monitor_command", "{\"execute\":\"query-block\"}", "\"cmd\":\"{\\\"execute\\\":\\\"query-block\\\"}\"" },
		{ "domain_monitor_command", "info block", "\"cmd\":\"info block\"" },
		{ "domain_agent_command", "{\"execute\":\"guest-shutdown\",\"arguments\":{\"mode\":\"halt\"}}", "halt" },
		{ "domain_migrate_perform3", "qemu+tls://host/system", "qemu+tls://host/system" },
		{ "domain_authorized_ssh_keys_set", "ssh-ed25519 AAAA ann", "\"keys[0]\":\"ssh-ed25519 AAAA ann\"" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *text = told(rows[i].call, rows[i].text);

		if (strstr(text, rows[i].kept) == NULL)
			fail_msg("%s: %s is not in %s", rows[i].call, rows[i].kept, text);
		free(text);
	}
}

#define QEMU(inner) "<domain xmlns:q='http://libvirt.org/schemas/domain/qemu/1.0'><q:commandline>" inner "</q:commandline></domain>"

static bool
same_digest(const char *text, const char *as)
{
	char *one = told("domain_define_xml_flags", text), *other = told("domain_define_xml_flags", as), *digest = strstr(one, "\"xml_sha256\":\"");
	const char *found = strstr(other, "\"xml_sha256\":\"");
	bool same;

	assert_non_null(digest);
	assert_non_null(found);
	same = strncmp(digest, found, strlen("\"xml_sha256\":\"") + DOCUMENT_NAME_LEN) == 0;
	free(one);
	free(other);
	return same;
}

/* Two documents that differ only in their password have the same digest: it says nothing of it. */
static void
test_I61_digests_do_not_depend_on_passwords(void **state)
{
	static const char *const texts[][2] = {
		{ "<domain><graphics type='vnc' passwd='plant3d'/></domain>", "<domain><graphics type='vnc' passwd='another'/></domain>" },
		{ "<domain><disk><source><cookies><cookie name='c'>plant3d</cookie></cookies></source></disk></domain>",
		    "<domain><disk><source><cookies><cookie name='c'>another</cookie></cookies></source></disk></domain>" },
		{ QEMU("<q:env name='A' value='plant3d'/>"), QEMU("<q:env name='A' value='another'/>") },
		{ QEMU("<q:arg value='-object'/><q:arg value='secret,id=s,data=plant3d'/>"), QEMU("<q:arg value='-object'/><q:arg value='secret,id=s,data=another'/>") },
		{ QEMU("<q:arg value='{\"qom-type\":\"secret\",\"data\":\"plant3d\"}'/>"), QEMU("<q:arg value='{\"qom-type\":\"secret\",\"data\":\"another\"}'/>") },
		{ QEMU("<q:arg value='file=http://u:plant3d@h/i'/>"), QEMU("<q:arg value='file=http://u:another@h/i'/>") },
		{ "<domain><commandline><x:env name='A' value='plant3d'/></commandline></domain>", "<domain><commandline><x:env name='A' value='another'/></commandline></domain>" },
		{ "<domain><os><cmdline>ro token:plant3d</cmdline></os></domain>", "<domain><os><cmdline>ro token:another</cmdline></os></domain>" },
		{ "<domain><os><initenv name='A'>plant3d</initenv></os></domain>", "<domain><os><initenv name='A'>another</initenv></os></domain>" },
		{ "<domain><os><initarg>--password plant3d</initarg></os></domain>", "<domain><os><initarg>--password another</initarg></os></domain>" },
		{ "<domain><sysinfo type='smbios'><oemStrings><entry>plant3d</entry></oemStrings></sysinfo></domain>",
		    "<domain><sysinfo type='smbios'><oemStrings><entry>another</entry></oemStrings></sysinfo></domain>" },
		{ "<domain><sysinfo type='fwcfg'><entry name='opt/a'><![CDATA[plant3d]]></entry></sysinfo></domain>",
		    "<domain><sysinfo type='fwcfg'><entry name='opt/a'><![CDATA[another]]></entry></sysinfo></domain>" },
		{ "<domain><disk><source protocol='https' name='i' query='sig=plant3d'/></disk></domain>", "<domain><disk><source protocol='https' name='i' query='sig=another'/></disk></domain>" },
		{ "<domain><override><device alias='a'><frontend><property name='key' type='string' value='plant3d'/></frontend></device></override></domain>",
		    "<domain><override><device alias='a'><frontend><property name='key' type='string' value='another'/></frontend></device></override></domain>" },
		{ "<pool><mount_opts><option name='password=plant3d'/></mount_opts></pool>", "<pool><mount_opts><option name='password=another'/></mount_opts></pool>" },
		{ "<pool><config_opts><option name='key' value='plant3d'/></config_opts></pool>", "<pool><config_opts><option name='key' value='another'/></config_opts></pool>" },
	};

	/* What is told, and what is no secret. */
	static const char *const others[][2] = {
		{ QEMU("<q:arg value='-device'/><q:arg value='foo'/>"), QEMU("<q:arg value='-device'/><q:arg value='bar'/>") },
		{ QEMU("<q:arg value='virtio-keyboard-pci'/>"), QEMU("<q:arg value='virtio-tablet-pci'/>") },
		{ QEMU("<q:env name='A' value='1'/>"), QEMU("<q:env name='B' value='1'/>") },
		{ "<domain><os><cmdline>ro quiet</cmdline></os></domain>", "<domain><os><cmdline>rw quiet</cmdline></os></domain>" },
		{ "<domain><metadata><commandline><env value='a'/></commandline></metadata></domain>", "<domain><metadata><commandline><env value='b'/></commandline></metadata></domain>" },
		{ "<pool><mount_opts><option name='nodev'/></mount_opts></pool>", "<pool><mount_opts><option name='nosuid'/></mount_opts></pool>" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (!same_digest(texts[i][0], texts[i][1]))
			fail_msg("the digest tells what is in %s", texts[i][0]);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (same_digest(others[i][0], others[i][1]))
			fail_msg("no digest tells %s from another", others[i][0]);
}

/* Opaque data of these calls, and keys that are pressed, have no digest either. */
static void
test_I61_opaque_secrets_have_no_digest(void **state)
{
	static const char *const rows[][2] = {
		{ "secret_set_value", "\"value\":\"(secret)\"" }, { "domain_migrate_perform", "\"cookie\":\"(secret)\"" },
		{ "domain_migrate_finish3", "\"cookie_in\":\"(secret)\"" }, { "domain_migrate_prepare3_params", "\"cookie_in\":\"(secret)\"" },
		{ "domain_send_key", "\"keycodes_num\":1" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *text = told(rows[i][0], "x");

		if (strstr(text, rows[i][1]) == NULL || strstr(text, "value_sha256") != NULL || strstr(text, "cookie_sha256") != NULL ||
		    strstr(text, "cookie_in_sha256") != NULL || strstr(text, "keycodes[") != NULL)
			fail_msg("%s: %s", rows[i][0], text);
		free(text);
	}
}

/* ---- flags ---- */

static json_t *
flags_told(const char *call, const char *arg, uint64_t flags, const char *member)
{
	struct body body = { .flag_arg = arg, .flags = flags };
	const struct rpc_proc *proc = rpc_proc_by_name(call);
	json_t *args, *names;

	assert_true(body_build(&body, proc->args));
	args = record_args(proc, body.data, body.len);
	names = json_incref(json_object_get(args, member));
	json_decref(args);
	return names;
}

static void
test_flags_are_told_by_name(void **state)
{
	json_t *names = flags_told("domain_create_with_flags", "flags", 0x3, "flags_set"), *expected =
	    json_pack("[s, s]", "VIR_DOMAIN_START_PAUSED", "VIR_DOMAIN_START_AUTODESTROY");

	(void)state;
	assert_true(json_equal(names, expected));
	json_decref(names);
	json_decref(expected);
	/* Two enums in one argument; a bit that nobody named. */
	names = flags_told("domain_get_memory_parameters", "flags", 0x80000006, "flags_set");
	expected = json_pack("[s, s, s]", "VIR_DOMAIN_AFFECT_CONFIG", "VIR_TYPED_PARAM_STRING_OKAY", "0x80000000");
	assert_true(json_equal(names, expected));
	json_decref(names);
	json_decref(expected);
	assert_null(flags_told("domain_create_with_flags", "flags", 0, "flags_set"));
}

/* Bits that the rows know and libvirt 9.0.0 does not yet have a name for. */
static size_t
num_without_name(const struct rpc_proc *proc, const char *arg, uint32_t known)
{
	size_t num = 0;

	for (unsigned bit = 0; bit < 32; bit++)
		num += (known >> bit & 1) != 0 && rpc_flag_name(proc, arg, UINT32_C(1) << bit) == NULL;
	return num;
}

static void
test_every_flag_has_a_name(void **state)
{
	const struct rpc_proc *proc;
	size_t with = 0, without = 0;

	(void)state;
	for (size_t i = 0; (proc = rpc_proc_at(i)) != NULL; i++) {
		size_t lacking = num_without_name(proc, "flags", proc->flags);

		if (proc->more_flags.arg != NULL)
			lacking += num_without_name(proc, proc->more_flags.arg, proc->more_flags.known);
		without += lacking;
		with += proc->flags != 0 && lacking == 0;
	}
	assert_true(with > 130);
	assert_in_range(without, 0, 25);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_I61_texts_in_the_clear_are_those_that_may), cmocka_unit_test(test_I61_secrets_in_texts_are_left_out),
		cmocka_unit_test(test_plain_commands_stay), cmocka_unit_test(test_I61_digests_do_not_depend_on_passwords),
		cmocka_unit_test(test_I61_opaque_secrets_have_no_digest), cmocka_unit_test(test_flags_are_told_by_name),
		cmocka_unit_test(test_every_flag_has_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
