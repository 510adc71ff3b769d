/* test_rpc.c: headers, who may send what, and the messages that the gateway writes itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proto/rpc.h"

enum { CONNECT_OPEN = 1, DOMAIN_CREATE = 9, AUTH_LIST = 66, EVENT_LIFECYCLE = 107, OPEN_CONSOLE = 201, VOL_UPLOAD = 208,
    VOL_DOWNLOAD = 209, SCREENSHOT = 211 };

static struct rpc_header
header_of(int32_t procedure, enum rpc_type type, enum rpc_status status, uint32_t length)
{
	return (struct rpc_header){
		.length = length, .program = RPC_PROGRAM_REMOTE, .version = 1, .procedure = procedure,
		.type = (int32_t)type, .serial = 7, .status = (int32_t)status
	};
}

static void
test_header_there_and_back(void **state)
{
	const struct rpc_header header = {
		.length = 33554436, .program = 0x20008087, .version = 0xfffffffe, .procedure = -3, .type = 6,
		.serial = 0x80000001, .status = -1
	};
	struct rpc_header again;
	uint8_t buf[RPC_HEADER_LEN];

	(void)state;
	rpc_header_put(buf, &header);
	assert_int_equal(rpc_header_get(buf, sizeof(buf), &again), VG_OK);
	assert_memory_equal(&header, &again, sizeof(header));
}

static void
test_I13_length_bounds(void **state)
{
	static const struct { uint32_t length; enum vg_parse expected; } samples[] = {
		{ 0, VG_BAD }, { 3, VG_BAD }, { 4, VG_BAD }, { 27, VG_BAD }, { 28, VG_MORE }, { 29, VG_MORE },
		{ 33554436, VG_MORE }, { 33554437, VG_BAD }, { 0x80000000, VG_BAD }, { UINT32_MAX, VG_BAD }
	};
	struct rpc_header header = { 0 };
	uint8_t buf[RPC_HEADER_LEN];
	size_t i, len;

	(void)state;
	for (i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
		header.length = samples[i].length;
		rpc_header_put(buf, &header);
		for (len = 0; len < 4; len++)
			assert_int_equal(rpc_header_get(buf, len, &header), VG_MORE);
		for (; len < RPC_HEADER_LEN; len++)	/* the verdict on the length does not wait for the rest */
			assert_int_equal(rpc_header_get(buf, len, &header), samples[i].expected);
	}
}

/* What INVARIANTS and libvirt's own behaviour allow, for every type and status there is, and for some that are not. */
static bool
client_may(int32_t type, int32_t status)
{
	return (type == RPC_CALL && status == RPC_STATUS_OK) || (type == RPC_STREAM && status >= 0 && status <= 2) ||
	    (type == RPC_STREAM_HOLE && status == RPC_STATUS_CONTINUE);
}

static bool
backend_may(int32_t type, int32_t status)
{
	return (type == RPC_REPLY && (status == RPC_STATUS_OK || status == RPC_STATUS_ERROR)) ||
	    (type == RPC_STREAM && status >= 0 && status <= 2) ||
	    (type == RPC_STREAM_HOLE && status == RPC_STATUS_CONTINUE);
}

/* The length that a message of this type has, so that only type and status are judged. */
static uint32_t
usual_length(int32_t type, int32_t status, bool client)
{
	if (type == RPC_STREAM_HOLE)
		return 40;
	if (type == RPC_STREAM)
		return status == RPC_STATUS_CONTINUE || (status == RPC_STATUS_ERROR && !client) ? 100 : 28;
	return 28;
}

static void
test_I15_types_and_statuses(void **state)
{
	int32_t type, status;

	(void)state;
	for (type = -2; type < 12; type++) {
		for (status = -2; status < 6; status++) {
			struct rpc_header up = header_of(VOL_UPLOAD, (enum rpc_type)type, (enum rpc_status)status,
			    usual_length(type, status, true));
			struct rpc_header down = header_of(VOL_DOWNLOAD, (enum rpc_type)type, (enum rpc_status)status,
			    usual_length(type, status, false));

			if ((rpc_check_client(&up) == VG_OK) != client_may(type, status))
				fail_msg("client: type %d, status %d", type, status);
			if ((rpc_check_backend(&down) == VG_OK) != backend_may(type, status))
				fail_msg("backend: type %d, status %d", type, status);
		}
	}
}

