/*
 * admission.h: is what an XML document asks for something that a tenant may have, whoever he is and whatever verb brought it?
 * Pure: a document in, findings and claims out; no policy, no libvirt, no clock, no file. Used by the gate, the command line and the tests.
 *
 *   finding   something that the profile never allows: a host device, an emulator of his own, …      (rules.def)
 *   claim     something that is his only when the policy says so: a volume, a network, a secret, …   (claims.c)
 *
 * Profile `baseline` is what a tenant must never do; `restricted` is baseline, within bounds that the policy sets, of elements that are
 * known (known.def), with encrypted disks, a filter on every interface, a TPM and secure boot. What the gate forwards is admission_text(): the document as
 * it was judged, written anew, so that libvirtd reads nothing that was not looked at.
 */
#ifndef ADMISSION_ADMISSION_H
#define ADMISSION_ADMISSION_H

#include <stdbool.h>
#include <stddef.h>

#include "virtgate/profile.h"
#include "virtgate/result.h"

/* Bounds of one document; libvirt's own examples stay far below each. */
#define ADMISSION_MAX_BYTES	(1024u * 1024u)
#define ADMISSION_MAX_NODES	20000u
#define ADMISSION_MAX_DEPTH	64u
#define ADMISSION_MAX_CLAIMS	64u

/* The kinds of documents, by what their top element must be. */
enum admission_kind {
	ADMISSION_DOMAIN,	/* <domain> */
	ADMISSION_DEVICE,	/* one element of <devices>, as attach and update take it */
	ADMISSION_SNAPSHOT,	/* <domainsnapshot> */
	ADMISSION_VOLUME,	/* <volume> */
	ADMISSION_DISK,		/* <disk> that a copy is written to */
	ADMISSION_CHECKPOINT,	/* <domaincheckpoint> */
	ADMISSION_BACKUP,	/* <domainbackup> */
	ADMISSION_SECRET,	/* <secret> */
	ADMISSION_POOL,		/* <pool> */
	ADMISSION_NUM_KINDS
};

struct admission_document;

struct admission_finding {
	const char *rule;	/* "host-device" */
	long line;		/* in the document as it came; 0 unknown */
	const char *path;	/* XPath of the offending node: "/domain/devices/hostdev[1]" */
	const char *message;	/* "devices of the host cannot be given to a guest" */
	const char *hint;	/* what to do instead; "" when there is nothing */
};

enum admission_claim_kind {
	CLAIM_DISK,		/* `name` is the path of an image on the host: must be a volume */
	CLAIM_VOLUME,		/* `name` in pool `parent` */
	CLAIM_NETWORK, CLAIM_NWFILTER,
	CLAIM_SECRET,		/* `name` is its UUID as text */
	CLAIM_DIRECTORY		/* `name` is that of the pool `parent` */
};

struct admission_claim {
	enum admission_claim_kind kind;
	bool writes;		/* the guest could write to it */
	long line;
	char *name, *parent;	/* parent: NULL, or the pool */
};

/* Compiles the rules; once in a process, before anything else here. -1 with error text: a rule is broken. */
int admission_start(struct vg_error *error);
void admission_stop(void);

/*
 * Reads and bounds a document: no DTD, entities, other encoding than UTF-8; comments and processing instructions are dropped, CDATA
 * becomes text. NULL with error text ("line 12: …").
 */
struct admission_document *admission_parse(enum admission_kind kind, const char *xml, size_t len, struct vg_error *error);
void admission_destroy(struct admission_document *document);

/*
 * Every finding of a profile, in order of the rules. `limits`: of profile restricted, borrowed while it works; NULL: no address, filter or
 * VLAN is allowed, and no amount bounded. Returns how many; -1 when they could not all be asked: then the document is not admitted.
 */
typedef void admission_finding_cb(const struct admission_finding *finding, void *arg);
int admission_judge(const struct admission_document *document, enum vg_profile profile, const struct vg_limits *limits,
    admission_finding_cb *each, void *arg);

/*
 * A site's own rules, from the policy. -1 with error text and the index of the rule in `which`: its class is none, or its XPath is no
 * XPath.
 */
struct admission_rules;
struct admission_rules *admission_compile(const struct vg_rule *const *rules, size_t num, size_t *which, struct vg_error *error);
void admission_rules_destroy(struct admission_rules *rules);
/* The rule that stands at rule->index of what was compiled. As admission_judge; a rule of another class finds nothing. */
int admission_judge_own(const struct admission_document *document, const struct admission_rules *rules, const struct vg_rule *rule,
    admission_finding_cb *each, void *arg);

/*
 * What own rules may ask by variables: who sends the document, and about which object. NULL counts as "". Until it is said all are. -1: out of
 * memory.
 *   $user     the first that there is of the next three      $object   name of the guest, volume, …
 *   $sasl, $cn, $unix, $dn                                    $address  where he comes from
 */
struct admission_request {
	const char *user, *sasl, *cn, *unix_user, *dn, *address, *object;
};
int admission_set_request(struct admission_document *document, const struct admission_request *request);

/* What the policy must grant; borrowed from the document. More than ADMISSION_MAX_CLAIMS do not parse. */
const struct admission_claim *admission_claims(const struct admission_document *document, size_t *num);

/* What its first <name> says, which libvirt takes for the object's; caller frees. NULL: it has none. */
char *admission_name(const struct admission_document *document);

/*
 * What a document asks for, as a quota counts it: a <domain>, a <domainsnapshot>, a <volume>, or a device, of which memory counts. Any that libvirt may have told,
 * also those that admission_parse() refuses. Where an element stands twice the larger counts. -1 with error text: an amount cannot be read.
 */
int admission_amounts(const char *xml, size_t len, struct vg_amounts *amounts, struct vg_error *error);

/* One rule of the profiles, for people; borrowed, static. False: there are not so many. */
struct admission_rule {
	const char *id, *xpath, *message, *hint;
	enum vg_profile profile;	/* the lowest that has it */
};
bool admission_rule_at(size_t index, struct admission_rule *rule);

/* The document written anew; borrowed from it. NULL when memory is out. */
const char *admission_text(struct admission_document *document, size_t *len);

#endif
