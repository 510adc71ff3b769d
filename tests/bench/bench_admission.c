/*
 * bench_admission.c: how long the judgement of one definition takes, read and written anew included: a domain of 10 KiB under each profile,
 * and under a thousand rules of a site's own. Time of the processor, which other work on the machine does not lengthen much.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <libxml/parser.h>

#include "gateway/admission/admission.h"

enum { SIZE = 10 * 1024, NUM_RULES = 1000, ROUNDS = 300 };

static char xml[2 * SIZE];
static char xpaths[NUM_RULES][64], ids[NUM_RULES][16];
static struct vg_rule own[NUM_RULES];
static const struct vg_rule *list[NUM_RULES];

static void
make_document(void)
{
	static const char head[] = "<domain type='kvm'>\n  <name>web-1</name>\n  <memory unit='GiB'>2</memory>\n  <vcpu>2</vcpu>\n"
	    "  <os firmware='efi'><type arch='x86_64'>hvm</type><loader secure='yes'/></os>\n  <devices>\n"
	    "    <tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>\n";
	static const char nic[] = "    <interface type='network'>\n      <mac address='52:54:00:aa:%02x:%02x'/>\n      <source network='n%d'/>\n"
	    "      <model type='virtio'/>\n      <filterref filter='clean-traffic'/>\n"
	    "      <address type='pci' domain='0x0000' bus='0x%02x' slot='0x00' function='0x0'/>\n    </interface>\n";
	static const char port[] = "    <controller type='pci' index='%d' model='pcie-root-port'>\n      <target chassis='%d' port='0x%02x'/>\n"
	    "      <address type='pci' domain='0x0000' bus='0x00' slot='0x02' function='0x%d'/>\n    </controller>\n";
	size_t len = (size_t)snprintf(xml, sizeof(xml), "%s", head);

	for (int i = 0; i < 10; i++)
		len += (size_t)snprintf(xml + len, sizeof(xml) - len, nic, i, i, i, i);
	for (int i = 0; len < SIZE; i++)
		len += (size_t)snprintf(xml + len, sizeof(xml) - len, port, i, i, i, i % 8);
	(void)snprintf(xml + len, sizeof(xml) - len, "  </devices>\n</domain>\n");
}

static double
now_us(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

/* Microseconds a document; negative when it is not admitted. */
static double
measure(enum vg_profile profile, const struct admission_rules *rules)
{
	static const char *const macs[] = { "52:54:00:aa:*" }, *const filters[] = { "clean-traffic" };
	static const struct vg_limits limits = { .macs = { macs, 1 }, .filters = { filters, 1 } };
	static const struct admission_request request = { .user = "alice", .cn = "alice", .object = "web-1" };
	double start = now_us();

	for (int i = 0; i < ROUNDS; i++) {
		struct vg_error error;
		struct admission_document *document = admission_parse(ADMISSION_DOMAIN, xml, strlen(xml), &error);
		bool good = document != NULL && admission_set_request(document, &request) == 0 && admission_judge(document, profile, &limits, NULL, NULL) == 0;
		size_t len;

		for (size_t k = 0; good && rules != NULL && k < NUM_RULES; k++)
			good = admission_judge_own(document, rules, &own[k], NULL, NULL) == 0;
		good = good && admission_text(document, &len) != NULL;
		admission_destroy(document);
		if (!good)
			return -1;
	}
	return (now_us() - start) / ROUNDS;
}

int
main(void)
{
	struct admission_rules *rules = NULL;
	double baseline, restricted, many;
	struct vg_error error;
	size_t which;

	xmlInitParser();
	make_document();
	for (size_t i = 0; i < NUM_RULES; i++) {
		(void)snprintf(ids[i], sizeof(ids[i]), "r%zu", i);
		(void)snprintf(xpaths[i], sizeof(xpaths[i]), "/domain/devices/interface[source/@network = 'never-%zu']", i);
		own[i] = (struct vg_rule){ .id = ids[i], .class = "domain", .xpath = xpaths[i], .message = "", .hint = "", .index = i };
		list[i] = &own[i];
	}
	if (admission_start(&error) < 0 || (rules = admission_compile(list, NUM_RULES, &which, &error)) == NULL) {
		fprintf(stderr, "bench_admission: %s\n", error.what);
		return 1;
	}
	baseline = measure(VG_PROFILE_BASELINE, NULL);
	restricted = measure(VG_PROFILE_RESTRICTED, NULL);
	many = measure(VG_PROFILE_BASELINE, rules);
	admission_rules_destroy(rules);
	admission_stop();
	if (baseline < 0 || restricted < 0 || many < 0) {
		fprintf(stderr, "bench_admission: the document is not admitted\n");
		return 1;
	}
	printf("{\"admission_us\": %.1f, \"admission_restricted_us\": %.1f, \"admission_1000_rules_us\": %.1f}\n", baseline, restricted, many);
	return 0;
}