static void
test_I15_serials(void **state)
{
	struct rpc_header call = header_of(DOMAIN_CREATE, RPC_CALL, RPC_STATUS_OK, 60);
	struct rpc_header first = header_of(AUTH_LIST, RPC_CALL, RPC_STATUS_OK, 28);
	struct rpc_header stream = header_of(VOL_UPLOAD, RPC_STREAM, RPC_STATUS_CONTINUE, 60);
	struct rpc_header reply = header_of(DOMAIN_CREATE, RPC_REPLY, RPC_STATUS_OK, 28);

	(void)state;
	call.serial = first.serial = stream.serial = reply.serial = UINT32_MAX;
	assert_int_equal(rpc_check_client(&call), VG_OK);
	assert_int_equal(rpc_check_client(&first), VG_OK);
	assert_int_equal(rpc_check_client(&stream), VG_OK);
	assert_int_equal(rpc_check_backend(&reply), VG_OK);
	call.serial = first.serial = stream.serial = reply.serial = 0;
	assert_int_equal(rpc_check_client(&call), VG_BAD);
	assert_int_equal(rpc_check_client(&first), VG_OK);	/* libvirt's clients begin with it */
	assert_int_equal(rpc_check_client(&stream), VG_BAD);
	assert_int_equal(rpc_check_backend(&reply), VG_BAD);
}

static void
test_I14_unknown_calls_are_for_an_error_reply(void **state)
{
	static const uint32_t programs[] = { 0x06900690, 0x0EA7BEEF, 0x87539319, 0, UINT32_MAX, RPC_PROGRAM_REMOTE };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
		int32_t procedure = programs[i] == RPC_PROGRAM_REMOTE ? 454 : 1;
		struct rpc_header header = header_of(procedure, RPC_CALL, RPC_STATUS_OK, 28);

		header.program = programs[i];
		assert_int_equal(rpc_check_client(&header), VG_OK);
		assert_null(rpc_header_proc(&header));
		assert_int_equal(rpc_check_backend(&header), VG_BAD);
		header.type = RPC_REPLY;
		assert_int_equal(rpc_check_backend(&header), VG_BAD);
		header.type = RPC_STREAM;
		header.status = RPC_STATUS_CONTINUE;
		assert_int_equal(rpc_check_client(&header), VG_BAD);
	}
}

static void
test_I14_row_of_a_header(void **state)
{
	struct rpc_header call = header_of(DOMAIN_CREATE, RPC_CALL, RPC_STATUS_OK, 60);
	struct rpc_header event = header_of(EVENT_LIFECYCLE, RPC_EVENT, RPC_STATUS_OK, 60);

	(void)state;
	assert_string_equal(rpc_header_proc(&call)->name, "domain_create");
	assert_string_equal(rpc_header_proc(&event)->name, "domain_event_lifecycle");
	assert_int_equal(rpc_check_backend(&event), VG_OK);
	assert_int_equal(rpc_check_client(&event), VG_BAD);

	call.version = event.version = 2;
	assert_null(rpc_header_proc(&call));
	assert_int_equal(rpc_check_backend(&event), VG_BAD);
	call.version = event.version = 1;

	call.type = RPC_EVENT;
	assert_null(rpc_header_proc(&call));
	event.type = RPC_CALL;
	assert_null(rpc_header_proc(&event));
	event.type = RPC_REPLY;
	assert_int_equal(rpc_check_backend(&event), VG_BAD);
	call.type = RPC_CALL;
	call.procedure = 0;
	assert_null(rpc_header_proc(&call));
	call.procedure = INT32_MIN;
	assert_null(rpc_header_proc(&call));
}

