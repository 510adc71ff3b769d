#include "tests/table/matrix_expect.h"

#include <fnmatch.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#define MAX_FACTS 600
#define MAX_NEEDS 10

/* Where the gate asks for other permissions than libvirt's annotation has, and why. "arg value": only with that value. */
static const struct {
	const char *proc, *permissions[4], *why;
} stricter[] = {
	{ "domain_monitor_command", { "domain:monitor" }, "domain:write must not open the monitor" },
	{ "domain_monitor_command_with_files", { "domain:monitor" }, "as above" },
	{ "domain_agent_command", { "domain:agent" }, "raw commands have a permission of their own" },
	{ "connect_domain_monitor_event_register", { "connect:search_domains", "domain:monitor" }, "events of the monitor" },
	{ "connect_domain_monitor_event_deregister", { "connect:search_domains" }, "changes nothing" },
	{ "domain_attach", { "domain:start", "domain:write", "connect:write" }, "adopts a process of the host" },
	{ "domain_set_max_memory", { "domain:write", "domain:save" }, "drivers hand over to a call that needs both" },
	{ "domain_set_scheduler_parameters", { "domain:write", "domain:save" }, "as above; the annotation says read" },
};
static const struct {
	const char *proc, *permission, *arg;
	uint32_t mask;
} added[] = {
	/* I29: what these return has passwords in it. */
	{ "domain_save_image_get_xml_desc", "domain:read_secure", "flags", 1 },
	{ "domain_migrate_begin3", "domain:read_secure", NULL, 0 },
	{ "domain_migrate_begin3_params", "domain:read_secure", NULL, 0 },
	/* VIR_DOMAIN_CONSOLE_FORCE and VIR_DOMAIN_CHANNEL_FORCE throw somebody out. */
	{ "domain_open_console", "domain:takeover_console", "flags", 1 },
	{ "domain_open_channel", "domain:takeover_console", "flags", 1 },
	/* The drivers read the device's XML as the caller: libvirt's polkit driver refuses without it. */
	{ "node_device_dettach", "node_device:read", NULL, 0 },
	{ "node_device_re_attach", "node_device:read", NULL, 0 },
	{ "node_device_reset", "node_device:read", NULL, 0 },
	{ "node_device_detach_flags", "node_device:read", NULL, 0 },
};

/* Which part of libvirt's permission a call asks for; what is not here asks for the whole. "domain:write" with a condition on flags is the agent. */
static const struct {
	const char *part, *whole, *procs[24];
} parts[] = {
	{ "domain:write_disk", "domain:write", { "domain_block_job_abort", "domain_block_job_set_speed", "domain_set_block_io_tune",
	    "domain_set_block_threshold", "domain_*_throttle_group", "domain_set_blkio_parameters", "domain_detach_device_alias" } },
	{ "domain:write_interface", "domain:write", { "domain_set_interface_parameters", "domain_detach_device_alias" } },
	{ "domain:write_hostdev", "domain:write", { "domain_detach_device_alias" } },
	/* The documents of the matrix are about an input device, or about none. */
	{ "domain:write_device", "domain:write", { "domain_graphics_reload", "domain_attach_device*", "domain_detach_device*", "domain_update_device*" } },
	{ "domain:write_cpu", "domain:write", { "domain_pin_*", "domain_set_vcpu*", "domain_set_scheduler_*", "domain_*_iothread*", "domain_set_perf_events" } },
	{ "domain:write_memory", "domain:write", { "domain_set_max_memory", "domain_set_memory*", "domain_set_numa_parameters", "domain_start_dirty_rate_calc" } },
	{ "domain:write_metadata", "domain:write", { "domain_set_metadata" } },
	{ "domain:write_boot", "domain:write", { "domain_set_autostart*", "domain_set_lifecycle_action" } },
	{ "domain:rename", "domain:write", { "domain_rename" } },
	{ "domain:write_guest", "domain:write", { "domain_get_hostname", "domain_get_time", "domain_*_guest_vcpus", "domain_get_guest_info",
	    "domain_agent_set_response_timeout", "domain_authorized_ssh_keys_*" } },
	{ "domain:migrate_in", "domain:migrate", { "domain_migrate_prepare*", "domain_migrate_finish*" } },
	{ "domain:migrate_out", "domain:migrate", { "domain_migrate_begin*", "domain_migrate_perform*", "domain_migrate_confirm*", "domain_migrate_set_*",
	    "domain_migrate_get_*", "domain_migrate_start_post_copy" } },
};

