#include "tests/table/matrix_body.h"

#include <string.h>

bool
variant_exists(enum variant variant)
{
	return variant != THE_ABSENT && variant != THE_FORGED_ABSENT;
}

static const char *
claimed_name(enum variant variant)
{
	return variant == THE_HIDDEN || variant == THE_ABSENT ? HIDDEN_NAME : GRANTED_NAME;
}

enum vg_class
object_class(const struct xdr_type *type)
{
	static const struct { const char *type; enum vg_class class; } types[] = {
		{ "nonnull_domain", VG_CLASS_domain }, { "nonnull_network", VG_CLASS_network },
		{ "nonnull_network_port", VG_CLASS_network_port }, { "nonnull_storage_pool", VG_CLASS_storage_pool },
		{ "nonnull_storage_vol", VG_CLASS_storage_vol }, { "nonnull_secret", VG_CLASS_secret },
		{ "nonnull_node_device", VG_CLASS_node_device }, { "nonnull_interface", VG_CLASS_interface },
		{ "nonnull_nwfilter", VG_CLASS_nwfilter }, { "nonnull_nwfilter_binding", VG_CLASS_nwfilter_binding }
	};

	for (size_t i = 0; type != NULL && i < sizeof(types) / sizeof(types[0]); i++)
		if (strcmp(type->name, types[i].type) == 0)
			return types[i].class;
	return VG_CLASS_none;
}

void
object_uuid(enum vg_class class, bool hidden, uint8_t uuid[VG_UUID_LEN])
{
	memset(uuid, hidden ? 0xdb : 0x3e, VG_UUID_LEN);
	uuid[0] = (uint8_t)class;
}

/* What libvirtd would answer when the gate asks for this object, before it judges the call. */
static void
expect_lookup(struct body *body, enum vg_class class, enum variant variant, bool by_name)
{
	struct looked_up *slot = &body->lookups[body->num_lookups];
	bool hidden = by_name ? strcmp(claimed_name(variant), HIDDEN_NAME) == 0 : variant != THE_GRANTED;
	static char granted[] = GRANTED_NAME, secret_name[] = HIDDEN_USAGE, other[] = HIDDEN_NAME;

	if (body->num_lookups == BODY_MAX_LOOKUPS)
		return;
	body->num_lookups++;
	slot->class = class;
	slot->found = !hidden || variant_exists(variant);
	object_uuid(class, hidden, slot->uuid);
	slot->name = !hidden ? granted : class == VG_CLASS_secret ? secret_name : other;
}

static void
put_object(struct body *body, struct xdr_out *out, enum vg_class class, bool in_array)
{
	size_t n = body->num_objects;
	enum variant variant = body->variants[n < BODY_MAX_OBJECTS ? n : BODY_MAX_OBJECTS - 1];
	const char *name = claimed_name(variant);
	uint8_t uuid[VG_UUID_LEN];

	if (n < BODY_MAX_OBJECTS) {
		body->objects[n].class = class;
		body->objects[n].variant = variant;
		body->objects[n].in_array = in_array;
		body->num_objects++;
	}
	object_uuid(class, variant != THE_GRANTED, uuid);
	switch (class) {
	case VG_CLASS_domain:
		xdr_put_string(out, name);
		xdr_put_raw(out, uuid, sizeof(uuid));
		xdr_put_i32(out, -1);	/* a handle from before it was started */
		expect_lookup(body, class, variant, false);
		break;
	case VG_CLASS_network_port:
		/* Its network has the same name. A forged one claims the UUID of the other network. */
		xdr_put_string(out, name);
		object_uuid(VG_CLASS_network, variant != THE_GRANTED, uuid);
		xdr_put_raw(out, uuid, sizeof(uuid));
		object_uuid(class, variant != THE_GRANTED, uuid);
		xdr_put_raw(out, uuid, sizeof(uuid));
		expect_lookup(body, VG_CLASS_network, variant, false);
		break;
	case VG_CLASS_storage_vol:
		/* Its pool has the same name; the key, which libvirt ignores, is of the other one when it is forged. */
		xdr_put_string(out, name);
		xdr_put_string(out, name);
		xdr_put_string(out, variant == THE_GRANTED ? "/pools/" GRANTED_NAME : "/pools/" HIDDEN_NAME);
		expect_lookup(body, VG_CLASS_storage_pool, variant, true);
		break;
	case VG_CLASS_secret:
		xdr_put_raw(out, uuid, sizeof(uuid));
		xdr_put_i32(out, 1);
		xdr_put_string(out, name);
		expect_lookup(body, class, variant, false);
		break;
	case VG_CLASS_interface:
	case VG_CLASS_nwfilter_binding:
		xdr_put_string(out, name);
		xdr_put_string(out, "52:54:00:00:00:01");
		break;
	case VG_CLASS_node_device:
		xdr_put_string(out, name);
		break;
	default:		/* network, pool, filter */
		xdr_put_string(out, name);
		xdr_put_raw(out, uuid, sizeof(uuid));
		expect_lookup(body, class, variant, false);
	}
}

