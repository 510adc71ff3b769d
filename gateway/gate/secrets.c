/*
 * secrets.c: a second fence around passwords. libvirtd leaves them out of a document unless it is asked for them, which takes
 * read_secure; where one of its versions forgets to (its notices 2014/0007, 2015/0001, 2020/0002), they end here.
 */
#include "gateway/gate/secrets.h"
#include "virtgate/xml_cost.h"

#include <stdlib.h>
#include <string.h>

#include <libxml/parser.h>
#include <libxml/tree.h>

#include "gateway/core/log.h"

/* What libvirt itself writes only for those who ask: src/conf/domain_conf.c, VIR_DOMAIN_DEF_FORMAT_SECURE. */
static const char secret_attribute[] = "passwd", secret_element[] = "cookies";

static bool
is_element(const xmlNode *node, const char *name)
{
	return node->type == XML_ELEMENT_NODE && strcmp((const char *)node->name, name) == 0;
}

/* Other software's data, which libvirt hands out as it came. */
static bool
is_foreign(const xmlNode *node)
{
	return is_element(node, "metadata") && node->parent != NULL && is_element(node->parent, "domain");
}

/* The next node in document order, without what is below `node` when `skip`. */
static xmlNodePtr
next_node(xmlNodePtr node, const xmlNode *root, bool skip)
{
	if (!skip && node->type == XML_ELEMENT_NODE && node->children != NULL)
		return node->children;
	while (node != root && node->next == NULL)
		node = node->parent;
	return node == root ? NULL : node->next;
}

static size_t
remove_secrets(xmlNodePtr root, bool hide)
{
	xmlNodePtr node = root, next;
	size_t removed = 0;

	for (; node != NULL; node = next) {
		bool foreign = is_foreign(node), secret = node != root && is_element(node, secret_element);
		xmlAttrPtr attribute = foreign || node->type != XML_ELEMENT_NODE ? NULL :
		    xmlHasProp(node, (const xmlChar *)secret_attribute);

		if (hide && !foreign && node->type == XML_ELEMENT_NODE)
			removed += secrets_hide_in(node);
		next = next_node(node, root, foreign || secret);
		if (attribute != NULL && xmlRemoveProp(attribute) == 0)
			removed++;
		if (secret) {
			xmlUnlinkNode(node);
			xmlFreeNode(node);
			removed++;
		}
	}
	return removed;
}

static bool
may_have_secrets(const char *xml, size_t len)
{
	return memmem(xml, len, secret_attribute, sizeof(secret_attribute) - 1) != NULL || memmem(xml, len, secret_element, sizeof(secret_element) - 1) != NULL;
}

/* Without what libvirt keeps back; with `hide`, what else may be a secret is hidden. */
static int
take_out(const char *xml, size_t len, bool hide, char **out, size_t *out_len)
{
	xmlDocPtr doc = NULL;
	xmlNodePtr root;
	xmlBufferPtr buffer = NULL;
	int r = -1;

	*out = NULL;
	/* Nearly every document ends here. */
	if (!may_have_secrets(xml, len) && (!hide || !secrets_may_hide(xml, len)))
		return 0;
	/* What a guest's owner put into its metadata is in it. */
	if (xml_refusal(xml, len) != NULL)
		return -1;
	doc = len > INT_MAX ? NULL : xmlReadMemory(xml, (int)len, NULL, NULL, XML_PARSE_NONET | XML_PARSE_NOWARNING | XML_PARSE_NOERROR);
	if (doc == NULL || xmlGetIntSubset(doc) != NULL || (root = xmlDocGetRootElement(doc)) == NULL)
		goto out;
	if (remove_secrets(root, hide) == 0) {
		r = 0;
		goto out;
	}
	buffer = xmlBufferCreate();
	if (buffer == NULL || xmlNodeDump(buffer, doc, root, 0, 0) < 0)
		goto out;
	*out_len = (size_t)xmlBufferLength(buffer);
	*out = strndup((const char *)xmlBufferContent(buffer), *out_len);
	if (*out != NULL)
		r = 0;
out:
	xmlBufferFree(buffer);
	xmlFreeDoc(doc);
	return r;
}

int
secrets_strip(const char *xml, size_t len, char **out, size_t *out_len)
{
	return take_out(xml, len, false, out, out_len);
}

int
secrets_clean(const char *xml, size_t len, char **out, size_t *out_len)
{
	return take_out(xml, len, true, out, out_len);
}

