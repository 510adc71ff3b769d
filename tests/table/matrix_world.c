#include "tests/table/matrix_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/admission/admission.h"
#include "gateway/gate/inventory.h"
#include "gateway/gate/user.h"

struct session world_session;
const char *const scope_names[NUM_SCOPES] = { "nothing", "web-*", "*" };

static struct gate gate;
static struct policy *policies[NUM_ROLES][NUM_SCOPES];
static struct policy *but;

static const char *const scope_on[NUM_SCOPES] = {
	[SCOPE_NONE] = "\"domain:nothing\"",
	[SCOPE_WEB] = ("\"domain:web-*\", \"network:web-*\", \"storage_pool:web-*\", \"secret:web-*\", \"interface:web-*\", "
	    "\"node_device:web-*\", \"nwfilter:web-*\", \"nwfilter_binding:web-*\""),
	[SCOPE_ALL] = "\"*\""
};

static void
learn(bool hidden)
{
	const char *name = hidden ? HIDDEN_NAME : GRANTED_NAME;
	uint8_t uuid[VG_UUID_LEN];
	struct xdr_object object = { .class = VG_CLASS_domain, .name = { (const uint8_t *)name, strlen(name) }, .uuid = uuid, .id = hidden ? HIDDEN_ID : GRANTED_ID };

	object_uuid(VG_CLASS_domain, hidden, uuid);
	inventory_learn(gate.inventories[0], &object);
}

void
world_hidden_domain(bool exists)
{
	uint8_t uuid[VG_UUID_LEN];

	object_uuid(VG_CLASS_domain, true, uuid);
	if (exists)
		learn(true);
	else
		inventory_forget(gate.inventories[0], uuid);
}

static void
on_event(int fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
}

int
world_setup(void **state)
{
	struct vg_error error;
	char text[1024];

	(void)state;
	facts_load();
	if (admission_start(&error) < 0)
		fail_msg("%s", error.what);
	gate.base = event_base_new();
	gate.settings = settings_parse("backend_socket = \"/nonexistent\"\nlog_level = 4\nlog_outputs = [ \"4:file:/dev/null\" ]\n",
	    "matrix", &error);
	assert_non_null(gate.settings);
	TAILQ_INIT(&gate.sessions);
	TAILQ_INIT(&gate.dead);
	TAILQ_INIT(&gate.users);
	gate.audit = audit_client_create(gate.base);
	assert_non_null(gate.audit);
	evtimer_assign(&gate.redial, gate.base, on_event, NULL);
	gate.inventories[0] = inventory_create(&gate, "test:///default");
	gate.num_inventories = 1;
	assert_non_null(gate.inventories[0]);
	learn(false);
	learn(true);
	world_session.gate = &gate;
	world_session.identity.proofs = VG_PROOF_SASL;
	world_session.identity.sasl_name = strdup("matrix");
	world_session.user = user_take(&gate, &world_session.identity);
	assert_non_null(world_session.user);
	world_session.inventory = gate.inventories[0];
	world_session.uri = inventory_uri(world_session.inventory);
	for (size_t role = 0; role < NUM_ROLES; role++) {
		for (size_t scope = 0; scope < NUM_SCOPES; scope++) {
			(void)snprintf(text, sizeof(text), "{ \"version\": 1, \"bindings\": [ { \"id\": \"b\", \"who\": [\"sasl:matrix\"], "
			    "\"role\": \"%s\", \"on\": [ %s ] } ] }", role_names[role], scope_on[scope]);
			policies[role][scope] = policy_parse(text, strlen(text), "matrix", NULL, NULL);
			assert_non_null(policies[role][scope]);
		}
	}
	return 0;
}

int
world_teardown(void **state)
{
	(void)state;
	for (size_t role = 0; role < NUM_ROLES; role++)
		for (size_t scope = 0; scope < NUM_SCOPES; scope++)
			policy_destroy(policies[role][scope]);
	policy_destroy(but);
	inventory_destroy(gate.inventories[0]);
	audit_client_destroy(gate.audit);
	user_drop(&gate, world_session.user);
	event_del(&gate.redial);
	settings_destroy(gate.settings);
	event_base_free(gate.base);
	free(world_session.identity.sasl_name);
	facts_free();
	admission_stop();
	return 0;
}

void
world_person(size_t role, enum scope scope)
{
	gate.policy = policies[role][scope];
}

void
world_person_but(const char *permission, const char *part)
{
	char text[16384];
	int len;

	policy_destroy(but);
	len = snprintf(text, sizeof(text), "{ \"version\": 1, \"roles\": { \"r\": { \"allow\": [");
	for (unsigned i = VG_PERM_NONE + 1; i < VG_NUM_PERMISSIONS; i++) {
		const char *name = permission_name((enum vg_permission)i);

		/* Beside a part nothing that would give its whole, or the other parts. */
		if (part == NULL || strcmp(name, part) == 0 || (i != permission_find(permission) && permission_whole((enum vg_permission)i) != permission_find(permission)))
			len += snprintf(text + len, sizeof(text) - (size_t)len, "\"%s\", ", name);
	}
	(void)snprintf(text + len, sizeof(text) - (size_t)len, "\"connect:getattr\"], \"deny\": [%s%s%s] } }, \"bindings\": [ { \"id\": \"b\", "
	    "\"who\": [\"sasl:matrix\"], \"role\": \"r\", \"on\": [\"*\"] } ] }", part == NULL ? "\"" : "", part == NULL ? permission : "",
	    part == NULL ? "\"" : "");
	but = policy_parse(text, strlen(text), "matrix", NULL, NULL);
	assert_non_null(but);
	gate.policy = but;
}
