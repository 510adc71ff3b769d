/*
 * limit.c: what a row of profile restricted bounds in a document, where it comes as a plain argument of a call: processors, memory, and that
 * a guest starts by itself with the host. As the rules of argument.def it is asked once the permissions are granted.
 */
#include <string.h>

#include "gateway/gate/argument.h"

enum what { VCPUS, MEMORY /* KiB */, AUTOSTART };

static const struct limited {
	const char *proc, *path;
	enum what what;
} limited[] = {
	{ "domain_set_vcpus", "nvcpus", VCPUS }, { "domain_set_vcpus_flags", "nvcpus", VCPUS }, { "domain_set_memory", "memory", MEMORY },
	{ "domain_set_memory_flags", "memory", MEMORY }, { "domain_set_max_memory", "memory", MEMORY },
	{ "domain_set_autostart", "autostart", AUTOSTART }, { "domain_set_autostart_once", "autostart", AUTOSTART },
};

struct asked {
	struct call *call;
	struct judgement *judgement;
	enum what what;
	uint64_t value;
	bool watches;
};

/* The rule's id; NULL: within the bounds of this row. */
static const char *
broken_rule(const struct asked *asked, const struct vg_limits *limits)
{
	switch (asked->what) {
	case VCPUS:
		return limits->max_vcpus != 0 && asked->value > limits->max_vcpus ? "vcpu-bound" : NULL;
	case MEMORY:
		return limits->max_memory_kib != 0 && asked->value > limits->max_memory_kib ? "memory-bound" : NULL;
	case AUTOSTART:
		return asked->value != 0 ? "autostart" : NULL;
	}
	return "autostart";
}

static void
ask_row(const struct policy_row *row, void *arg)
{
	struct asked *asked = arg;
	struct judgement *judgement = asked->judgement;
	const char *rule = row->profile == VG_PROFILE_RESTRICTED ? broken_rule(asked, &row->limits) : NULL;

	if (rule == NULL)
		return;
	admit_note(asked->call, row, rule, asked->watches);
	if (judgement->verdict == DECIDE_ALLOW && row->mode == ADMISSION_ENFORCE && !asked->watches)
		(void)decide_refuse(judgement, rule, "admission rule '%s', row '%.128s': %s", rule, row->id, asked->what == AUTOSTART ?
		    "guests of this row do not start by themselves" : "more than this row of the policy allows one guest");
}

enum decide_verdict
limit_check(struct call *call, struct judgement *judgement, const uint8_t *body, size_t len)
{
	struct gate *gate = call->session->gate;
	struct asked asked = { .call = call, .judgement = judgement, .watches = policy_only_watches(gate->policy) };
	struct xdr_span span;

	for (size_t i = 0; i < sizeof(limited) / sizeof(limited[0]); i++) {
		if (strcmp(limited[i].proc, call->proc->name) != 0)
			continue;
		if (!resolve_span(call, body, len, limited[i].path, &span))
			return resolve_malformed(judgement, "the amount is not there");
		asked.what = limited[i].what;
		asked.value = xdr_span_u64(span);
		policy_admission(gate->policy, &call->session->identity, &judgement->about.object, gate_now(gate), ask_row, &asked);
		return judgement->verdict;
	}
	return DECIDE_ALLOW;
}
