/*
 * admit.c: documents of those who do not hold everything, and of those about whom the policy has a row of "admission". What a profile
 * refuses is refused; what the document uses that belongs to somebody is looked up, and the policy asked; what libvirtd gets is the document
 * as it was judged. Where no row refuses (modes warn and audit) the document goes on as it is.
 */
#include <stdlib.h>
#include <string.h>

#include "gateway/admission/admission.h"
#include "gateway/gate/argument.h"
#include "gateway/gate/class.h"
#include "gateway/gate/own_rules.h"

#define ADMIT_MAX_ROWS	1088	/* POLICY_MAX_ADMISSION and POLICY_MAX_RULES: all of a policy's */
#define ADMIT_MAX_NOTES	16	/* findings in one record */

/* ---- what belongs to somebody ---- */

/* What it is called in a refusal: the same whether it is not there or not his. */
static enum decide_verdict
refuse_use(struct judgement *judgement, enum vg_permission permission, enum vg_class class, const struct admission_claim *claim)
{
	judgement->failed = permission;
	return decide_refuse(judgement, "use", "'%s' on %s '%.200s%s%.200s', which the document uses (line %ld)", permission_name(permission),
	    claim->kind == CLAIM_DISK ? "the volume at" : class_noun(class), claim->parent == NULL ? "" : claim->parent,
	    claim->parent == NULL ? "" : "/", claim->name, claim->line);
}

static enum decide_verdict
check_use(struct call *call, struct judgement *judgement, enum vg_permission permission, const struct vg_object *object,
    const struct admission_claim *claim)
{
	struct decision decision = decide_one(call->session, permission, object);

	if (decision.verdict != VERDICT_DENY)
		return DECIDE_ALLOW;
	return refuse_use(judgement, permission, object->class, claim);
}

/* A volume by pool and name. `pool` as libvirtd knows it. */
static enum decide_verdict
check_volume(struct call *call, struct judgement *judgement, unsigned *index, const char *pool, const char *name, const struct admission_claim *claim)
{
	const struct looked_up *answer = resolve_look_up(call, judgement, index, VG_CLASS_storage_pool, NULL, pool);
	struct vg_object volume = { .class = VG_CLASS_storage_vol, .name = name, .has_parent_uuid = true };
	enum decide_verdict verdict;

	if (answer == NULL)
		return judgement->verdict;
	if (!answer->found || name[0] == '\0')
		return refuse_use(judgement, VG_PERM_storage_vol_data_read, VG_CLASS_storage_vol, claim);
	volume.parent = answer->name;
	memcpy(volume.parent_uuid, answer->uuid, VG_UUID_LEN);
	verdict = check_use(call, judgement, VG_PERM_storage_vol_data_read, &volume, claim);
	if (verdict == DECIDE_ALLOW && claim->writes)
		verdict = check_use(call, judgement, VG_PERM_storage_vol_data_write, &volume, claim);
	return verdict;
}

/* An image by its path: libvirtd must know it as a volume. */
static enum decide_verdict
check_image(struct call *call, struct judgement *judgement, unsigned *index, const struct admission_claim *claim)
{
	const struct looked_up *answer = resolve_path(call, judgement, index, claim->name);
	char pool[256], name[256];

	if (answer == NULL)
		return judgement->verdict;
	if (!answer->found || strlen(answer->parent) >= sizeof(pool) || strlen(answer->name) >= sizeof(name))
		return refuse_use(judgement, VG_PERM_storage_vol_data_read, VG_CLASS_storage_vol, claim);
	/* The next question may move the answers. */
	memcpy(pool, answer->parent, strlen(answer->parent) + 1);
	memcpy(name, answer->name, strlen(answer->name) + 1);
	return check_volume(call, judgement, index, pool, name, claim);
}