/* Handled before anything is decided: the gate's own, or never passed on. */
static const char *const own[] = { "auth_*", "connect_open", "connect_set_identity", "domain_open_namespace", "domain_open_graphics",
	"domain_open_graphics_fd", "domain_create_xml_with_files", "domain_create_with_files", "domain_fd_associate",
	"domain_monitor_command_with_files", NULL };

/* What they do is in a document, a process or a name that the gate does not verify. */
static const char *const everything[] = { "domain_migrate_prepare*", "domain_attach", "network_create_xml*", "network_define_xml*",
	"network_port_create_xml", "storage_pool_create_xml", "storage_pool_define_xml", "node_device_create_xml", "node_device_define_xml",
	"interface_define_xml", "secret_define_xml", "nwfilter_define_xml*", "nwfilter_binding_create_xml", NULL };

/* About an object that is known, but with content that the permission on it alone does not make safe. */
static const char *const unsafe[] = { "domain_migrate_finish*", "domain_migrate_perform3*", "domain_migrate_begin3_params", "domain_backup_begin",
	"domain_checkpoint_create_xml", "node_device_update", "network_update", "storage_vol_create_xml_from", "storage_vol_resize", NULL };

/* The same when their optional arguments are there. */
static const char *const unsafe_optional[] = { "domain_migrate_begin3", NULL };

/* By name or by what is inside a document: it is web-1 then. */
static const char *const documents[] = { "domain_create_xml", "domain_define_xml*", "storage_vol_create_xml*", NULL };

/* They are about the host as well. */
static const char *const host[] = { "storage_pool_build", "storage_pool_delete", "node_device_dettach", "node_device_re_attach",
	"node_device_reset", "node_device_detach_flags", "node_device_update", "node_device_create_xml", "node_device_define_xml",
	"interface_define_xml", "interface_undefine", "interface_create", "interface_destroy", "nwfilter_define_xml*", "nwfilter_undefine",
	"nwfilter_binding_create_xml", "network_create_xml*", "network_define_xml*", "storage_pool_create_xml", "storage_pool_define_xml",
	"connect_find_storage_pool_sources", NULL };

/* Their paths, URIs and disks are none here, so that a rule refuses them for everybody; that it admits others is shown elsewhere. */
static const char *const refused[] = { "domain_save", "domain_save_flags", "domain_save_params", "domain_core_dump*", "domain_restore*",
	"domain_save_image_*", "domain_block_peek", "domain_block_pull", "domain_block_rebase", "domain_block_commit", "domain_block_copy",
	"domain_migrate_perform", NULL };
static const char *const refused_optional[] = { "domain_migrate_prepare", "domain_migrate_prepare2", "domain_migrate_prepare3",
	"domain_migrate_perform3*", NULL };

static const char *const lookups[] = { "domain_lookup_by_*", "network_lookup_by_*", "network_port_lookup_by_uuid",
	"storage_pool_lookup_by_*", "storage_vol_lookup_by_*", "node_device_lookup_*", "interface_lookup_by_*", "secret_lookup_by_*",
	"nwfilter_lookup_by_*", "nwfilter_binding_lookup_by_port_dev", NULL };

static const char *const by_name[] = { "node_device_*", "domain_migrate_finish*", NULL };

static const char *const no_permission[] = { "connect_close", "connect_is_secure", NULL };

const char *const role_names[NUM_ROLES] = { "viewer", "console-viewer", "operator", "vm-admin", "auditor", "admin" };

static json_t *facts[MAX_FACTS];
static size_t num_facts;

static bool
listed(const char *const patterns[], const char *name)
{
	for (; *patterns != NULL; patterns++)
		if (fnmatch(*patterns, name, 0) == 0)
			return true;
	return false;
}

