/*
 * secrets.h: passwords out of the documents that libvirtd answers with.
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

/* The same for the document in a reply of libvirtd, as filter_reply(): passed as it is when it was asked for with read_secure. */
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