const char *
xml_of(const char *proc)
{
	/* The longer name before the one that it begins with. */
	static const struct { const char *prefix, *xml; } prefixes[] = {
		{ "network_port", "<networkport><uuid>3e3e3e3e-3e3e-3e3e-3e3e-3e3e3e3e3e3e</uuid></networkport>" },
		{ "network", "<network><name>" GRANTED_NAME "</name></network>" },
		{ "storage_pool", "<pool><name>" GRANTED_NAME "</name></pool>" },
		{ "storage_vol", "<volume><name>" GRANTED_NAME "</name></volume>" },
		{ "secret", "<secret><usage type='volume'/></secret>" },
		{ "interface", "<interface name='" GRANTED_NAME "'/>" },
		{ "nwfilter_binding", "<filterbinding><portdev name='" GRANTED_NAME "'/></filterbinding>" },
		{ "nwfilter", "<filter name='" GRANTED_NAME "'/>" },
		{ "node_device", "<device><name>" GRANTED_NAME "</name></device>" },
		{ "domain_attach_device", "<input type='tablet'/>" },
		{ "domain_update_device", "<input type='tablet'/>" },
		{ "domain_snapshot", "<domainsnapshot/>" },
		{ "", "<domain><name>" GRANTED_NAME "</name></domain>" }
	};
	size_t i = 0;

	while (strncmp(proc, prefixes[i].prefix, strlen(prefixes[i].prefix)) != 0)
		i++;
	return prefixes[i].xml;
}

static void
put_text(struct body *body, struct xdr_out *out, const char *field)
{
	size_t len = strlen(field);
	bool xml = strncmp(field, "xml", 3) == 0 || (len > 3 && strcmp(field + len - 3, "xml") == 0) || strncmp(field, "xml_", 4) == 0;

	const char *text = body->text == NULL ? NULL : body->text(field);

	xdr_put_string(out, text != NULL ? text : xml && body->xml != NULL ? body->xml : claimed_name(body->key));
}

/* The parameters that some calls find their object by. */
static void
put_params(struct body *body, struct xdr_out *out)
{
	static const char *const names[] = { "destination_name", "destination_xml", "file" };

	xdr_put_u32(out, 3);
	for (size_t i = 0; i < 3; i++) {
		xdr_put_string(out, names[i]);
		xdr_put_u32(out, 7);		/* VIR_TYPED_PARAM_STRING */
		put_text(body, out, names[i]);
	}
}

static void put_fields(struct body *body, struct xdr_out *out, const struct xdr_field *fields);

static bool
is_flags(const char *name)
{
	return strcmp(name, "flags") == 0 || strcmp(name, "types") == 0 || strcmp(name, "stats") == 0;
}