/* A network or filter by name, a secret by its UUID. */
static enum decide_verdict
check_named(struct call *call, struct judgement *judgement, unsigned *index, enum vg_class class, enum vg_permission permission,
    const struct admission_claim *claim)
{
	struct vg_object object = { .class = class, .has_uuid = true };
	const struct looked_up *answer;
	uint8_t uuid[VG_UUID_LEN];

	if (class == VG_CLASS_secret && !policy_parse_uuid(claim->name, uuid))
		return refuse_use(judgement, permission, class, claim);
	answer = resolve_look_up(call, judgement, index, class, class == VG_CLASS_secret ? uuid : NULL, claim->name);
	if (answer == NULL)
		return judgement->verdict;
	if (!answer->found)
		return refuse_use(judgement, permission, class, claim);
	object.name = answer->name;
	memcpy(object.uuid, class == VG_CLASS_secret ? uuid : answer->uuid, VG_UUID_LEN);
	return check_use(call, judgement, permission, &object, claim);
}

static enum decide_verdict
check_directory(struct call *call, struct judgement *judgement, const struct admission_claim *claim)
{
	struct vg_error error = { 0 };

	if (path_check_directory(&call->session->gate->settings->pool_dirs, claim->name, claim->parent, &error) == 0)
		return DECIDE_ALLOW;
	return decide_refuse(judgement, "pool-directory", "%s (line %ld)%s%s", error.what, claim->line, error.hint[0] == '\0' ? "" : "; ", error.hint);
}

static enum decide_verdict
check_claim(struct call *call, struct judgement *judgement, unsigned *index, const struct admission_claim *claim)
{
	switch (claim->kind) {
	case CLAIM_DISK:
		return check_image(call, judgement, index, claim);
	case CLAIM_VOLUME:
		return check_volume(call, judgement, index, claim->parent, claim->name, claim);
	case CLAIM_NETWORK:
		return check_named(call, judgement, index, VG_CLASS_network, VG_PERM_network_use, claim);
	case CLAIM_NWFILTER:
		return check_named(call, judgement, index, VG_CLASS_nwfilter, VG_PERM_nwfilter_getattr, claim);
	case CLAIM_SECRET:
		return check_named(call, judgement, index, VG_CLASS_secret, VG_PERM_secret_use, claim);
	case CLAIM_DIRECTORY:
		return check_directory(call, judgement, claim);
	}
	return refuse_use(judgement, VG_PERM_storage_vol_data_read, VG_CLASS_storage_vol, claim);
}

static enum decide_verdict
check_claims(struct call *call, struct judgement *judgement, unsigned *index, const struct admission_document *document)
{
	size_t num;
	const struct admission_claim *claims = admission_claims(document, &num);
	enum decide_verdict verdict = DECIDE_ALLOW;

	for (size_t i = 0; i < num && verdict == DECIDE_ALLOW; i++)
		verdict = check_claim(call, judgement, index, &claims[i]);
	return verdict;
}

/* ---- the document ---- */

/* Which rows judge it, and what they said. */
struct asked {
	struct call *call;
	struct judgement *judgement;
	const struct policy_row *rows[ADMIT_MAX_ROWS], *row;	/* row: the one at hand; NULL: what holds without any */
	size_t num_rows;
	bool freed;		/* by a row of profile privileged */
	bool softened;		/* the gateway only watches: rows in mode enforce warn */
};

static void
take_row(const struct policy_row *row, void *arg)
{
	struct asked *asked = arg;

	if (row->profile == VG_PROFILE_PRIVILEGED)
		asked->freed = true;
	else if (asked->num_rows < ADMIT_MAX_ROWS)
		asked->rows[asked->num_rows++] = row;
}

static bool
refuses(const struct asked *asked, const struct policy_row *row)
{
	return row == NULL || (row->mode == ADMISSION_ENFORCE && !asked->softened);
}

/* What the record says of it: at most ADMIT_MAX_NOTES. */
static void
note_for_record(const struct asked *asked, const struct admission_finding *finding)
{
	static const char *const modes[] = { [ADMISSION_ENFORCE] = "enforce", [ADMISSION_WARN] = "warn", [ADMISSION_AUDIT] = "audit" };
	const char *mode = asked->row == NULL ? "enforce" : !refuses(asked, asked->row) && asked->row->mode == ADMISSION_ENFORCE ? "warn" :
	    modes[asked->row->mode];
	struct call *call = asked->call;
	json_t *note;

	if (strcmp(mode, "warn") == 0)
		call->warned++;
	if (call->findings == NULL)
		call->findings = json_array();
	if (call->findings == NULL || json_array_size(call->findings) >= ADMIT_MAX_NOTES)
		return;
	note = json_pack("{s:s, s:o, s:I, s:s?, s:s}", "rule", finding->rule, "path", audit_text(finding->path, strlen(finding->path)), "line",
	    (json_int_t)finding->line, "row", asked->row == NULL ? NULL : asked->row->id, "mode", mode);
	(void)json_array_append_new(call->findings, note);
}

