/*
 * document.h: a document while it is judged, private to this folder.
 */
#ifndef ADMISSION_DOCUMENT_H
#define ADMISSION_DOCUMENT_H

#include <libxml/tree.h>
#include <libxml/xpath.h>

#include "gateway/admission/admission.h"
#include "gateway/admission/needs.h"

struct admission_document {
	enum admission_kind kind;
	xmlDocPtr doc;			/* a device stands in <domain><devices> here, where the rules look for it */
	xmlNodePtr top;			/* what the caller gave: the root, or that device */
	xmlXPathContextPtr context;	/* in which rules are asked */
	bool has_request;		/* whose it is was said */
	struct needs_names names;	/* of its elements */
	xmlBufferPtr text;		/* of admission_text */
	struct admission_claim claims[ADMISSION_MAX_CLAIMS];
	size_t num_claims;
};

/* claims.c: fills the claims. -1 with error text. */
int claims_collect(struct admission_document *document, struct vg_error *error);

/* The next node in document order below `root`; without what is below `node` when `skip`. NULL at the end. */
xmlNodePtr document_next(xmlNodePtr node, const xmlNode *root, bool skip);
/* Is it <metadata> of a domain: other software's data, which libvirt keeps as it is? */
bool document_is_metadata(const xmlNode *node);
/* Asks an XPath within so many steps. NULL: it could not be asked. Caller frees. */
xmlXPathObjectPtr document_ask(const struct admission_document *document, xmlXPathCompExprPtr compiled, const struct vg_limits *limits,
    unsigned long steps);
/* Tells one finding at a node. */
struct admission_words {
	const char *rule, *message, *hint;
};
void document_tell(const struct admission_document *document, const struct admission_words *words, xmlNodePtr node, admission_finding_cb *each,
    void *arg);
/* XPath of a node as the caller knows it. Caller frees with xmlFree; NULL when memory is out. */
xmlChar *document_path(const struct admission_document *document, xmlNodePtr node);

#endif