static void
test_keepalive_has_one_form(void **state)
{
	const struct rpc_header good = {
		.length = 28, .program = RPC_PROGRAM_KEEPALIVE, .version = 1, .procedure = 1, .type = RPC_EVENT
	};
	struct rpc_header header;
	uint8_t buf[RPC_HEADER_LEN];
	size_t i;

	(void)state;
	rpc_put_keepalive(buf, RPC_KEEPALIVE_PING);
	assert_int_equal(rpc_header_get(buf, sizeof(buf), &header), VG_OK);
	assert_memory_equal(&header, &good, sizeof(header));
	rpc_put_keepalive(buf, RPC_KEEPALIVE_PONG);
	assert_int_equal(rpc_header_get(buf, sizeof(buf), &header), VG_OK);
	assert_int_equal(rpc_check_client(&header), VG_OK);
	assert_int_equal(rpc_check_backend(&header), VG_OK);

	for (i = 0; i < 7; i++) {
		header = good;
		switch (i) {
		case 0: header.length = 32; break;
		case 1: header.version = 2; break;
		case 2: header.procedure = 3; break;
		case 3: header.procedure = 0; break;
		case 4: header.type = RPC_CALL; break;
		case 5: header.serial = 1; break;
		case 6: header.status = 1; break;
		}
		assert_int_equal(rpc_check_client(&header), VG_BAD);
		assert_int_equal(rpc_check_backend(&header), VG_BAD);
	}
}

static void
test_I16_streams_flow_one_way(void **state)
{
	static const struct { int32_t procedure; enum vg_parse client, backend; } samples[] = {
		{ VOL_UPLOAD, VG_OK, VG_BAD }, { VOL_DOWNLOAD, VG_BAD, VG_OK }, { SCREENSHOT, VG_BAD, VG_OK },
		{ OPEN_CONSOLE, VG_OK, VG_OK }, { DOMAIN_CREATE, VG_BAD, VG_BAD }, { EVENT_LIFECYCLE, VG_BAD, VG_BAD }
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
		struct rpc_header data = header_of(samples[i].procedure, RPC_STREAM, RPC_STATUS_CONTINUE, 1000);
		struct rpc_header end = header_of(samples[i].procedure, RPC_STREAM, RPC_STATUS_OK, 28);
		bool has_stream = samples[i].client == VG_OK || samples[i].backend == VG_OK;

		assert_int_equal(rpc_check_client(&data), samples[i].client);
		assert_int_equal(rpc_check_backend(&data), samples[i].backend);
		assert_int_equal(rpc_check_client(&end), has_stream ? VG_OK : VG_BAD);
		assert_int_equal(rpc_check_backend(&end), has_stream ? VG_OK : VG_BAD);
	}
}

static void
test_I17_forms_of_stream_messages(void **state)
{
	struct rpc_header finish = header_of(VOL_UPLOAD, RPC_STREAM, RPC_STATUS_OK, 29);
	struct rpc_header abort = header_of(VOL_UPLOAD, RPC_STREAM, RPC_STATUS_ERROR, 28);
	struct rpc_header hole = header_of(VOL_UPLOAD, RPC_STREAM_HOLE, RPC_STATUS_CONTINUE, 40);

	(void)state;
	assert_int_equal(rpc_check_client(&finish), VG_BAD);	/* nothing follows a finish */
	assert_int_equal(rpc_check_backend(&finish), VG_BAD);
	assert_int_equal(rpc_check_client(&abort), VG_OK);
	assert_int_equal(rpc_check_backend(&abort), VG_BAD);	/* the backend says why */
	abort.length = 100;
	assert_int_equal(rpc_check_client(&abort), VG_BAD);
	assert_int_equal(rpc_check_backend(&abort), VG_OK);

	assert_int_equal(rpc_check_client(&hole), VG_OK);
	assert_int_equal(rpc_check_backend(&hole), VG_BAD);
	hole.procedure = VOL_DOWNLOAD;
	assert_int_equal(rpc_check_client(&hole), VG_BAD);
	assert_int_equal(rpc_check_backend(&hole), VG_OK);
	hole.procedure = OPEN_CONSOLE;				/* never sparse */
	assert_int_equal(rpc_check_client(&hole), VG_BAD);
	hole.procedure = VOL_UPLOAD;
	hole.length = 36;
	assert_int_equal(rpc_check_client(&hole), VG_BAD);
}

static void
test_body_fields(void **state)
{
	const struct rpc_proc *upload = rpc_proc_by_name("storage_vol_upload");
	struct rpc_header header = header_of(VOL_UPLOAD, RPC_CALL, RPC_STATUS_OK, 100);

	(void)state;
	assert_ptr_equal(rpc_body_fields(&header, upload), upload->args);
	header.type = RPC_REPLY;
	assert_ptr_equal(rpc_body_fields(&header, upload), upload->ret);
	header.status = RPC_STATUS_ERROR;
	assert_ptr_equal(rpc_body_fields(&header, upload), rpc_error_fields);
	header.type = RPC_STREAM;
	assert_ptr_equal(rpc_body_fields(&header, upload), rpc_error_fields);
	header.length = 28;
	assert_null(rpc_body_fields(&header, upload)->name);
	header.status = RPC_STATUS_CONTINUE;
	assert_null(rpc_body_fields(&header, upload));
	header.type = RPC_STREAM_HOLE;
	assert_string_equal(rpc_body_fields(&header, upload)->name, "length");
}

