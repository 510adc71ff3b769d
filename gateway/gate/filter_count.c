/*
 * filter_count.c: bare counts: of domains out of the inventory, of everything else by the list that is asked for in its place.
 */
#include "gateway/gate/filter_private.h"

#include <stdlib.h>
#include <string.h>

struct count {
	struct session *session;
	const struct rpc_proc *proc;
	bool running;
	uint32_t num;
};

static void
count_domain(const struct inventory_domain *domain, void *arg)
{
	struct count *count = arg;

	if ((domain->id >= 0) == count->running && filter_sees_domain(count->session, count->proc->filter, domain))
		count->num++;
}

/* The reply that the client waits for: one int. */
static int
put_count(const struct call *call, const uint8_t *message, size_t len, uint32_t num, uint8_t **out, size_t *out_len)
{
	struct rpc_header header;
	struct xdr_out number;

	(void)rpc_header_get(message, len, &header);
	if ((*out = malloc(RPC_HEADER_LEN + 4)) == NULL)
		return -1;
	*out_len = header.length = RPC_HEADER_LEN + 4;
	header.procedure = (int32_t)call->proc->number;
	rpc_header_put(*out, &header);
	xdr_out_init(&number, *out + RPC_HEADER_LEN, 4);
	xdr_put_u32(&number, num);
	return 0;
}

int
filter_count(struct call *call, const uint8_t *message, size_t len, uint8_t **out, size_t *out_len)
{
	struct count count = { .session = call->session, .proc = call->proc };

	if (call->proc->list.class != VG_CLASS_domain)
		return -1;
	count.running = strcmp(call->proc->name, "connect_num_of_domains") == 0;
	inventory_each(call->session->inventory, count_domain, &count);
	return put_count(call, message, len, count.num, out, out_len);
}

int
filter_count_list(struct call *call, const uint8_t *message, size_t len, uint8_t **out, size_t *out_len)
{
	const struct rpc_proc *proc = call->sent;
	struct xdr_items items;
	struct xdr_span item;
	uint32_t num = 0;

	if (!xdr_items(proc->ret, message + RPC_HEADER_LEN, len - RPC_HEADER_LEN, proc->list.items, &items))
		return -1;
	while (xdr_items_next(&items, &item))
		num += filter_sees_item(call, proc, &items, item);
	return put_count(call, message, len, num, out, out_len);
}

static const struct xdr_field *
field_named(const struct xdr_field *fields, const char *name)
{
	while (fields->name != NULL && strcmp(fields->name, name) != 0)
		fields++;
	return fields->name == NULL ? NULL : fields;
}

/* One argument of the list: taken over from the count, or all that there is. */
static void
put_argument(const struct call *call, const struct xdr_field *field, const uint8_t *body, size_t len, struct xdr_out *out)
{
	const struct xdr_field *same, *names;
	struct xdr_span span;

	if (xdr_find_field(call->proc->args, body, len, field->name, &span, &same)) {
		xdr_put_raw(out, span.data, span.len);
	} else if (strcmp(field->name, "need_results") == 0) {
		xdr_put_u32(out, 1);
	} else if (strcmp(field->name, "maxnames") == 0) {
		names = field_named(call->sent->ret, call->sent->list.items);
		xdr_put_u32(out, names == NULL ? 0 : names->max);
	} else {
		xdr_put_u32(out, call->proc->count_flags);
	}
}

int
filter_ask_list(struct call *call, const uint8_t *message, size_t len, uint8_t **out, size_t *out_len)
{
	size_t size = len + 64;
	struct rpc_header header = call->header;
	struct xdr_out body;

	call->sent = rpc_proc_by_name(call->proc->count_by);
	if (call->sent == NULL || (*out = malloc(size)) == NULL)
		return -1;
	xdr_out_init(&body, *out + RPC_HEADER_LEN, size - RPC_HEADER_LEN);
	for (const struct xdr_field *field = call->sent->args; field->name != NULL; field++)
		put_argument(call, field, message + RPC_HEADER_LEN, len - RPC_HEADER_LEN, &body);
	*out_len = RPC_HEADER_LEN + body.len;
	header.length = (uint32_t)*out_len;
	header.procedure = (int32_t)call->sent->number;
	rpc_header_put(*out, &header);
	if (!body.failed && xdr_check(call->sent->args, *out + RPC_HEADER_LEN, body.len) == VG_OK)
		return 0;
	free(*out);
	*out = NULL;
	return -1;
}