/* The first finding that counts becomes the refusal; `virtgate admission check` tells all. */
static void
note_finding(const struct admission_finding *finding, void *arg)
{
	struct asked *asked = arg;
	const struct policy_row *row = asked->row;
	bool named = row != NULL && row->rule == NULL;	/* a site's own rule is its row */

	note_for_record(asked, finding);
	if (asked->judgement->verdict == DECIDE_DENY || !refuses(asked, row))
		return;
	(void)decide_refuse(asked->judgement, finding->rule, "admission rule '%s' at %.150s (line %ld)%s%.128s%s: %s%s%s", finding->rule,
	    finding->path, finding->line, named ? ", row '" : "", named ? row->id : "", named ? "'" : "", finding->message,
	    finding->hint[0] == '\0' ? "" : "; ", finding->hint);
}

/* The document as it was judged takes the place of the client's. */
static enum decide_verdict
replace(struct call *call, struct judgement *judgement, struct admission_document *document, struct xdr_span span)
{
	size_t n = judgement->num_patches, len;
	const char *text = admission_text(document, &len);
	uint8_t *encoded = text == NULL || n == sizeof(judgement->patches) / sizeof(judgement->patches[0]) ||
	    call->num_documents == sizeof(call->documents) / sizeof(call->documents[0]) ? NULL : malloc(len + 8);
	struct xdr_out out;

	if (encoded == NULL)
		return decide_refuse(judgement, "document", "the document is too large");
	call->documents[call->num_documents++] = encoded;
	xdr_out_init(&out, encoded, len + 8);
	xdr_put_string(&out, text);
	judgement->patches[n].span = span;
	judgement->patches[n].data = encoded;
	judgement->patches[n].len = out.len;
	judgement->num_patches++;
	return out.failed ? decide_refuse(judgement, "document", "the document is too large") : DECIDE_ALLOW;
}

/* What the document is by its reader or a rule that could not be asked: refused, or noted as a finding. */
static void
note_unreadable(struct asked *asked, const char *why, const char *hint)
{
	const struct admission_finding finding = { .rule = "document", .path = "/", .message = why, .hint = hint };

	note_for_record(asked, &finding);
	if (asked->judgement->verdict != DECIDE_DENY && refuses(asked, asked->row))
		(void)decide_refuse(asked->judgement, "document", "%s%s%s", why, hint[0] == '\0' ? "" : "; ", hint);
}

/* One row, or what holds without any. Of a document that nobody could read there is one finding a row. */
static void
judge_by(struct asked *asked, const struct policy_row *row, const struct admission_document *document, const struct vg_error *error)
{
	asked->row = row;
	if (document == NULL) {
		note_unreadable(asked, error->what, error->hint);
	} else if (row != NULL && row->rule != NULL) {
		if (admission_judge_own(document, asked->call->session->gate->rules, row->rule, note_finding, asked) < 0)
			note_unreadable(asked, "a rule of this site takes too long on this document", "");
	} else if (admission_judge(document, row == NULL ? VG_PROFILE_BASELINE : row->profile, row == NULL ? NULL : &row->limits, note_finding, asked) < 0) {
		note_unreadable(asked, "the document is too large to be judged", "");
	}
}

static enum admission_kind
kind_of(enum argument_rule rule)
{
	static const struct { enum argument_rule rule; enum admission_kind kind; } kinds[] = { { RULE_DOMAIN_XML, ADMISSION_DOMAIN },
		{ RULE_DEVICE_XML, ADMISSION_DEVICE }, { RULE_SNAPSHOT_XML, ADMISSION_SNAPSHOT }, { RULE_VOLUME_XML, ADMISSION_VOLUME },
		{ RULE_DISK_XML, ADMISSION_DISK }, { RULE_CHECKPOINT_XML, ADMISSION_CHECKPOINT }, { RULE_BACKUP_XML, ADMISSION_BACKUP },
		{ RULE_SECRET_XML, ADMISSION_SECRET }, { RULE_POOL_XML, ADMISSION_POOL }, { RULE_OWN_DOMAIN_XML, ADMISSION_DOMAIN } };

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (kinds[i].rule == rule)
			return kinds[i].kind;
	return ADMISSION_DOMAIN;
}