int
secrets_replace(const struct call *call, const uint8_t *message, size_t len, struct xdr_span span, const char *text, uint8_t **out,
    size_t *out_len)
{
	size_t before = (size_t)(span.data - message), after = len - before - span.len, size = before + 8 + strlen(text) + after;
	struct rpc_header header;
	struct xdr_out copy;
	uint8_t *fresh = malloc(size);

	if (fresh == NULL)
		return -1;
	xdr_out_init(&copy, fresh, size);
	xdr_put_raw(&copy, message, before);
	xdr_put_string(&copy, text);
	xdr_put_raw(&copy, message + before + span.len, after);
	(void)rpc_header_get(message, len, &header);
	header.length = (uint32_t)copy.len;
	rpc_header_put(fresh, &header);
	/* What was written must be a message again: as long as one may be, in libvirt's own limits. */
	if (copy.failed || xdr_check(call->proc->ret, fresh + RPC_HEADER_LEN, copy.len - RPC_HEADER_LEN) != VG_OK) {
		free(fresh);
		return -1;
	}
	*out = fresh;
	*out_len = copy.len;
	return 0;
}

int
secrets_filter(const struct call *call, const uint8_t *message, size_t len, uint8_t **out, size_t *out_len)
{
	struct xdr_span span, xml;
	char *stripped = NULL;
	size_t stripped_len = 0;
	int r;

	if (call->secure || !xdr_find(call->proc->ret, message + RPC_HEADER_LEN, len - RPC_HEADER_LEN, "xml", &span) ||
	    !xdr_span_string(span, &xml))
		return 0;
	if (secrets_strip((const char *)xml.data, xml.len, &stripped, &stripped_len) < 0)
		return -1;
	if (stripped == NULL)
		return 0;
	log_warn("session %s: libvirtd put passwords into its answer to %s, which were not asked for; removed", call->session->id,
	    call->proc->name);
	r = secrets_replace(call, message, len, span, stripped, out, out_len);
	free(stripped);
	return r;
}

/* ---- who may not have secrets, where there are none ---- */

/* virDomainXMLFlags, libvirt-domain.h */
enum { XML_SECURE = 1, XML_MIGRATABLE = 8 };

bool
secrets_may_be_absent(const struct call *call, const uint8_t *body, size_t len)
{
	uint32_t flags;

	return strcmp(call->proc->name, "domain_get_xml_desc") == 0 && rpc_arg_u32(call->proc, body, len, "flags", &flags) &&
	    (flags & (XML_SECURE | XML_MIGRATABLE)) == XML_SECURE;
}

static const struct looked_up *
ask_description(struct call *call, struct judgement *judgement, unsigned *index, uint32_t flags)
{
	const struct vg_object *domain = &judgement->about.object;
	uint8_t body[600];
	struct xdr_out out;

	xdr_out_init(&out, body, sizeof(body));
	xdr_put_string(&out, domain->name);
	xdr_put_raw(&out, domain->uuid, VG_UUID_LEN);
	xdr_put_i32(&out, judgement->about.id);
	xdr_put_u32(&out, flags);
	return resolve_document(call, judgement, index, call->proc->name, body, out.len);
}

/* Nothing that is known for a secret, nor anything that libvirtd itself keeps back where it is not asked for secrets. */
static bool
has_none(const struct looked_up *secret, const struct looked_up *plain)
{
	char *stripped = NULL;
	size_t len;
	bool none;

	if (!secret->found || !plain->found || secret->text_len != plain->text_len || memcmp(secret->text, plain->text, plain->text_len) != 0)
		return false;
	none = secrets_strip(secret->text, secret->text_len, &stripped, &len) == 0 && stripped == NULL;
	free(stripped);
	return none;
}

enum decide_verdict
secrets_absent(struct call *call, struct judgement *judgement, unsigned *index, const uint8_t *body, size_t len)
{
	const struct vg_object *domain = &judgement->about.object;
	const struct looked_up *answer;
	unsigned secret, plain;
	struct xdr_span span;
	uint32_t flags = 0;

	(void)rpc_arg_u32(call->proc, body, len, "flags", &flags);
	/* The second question may move the first answer: they are compared by their places. */
	answer = ask_description(call, judgement, index, flags);
	secret = *index - 1;
	if (answer == NULL || (answer = ask_description(call, judgement, index, flags & ~(uint32_t)XML_SECURE)) == NULL)
		return judgement->verdict;
	plain = *index - 1;
	if (!has_none(&call->lookups[secret], &call->lookups[plain]))
		return decide_deny(judgement, VG_PERM_domain_read_secure, domain, (struct decision){ VERDICT_DENY, NULL }, "");
	if (!xdr_find(call->proc->args, body, len, "flags", &span) || judgement->num_patches == sizeof(judgement->patches) / sizeof(judgement->patches[0]))
		return resolve_malformed(judgement, "flags");
	judgement->patches[judgement->num_patches].span = span;
	judgement->patches[judgement->num_patches].data = NULL;
	judgement->patches[judgement->num_patches].len = span.len;
	memcpy(judgement->patches[judgement->num_patches].bytes, span.data, span.len);
	judgement->patches[judgement->num_patches].bytes[span.len - 1] &= (uint8_t)~XML_SECURE;
	judgement->num_patches++;
	judgement->failed = VG_PERM_NONE;
	judgement->error.message[0] = '\0';
	return judgement->verdict = DECIDE_ALLOW;
}