static void
test_error_there_and_back(void **state)
{
	struct rpc_error error = { .code = RPC_ERR_ACCESS_DENIED, .origin = RPC_ORIGIN_ACCESS }, again;
	struct rpc_header call = header_of(DOMAIN_CREATE, RPC_CALL, RPC_STATUS_OK, 60), answer;
	uint8_t buf[RPC_MAX_ERROR_LEN];
	size_t len, size;

	(void)state;
	memset(error.message, 'x', sizeof(error.message) - 1);
	len = rpc_put_error(buf, sizeof(buf), &call, &error);
	assert_true(len > RPC_HEADER_LEN);
	assert_int_equal(rpc_header_get(buf, len, &answer), VG_OK);
	assert_int_equal(answer.length, len);
	assert_int_equal(answer.type, RPC_REPLY);
	assert_int_equal(answer.status, RPC_STATUS_ERROR);
	assert_int_equal(answer.serial, 7);
	assert_int_equal(answer.procedure, DOMAIN_CREATE);
	assert_int_equal(rpc_check_backend(&answer), VG_OK);
	assert_int_equal(xdr_check(rpc_error_fields, buf + RPC_HEADER_LEN, len - RPC_HEADER_LEN), VG_OK);
	rpc_get_error(buf + RPC_HEADER_LEN, len - RPC_HEADER_LEN, &again);
	assert_int_equal(again.code, 88);
	assert_int_equal(again.origin, 55);
	assert_string_equal(again.message, error.message);
	for (size = 0; size < len; size++)
		assert_int_equal(rpc_put_error(buf, size, &call, &error), 0);
	assert_int_equal(rpc_put_error(buf, len, &call, &error), len);
}

static void
test_error_of_a_stream(void **state)
{
	const struct rpc_error error = { .code = RPC_ERR_SYSTEM, .origin = RPC_ORIGIN_RPC, .message = "no" };
	struct rpc_header data = header_of(VOL_UPLOAD, RPC_STREAM, RPC_STATUS_CONTINUE, 100), answer;
	uint8_t buf[RPC_MAX_ERROR_LEN];

	(void)state;
	assert_true(rpc_put_error(buf, sizeof(buf), &data, &error) > 0);
	assert_int_equal(rpc_header_get(buf, sizeof(buf), &answer), VG_OK);
	assert_int_equal(answer.type, RPC_STREAM);
	assert_int_equal(answer.status, RPC_STATUS_ERROR);
	assert_int_equal(rpc_check_backend(&answer), VG_OK);	/* against the direction of data, as any end */
}

