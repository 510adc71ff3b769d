/*
 * table.h: what the gateway knows of every procedure of libvirt's RPC: one const row each, from
 * proto/tables/ (one .def file a subject). A procedure without a row is refused.
 *
 * A row:
 *   CALL(program, number, name, KIND,	KIND: READ, CHANGE or ACCESS, see enum rpc_kind
 *        ARGS(fields), RET(fields),	wire order; F one, O optional, A array<max>, N fixed[n], B opaque<max>
 *        NEEDS(permissions),		all must hold: P always, P_ALL (arg & mask) == mask,
 *					P_NONE (arg & mask) == 0, P_EQ arg == value, P_XML the device
 *					in that document is, or may be, DISK, INTERFACE, HOSTDEV, OTHER
 *        .about = OBJ(from, class, "path"), …)	the rest: members of struct rpc_proc by name
 *   EVENT(program, number, name, MSG(fields), …)
 *
 * `.flags` has every bit of `flags` that libvirt's public API knows for the call, in any of its versions and for any of its drivers,
 * and VIR_TYPED_PARAM_STRING_OKAY (4) where its client adds that by itself. A call with any other bit is refused; so a row
 * without the member takes none. What its facts say of the enums: tests/data/libvirt-protocol.jsonl.
 *
 * An int32 that counts something is of type `count`. Unknown type: add it to tables/types.def. A number that is there
 * twice does not compile.
 *
 * Source of numbers, layouts and permissions: libvirt 11.3.0 (of flags: 9.0.0 to 12.8.0), src/remote/remote_protocol.x, qemu_protocol.x,
 * lxc_protocol.x; checked against captured traffic of libvirt 9.0.0.
 */
#ifndef PROTO_TABLE_H
#define PROTO_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/xdr.h"
#include "virtgate/permission.h"

/* The structures that procedures share: xdr_type_nonnull_domain, … */
#define STRUCT(name, members) extern const struct xdr_type xdr_type_##name;
#include "proto/tables/types.def"
#undef STRUCT

/* Program numbers: libvirt src/remote/{remote,qemu,lxc}_protocol.x, src/rpc/virkeepaliveprotocol.x */
#define RPC_PROGRAM_REMOTE	0x20008086u
#define RPC_PROGRAM_QEMU	0x20008087u
#define RPC_PROGRAM_LXC		0x00068000u
#define RPC_PROGRAM_KEEPALIVE	0x6b656570u
#define RPC_VERSION		1u

enum rpc_kind {
	RPC_KIND_READ,		/* changes nothing */
	RPC_KIND_CHANGE,	/* changes configuration or state: intent and outcome in the audit trail */
	RPC_KIND_ACCESS,	/* changes nothing but reaches into the guest or at a secret, or is not for who only reads: recorded as one event */
	RPC_KIND_EVENT		/* sent by the server only */
};

/* As the client sees it. */
enum rpc_stream { RPC_STREAM_NONE, RPC_STREAM_READ, RPC_STREAM_WRITE, RPC_STREAM_BOTH };

enum rpc_readonly { RPC_RO_ALLOWED, RPC_RO_DENIED, RPC_RO_DENIED_IF };	/* what libvirt does on its read-only socket */

/* Where the object of a call is found. */
enum rpc_from {
	RPC_FROM_NOWHERE,		/* no object: authentication, close */
	RPC_FROM_CONNECTION,		/* the host as a whole */
	RPC_FROM_ARG,			/* an object struct in the arguments, or in the reply for `returns` */
	RPC_FROM_XML,			/* named by the XML document in that argument */
	RPC_FROM_BY_NAME, RPC_FROM_BY_ID, RPC_FROM_BY_UUID, RPC_FROM_BY_KEY, RPC_FROM_BY_PATH, RPC_FROM_BY_MAC,
	RPC_FROM_BY_USAGE,		/* path: usageID; its type beside it: usageType */
	RPC_FROM_BY_WWN,		/* path: wwnn; beside it wwpn */
	RPC_FROM_BY_TARGET_PATH, RPC_FROM_BY_PORTDEV,
	RPC_FROM_HOST_FILE,		/* identity is inside a file on the host */
	RPC_FROM_HOST_PID,
	RPC_FROM_INCOMING_MIGRATION	/* XML at `path`, if any, under the name in `renamed_by`, if any */
};

/* Why a permission alone does not make a call safe; a set. */
enum rpc_risk {
	RPC_RISK_XML_HOST_RESOURCES = 1 << 0, RPC_RISK_XML = 1 << 1, RPC_RISK_HOST_PATH_READ = 1 << 2,
	RPC_RISK_HOST_PATH_WRITE = 1 << 3, RPC_RISK_HOST_CONTROL = 1 << 4, RPC_RISK_HOST_STORAGE = 1 << 5,
	RPC_RISK_URI = 1 << 6, RPC_RISK_COOKIE = 1 << 7, RPC_RISK_IDENTITY = 1 << 8,
	RPC_RISK_IDENTITY_MISMATCH = 1 << 9,
	RPC_RISK_CROSS_OBJECT = 1 << 10, RPC_RISK_GUEST_DISK = 1 << 11, RPC_RISK_GUEST_MEMORY = 1 << 12,
	RPC_RISK_GUEST_AGENT = 1 << 13, RPC_RISK_GUEST_CREDENTIALS = 1 << 14, RPC_RISK_SECRET_DATA = 1 << 15,
	RPC_RISK_EXEC_PATH = 1 << 16, RPC_RISK_NATIVE_CONFIG = 1 << 17, RPC_RISK_NETWORK_SPEC = 1 << 18,
	RPC_RISK_FD = 1 << 19, RPC_RISK_PID = 1 << 20, RPC_RISK_FLAGS = 1 << 21, RPC_RISK_SIDE_EFFECT = 1 << 22,
	RPC_RISK_ORDER_QUIRK = 1 << 23, RPC_RISK_OBJECT_LIST = 1 << 24, RPC_RISK_MONITOR_COMMAND = 1 << 25,
	RPC_RISK_MONITOR_EVENTS = 1 << 26, RPC_RISK_AGENT_COMMAND = 1 << 27
};