static void
put_value(struct body *body, struct xdr_out *out, const struct xdr_field *field)
{
	enum vg_class class = object_class(field->type);
	uint8_t uuid[VG_UUID_LEN];

	if (class != VG_CLASS_none) {
		put_object(body, out, class, field->form == XDR_ARRAY);
		return;
	}
	switch (field->type->kind) {
	case XDR_INT64:
	case XDR_UINT64:
	case XDR_DOUBLE:
		xdr_put_u64(out, body->flag_arg != NULL && strcmp(field->name, body->flag_arg) == 0 ? body->flags :
		    field->type->kind == XDR_DOUBLE || is_flags(field->name) ? 0 : body->number);
		break;
	case XDR_UUID:
		object_uuid(VG_CLASS_none, body->key != THE_GRANTED, uuid);
		xdr_put_raw(out, uuid, sizeof(uuid));
		break;
	case XDR_STRING:
		put_text(body, out, field->name);
		break;
	case XDR_TYPED_VALUE:
		xdr_put_u32(out, 1);
		xdr_put_u32(out, 0);
		break;
	case XDR_STRUCT:
		put_fields(body, out, field->type->fields);
		break;
	default:
		xdr_put_u32(out, body->flag_arg != NULL && strcmp(field->name, body->flag_arg) == 0 ? (uint32_t)body->flags :
		    is_flags(field->name) ? 0 : body->number);
	}
}

/* Of names, ids and UUIDs each item is about the variant of its place, as objects are. */
static void
put_items(struct body *body, struct xdr_out *out, const struct xdr_field *field)
{
	const struct xdr_field one = { field->name, field->type, XDR_ONE, 0 };
	size_t num = body->no_items ? 0 : body->num_items == 0 ? 1 : body->num_items;
	enum variant key = body->key;
	char text[2 * VG_UUID_LEN + 1];
	uint8_t uuid[VG_UUID_LEN];

	xdr_put_u32(out, (uint32_t)num);
	for (size_t i = 0; i < num; i++) {
		if (body->num_items > 0)
			body->key = body->variants[i];
		if (strcmp(field->name, "ids") == 0) {
			xdr_put_i32(out, body->key == THE_GRANTED ? GRANTED_ID : HIDDEN_ID);
		} else if (strcmp(field->name, "uuids") == 0) {
			object_uuid(VG_CLASS_secret, body->key != THE_GRANTED, uuid);
			for (size_t k = 0; k < VG_UUID_LEN; k++)
				(void)snprintf(text + 2 * k, 3, "%02x", uuid[k]);
			xdr_put_string(out, text);
		} else {
			put_value(body, out, field->type->kind == XDR_STRUCT && object_class(field->type) != VG_CLASS_none ? field : &one);
		}
	}
	body->key = key;
}

static void
put_fields(struct body *body, struct xdr_out *out, const struct xdr_field *fields)
{
	for (; fields->name != NULL; fields++) {
		switch (fields->form) {
		case XDR_ONE:
			put_value(body, out, fields);
			break;
		case XDR_OPTIONAL:
			xdr_put_u32(out, body->optionals);
			if (body->optionals)
				put_value(body, out, fields);
			break;
		case XDR_ARRAY:
			if (strcmp(fields->type->name, "typed_param") == 0) {
				put_params(body, out);
				break;
			}
			put_items(body, out, fields);
			break;
		case XDR_FIXED:
			for (uint32_t i = 0; i < fields->max; i++)
				put_value(body, out, fields);
			break;
		case XDR_BYTES:
			xdr_put_bytes(out, "bytes", 5);
			break;
		}
	}
}

bool
body_build(struct body *body, const struct xdr_field *fields)
{
	struct xdr_out out;

	xdr_out_init(&out, body->data, sizeof(body->data));
	body->num_objects = 0;
	body->num_lookups = 0;
	memset(body->lookups, 0, sizeof(body->lookups));
	put_fields(body, &out, fields);
	body->len = out.len;
	return !out.failed;
}
