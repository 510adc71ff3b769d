/*
 * secrets.h: passwords out of the documents that libvirtd answers with, and secrets out of what the gateway keeps.
 */
#ifndef GATE_SECRETS_H
#define GATE_SECRETS_H

#include "gateway/gate/resolve.h"

/*
 * The document without the passwords and cookies that libvirt writes into one (attribute passwd, element cookies; what other software
 * keeps below metadata stays). `out` is a new allocation, or NULL when there was nothing to take out. -1: does not parse, or out of
 * memory; then it must not be passed on.
 */
int secrets_strip(const char *xml, size_t len, char **out, size_t *out_len);

/*
 * For what is kept (trail, documents, inventory) and for digests: the same, and in the place of each value that may be a secret though libvirt shows it
 * (QEMU's own arguments and environment, strings for the guest's firmware, …: the table in secrets_hidden.c) SECRETS_HIDDEN.
 */
#define SECRETS_HIDDEN "(secret)"
int secrets_clean(const char *xml, size_t len, char **out, size_t *out_len);
/* Of one element; how many were hidden. Its children may be gone then. */
struct _xmlNode;
size_t secrets_hide_in(struct _xmlNode *node);
/* Is there an element by whose name there may be one? */
bool secrets_may_hide(const char *xml, size_t len);

/* Strips the document in a reply of libvirtd, as filter_reply(): passed as it is when it was asked for with read_secure. */
int secrets_filter(const struct call *call, const uint8_t *message, size_t len, uint8_t **out, size_t *out_len);

/*
 * virt-manager and `virsh edit` always ask for a description with its secrets. Who may not have them gets it all the same where there are none:
 * where libvirtd's answers with and without VIR_DOMAIN_XML_SECURE are the same. It is then passed on without that flag. Where there
 * are some he is refused, not served without them: what he sends back as the new definition would lose them.
 */
bool secrets_may_be_absent(const struct call *call, const uint8_t *body, size_t len);
/* Asks libvirtd; a step as those of resolve.h. */
enum decide_verdict secrets_absent(struct call *call, struct judgement *judgement, unsigned *index, const uint8_t *body, size_t len);

/* The message with another text for the string at `span` of its reply, in a new allocation. -1: out of memory, or too long. */
int secrets_replace(const struct call *call, const uint8_t *message, size_t len, struct xdr_span span, const char *text, uint8_t **out,
    size_t *out_len);

#endif
