/*
 * inventory.h: what the gate itself knows of the objects behind one URI: the domains, kept fresh by libvirt's events
 * and by the replies that pass, the UUIDs of networks and pools (known.h), and answers to look-ups of everything else. It has
 * a connection of its own.
 */
#ifndef GATE_INVENTORY_H
#define GATE_INVENTORY_H

#include "gateway/gate/gate.h"
#include "gateway/gate/usage.h"

struct inventory_domain {
	uint8_t uuid[VG_UUID_LEN];
	char *name;
	int32_t id;				/* -1: not running */
	uint64_t told;				/* when libvirtd last told of it unasked, by inventory_clock() */
	int32_t former_ids[4];			/* of earlier runs, newest first: what old handles still carry; 0: none */
	struct usage_count count;		/* of usage.c */
	struct inventory_domain *next_uuid, *next_name;
};

struct inventory *inventory_create(struct gate *gate, const char *uri);
void inventory_destroy(struct inventory *inventory);
const char *inventory_uri(const struct inventory *inventory);
/* Connected, registered for events and listed. Otherwise sessions in SESSION_INVENTORY are resumed when it becomes so. */
bool inventory_ready(const struct inventory *inventory);
/* Why it is not ready, for people. */
const char *inventory_trouble(const struct inventory *inventory);

/* Borrowed until the inventory changes (any event, reply or lookup). NULL when unknown. */
const struct inventory_domain *inventory_by_uuid(const struct inventory *inventory, const uint8_t uuid[VG_UUID_LEN]);
const struct inventory_domain *inventory_by_name(const struct inventory *inventory, const char *name);
const struct inventory_domain *inventory_by_id(const struct inventory *inventory, int32_t id);
/* The same of a domain, network or storage pool, for what a reply only names; NULL when unknown. */
const uint8_t *inventory_uuid_of(const struct inventory *inventory, enum vg_class class, const char *name);
/* Each storage pool. False: it is not known which there are. */
bool inventory_each_pool(const struct inventory *inventory, void (*each)(const char *name, const uint8_t uuid[VG_UUID_LEN], void *arg), void *arg);
/* What its guests and volumes have; and what is known of one guest, NULL when it is not there. */
struct usage *inventory_usage(const struct inventory *inventory);
struct usage_count *inventory_count(struct inventory *inventory, const uint8_t uuid[VG_UUID_LEN]);
/* What there was when last looked: roll.h. NULL while it is created. */
struct roll *inventory_roll(const struct inventory *inventory);
/* Is this the id of the domain now, or was it? -1 always is. */
bool inventory_has_id(const struct inventory_domain *domain, int32_t id);
size_t inventory_num_domains(const struct inventory *inventory);
void inventory_each(const struct inventory *inventory, void (*each)(const struct inventory_domain *domain, void *arg), void *arg);

/* An event said that this domain exists like that (or not). */
void inventory_learn(struct inventory *inventory, const struct xdr_object *object);
/*
 * The same out of a reply to what was asked when inventory_clock() said `asked`. An event may have overtaken it: what libvirtd
 * has told of the domain since is newer, and stays.
 */
void inventory_learn_reply(struct inventory *inventory, const struct xdr_object *object, uint64_t asked);
/* Counts the events so far. */
uint64_t inventory_clock(const struct inventory *inventory);
void inventory_forget(struct inventory *inventory, const uint8_t uuid[VG_UUID_LEN]);

/*
 * What this libvirtd answers to "do you support feature N": asked by every client at its start, the same for all of
 * them until libvirtd is replaced. False when it has not been asked yet.
 */
bool inventory_feature(const struct inventory *inventory, uint32_t feature, int32_t *supported);
void inventory_learn_feature(struct inventory *inventory, uint32_t feature, int32_t supported);

/*
 * Asks libvirtd about one object: class domain, network, storage_pool, secret, nwfilter by UUID, or storage_pool by
 * name. The callback comes later, never from within; `object` is NULL when there is none such, or no answer.
 * A domain found is learned, one not found is forgotten. Returns a ticket for inventory_cancel, 0 when impossible.
 */
typedef void inventory_found_cb(const struct xdr_object *object, void *arg);
uint64_t inventory_lookup_uuid(struct inventory *inventory, enum vg_class class, const uint8_t uuid[VG_UUID_LEN], inventory_found_cb *found, void *arg);
uint64_t inventory_lookup_name(struct inventory *inventory, enum vg_class class, const char *name, inventory_found_cb *found, void *arg);
/* The volume that lies at this path; its pool's name is the object's parent. */
uint64_t inventory_lookup_path(struct inventory *inventory, const char *path, inventory_found_cb *found, void *arg);
/*
 * Asks for a document: what `proc` (domain_get_xml_desc, …) answers as `xml`, or "yes" or "no" where it answers with `autostart`. NULL when it
 * answers with an error, or not at all.
 */
typedef void inventory_text_cb(const char *text, size_t len, void *arg);
uint64_t inventory_ask(struct inventory *inventory, const struct rpc_proc *proc, const void *body, size_t len, inventory_text_cb *found, void *arg);
/* Any call that only reads. `error` is NULL when it went well. False: impossible. The callback comes always, and cannot be cancelled. */
typedef void inventory_reply_cb(const struct rpc_proc *proc, const uint8_t *body, size_t len, const struct rpc_error *error, void *arg);
bool inventory_call(struct inventory *inventory, const struct rpc_proc *proc, const void *body, size_t len, inventory_reply_cb *reply, void *arg);
void inventory_cancel(struct inventory *inventory, uint64_t ticket);
/* Takes what libvirtd has sent and the loop has not read yet. Callbacks of look-ups come from within. */
void inventory_catch_up(struct inventory *inventory);

#endif
