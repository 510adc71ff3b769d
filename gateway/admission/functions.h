/*
 * functions.h: what the XPath of a rule may ask beside the document: the bounds of a row of the policy, and what is known. Private to this
 * folder.
 *
 *   listed(text, 'macs' | 'filters' | 'vlans')   is it one of them? MACs are globs and case does not count. More than one node: no.
 *   limit('vcpus' | 'memory')                    the bound, memory in KiB; infinity where there is none
 *   kibibytes(node)                              an amount of memory with its unit, as libvirt reads it; NaN: it is none
 *   named(node, 'a b c')                         is that its name? Much cheaper than self::a or self::b or …
 *   known(node)                                  does known.def know this element or attribute?
 */
#ifndef ADMISSION_FUNCTIONS_H
#define ADMISSION_FUNCTIONS_H

#include <libxml/xpath.h>

#include "gateway/admission/admission.h"
#include "virtgate/profile.h"
#include "virtgate/result.h"

/* An element or attribute that says an amount, in one of its element's `unit`, or of the usual one. NaN: it is none. */
double functions_kibibytes(const xmlNode *node, const char *usual);
/* Is known.def sorted? -1 with error text. */
int functions_start(struct vg_error *error);
/*
 * What libxml2 last complained of in words, as it does of a function that there is not: a line, or "". It is kept from standard error, and
 * forgotten then. Borrowed until the next call.
 */
const char *functions_said(void);
/* The variables of admission_set_request(). -1: out of memory. */
int functions_set_request(xmlXPathContextPtr context, const struct admission_request *request);
/* In which they are known; its userData must be a struct vg_limits when it is asked. Says nothing on standard error. NULL: out of memory. */
xmlXPathContextPtr functions_context(xmlDocPtr doc);

#endif