void
facts_load(void)
{
	FILE *file = fopen(TOP_SRCDIR "/tests/data/libvirt-protocol.jsonl", "r");
	char *line = NULL;
	size_t size = 0;

	assert_non_null(file);
	while (getline(&line, &size, file) > 0) {
		json_t *row = json_loads(line, 0, NULL);

		if (row == NULL || json_object_get(json_array_get(row, 1), "needs") == NULL) {
			json_decref(row);
			continue;
		}
		assert_true(num_facts < MAX_FACTS);
		facts[num_facts++] = row;
	}
	free(line);
	fclose(file);
	assert_true(num_facts > 400);
}

void
facts_free(void)
{
	while (num_facts > 0)
		json_decref(facts[--num_facts]);
}

static json_t *
fact_of(const struct rpc_proc *proc)
{
	char key[32];

	(void)snprintf(key, sizeof(key), "%s %u", proc->program == RPC_PROGRAM_REMOTE ? "REMOTE" :
	    proc->program == RPC_PROGRAM_QEMU ? "QEMU" : "LXC", proc->number);
	for (size_t i = 0; i < num_facts; i++)
		if (strcmp(json_string_value(json_array_get(facts[i], 0)), key) == 0)
			return json_array_get(facts[i], 1);
	fail_msg("no facts about %s", proc->name);
	return NULL;
}

/* ---- permissions that a call needs ---- */

struct need {
	char permission[64];
	char test;		/* 'A' all set, 'N' none set, '=' equal, ' ' always */
	const char *arg;
	uint32_t value;
};

static size_t
add_need(struct need *needs, size_t n, const char *permission, char test, const char *arg, uint32_t value)
{
	(void)snprintf(needs[n].permission, sizeof(needs[n].permission), "%s", permission);
	needs[n].test = test;
	needs[n].arg = arg;
	needs[n].value = value;
	return n + 1;
}

/* libvirt's permissions to those parts of them that the call asks for. */
static size_t
take_parts(const struct rpc_proc *proc, struct need needs[MAX_NEEDS], size_t n)
{
	size_t all = n;

	for (size_t i = 0; i < n; i++) {
		struct need whole = needs[i];
		bool done = false;

		if (whole.test != ' ' && strcmp(whole.permission, "domain:write") == 0) {
			(void)snprintf(needs[i].permission, sizeof(needs[i].permission), "domain:write_guest");
			continue;
		}
		for (size_t k = 0; k < sizeof(parts) / sizeof(parts[0]); k++) {
			if (strcmp(parts[k].whole, whole.permission) != 0 || !listed(parts[k].procs, proc->name))
				continue;
			assert_true(all < MAX_NEEDS);
			(void)add_need(needs, done ? all : i, parts[k].part, whole.test, whole.arg, whole.value);
			all += done;
			done = true;
		}
	}
	return all;
}

static size_t
needs_of(const struct rpc_proc *proc, struct need needs[MAX_NEEDS])
{
	json_t *rows = json_object_get(fact_of(proc), "needs"), *row;
	size_t n = 0, i;

	for (i = 0; i < sizeof(stricter) / sizeof(stricter[0]); i++) {
		if (strcmp(stricter[i].proc, proc->name) != 0)
			continue;
		for (size_t k = 0; k < 4 && stricter[i].permissions[k] != NULL; k++)
			n = add_need(needs, n, stricter[i].permissions[k], ' ', NULL, 0);
		return take_parts(proc, needs, n);
	}
	json_array_foreach(rows, i, row) {
		const char *test = json_string_value(json_array_get(row, 0));
		char permission[64];

		(void)snprintf(permission, sizeof(permission), "%s:%s", json_string_value(json_array_get(row, 1)),
		    json_string_value(json_array_get(row, 2)));
		n = add_need(needs, n, permission, strcmp(test, "P_ALL") == 0 ? 'A' : strcmp(test, "P_NONE") == 0 ? 'N' :
		    strcmp(test, "P_EQ") == 0 ? '=' : ' ', json_string_value(json_array_get(row, 3)),
		    (uint32_t)json_integer_value(json_array_get(row, 4)));
	}
	for (i = 0; i < sizeof(added) / sizeof(added[0]); i++)
		if (strcmp(added[i].proc, proc->name) == 0)
			n = add_need(needs, n, added[i].permission, added[i].arg == NULL ? ' ' : 'A', added[i].arg, added[i].mask);
	return take_parts(proc, needs, n);
}