static void
test_long_error_text_of_the_backend_is_cut(void **state)
{
	uint8_t body[1024];
	struct rpc_error error;
	struct xdr_out out;
	char text[601];
	int i;

	(void)state;
	memset(text, 'y', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	xdr_out_init(&out, body, sizeof(body));
	xdr_put_i32(&out, 42);
	xdr_put_i32(&out, 10);
	xdr_put_optional_string(&out, text);
	xdr_put_i32(&out, 2);
	for (i = 0; i < 4; i++)
		xdr_put_u32(&out, 0);
	xdr_put_i32(&out, -1);
	xdr_put_i32(&out, -1);
	xdr_put_u32(&out, 0);
	assert_false(out.failed);
	assert_int_equal(xdr_check(rpc_error_fields, body, out.len), VG_OK);
	rpc_get_error(body, out.len, &error);
	assert_int_equal(strlen(error.message), sizeof(error.message) - 1);
	assert_memory_equal(error.message, text, sizeof(error.message) - 1);
}

/* The arguments of a call on a domain: the object, then words. */
static size_t
put_domain_call(uint8_t *body, size_t size, const uint32_t *words, size_t count)
{
	static const uint8_t uuid[16] = { 1 };
	struct xdr_out out;
	size_t i;

	xdr_out_init(&out, body, size);
	xdr_put_string(&out, "web-1");
	xdr_put_raw(&out, uuid, sizeof(uuid));
	xdr_put_i32(&out, -1);
	for (i = 0; i < count; i++)
		xdr_put_u32(&out, words[i]);
	assert_false(out.failed);
	return out.len;
}

static const struct rpc_need *
need_of(const struct rpc_proc *proc, enum vg_permission permission, enum rpc_test test)
{
	const struct rpc_need *need;

	for (need = proc->needs; need->permission != VG_PERM_NONE; need++)
		if (need->permission == permission && need->test == test)
			return need;
	fail_msg("%s: no such need", proc->name);
	return NULL;
}

static void
test_I28_kind_of_device(void **state)
{
	static const struct { const char *xml; uint32_t kinds; } cases[] = {
		{ "<disk type='file'/>", RPC_DEVICE_DISK }, { "<disk>", RPC_DEVICE_DISK }, { "<disk", RPC_DEVICE_DISK },
		{ " \n<?xml version='1.0'?><!-- <disk/> -->\n<interface\ttype='network'/>", RPC_DEVICE_INTERFACE },
		{ "<interface type='hostdev'/>", RPC_DEVICE_INTERFACE | RPC_DEVICE_HOSTDEV },
		{ "<disk type='nvme'/>", RPC_DEVICE_DISK | RPC_DEVICE_HOSTDEV }, { "<hostdev mode='subsystem'/>", RPC_DEVICE_HOSTDEV },
		{ "<input type='tablet'/>", RPC_DEVICE_OTHER }, { "<diskx/>", RPC_DEVICE_OTHER }, { "<!-->--><disk/>", RPC_DEVICE_DISK },
		{ "", RPC_DEVICE_ANY }, { "disk", RPC_DEVICE_ANY }, { "<", RPC_DEVICE_ANY }, { "<!DOCTYPE disk><disk/>", RPC_DEVICE_ANY },
		{ "<!-- <disk/>", RPC_DEVICE_ANY }, { "<?xml version='1.0' encoding='UTF-7'?><disk/>", RPC_DEVICE_ANY },
		{ "<interface type='&#104;ostdev'/>", RPC_DEVICE_ANY }, { "\xff\xfe<", RPC_DEVICE_ANY }, { "<x:disk xmlns:x='y'/>", RPC_DEVICE_ANY },
		{ "<\xc3\xa4/>", RPC_DEVICE_ANY }, { "<?", RPC_DEVICE_ANY }, { "<!--", RPC_DEVICE_ANY }, { "<!--->", RPC_DEVICE_ANY },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (rpc_device_kinds((const uint8_t *)cases[i].xml, strlen(cases[i].xml)) != cases[i].kinds)
			fail_msg("%s: %u", cases[i].xml, rpc_device_kinds((const uint8_t *)cases[i].xml, strlen(cases[i].xml)));
}

static void
test_I28_needs_depend_on_flags(void **state)
{
	const struct rpc_proc *reboot = rpc_proc_by_name("domain_reboot");
	const struct rpc_proc *pin = rpc_proc_by_name("domain_pin_emulator");
	const struct rpc_proc *addresses = rpc_proc_by_name("domain_interface_addresses");
	const struct rpc_need *always = need_of(reboot, VG_PERM_domain_init_control, RPC_TEST_ALWAYS);
	const struct rpc_need *all = need_of(reboot, VG_PERM_domain_write_guest, RPC_TEST_ALL_SET);
	const struct rpc_need *none = need_of(pin, VG_PERM_domain_save, RPC_TEST_NONE_SET);
	const struct rpc_need two_bits = { VG_PERM_domain_write, RPC_TEST_ALL_SET, "flags", 6 };
	const struct rpc_need *equal = need_of(addresses, VG_PERM_domain_write_guest, RPC_TEST_EQUALS);
	uint32_t words[2] = { 0, 0 }, value;
	uint8_t body[100];
	size_t len;

	(void)state;
	for (words[0] = 0; words[0] < 8; words[0]++) {
		len = put_domain_call(body, sizeof(body), words, 1);
		assert_int_equal(xdr_check(reboot->args, body, len), VG_OK);
		assert_true(rpc_need_applies(reboot, always, body, len));
		assert_int_equal(rpc_need_applies(reboot, all, body, len), (words[0] & 2) != 0);
		assert_int_equal(rpc_need_applies(reboot, &two_bits, body, len), (words[0] & 6) == 6);
		/* Of `addresses` the same words are source, then flags. */
		len = put_domain_call(body, sizeof(body), words, 2);
		assert_int_equal(xdr_check(addresses->args, body, len), VG_OK);
		assert_int_equal(rpc_need_applies(addresses, equal, body, len), words[0] == 1);
		/* Of `pin` they are an empty cpumap, then flags. */
		words[1] = words[0];
		words[0] = 0;
		len = put_domain_call(body, sizeof(body), words, 2);
		assert_int_equal(xdr_check(pin->args, body, len), VG_OK);
		assert_int_equal(rpc_need_applies(pin, none, body, len), (words[1] & 3) == 0);
		words[0] = words[1];
		words[1] = 0;
	}
	len = put_domain_call(body, sizeof(body), words, 1);
	assert_true(rpc_arg_u32(reboot, body, len, "flags", &value));
	assert_int_equal(value, 8);
	assert_false(rpc_arg_u32(reboot, body, len, "dom", &value));
	assert_false(rpc_arg_u32(reboot, body, len, "nothing", &value));
	assert_true(rpc_need_applies(reboot, none, body, 3));	/* what cannot be read is needed */
}

static void
test_value_at_a_path(void **state)
{
	const struct rpc_proc *reboot = rpc_proc_by_name("domain_reboot");
	const struct rpc_proc *watch = rpc_proc_by_name("connect_domain_event_callback_register_any");
	const struct rpc_proc *keys = rpc_proc_by_name("domain_authorized_ssh_keys_set");
	static const uint8_t nobody[8] = { 0 };
	struct xdr_object object;
	struct xdr_span span;
	uint32_t words[1] = { 0 };
	uint8_t body[100];
	size_t len = put_domain_call(body, sizeof(body), words, 1);

	(void)state;
	assert_true(xdr_find_value(reboot->args, body, len, reboot->about.path, &span) && xdr_get_object(VG_CLASS_domain, span, &object));
	assert_int_equal(object.name.len, 5);
	assert_int_equal(object.uuid[0], 1);
	assert_false(xdr_find_value(reboot->args, body, len, reboot->returns.path, &span));	/* NULL */
	assert_int_equal(xdr_check(watch->args, nobody, sizeof(nobody)), VG_OK);
	assert_false(xdr_find_value(watch->args, nobody, sizeof(nobody), watch->others[0].path, &span));
	memmove(body + 8, body, len);
	memcpy(body, "\0\0\0\3\0\0\0\1", 8);
	assert_int_equal(xdr_check(watch->args, body, len + 4), VG_OK);
	assert_true(xdr_find_value(watch->args, body, len + 4, watch->others[0].path, &span) && xdr_get_object(VG_CLASS_domain, span, &object));
	assert_memory_equal(object.name.data, "web-1", 5);
	/* user "", no keys, no flags: the keys are an array */
	memmove(body, body + 8, len);
	memset(body + len - 4, 0, 12);
	assert_int_equal(xdr_check(keys->args, body, len + 8), VG_OK);
	assert_true(xdr_find(keys->args, body, len + 8, "keys", &span));
	assert_false(xdr_find_value(keys->args, body, len + 8, "keys", &span));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_header_there_and_back),
		cmocka_unit_test(test_I13_length_bounds),
		cmocka_unit_test(test_I15_types_and_statuses),
		cmocka_unit_test(test_I15_serials),
		cmocka_unit_test(test_I14_unknown_calls_are_for_an_error_reply),
		cmocka_unit_test(test_I14_row_of_a_header),
		cmocka_unit_test(test_keepalive_has_one_form),
		cmocka_unit_test(test_I16_streams_flow_one_way),
		cmocka_unit_test(test_I17_forms_of_stream_messages),
		cmocka_unit_test(test_body_fields),
		cmocka_unit_test(test_error_there_and_back),
		cmocka_unit_test(test_error_of_a_stream),
		cmocka_unit_test(test_long_error_text_of_the_backend_is_cut),
		cmocka_unit_test(test_I28_kind_of_device),
		cmocka_unit_test(test_I28_needs_depend_on_flags),
		cmocka_unit_test(test_value_at_a_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
