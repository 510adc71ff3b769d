/*
 * calls.c: libvirt's calls as people know them. Source of the names: libvirt's API reference; tests/table/cli_roles.sh compares
 * them with the symbols of the library.
 */
#include "gateway/cli/calls.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "gateway/gate/rules.h"

/* Words of a procedure's name that the API writes otherwise than with one capital. */
static const struct {
	const char *word, *written;
} words[] = {
	{ "xml", "XML" }, { "uuid", "UUID" }, { "id", "ID" }, { "uri", "URI" }, { "mac", "MAC" }, { "cpu", "CPU" }, { "os", "OS" },
	{ "nmi", "NMI" }, { "pm", "PM" }, { "scsi", "SCSI" }, { "wwn", "WWN" }, { "dhcp", "DHCP" }, { "io", "IO" }, { "fd", "FD" },
	{ "sev", "SEV" }, { "ssh", "SSH" }, { "nwfilter", "NWFilter" }, { "nwfilters", "NWFilters" }, { "iothread", "IOThread" },
	{ "fstrim", "FSTrim" }, { "fsfreeze", "FSFreeze" }, { "fsthaw", "FSThaw" }, { "fsinfo", "FSInfo" }, { "tls", "TLS" },
	{ "fs", "FS" }, { "ip", "IP" },
};

static const struct {
	const char *call, *name;
} exceptions[] = {
	{ "domain_set_block_io_tune", "virDomainSetBlockIoTune" }, { "domain_get_block_io_tune", "virDomainGetBlockIoTune" },
	{ "connect_domain_event_callback_register_any", "virConnectDomainEventRegisterAny" },
	{ "connect_domain_event_callback_deregister_any", "virConnectDomainEventDeregisterAny" },
	{ "domain_monitor_command", "virDomainQemuMonitorCommand" }, { "domain_attach", "virDomainQemuAttach" },
	{ "domain_agent_command", "virDomainQemuAgentCommand" },
	{ "connect_domain_monitor_event_register", "virConnectDomainQemuMonitorEventRegister" },
	{ "connect_domain_monitor_event_deregister", "virConnectDomainQemuMonitorEventDeregister" },
	{ "domain_monitor_command_with_files", "virDomainQemuMonitorCommandWithFiles" },
	{ "domain_open_namespace", "virDomainLxcOpenNamespace" },
};

/* Steps of a migration; the client library makes them. */
static bool
is_migration_step(const struct rpc_proc *proc)
{
	static const char *const steps[] = { "begin", "prepare", "perform", "finish", "confirm" };
	static const char prefix[] = "domain_migrate_";
	const char *rest = proc->name + sizeof(prefix) - 1;

	if (strncmp(proc->name, prefix, sizeof(prefix) - 1) != 0)
		return false;
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		if (strncmp(rest, steps[i], strlen(steps[i])) == 0)
			return true;
	}
	return false;
}

const char *
call_made_by(const struct rpc_proc *proc)
{
	return is_migration_step(proc) ? "a step of virDomainMigrate" : "made by the client library itself";
}

const char *
call_public_name(const struct rpc_proc *proc, char buf[CALL_NAME_SIZE])
{
	size_t len = (size_t)snprintf(buf, CALL_NAME_SIZE, "vir"), word_len;

	if (is_migration_step(proc) || strcmp(proc->name, "connect_supports_feature") == 0 || proc->before_auth)
		return NULL;
	for (size_t i = 0; i < sizeof(exceptions) / sizeof(exceptions[0]); i++) {
		if (strcmp(proc->name, exceptions[i].call) == 0)
			return exceptions[i].name;
	}
	for (const char *word = proc->name; *word != '\0' && len < CALL_NAME_SIZE; word += word_len + (word[word_len] == '_')) {
		const char *written = NULL;

		word_len = strcspn(word, "_");
		for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
			if (strlen(words[i].word) == word_len && strncmp(words[i].word, word, word_len) == 0)
				written = words[i].written;
		}
		if (written != NULL)
			len += (size_t)snprintf(buf + len, CALL_NAME_SIZE - len, "%s", written);
		else
			len += (size_t)snprintf(buf + len, CALL_NAME_SIZE - len, "%c%.*s", toupper((unsigned char)word[0]),
			    (int)word_len - 1, word + 1);
	}
	return buf;
}

bool
call_is_decided(const struct rpc_proc *proc)
{
	return !rule_never_passed(proc) && !proc->before_auth && proc->needs[0].permission != VG_PERM_NONE;
}

/* A permission on the host is on everything already. */
bool
call_needs_everything(const struct rpc_proc *proc)
{
	enum vg_class about = proc->about.class;
	bool some = false;

	for (const struct rpc_need *need = proc->needs; need->permission != VG_PERM_NONE; need++)
		some = some || (permission_class(need->permission) == about && about != VG_CLASS_connect);
	return some && argument_everything(proc);
}

const char *
call_condition(const struct rpc_need *need, char buf[CALL_CONDITION_SIZE])
{
	switch (need->test) {
	case RPC_TEST_ALWAYS:
		buf[0] = '\0';
		break;
	case RPC_TEST_ALL_SET:
		snprintf(buf, CALL_CONDITION_SIZE, "with %s & %#x", need->arg, need->value);
		break;
	case RPC_TEST_NONE_SET:
		snprintf(buf, CALL_CONDITION_SIZE, "without %s & %#x", need->arg, need->value);
		break;
	case RPC_TEST_DEVICE:
		snprintf(buf, CALL_CONDITION_SIZE, "for a %s", need->value == RPC_DEVICE_DISK ? "disk" : need->value == RPC_DEVICE_INTERFACE ?
		    "network interface" : need->value == RPC_DEVICE_HOSTDEV ? "device of the host" : "device of another kind");
		break;
	case RPC_TEST_EQUALS:
		snprintf(buf, CALL_CONDITION_SIZE, "with %s = %u", need->arg, need->value);
		break;
	}
	return buf;
}

/* Is there, for a condition that he lacks a permission for, the opposite one that he lacks as well? */
static bool
is_closed(const struct rpc_proc *proc, const struct rpc_need *lacking, call_holds_cb *holds, void *arg)
{
	if (lacking->test == RPC_TEST_DEVICE) {		/* closed when no kind of device is left */
		for (const struct rpc_need *need = proc->needs; need->permission != VG_PERM_NONE; need++)
			if (need->test == RPC_TEST_DEVICE && holds(need->permission, arg))
				return false;
		return true;
	}
	for (const struct rpc_need *need = proc->needs; need->permission != VG_PERM_NONE; need++) {
		if (((need->test == RPC_TEST_ALL_SET && lacking->test == RPC_TEST_NONE_SET) ||
		    (need->test == RPC_TEST_NONE_SET && lacking->test == RPC_TEST_ALL_SET)) &&
		    strcmp(need->arg, lacking->arg) == 0 && need->value == lacking->value &&
		    (need->value & (need->value - 1)) == 0 && !holds(need->permission, arg))
			return true;
	}
	return false;
}

enum call_may
call_may(const struct rpc_proc *proc, call_holds_cb *holds, void *arg)
{
	enum call_may may = CALL_ALWAYS;

	if (argument_host(proc) && !holds(VG_PERM_connect_write, arg))
		return CALL_NEVER;
	for (const struct rpc_need *need = proc->needs; need->permission != VG_PERM_NONE; need++) {
		if (holds(need->permission, arg))
			continue;
		if (need->test == RPC_TEST_ALWAYS || is_closed(proc, need, holds, arg))
			return CALL_NEVER;
		may = CALL_SOMETIMES;
	}
	return may;
}