static bool
applies(const struct need *need, uint32_t value)
{
	switch (need->test) {
	case 'A':
		return (value & need->value) == need->value;
	case 'N':
		return (value & need->value) == 0;
	case '=':
		return value == need->value;
	default:
		return true;
	}
}

int64_t
known_flags(const struct rpc_proc *proc, const char *arg)
{
	json_t *known = json_object_get(json_object_get(fact_of(proc), "flags"), arg);

	return known == NULL ? -1 : json_integer_value(json_array_get(known, 0));
}

size_t
flag_values(const struct rpc_proc *proc, const char **arg, uint32_t values[], size_t max)
{
	struct need needs[MAX_NEEDS];
	size_t n = needs_of(proc, needs), num = 1;
	int64_t known;

	*arg = NULL;
	values[0] = 0;
	for (size_t i = 0; i < n; i++) {
		if (needs[i].arg == NULL)
			continue;
		assert_true(*arg == NULL || strcmp(*arg, needs[i].arg) == 0);
		*arg = needs[i].arg;
		/* Each mask alone, without each of its bits, with one that is unknown, and all others. */
		assert_true(num + 4 < max);
		values[num++] = needs[i].value;
		values[num++] = needs[i].value & (needs[i].value - 1);
		values[num++] = needs[i].value ^ 0x80000000u;
		values[num++] = ~needs[i].value;
	}
	if (*arg == NULL)
		*arg = "flags";
	/* Flags that no condition names must not matter. */
	known = known_flags(proc, *arg);
	values[num++] = known < 0 ? UINT32_MAX : (uint32_t)known;
	values[num++] = UINT32_MAX;
	return num;
}

/* ---- shapes ---- */

static bool
is_class(const char *permission, const char *class)
{
	size_t len = strlen(class);

	return strncmp(permission, class, len) == 0 && permission[len] == ':';
}

/* The class of the object that a type of libvirt's file stands for: "nonnull_domain_snapshot" is its domain. */
static bool
type_is_of(const char *type, const char *permission)
{
	char text[64];

	if (strcmp(type, "nonnull_domain_snapshot") == 0 || strcmp(type, "nonnull_domain_checkpoint") == 0)
		return is_class(permission, "domain");
	(void)snprintf(text, sizeof(text), "nonnull_%.*s", (int)strcspn(permission, ":"), permission);
	return strcmp(type, text) == 0;
}

enum shape
shape_of(const struct rpc_proc *proc)
{
	struct need needs[MAX_NEEDS];
	size_t n = needs_of(proc, needs), i;
	json_t *args = json_object_get(fact_of(proc), "args"), *arg;

	if (listed(own, proc->name))
		return SHAPE_OWN;
	if (listed(everything, proc->name) || listed(refused, proc->name))
		return SHAPE_EVERYTHING;
	if (listed(documents, proc->name))
		return SHAPE_STRUCT;
	if (listed(lookups, proc->name))
		return SHAPE_LOOKUP;
	json_array_foreach(args, i, arg)
		for (size_t k = 0; k < n; k++)
			if (strcmp(json_string_value(json_array_get(arg, 0)), "F") == 0 &&
			    type_is_of(json_string_value(json_array_get(arg, 2)), needs[k].permission))
				return SHAPE_STRUCT;
	for (i = 0; i < n; i++)
		if (!is_class(needs[i].permission, "connect") && strcmp(needs[i].permission, "domain:monitor") != 0)
			return listed(by_name, proc->name) ? SHAPE_NAME : SHAPE_UNKNOWN;
	return n > 0 || listed(no_permission, proc->name) ? SHAPE_HOST : SHAPE_UNKNOWN;
}

bool
needs_everything(const struct rpc_proc *proc, bool optionals)
{
	return listed(unsafe, proc->name) || listed(everything, proc->name) || (optionals && listed(unsafe_optional, proc->name));
}