/* The rows first: what they refuse, no trial of a binding softens. */
static enum decide_verdict
judge_document(struct asked *asked, unsigned *index, bool builtin, bool *by_row, enum admission_kind kind, struct xdr_span span)
{
	struct judgement *judgement = asked->judgement;
	struct admission_document *document = NULL;
	enum decide_verdict verdict = DECIDE_ALLOW;
	struct vg_error error = { 0 };
	struct xdr_span xml;
	bool claims = builtin, counts = builtin;

	if (!xdr_span_string(span, &xml))
		return decide_refuse(judgement, "document", "the document does not decode");
	document = admission_parse(kind, (const char *)xml.data, xml.len, &error);
	if (document != NULL && own_rules_request(document, &asked->call->session->identity, &judgement->about.object) < 0) {
		admission_destroy(document);
		return decide_refuse(judgement, "document", "out of memory");
	}
	for (size_t i = 0; i < asked->num_rows; i++) {
		judge_by(asked, asked->rows[i], document, &error);
		counts = counts || refuses(asked, asked->rows[i]);
		/* A site's own rule says nothing of what belongs to whom. */
		claims = claims || (refuses(asked, asked->rows[i]) && asked->rows[i]->rule == NULL);
	}
	*by_row = judgement->verdict == DECIDE_DENY;
	if (builtin)
		judge_by(asked, NULL, document, &error);
	if (judgement->verdict == DECIDE_DENY)
		verdict = DECIDE_DENY;
	else if (claims)
		verdict = check_claims(asked->call, judgement, index, document);
	if (verdict == DECIDE_ALLOW && counts)
		verdict = replace(asked->call, judgement, document, span);
	admission_destroy(document);
	return verdict;
}

void
admit_note(struct call *call, const struct policy_row *row, const char *rule, bool watches)
{
	const struct asked asked = { .call = call, .row = row, .softened = watches };
	const struct admission_finding finding = { .rule = rule, .path = "" };

	note_for_record(&asked, &finding);
}

void
admit_forget(struct call *call)
{
	json_decref(call->findings);
	call->findings = NULL;
	call->warned = 0;
	for (unsigned i = 0; i < call->num_documents; i++)
		free(call->documents[i]);
	call->num_documents = 0;
}

/* A definition that comes with another of the domain's things must not be one of somebody else. */
static bool
is_of(const struct vg_object *domain, struct xdr_span span)
{
	struct xml_identity identity;
	struct vg_error error;
	struct xdr_span xml;

	return xdr_span_string(span, &xml) && xml_identify((const char *)xml.data, xml.len, VG_CLASS_domain, &identity, &error) == 0 &&
	    domain->name != NULL && strcmp(domain->name, identity.name) == 0 &&
	    (!identity.has_uuid || (domain->has_uuid && memcmp(domain->uuid, identity.uuid, VG_UUID_LEN) == 0));
}

enum decide_verdict
admit_document(struct call *call, struct judgement *judgement, unsigned *index, enum argument_rule rule, struct xdr_span span,
    enum admit_standing standing, bool *by_row)
{
	struct session *session = call->session;
	struct asked asked = { .call = call, .judgement = judgement, .softened = policy_only_watches(session->gate->policy) };
	bool builtin;

	policy_admission(session->gate->policy, &session->identity, &judgement->about.object, gate_now(session->gate), take_row, &asked);
	builtin = standing == ADMIT_TENANT && !asked.freed;
	*by_row = false;
	if (rule == RULE_OWN_DOMAIN_XML && (builtin || asked.num_rows > 0) && !is_of(&judgement->about.object, span))
		return decide_refuse(judgement, "document", "name and UUID of the document must be those of domain '%.200s'",
		    judgement->about.object.name == NULL ? "" : judgement->about.object.name);
	return builtin || asked.num_rows > 0 ? judge_document(&asked, index, builtin, by_row, kind_of(rule), span) : DECIDE_ALLOW;
}