enum rpc_test { RPC_TEST_ALWAYS, RPC_TEST_ALL_SET, RPC_TEST_NONE_SET, RPC_TEST_EQUALS, RPC_TEST_DEVICE };

/* Kinds of device that a document may be about; a set. */
enum rpc_device { RPC_DEVICE_DISK = 1, RPC_DEVICE_INTERFACE = 2, RPC_DEVICE_HOSTDEV = 4, RPC_DEVICE_OTHER = 8, RPC_DEVICE_ANY = 15 };

struct rpc_need {
	enum vg_permission permission;	/* VG_PERM_NONE ends the list */
	enum rpc_test test;
	const char *arg;		/* name of the int, or for DEVICE the document, that is tested */
	uint32_t value;			/* mask, value for EQUALS, set of enum rpc_device for DEVICE */
};

struct rpc_object {
	enum rpc_from from;
	enum vg_class class;
	const char *path;		/* may name an array of objects, or "params[NAME]": see xdr_find() */
};

/* What of a reply is filtered per object. WHOLE: its items do not say whose they are, and are for whom sees all objects of the class. */
enum rpc_list_form {
	RPC_LIST_NONE, RPC_LIST_OBJECT, RPC_LIST_NAME, RPC_LIST_ID, RPC_LIST_UUID_STRING, RPC_LIST_COUNT, RPC_LIST_WHOLE
};

struct rpc_list {
	enum rpc_list_form form;
	enum vg_class class;
	const char *items;		/* path of the array; "retStats.dom": array, then member of the item */
	const char *count;		/* path of the count that must agree, or NULL */
};

#define RPC_MAX_OTHERS 2

/* An argument that is a set of bits, and those that are known. */
struct rpc_flags {
	const char *arg;
	uint32_t known;
};

struct rpc_proc {
	uint32_t program;
	uint32_t number;
	const char *name;			/* without the program's prefix: "domain_create" */
	enum rpc_kind kind;
	const struct xdr_field *args;		/* of a call; of an event: its message */
	const struct xdr_field *ret;
	const struct rpc_need *needs;		/* ends with VG_PERM_NONE; all must hold */
	struct rpc_object about;		/* the object that the permissions are asked for */
	const char *renamed_by;			/* path of the name that libvirt takes instead of the one in the XML */
	struct rpc_object parent;		/* where `about` is only a name inside a pool or network */
	struct rpc_object others[RPC_MAX_OTHERS];	/* further objects in the arguments, unchecked by libvirt */
	struct rpc_object returns;		/* the single object in the reply */
	/*
	 * What the reply names beside the object that it is about, and is left out where it is hidden: BY_NAME, an optional string; XML,
	 * the elements <parent> at the top of a document.
	 */
	struct rpc_object mentions;
	enum vg_permission filter;		/* asked for each object of a list, and of an event at delivery */
	struct rpc_list list;
	/*
	 * Of a bare count (RPC_LIST_COUNT): the list that is asked for in its place when not everything in it may be counted, and its flags.
	 * Arguments that both have are taken over.
	 */
	const char *count_by;
	uint32_t count_flags;
	/*
	 * Argument that limits the `names` of the reply, where libvirtd overruns its own array when there are more (seen with 9.0.0: any
	 * reader ends it with 0). The gate asks for as many as the protocol allows and cuts the reply.
	 */
	const char *overrun;
	/*
	 * Flags without any of which libvirtd falls over a domain that does not run (9.0.0: a NULL behind domain_migrate_perform3 without
	 * peer-to-peer). 0: none.
	 */
	uint32_t running_unless;
	uint32_t flags;				/* bits of the argument `flags` that are known; any other is refused */
	struct rpc_flags more_flags;		/* the same of one more argument; arg NULL: there is none */
	enum rpc_stream stream;
	uint32_t sparse_mask;			/* bits of `flags` that allow holes in the stream */
	enum rpc_readonly readonly;
	const char *readonly_arg;
	uint32_t readonly_mask;
	bool before_auth;
	bool has_callback_id;			/* event: its message starts with callbackID */
	bool descriptors;			/* passes file descriptors on a local socket */
	uint32_t risks;				/* set of enum rpc_risk */
};

/* The row, or NULL: unknown program or procedure. */
const struct rpc_proc *rpc_proc_find(uint32_t program, uint32_t number);
/* libvirt's name of one bit of a flag argument, "VIR_DOMAIN_AFFECT_LIVE"; NULL: it has none here. */
const char *rpc_flag_name(const struct rpc_proc *proc, const char *arg, uint32_t bit);
/* By name, for tests and tools. "domain_create"; NULL when there is none. */
const struct rpc_proc *rpc_proc_by_name(const char *name);
/* Every row in order of (program, number): index 0.. until NULL. */
const struct rpc_proc *rpc_proc_at(size_t index);

#endif
