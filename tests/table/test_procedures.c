/* test_procedures.c: every row of the procedure table is whole, and what it names is there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "proto/rpc.h"
#include "proto/table.h"

#define MAX_REMOTE 453
#define MAX_QEMU 7
#define MAX_LXC 1
#define NUM_ROWS (MAX_REMOTE + MAX_QEMU + MAX_LXC)

/* Each row in turn; failures name it. */
#define EACH_ROW(i, proc) (i = 0; (proc = rpc_proc_at(i)) != NULL; i++)
#define ROW_ASSERT(proc, condition) \
	do { \
		if (!(condition)) \
			fail_msg("%s (%u): %s", (proc)->name, (proc)->number, #condition); \
	} while (0)

static void
test_I23_every_number_has_one_row(void **state)
{
	static const struct { uint32_t program, max; } programs[] = {
		{ RPC_PROGRAM_LXC, MAX_LXC }, { RPC_PROGRAM_REMOTE, MAX_REMOTE }, { RPC_PROGRAM_QEMU, MAX_QEMU }
	};
	uint32_t number;
	size_t i, index = 0;

	(void)state;
	for (i = 0; i < 3; i++) {
		for (number = 1; number <= programs[i].max; number++) {
			const struct rpc_proc *proc = rpc_proc_find(programs[i].program, number);

			if (proc == NULL)
				fail_msg("program %x: no row for %u", programs[i].program, number);
			ROW_ASSERT(proc, proc->program == programs[i].program && proc->number == number);
			ROW_ASSERT(proc, rpc_proc_at(index) == proc);
			index++;
		}
	}
	assert_int_equal(index, NUM_ROWS);
	assert_null(rpc_proc_at(index));
}

static void
test_I23_nothing_else_has_a_row(void **state)
{
	static const uint32_t programs[] = {
		RPC_PROGRAM_REMOTE, RPC_PROGRAM_QEMU, RPC_PROGRAM_LXC, RPC_PROGRAM_KEEPALIVE, 0x06900690, 0x0EA7BEEF,
		0x87539319, 0x20008088, 0, UINT32_MAX
	};
	static const uint32_t last[] = { MAX_REMOTE, MAX_QEMU, MAX_LXC };
	size_t i;
	uint32_t number;

	(void)state;
	for (i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
		assert_null(rpc_proc_find(programs[i], 0));
		for (number = (i < 3 ? last[i] : 0) + 1; number < 2000; number++)
			assert_null(rpc_proc_find(programs[i], number));
		for (number = UINT32_MAX - 2000; number != 0; number++)
			assert_null(rpc_proc_find(programs[i], number));
	}
}

static void
test_names(void **state)
{
	const struct rpc_proc *proc;
	size_t i;

	(void)state;
	for EACH_ROW(i, proc)
		ROW_ASSERT(proc, rpc_proc_by_name(proc->name) == proc);
	assert_null(rpc_proc_by_name("domain_creat"));
	assert_null(rpc_proc_by_name(""));
}

/* ---- depth and size of descriptions ---- */

static size_t
depth_of(const struct xdr_field *fields)
{
	size_t deepest = 0, depth;

	for (; fields->name != NULL; fields++) {
		depth = 1;
		if (fields->type != NULL && fields->type->kind == XDR_STRUCT)
			depth += depth_of(fields->type->fields);
		if (depth > deepest)
			deepest = depth;
	}
	return deepest;
}

static void
check_fields(const struct rpc_proc *proc, const struct xdr_field *fields)
{
	for (; fields->name != NULL; fields++) {
		const struct xdr_field *other;

		for (other = fields + 1; other->name != NULL; other++)
			ROW_ASSERT(proc, strcmp(other->name, fields->name) != 0);
		ROW_ASSERT(proc, (fields->type == NULL) == (fields->form == XDR_BYTES));
		ROW_ASSERT(proc, (fields->max != 0) == (fields->form >= XDR_ARRAY));
		if (fields->type == NULL || fields->type->kind != XDR_STRUCT)
			continue;
		/* Items of no bytes would cost time for nothing. */
		ROW_ASSERT(proc, fields->type->fields[0].name != NULL);
		check_fields(proc, fields->type->fields);
	}
}

static void
test_descriptions(void **state)
{
	const struct rpc_proc *proc;
	size_t i, deepest = 0;

	(void)state;
	for EACH_ROW(i, proc) {
		check_fields(proc, proc->args);
		check_fields(proc, proc->ret);
		deepest = depth_of(proc->args) > deepest ? depth_of(proc->args) : deepest;
		deepest = depth_of(proc->ret) > deepest ? depth_of(proc->ret) : deepest;
	}
	assert_int_equal(deepest, 3);
	assert_true(deepest <= XDR_MAX_DEPTH && depth_of(rpc_error_fields) <= XDR_MAX_DEPTH);
}

/* ---- paths ---- */

/* The field at a path, as the description has it; `in_array` when the path went through an array. */
static const struct xdr_field *
field_at(const struct xdr_field *fields, const char *path, bool *in_array)
{
	size_t len = strcspn(path, ".[");

	*in_array = false;
	for (;;) {
		for (; fields->name != NULL; fields++)
			if (strlen(fields->name) == len && strncmp(fields->name, path, len) == 0)
				break;
		if (fields->name == NULL)
			return NULL;
		path += len;
		if (*path != '.')
			break;
		if (fields->type == NULL || fields->type->kind != XDR_STRUCT)
			return NULL;
		*in_array |= fields->form == XDR_ARRAY;
		fields = fields->type->fields;
		path++;
		len = strcspn(path, ".[");
	}
	if (*path == '[' && (fields->type != &xdr_type_typed_param || path[strlen(path) - 1] != ']'))
		return NULL;
	return fields;
}

static const struct xdr_type *
type_of_class(enum vg_class class)
{
	switch (class) {
	case VG_CLASS_domain: return &xdr_type_nonnull_domain;
	case VG_CLASS_interface: return &xdr_type_nonnull_interface;
	case VG_CLASS_network: return &xdr_type_nonnull_network;
	case VG_CLASS_network_port: return &xdr_type_nonnull_network_port;
	case VG_CLASS_node_device: return &xdr_type_nonnull_node_device;
	case VG_CLASS_nwfilter: return &xdr_type_nonnull_nwfilter;
	case VG_CLASS_nwfilter_binding: return &xdr_type_nonnull_nwfilter_binding;
	case VG_CLASS_secret: return &xdr_type_nonnull_secret;
	case VG_CLASS_storage_pool: return &xdr_type_nonnull_storage_pool;
	case VG_CLASS_storage_vol: return &xdr_type_nonnull_storage_vol;
	default: return NULL;
	}
}

static bool
is_text_or_param(const struct xdr_field *field, const char *path)
{
	if (strchr(path, '[') != NULL)
		return true;
	return field->type == &xdr_type_nonnull_string && field->form <= XDR_OPTIONAL;
}

/* Does what `object` says about its place hold in these fields? */
static void
check_object(const struct rpc_proc *proc, const struct rpc_object *object, const struct xdr_field *fields,
    bool may_be_array)
{
	const struct xdr_field *field;
	bool in_array;

	if (object->from == RPC_FROM_NOWHERE) {
		ROW_ASSERT(proc, object->path == NULL && object->class == VG_CLASS_none);
		return;
	}
	if (object->from == RPC_FROM_CONNECTION) {
		ROW_ASSERT(proc, object->path == NULL && object->class == VG_CLASS_connect);
		return;
	}
	if (object->from == RPC_FROM_INCOMING_MIGRATION && object->path == NULL)
		return;
	ROW_ASSERT(proc, object->path != NULL);
	field = field_at(fields, object->path, &in_array);
	ROW_ASSERT(proc, field != NULL);
	ROW_ASSERT(proc, !in_array);
	switch (object->from) {
	case RPC_FROM_ARG:
		ROW_ASSERT(proc, field->type == type_of_class(object->class) && field->type != NULL);
		ROW_ASSERT(proc, field->form <= XDR_OPTIONAL || (may_be_array && field->form == XDR_ARRAY));
		return;
	case RPC_FROM_BY_ID:
		ROW_ASSERT(proc, field->type == &xdr_type_int32 && field->form == XDR_ONE);
		return;
	case RPC_FROM_BY_UUID:
		ROW_ASSERT(proc, field->type == &xdr_type_uuid && field->form == XDR_ONE);
		return;
	case RPC_FROM_HOST_PID:
		ROW_ASSERT(proc, field->type == &xdr_type_uint32 && field->form == XDR_ONE);
		return;
	default:
		ROW_ASSERT(proc, is_text_or_param(field, object->path));
	}
}

static void
test_objects_are_where_rows_say(void **state)
{
	const struct rpc_proc *proc;
	size_t i, j;

	(void)state;
	for EACH_ROW(i, proc) {
		check_object(proc, &proc->about, proc->args, false);
		check_object(proc, &proc->parent, proc->args, false);
		check_object(proc, &proc->returns, proc->ret, false);
		check_object(proc, &proc->mentions, proc->ret, false);
		for (j = 0; j < RPC_MAX_OTHERS; j++)
			check_object(proc, &proc->others[j], proc->args, true);
		ROW_ASSERT(proc, proc->parent.from == RPC_FROM_NOWHERE || proc->parent.from == RPC_FROM_ARG);
		ROW_ASSERT(proc, proc->returns.from == RPC_FROM_NOWHERE || proc->returns.from == RPC_FROM_ARG);
		ROW_ASSERT(proc, proc->mentions.from == RPC_FROM_NOWHERE || proc->mentions.from == RPC_FROM_XML ||
		    proc->mentions.from == RPC_FROM_BY_NAME);
	}
}

/* libvirt's own check of an incoming migration is on the name beside the XML, not on the one in it. */
static void
test_I44_the_name_of_an_incoming_domain(void **state)
{
	static const char *const paths[] = { "dname", "params[destination_name]" };
	const struct xdr_field *field;
	const struct rpc_proc *proc;
	size_t i, incoming = 0;
	bool in_array;

	(void)state;
	for EACH_ROW(i, proc) {
		ROW_ASSERT(proc, (proc->renamed_by != NULL) == (proc->about.from == RPC_FROM_INCOMING_MIGRATION));
		if (proc->about.from == RPC_FROM_XML)
			ROW_ASSERT(proc, field_at(proc->args, "dname", &in_array) == NULL);
		if (proc->renamed_by == NULL)
			continue;
		incoming++;
		field = field_at(proc->args, proc->renamed_by, &in_array);
		ROW_ASSERT(proc, field != NULL && is_text_or_param(field, proc->renamed_by));
		ROW_ASSERT(proc, strcmp(proc->renamed_by, paths[field->type == &xdr_type_typed_param]) == 0);
	}
	assert_int_equal(incoming, 7);
}

/* A struct of objects in the arguments that the row does not tell of would reach libvirt unchecked. */
static void
test_I25_no_object_in_arguments_is_overlooked(void **state)
{
	const struct rpc_proc *proc;
	const struct xdr_field *field;
	size_t i, j, told, there;

	(void)state;
	for EACH_ROW(i, proc) {
		told = proc->about.from == RPC_FROM_ARG;
		told += proc->parent.from == RPC_FROM_ARG;
		for (j = 0; j < RPC_MAX_OTHERS; j++)
			told += proc->others[j].from == RPC_FROM_ARG;
		there = 0;
		for (field = proc->args; field->name != NULL; field++)
			there += field->type != NULL && strncmp(field->type->name, "nonnull_", 8) == 0 &&
			    field->type != &xdr_type_nonnull_string;
		if (proc->kind == RPC_KIND_EVENT)
			ROW_ASSERT(proc, there <= told);
		else
			ROW_ASSERT(proc, there == told);
	}
}

static void
check_int_argument(const struct rpc_proc *proc, const char *name)
{
	bool in_array;
	const struct xdr_field *field;

	ROW_ASSERT(proc, name != NULL && strpbrk(name, ".[") == NULL);
	field = field_at(proc->args, name, &in_array);
	ROW_ASSERT(proc, field != NULL);
	ROW_ASSERT(proc, field->form == XDR_ONE);
	ROW_ASSERT(proc, field->type == &xdr_type_uint32 || field->type == &xdr_type_int32);
}

/* A mask that names no argument, and bits that something else in the row goes by but that no call could have. */
static void
test_I28_flags_are_known(void **state)
{
	const struct rpc_proc *proc;
	const struct rpc_need *need;
	size_t i, masks = 0;

	(void)state;
	for EACH_ROW(i, proc) {
		bool in_array;

		ROW_ASSERT(proc, proc->flags == 0 || field_at(proc->args, "flags", &in_array) != NULL);
		ROW_ASSERT(proc, (proc->more_flags.arg == NULL) == (proc->more_flags.known == 0));
		if (proc->more_flags.arg != NULL)
			check_int_argument(proc, proc->more_flags.arg);
		for (need = proc->needs; need->permission != VG_PERM_NONE; need++)
			ROW_ASSERT(proc, need->arg == NULL || strcmp(need->arg, "flags") != 0 || (need->value & ~proc->flags) == 0);
		ROW_ASSERT(proc, (proc->sparse_mask & ~proc->flags) == 0 && (proc->running_unless & ~proc->flags) == 0);
		ROW_ASSERT(proc, proc->readonly_arg == NULL || strcmp(proc->readonly_arg, "flags") != 0 ||
		    (proc->readonly_mask & ~proc->flags) == 0);
		masks += proc->flags != 0;
	}
	assert_true(masks > 150);
}

static void
test_I28_conditions_name_arguments(void **state)
{
	const struct rpc_proc *proc;
	const struct rpc_need *need;
	size_t i, conditional = 0;

	(void)state;
	for EACH_ROW(i, proc) {
		bool has_condition = false, in_array;
		uint32_t kinds = 0;

		for (need = proc->needs; need->permission != VG_PERM_NONE; need++) {
			ROW_ASSERT(proc, need->permission < VG_NUM_PERMISSIONS);
			ROW_ASSERT(proc, (need->arg == NULL) == (need->test == RPC_TEST_ALWAYS));
			if (need->test == RPC_TEST_ALWAYS)
				continue;
			if (need->test == RPC_TEST_DEVICE) {
				kinds |= need->value;
				ROW_ASSERT(proc, strcmp(need->arg, "xml") == 0 && field_at(proc->args, "xml", &in_array) != NULL);
				continue;
			}
			has_condition = true;
			ROW_ASSERT(proc, need->value != 0);
			check_int_argument(proc, need->arg);
		}
		conditional += has_condition;
		ROW_ASSERT(proc, kinds == 0 || kinds == RPC_DEVICE_ANY);
		ROW_ASSERT(proc, (proc->readonly == RPC_RO_DENIED_IF) == (proc->readonly_arg != NULL));
		ROW_ASSERT(proc, (proc->readonly == RPC_RO_DENIED_IF) == (proc->readonly_mask != 0));
		if (proc->readonly_arg != NULL)
			check_int_argument(proc, proc->readonly_arg);
	}
	assert_int_equal(conditional, 36 + 3);	/* libvirt's, and ours on domain_save_image_get_xml_desc, domain_open_console, domain_open_channel */
}

static void
test_I51_lists(void **state)
{
	const struct rpc_proc *proc;
	const struct xdr_field *field;
	size_t i, lists = 0;
	bool in_array;

	(void)state;
	for EACH_ROW(i, proc) {
		const struct rpc_list *list = &proc->list;

		if (list->form == RPC_LIST_NONE) {
			ROW_ASSERT(proc, list->class == VG_CLASS_none && list->items == NULL && list->count == NULL);
			continue;
		}
		lists++;
		ROW_ASSERT(proc, proc->filter != VG_PERM_NONE && type_of_class(list->class) != NULL);
		if (list->count != NULL) {
			field = field_at(proc->ret, list->count, &in_array);
			ROW_ASSERT(proc, field != NULL && field->form == XDR_ONE && !in_array);
			ROW_ASSERT(proc, field->type == &xdr_type_uint32 || field->type == &xdr_type_int32);
		}
		ROW_ASSERT(proc, (list->items == NULL) == (list->form == RPC_LIST_COUNT));
		if (list->items == NULL) {
			ROW_ASSERT(proc, list->count != NULL);
			continue;
		}
		field = field_at(proc->ret, list->items, &in_array);
		ROW_ASSERT(proc, field != NULL);
		ROW_ASSERT(proc, in_array != (field->form == XDR_ARRAY));
		if (list->form == RPC_LIST_OBJECT)
			ROW_ASSERT(proc, field->type == type_of_class(list->class));
		else if (list->form == RPC_LIST_ID)
			ROW_ASSERT(proc, field->type == &xdr_type_int32);
		else if (list->form == RPC_LIST_WHOLE)
			ROW_ASSERT(proc, field->type == &xdr_type_network_dhcp_lease);
		else
			ROW_ASSERT(proc, field->type == &xdr_type_nonnull_string);
	}
	assert_int_equal(lists, 36);
}

/* Whatever a reply lists of a class that can be filtered is told as a list, or known not to be filtered by libvirt. */
static void
test_I51_no_list_is_overlooked(void **state)
{
	const struct rpc_proc *proc;
	const struct xdr_field *field;
	size_t i;

	(void)state;
	for EACH_ROW(i, proc) {
		for (field = proc->ret; field->name != NULL; field++) {
			if (field->form != XDR_ARRAY || strncmp(field->type->name, "nonnull_", 8) != 0)
				continue;
			if (field->type == &xdr_type_nonnull_string)
				continue;
			if (strncmp(field->type->name, "nonnull_domain_", 15) == 0)	/* snapshot, checkpoint */
				ROW_ASSERT(proc, proc->about.class == VG_CLASS_domain);	/* all of that one domain */
			else
				ROW_ASSERT(proc, proc->list.form == RPC_LIST_OBJECT);
		}
	}
}

static void
test_I16_streams(void **state)
{
	const struct rpc_proc *proc;
	size_t i, streams = 0;

	(void)state;
	for EACH_ROW(i, proc) {
		streams += proc->stream != RPC_STREAM_NONE;
		if (proc->stream != RPC_STREAM_NONE)
			ROW_ASSERT(proc, proc->kind == RPC_KIND_CHANGE || proc->kind == RPC_KIND_ACCESS);
		if (proc->sparse_mask == 0)
			continue;
		ROW_ASSERT(proc, proc->stream == RPC_STREAM_READ || proc->stream == RPC_STREAM_WRITE);
		check_int_argument(proc, "flags");
	}
	assert_int_equal(streams, 8);
}

static void
test_I52_events(void **state)
{
	const struct rpc_proc *proc;
	size_t i, events = 0;

	(void)state;
	for EACH_ROW(i, proc) {
		bool callback = proc->args[0].name != NULL && strcmp(proc->args[0].name, "callbackID") == 0;

		if (proc->kind != RPC_KIND_EVENT) {
			ROW_ASSERT(proc, !proc->has_callback_id);
			continue;
		}
		events++;
		ROW_ASSERT(proc, callback == proc->has_callback_id);
		ROW_ASSERT(proc, proc->ret[0].name == NULL && proc->needs[0].permission == VG_PERM_NONE);
		ROW_ASSERT(proc, (proc->filter != VG_PERM_NONE) == (proc->about.from == RPC_FROM_ARG));
		/* The one that is about the connection: it goes to whoever has one. */
		if (proc->filter == VG_PERM_NONE)
			ROW_ASSERT(proc, strcmp(proc->name, "connect_event_connection_closed") == 0);
	}
	assert_int_equal(events, 54);
}

static void
test_I2_before_authentication(void **state)
{
	static const char *const names[] = {
		"auth_list", "auth_sasl_init", "auth_sasl_start", "auth_sasl_step", "auth_polkit"
	};
	const struct rpc_proc *proc;
	size_t i, j, found = 0;

	(void)state;
	for EACH_ROW(i, proc) {
		bool expected = false;

		for (j = 0; j < sizeof(names) / sizeof(names[0]); j++)
			expected |= strcmp(proc->name, names[j]) == 0;
		ROW_ASSERT(proc, proc->before_auth == expected);
		found += expected;
	}
	assert_int_equal(found, 5);
}

/* A call that needs no permission at all is one of few, and known. */
static void
test_I23_no_call_is_free_by_mistake(void **state)
{
	const struct rpc_proc *proc;
	const struct rpc_need *need;
	size_t i;

	(void)state;
	for EACH_ROW(i, proc) {
		bool always = false;

		for (need = proc->needs; need->permission != VG_PERM_NONE; need++)
			always |= need->test == RPC_TEST_ALWAYS || need->test == RPC_TEST_DEVICE;
		if (proc->kind == RPC_KIND_EVENT || proc->before_auth || strcmp(proc->name, "connect_close") == 0)
			continue;
		ROW_ASSERT(proc, always || strcmp(proc->name, "connect_is_secure") == 0);
	}
}

static void
test_I30_what_a_read_only_socket_refuses_is_no_read(void **state)
{
	const struct rpc_proc *proc;
	size_t i;

	(void)state;
	for EACH_ROW(i, proc)
		ROW_ASSERT(proc, proc->kind != RPC_KIND_READ || proc->readonly != RPC_RO_DENIED);
}

/* What only reads is no change, whatever permission it takes: it waits for no disk. But for those that start or open on the host what the caller names. */
static void
test_what_only_reads_is_no_change(void **state)
{
	static const char *const but[] = { "connect_get_domain_capabilities", "domain_save_image_get_xml_desc" };
	const struct rpc_proc *proc;
	size_t i, num = 0;

	(void)state;
	for EACH_ROW(i, proc) {
		const char *get = strstr(proc->name, "_get");

		if (proc->kind != RPC_KIND_CHANGE || get == NULL || (get[4] != '_' && get[4] != '\0'))
			continue;
		ROW_ASSERT(proc, strcmp(proc->name, but[0]) == 0 || strcmp(proc->name, but[1]) == 0);
		num++;
	}
	assert_int_equal(num, sizeof(but) / sizeof(but[0]));
}

/* CVE-2024-2494: an int argument that is a number of things. Those that may be negative are known by name. */
static void
test_I19_counts_are_never_negative(void **state)
{
	static const char *const counts[] = {
		"nparams", "ncpumaps", "maplen", "maxinfo", "maxnames", "maxids", "maxcells", "maxuuids"
	};
	const struct rpc_proc *proc;
	const struct xdr_field *field;
	size_t i, j, found = 0;

	(void)state;
	for EACH_ROW(i, proc) {
		for (field = proc->args; field->name != NULL; field++) {
			bool is_count = false;

			if (field->type == NULL || field->type->kind != XDR_INT32)
				continue;
			for (j = 0; j < sizeof(counts) / sizeof(counts[0]); j++)
				is_count |= strcmp(field->name, counts[j]) == 0;
			if (!is_count && (strncmp(field->name, "max", 3) == 0 || strncmp(field->name, "num", 3) == 0))
				fail_msg("%s: is '%s' a count?", proc->name, field->name);
			ROW_ASSERT(proc, field->type->never_negative == is_count);
			found += is_count;
		}
	}
	assert_true(found > 30);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_I23_every_number_has_one_row),
		cmocka_unit_test(test_I23_nothing_else_has_a_row),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_descriptions),
		cmocka_unit_test(test_objects_are_where_rows_say),
		cmocka_unit_test(test_I44_the_name_of_an_incoming_domain),
		cmocka_unit_test(test_I25_no_object_in_arguments_is_overlooked),
		cmocka_unit_test(test_I28_conditions_name_arguments),
		cmocka_unit_test(test_I28_flags_are_known),
		cmocka_unit_test(test_I51_lists),
		cmocka_unit_test(test_I51_no_list_is_overlooked),
		cmocka_unit_test(test_I16_streams),
		cmocka_unit_test(test_I52_events),
		cmocka_unit_test(test_I2_before_authentication),
		cmocka_unit_test(test_I23_no_call_is_free_by_mistake),
		cmocka_unit_test(test_I30_what_a_read_only_socket_refuses_is_no_read),
		cmocka_unit_test(test_what_only_reads_is_no_change),
		cmocka_unit_test(test_I19_counts_are_never_negative),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
