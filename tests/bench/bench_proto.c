/* bench_proto.c: what the gate's decoder costs, in nanoseconds; not a test. Build with -O2 and without sanitizers. */
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include "proto/rpc.h"

#define DOMAINS 1000
#define ROUND_NS 200000000.0	/* how long one measurement runs */

static volatile unsigned sink;	/* keeps the compiler from dropping what is measured */

static double
now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

struct body {
	const struct rpc_proc *proc;
	const struct xdr_field *fields;
	const uint8_t *data;
	size_t len;
};

static void
check(const struct body *body)
{
	sink += xdr_check(body->fields, body->data, body->len);
}

static void
find_flags(const struct body *body)
{
	uint32_t value = 0;

	sink += rpc_arg_u32(body->proc, body->data, body->len, "flags", &value) + value;
}

static void
find_object(const struct body *body)
{
	struct xdr_object object;
	struct xdr_span span;

	sink += xdr_find_value(body->fields, body->data, body->len, body->proc->about.path, &span) &&
	    xdr_get_object(body->proc->about.class, span, &object);
}

static void
each_item(const struct body *body)
{
	struct xdr_span item, member;
	struct xdr_object object;
	struct xdr_items items;

	if (!xdr_items(body->fields, body->data, body->len, body->proc->list.items, &items))
		return;
	while (xdr_items_next(&items, &item) && xdr_item_member(&items, item, &member))
		sink += xdr_get_object(body->proc->list.class, member, &object);
}

static bool
count_leaf(const struct xdr_leaf *leaf, void *arg)
{
	(void)leaf;
	++*(unsigned *)arg;
	return true;
}

static void
walk(const struct body *body)
{
	unsigned leaves = 0;

	xdr_walk(body->fields, body->data, body->len, count_leaf, &leaves);
	sink += leaves;
}

static void
header(const struct body *body)
{
	static const uint8_t message[RPC_HEADER_LEN] = { 0, 0, 0, 60, 0x20, 0, 0x80, 0x86, 0, 0, 0, 1, 0, 0, 0, 14,
	    0, 0, 0, 0, 0, 0, 0, 7 };
	struct rpc_header parsed;

	(void)body;
	if (rpc_header_get(message, sizeof(message), &parsed) == VG_OK && rpc_check_client(&parsed) == VG_OK)
		sink += rpc_header_proc(&parsed)->number;
}

static void
measure(const char *what, void (*run)(const struct body *body), const struct body *body)
{
	double started = now_ns(), elapsed;
	unsigned long runs = 0;
	int i;

	do {
		for (i = 0; i < 100; i++)
			run(body);
		runs += 100;
		elapsed = now_ns() - started;
	} while (elapsed < ROUND_NS);
	printf("%-44s %10.1f ns\n", what, elapsed / (double)runs);
}

static void
put_domain(struct xdr_out *out, unsigned number)
{
	uint8_t uuid[16] = { 0 };
	char name[32];

	snprintf(name, sizeof(name), "web-%u", number);
	uuid[0] = (uint8_t)number;
	xdr_put_string(out, name);
	xdr_put_raw(out, uuid, sizeof(uuid));
	xdr_put_i32(out, (int32_t)number);
}

int
main(void)
{
	static uint8_t call_data[64], list_data[DOMAINS * 64];
	const struct rpc_proc *get_xml = rpc_proc_by_name("domain_get_xml_desc");
	const struct rpc_proc *list_all = rpc_proc_by_name("connect_list_all_domains");
	struct body call = { get_xml, get_xml->args, call_data, 0 };
	struct body list = { list_all, list_all->ret, list_data, 0 };
	struct xdr_out out;
	unsigned i;

	xdr_out_init(&out, call_data, sizeof(call_data));
	put_domain(&out, 1);
	xdr_put_u32(&out, 0);
	call.len = out.len;
	xdr_out_init(&out, list_data, sizeof(list_data));
	xdr_put_u32(&out, DOMAINS);
	for (i = 0; i < DOMAINS; i++)
		put_domain(&out, i);
	xdr_put_u32(&out, DOMAINS);
	list.len = out.len;
	if (out.failed || xdr_check(call.fields, call.data, call.len) != VG_OK ||
	    xdr_check(list.fields, list.data, list.len) != VG_OK) {
		fprintf(stderr, "the bodies to measure are not valid\n");
		return 1;
	}

	measure("header, its check and its row", header, &call);
	measure("small call: check", check, &call);
	measure("small call: object", find_object, &call);
	measure("small call: flags", find_flags, &call);
	measure("small call: walk", walk, &call);
	measure("list of 1,000 domains: check", check, &list);
	measure("list of 1,000 domains: object of each item", each_item, &list);
	return 0;
}
