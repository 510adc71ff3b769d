/*
 * failures.c: failed log-ins in the audit trail. Who gave a name is recorded each time; nameless failures of one kind
 * from one address are thinned out, so that a port scan does not fill the trail.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "gateway/core/handover.h"
#include "gateway/core/log.h"
#include "gateway/front/internal.h"

#define NUM_SLOTS 256u
#define WINDOW 60		/* seconds */
#define MAX_IN_WINDOW 5u

/* Failures of one (reason, address); two that fall on one slot are counted together, which only thins out more. */
static struct {
	time_t since;
	unsigned count, left_out;
} slots[NUM_SLOTS];

static uint32_t
slot_of(const char *reason, const char *address)
{
	uint32_t hash = 2166136261u;	/* FNV-1a */

	for (; *reason != '\0'; reason++)
		hash = (hash ^ (uint8_t)*reason) * 16777619u;
	for (; *address != '\0'; address++)
		hash = (hash ^ (uint8_t)*address) * 16777619u;
	return hash % NUM_SLOTS;
}

/* How many like it were left out before this one; -1: leave out this one, too. */
static int
thin_out(const char *reason, const char *address)
{
	uint32_t slot = slot_of(reason, address);
	struct timespec now;
	unsigned left_out;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (slots[slot].count == 0 || now.tv_sec - slots[slot].since >= WINDOW) {
		left_out = slots[slot].left_out;
		slots[slot].since = now.tv_sec;
		slots[slot].count = 1;
		slots[slot].left_out = 0;
		return (int)left_out;
	}
	if (slots[slot].count < MAX_IN_WINDOW) {
		slots[slot].count++;
		return 0;
	}
	slots[slot].left_out++;
	return -1;
}

void
front_record_failure(struct front *front, const struct client *client, const char *reason)
{
	const struct vg_identity *identity = client->identity;
	bool named = identity->x509_dn != NULL || identity->sasl_name != NULL || identity->unix_user != NULL;
	int left_out = named ? 0 : thin_out(reason, identity->address);
	char message[768];
	json_t *record;

	if (left_out < 0)
		return;
	record = audit_record_event(AUDIT_LOGIN_FAILED);
	if (record == NULL) {
		log_error("client %lu: no memory to record the failed log-in", client->number);
		return;
	}
	if (left_out > 0)
		snprintf(message, sizeof(message), "%s (and %d more like it)", reason, left_out);
	else
		snprintf(message, sizeof(message), "%s", reason);
	audit_add_identity(record, identity, NULL);
	audit_add_result(record, "denied", 45, message);
	(void)audit_submit(front->audit, record, AUDIT_KEEP, NULL, NULL);
}
