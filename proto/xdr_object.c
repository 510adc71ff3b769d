/* xdr_object.c: the object structs of the protocol to struct xdr_object. */
#include "proto/xdr_cursor.h"

/* Where the next piece of an object struct goes. */
enum slot { SLOT_END, SLOT_NAME, SLOT_PARENT, SLOT_EXTRA, SLOT_UUID, SLOT_PARENT_UUID, SLOT_ID };

#define MAX_SLOTS 4

/* Wire order of each class's struct; those of tables/types.def, where volume and port carry their parent. */
static const enum slot layouts[VG_NUM_CLASSES][MAX_SLOTS] = {
	[VG_CLASS_domain] = { SLOT_NAME, SLOT_UUID, SLOT_ID },
	[VG_CLASS_interface] = { SLOT_NAME, SLOT_EXTRA },
	[VG_CLASS_network] = { SLOT_NAME, SLOT_UUID },
	[VG_CLASS_network_port] = { SLOT_PARENT, SLOT_PARENT_UUID, SLOT_UUID },
	[VG_CLASS_node_device] = { SLOT_NAME },
	[VG_CLASS_nwfilter] = { SLOT_NAME, SLOT_UUID },
	[VG_CLASS_nwfilter_binding] = { SLOT_NAME, SLOT_EXTRA },
	[VG_CLASS_secret] = { SLOT_UUID, SLOT_ID, SLOT_NAME },
	[VG_CLASS_storage_pool] = { SLOT_NAME, SLOT_UUID },
	[VG_CLASS_storage_vol] = { SLOT_PARENT, SLOT_NAME, SLOT_EXTRA },
};

static bool
take_uuid(struct xdr_cursor *cursor, const uint8_t **uuid)
{
	if (xdr_left(cursor) < VG_UUID_LEN)
		return false;
	*uuid = cursor->at;
	cursor->at += VG_UUID_LEN;
	return true;
}

static bool
take_slot(struct xdr_cursor *cursor, enum slot slot, struct xdr_object *object)
{
	uint32_t word;

	switch (slot) {
	case SLOT_NAME:
		return xdr_take_opaque(cursor, XDR_STRING_MAX, &object->name);
	case SLOT_PARENT:
		return xdr_take_opaque(cursor, XDR_STRING_MAX, &object->parent);
	case SLOT_EXTRA:
		return xdr_take_opaque(cursor, XDR_STRING_MAX, &object->extra);
	case SLOT_UUID:
		return take_uuid(cursor, &object->uuid);
	case SLOT_PARENT_UUID:
		return take_uuid(cursor, &object->parent_uuid);
	case SLOT_ID:
		if (!xdr_take_u32(cursor, &word))
			return false;
		object->id = (int32_t)word;
		return true;
	case SLOT_END:
		break;
	}
	return false;
}

bool
xdr_get_object(enum vg_class class, struct xdr_span span, struct xdr_object *object)
{
	struct xdr_cursor cursor = xdr_cursor_over(span.data, span.len);
	const enum slot *layout;
	size_t i;

	*object = (struct xdr_object){ .class = class };
	if ((unsigned)class >= VG_NUM_CLASSES || layouts[class][0] == SLOT_END)
		return false;
	layout = layouts[class];
	for (i = 0; i < MAX_SLOTS && layout[i] != SLOT_END; i++)
		if (!take_slot(&cursor, layout[i], object))
			return false;
	return cursor.at == cursor.end;
}