bool
is_about_host(const struct rpc_proc *proc)
{
	return listed(host, proc->name);
}

bool
is_refused(const struct rpc_proc *proc, bool optionals)
{
	return listed(refused, proc->name) || (optionals && listed(refused_optional, proc->name));
}

/* ---- roles and bindings ---- */

static bool
one_of(const char *words, const char *permission)
{
	const char *name = strchr(permission, ':') + 1, *at = strstr(words, name);
	size_t len = strlen(name);

	for (; at != NULL; at = strstr(at + 1, name))
		if ((at == words || at[-1] == ' ') && (at[len] == '\0' || at[len] == ' '))
			return true;
	return false;
}

static const char *
whole_of(const char *permission)
{
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (strcmp(parts[i].part, permission) == 0)
			return parts[i].whole;
	return strcmp(permission, "storage_vol:clone") == 0 ? "storage_vol:data_read" : permission;
}

/* Does denying the one take the other? A whole takes its parts, a part its whole, but no other part. */
static bool
takes(const char *denied, const char *permission)
{
	return strcmp(denied, permission) == 0 || strcmp(denied, whole_of(permission)) == 0 || strcmp(whole_of(denied), permission) == 0;
}

/* The table of built-in roles, as the manual has it. */
bool
role_allows(const char *role, const char *permission)
{
	static const char *const owned[] = { "domain", "storage_vol", "storage_pool", "network", "network_port", "nwfilter", "secret" };
	bool monitor = strcmp(permission, "domain:monitor") == 0 || strcmp(permission, "domain:agent") == 0;
	bool view = is_class(permission, "connect") ?
	    one_of("getattr read", permission) || strncmp(permission, "connect:search_", 15) == 0 : one_of("getattr read", permission);

	if (strncmp(role, ROLE_BUT, strlen(ROLE_BUT)) == 0)
		return !takes(role + strlen(ROLE_BUT), permission);
	if (strncmp(role, ROLE_PART, strlen(ROLE_PART)) == 0)
		return strcmp(permission, role + strlen(ROLE_PART)) == 0 || !takes(whole_of(role + strlen(ROLE_PART)), permission);
	if (monitor)
		return false;
	if (view || strcmp(role, "admin") == 0)
		return true;
	if (strcmp(role, "console-viewer") == 0)
		return is_class(permission, "domain") && one_of("screenshot view_graphics", permission);
	if (strcmp(role, "vm-admin") == 0 && !one_of("read_secure", permission))
		for (size_t i = 0; i < sizeof(owned) / sizeof(owned[0]); i++)
			if (is_class(permission, owned[i]))
				return true;
	if (strcmp(role, "operator") == 0 || strcmp(role, "vm-admin") == 0)
		return is_class(permission, "domain") && one_of("start stop reset suspend init_control pm_control send_input "
		    "send_signal screenshot open_graphics share_graphics paste_graphics open_device", permission);
	return false;
}

/* Bindings are on "CLASS:web-*" of every class (volumes and ports by their pool or network), on "*", or on nothing of this. */
static bool
covers(enum scope scope, enum variant variant)
{
	return scope == SCOPE_ALL || (scope == SCOPE_WEB && variant == THE_GRANTED);
}

static bool
named_only(enum vg_class class)
{
	return class == VG_CLASS_interface || class == VG_CLASS_nwfilter_binding || class == VG_CLASS_node_device ||
	    class == VG_CLASS_storage_vol;
}

static bool
is_there(enum vg_class class, enum variant variant)
{
	if (variant == THE_GRANTED)
		return true;
	/* Whether a name is one is for libvirtd to say; but a volume needs its pool. */
	if (class == VG_CLASS_interface || class == VG_CLASS_nwfilter_binding || class == VG_CLASS_node_device)
		return true;
	if (class == VG_CLASS_storage_vol)
		return variant != THE_ABSENT;
	return variant == THE_HIDDEN || (variant == THE_FORGED && class == VG_CLASS_secret);
}

