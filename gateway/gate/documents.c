#include "gateway/gate/documents.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/core/document.h"
#include "gateway/gate/secrets.h"
#include "virtgate/xml_cost.h"

void
documents_put(struct documents *documents, const char *member, const char *text, size_t len)
{
	char name[DOCUMENT_NAME_LEN + 1];

	if (text == NULL || (documents->names == NULL && (documents->names = json_object()) == NULL))
		return;
	if (document_pack(&documents->packed, text, len, name) == 0)
		(void)json_object_set_new(documents->names, member, json_string(name));
}

struct asked {
	struct documents *documents;
	unsigned num;
};

/* Of a document in another encoding it cannot be said what is in it; libvirt's own clients send UTF-8. */
static bool
put_xml(const struct xdr_leaf *leaf, void *arg)
{
	struct asked *asked = arg;
	const char *text = (const char *)leaf->bytes.data, *field = leaf->depth == 0 ? "" : leaf->names[leaf->depth - 1];
	char member[24] = "asked", *clean = NULL;
	size_t len = leaf->bytes.len, clean_len = 0;

	if (leaf->absent || leaf->kind != XDR_STRING || (strstr(field, "xml") == NULL && strstr(field, "XML") == NULL) || len == 0)
		return true;
	if (++asked->num > 1)
		(void)snprintf(member, sizeof(member), "asked_%u", asked->num);
	if (xml_refusal(text, len) != NULL || secrets_clean(text, len, &clean, &clean_len) < 0)
		return true;
	documents_put(asked->documents, member, clean != NULL ? clean : text, clean != NULL ? clean_len : len);
	free(clean);
	return true;
}

void
documents_put_asked(struct documents *documents, const struct call *call)
{
	struct asked asked = { .documents = documents };

	if (call->message != NULL && call->message_len > RPC_HEADER_LEN && (call->proc->risks & (RPC_RISK_SECRET_DATA | RPC_RISK_COOKIE)) == 0)
		xdr_walk(call->proc->args, call->message + RPC_HEADER_LEN, call->message_len - RPC_HEADER_LEN, put_xml, &asked);
}

void
documents_add(struct documents *documents, json_t *record, const struct audit_client *audit, enum audit_need need)
{
	size_t len = buf_len(&documents->packed);

	if (record != NULL && len > 0 && len <= audit_client_room(audit, need) / 4) {
		(void)json_object_set(record, "documents", documents->names);
	} else if (len > 0) {
		if (record != NULL)
			(void)json_object_set_new(record, "documents_left_out", json_integer((json_int_t)len));
		buf_free(&documents->packed);
	}
	json_decref(documents->names);
	documents->names = NULL;
}
