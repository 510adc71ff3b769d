/*
 * fields.h: the words in which the rows of proto/tables/ describe fields; each becomes one initialiser of struct
 * xdr_field. Included only where rows become data: types.c, table.c, rpc.c.
 */
#ifndef PROTO_FIELDS_H
#define PROTO_FIELDS_H

#include "proto/table.h"

#define F(name, type)		{ #name, &xdr_type_##type, XDR_ONE, 0 },
#define O(name, type)		{ #name, &xdr_type_##type, XDR_OPTIONAL, 0 },
#define A(name, type, max)	{ #name, &xdr_type_##type, XDR_ARRAY, max },
#define N(name, type, n)	{ #name, &xdr_type_##type, XDR_FIXED, n },
#define B(name, max)		{ #name, NULL, XDR_BYTES, max },
#define END_OF_FIELDS		{ NULL, NULL, XDR_ONE, 0 }

#endif