static int
missing_code(enum vg_class class)
{
	static const int codes[VG_NUM_CLASSES] = { [VG_CLASS_domain] = 42, [VG_CLASS_network] = 43, [VG_CLASS_storage_pool] = 49,
 [VG_CLASS_node_device] = 53, [VG_CLASS_interface] = 57,
		[VG_CLASS_nwfilter] = 62, [VG_CLASS_secret] = 66, [VG_CLASS_nwfilter_binding] = 101,
		[VG_CLASS_storage_vol] = 50, [VG_CLASS_network_port] = 107 };

	return codes[class];
}

/* Codes below 72 and those from 100 on, without overlap. */
uint64_t
code_bit(int code)
{
	return code >= 40 && code < 72 ? 1ull << (code - 40) : code >= 100 && code < 110 ? 1ull << (code - 60) : 0;
}

/* What is in a pool or network is hidden with it, and by itself only from those who see that. */
static uint64_t
missing_codes(const char *role, enum vg_class class)
{
	enum vg_class parent = class == VG_CLASS_storage_vol ? VG_CLASS_storage_pool : class == VG_CLASS_network_port ? VG_CLASS_network : class;
	char getattr[64];

	(void)snprintf(getattr, sizeof(getattr), "%s:getattr", class_name(class));
	if (role_allows(role, getattr))
		class = parent;
	return code_bit(missing_code(class));
}

static bool
sees(const char *role, enum scope scope, enum vg_class class, enum variant variant)
{
	char getattr[64];

	(void)snprintf(getattr, sizeof(getattr), "%s:getattr", class_name(class));
	if (!role_allows(role, getattr))
		return false;
	/* Where only the name counts, a forged struct is simply the object of that name. */
	if (named_only(class) && (variant == THE_FORGED || variant == THE_FORGED_ABSENT))
		variant = THE_GRANTED;
	return is_there(class, variant) && covers(scope, variant);
}

void
expect(const struct rpc_proc *proc, const char *role, enum scope scope, const struct body *body, struct expectation *expectation)
{
	struct need needs[MAX_NEEDS];
	size_t n = needs_of(proc, needs);
	enum shape shape = shape_of(proc);
	enum vg_class named;

	memset(expectation, 0, sizeof(*expectation));
	expectation->verdict = EXPECT_INVALID;
	if (body->flag_arg != NULL && known_flags(proc, body->flag_arg) >= 0 && (body->flags & ~(uint64_t)known_flags(proc, body->flag_arg)) != 0)
		return;
	expectation->verdict = EXPECT_MISSING;
	for (size_t i = 0; i < body->num_objects; i++)
		if (!body->objects[i].in_array && !sees(role, scope, body->objects[i].class, body->objects[i].variant))
			expectation->codes |= missing_codes(role, body->objects[i].class);
	named = strncmp(proc->name, "node", 4) == 0 ? VG_CLASS_node_device : VG_CLASS_domain;
	if (shape == SHAPE_NAME && !sees(role, scope, named, THE_GRANTED))
		expectation->codes |= missing_codes(role, named);
	if (shape == SHAPE_NAME && scope != SCOPE_ALL && (scope == SCOPE_NONE || body->key == THE_HIDDEN || body->key == THE_ABSENT))
		expectation->codes |= missing_codes(role, named);
	if (expectation->codes != 0)
		return;
	expectation->verdict = EXPECT_ALLOW;
	if (shape == SHAPE_LOOKUP)
		return;
	expectation->verdict = EXPECT_DENY;
	for (size_t i = 0; i < n; i++) {
		bool whole = shape == SHAPE_HOST || needs_everything(proc, body->optionals);

		if (!applies(&needs[i], (uint32_t)body->flags))
			continue;
		if (!role_allows(role, needs[i].permission))
			return;
		if (!is_class(needs[i].permission, "connect") && whole && scope != SCOPE_ALL)
			return;
	}
	if (is_refused(proc, body->optionals) || (is_about_host(proc) && !role_allows(role, "connect:write")))
		return;
	/* Documents about web-1. */
	if (listed(documents, proc->name) && scope == SCOPE_NONE)
		return;
	/* Cloning reads the source. */
	if (strcmp(proc->name, "storage_vol_create_xml_from") == 0 && !role_allows(role, "storage_vol:clone"))
		return;
	expectation->verdict = EXPECT_ALLOW;
}
