/* types.c: the primitive types of the protocol and, from tables/types.def, its structures. */
#include "proto/fields.h"

#define PRIMITIVE(name, kind) const struct xdr_type xdr_type_##name = { kind, #name, NULL, false }

PRIMITIVE(int32, XDR_INT32);
PRIMITIVE(uint32, XDR_UINT32);
PRIMITIVE(int64, XDR_INT64);
PRIMITIVE(uint64, XDR_UINT64);
PRIMITIVE(double, XDR_DOUBLE);
PRIMITIVE(char, XDR_CHAR);
PRIMITIVE(uchar, XDR_UCHAR);
PRIMITIVE(ushort, XDR_USHORT);
PRIMITIVE(uuid, XDR_UUID);
PRIMITIVE(nonnull_string, XDR_STRING);
PRIMITIVE(auth_type, XDR_AUTH_TYPE);
PRIMITIVE(typed_param_value, XDR_TYPED_VALUE);

const struct xdr_type xdr_type_count = { XDR_INT32, "count", NULL, true };

#define STRUCT(name, members) static const struct xdr_field fields_of_##name[] = { members END_OF_FIELDS }; \
	const struct xdr_type xdr_type_##name = { XDR_STRUCT, #name, fields_of_##name, false };
#include "proto/tables/types.def"
#undef STRUCT
