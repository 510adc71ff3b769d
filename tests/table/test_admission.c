/*
 * test_admission.c: admission.table, row by row: which rule refuses a fragment; and what a hostile document does to the reader.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <libxml/parser.h>

#include "gateway/admission/admission.h"
#include "tests/table/admission_places.h"

#define MAX_RULES 128

static const char *const rule_ids[] = {
#define RULE(id, profile, kinds, xpath, message, hint) id,
#include "gateway/admission/rules.def"
#undef RULE
};

#define NUM_RULES (sizeof(rule_ids) / sizeof(rule_ids[0]))

static int
start(void **state)
{
	struct vg_error error;

	(void)state;
	xmlInitParser();
	if (admission_start(&error) < 0)
		fail_msg("%s", error.what);
	return 0;
}

static int
stop(void **state)
{
	(void)state;
	admission_stop();
	xmlCleanupParser();
	return 0;
}

/* ---- the table ---- */

struct findings {
	char text[1024];
	bool all_placed;	/* each with a line and a path */
};

/* Each rule once, joined by blanks. */
static void
note(const struct admission_finding *finding, void *arg)
{
	struct findings *findings = arg;
	size_t len = strlen(findings->text);

	findings->all_placed = findings->all_placed && finding->line > 0 && finding->path[0] == '/' && finding->message[0] != '\0';
	if (strstr(findings->text, finding->rule) == NULL)
		(void)snprintf(findings->text + len, sizeof(findings->text) - len, "%s%s", len == 0 ? "" : " ", finding->rule);
}

static const struct place *
place_of(const char *name)
{
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		if (strcmp(places[i].name, name) == 0)
			return &places[i];
	fail_msg("no such place: %s", name);
	return NULL;
}

static bool
row_is_right(unsigned line, const char *rule, const struct place *place, const char *fragment)
{
	struct findings findings = { .text = "", .all_placed = true };
	struct admission_document *document;
	struct vg_error error;
	char xml[4096];

	(void)snprintf(xml, sizeof(xml), "%s%s%s", place->before, fragment, place->after);
	document = admission_parse(place->kind, xml, strlen(xml), &error);
	if (document == NULL) {
		print_error("admission.table:%u: %s\n", line, error.what);
		return false;
	}
	if (admission_judge(document, place->profile, &limits, note, &findings) < 0)
		print_error("admission.table:%u: cannot be judged\n", line);
	admission_destroy(document);
	if (findings.all_placed && strcmp(findings.text, strcmp(rule, "-") == 0 ? "" : rule) == 0)
		return true;
	print_error("admission.table:%u: refused by '%s', not '%s'\n", line, findings.text, rule);
	return false;
}

static void
test_i35_table(void **state)
{
	FILE *file = fopen(TOP_SRCDIR "/tests/table/admission.table", "r");
	bool seen[MAX_RULES] = { false };
	unsigned line = 0, wrong = 0;
	char *text = NULL;
	size_t size = 0;

	(void)state;
	assert_non_null(file);
	while (getline(&text, &size, file) > 0) {
		char rule[64], where[32];
		int at = 0;

		line++;
		text[strcspn(text, "\n")] = '\0';
		if (text[0] == '#' || text[0] == '\0')
			continue;
		assert_int_equal(sscanf(text, "%63s %31s %n", rule, where, &at), 2);
		if (!row_is_right(line, rule, place_of(where), text + at))
			wrong++;
		for (size_t i = 0; i < NUM_RULES; i++)
			seen[i] = seen[i] || strcmp(rule_ids[i], rule) == 0;
	}
	for (size_t i = 0; i < NUM_RULES; i++) {
		if (!seen[i])
			print_error("admission.table: no row for rule '%s'\n", rule_ids[i]);
		wrong += !seen[i];
	}
	free(text);
	fclose(file);
	assert_int_equal(wrong, 0);
}

/* ---- whole definitions ---- */

/* Rules that refuse a file of tests/data/admission under a profile, joined by blanks; those in `but` are left out. */
static void
judge_file(const char *name, enum vg_profile profile, const char *but, char *text, size_t size)
{
	static const char *const any[] = { "52:54:00:*" };
	static const struct vg_limits bounds = { .macs = { any, 1 }, .filters = { filters, 1 } };
	static char xml[64 * 1024];
	struct findings findings = { .text = "", .all_placed = true };
	struct admission_document *document;
	char path[512], *rest = findings.text;
	struct vg_error error;
	size_t len;
	FILE *file;

	(void)snprintf(path, sizeof(path), TOP_SRCDIR "/tests/data/admission/%s.xml", name);
	file = fopen(path, "r");
	if (file == NULL)
		fail_msg("there is no %s", path);
	len = fread(xml, 1, sizeof(xml), file);
	fclose(file);
	text[0] = '\0';
	document = admission_parse(ADMISSION_DOMAIN, xml, len, &error);
	if (document == NULL) {
		(void)snprintf(text, size, "%s", but[0] == '\0' ? "unreadable" : "");
		return;
	}
	assert_true(admission_judge(document, profile, &bounds, note, &findings) >= 0);
	assert_true(findings.all_placed);
	admission_destroy(document);
	for (char *rule; (rule = strsep(&rest, " ")) != NULL;)
		if (strstr(but, rule) == NULL)
			(void)snprintf(text + strlen(text), size - strlen(text), "%s%s", text[0] == '\0' ? "" : " ", rule);
}

static void
test_whole_definitions(void **state)
{
	FILE *file = fopen(TOP_SRCDIR "/tests/data/admission/verdicts.table", "r");
	char line[1024], name[64], baseline[400], restricted[400], told[1024];
	unsigned num = 0, wrong = 0;

	(void)state;
	assert_non_null(file);
	while (fgets(line, sizeof(line), file) != NULL) {
		if (line[0] == '#' || line[0] == '\n')
			continue;
		assert_int_equal(sscanf(line, "%63s | %399[^|] | %399[^\n]", name, baseline, restricted), 3);
		baseline[strcspn(baseline, "|")] = '\0';
		while (strlen(baseline) > 0 && baseline[strlen(baseline) - 1] == ' ')
			baseline[strlen(baseline) - 1] = '\0';
		judge_file(name, VG_PROFILE_BASELINE, "", told, sizeof(told));
		if (strcmp(told[0] == '\0' ? "-" : told, baseline) != 0 && wrong++ < 20)
			print_error("verdicts.table: %s: refused by '%s', not '%s'\n", name, told, baseline);
		judge_file(name, VG_PROFILE_RESTRICTED, baseline, told, sizeof(told));
		if (strcmp(told[0] == '\0' ? "-" : told, restricted) != 0 && wrong++ < 20)
			print_error("verdicts.table: %s: refused by '%s' besides, not '%s'\n", name, told, restricted);
		num++;
	}
	fclose(file);
	assert_int_equal(wrong, 0);
	assert_true(num >= 20);
}

/* ---- claims ---- */

static void
expect_claim(const struct admission_document *document, enum admission_claim_kind kind, const char *parent, const char *name, bool writes)
{
	size_t num;
	const struct admission_claim *claims = admission_claims(document, &num);

	for (size_t i = 0; i < num; i++) {
		if (claims[i].kind == kind && strcmp(claims[i].name, name) == 0 && claims[i].writes == writes &&
		    (parent == NULL ? claims[i].parent == NULL : claims[i].parent != NULL && strcmp(claims[i].parent, parent) == 0))
			return;
	}
	fail_msg("nothing claims '%s'", name);
}

static void
test_claims(void **state)
{
	static const char xml[] = "<domain><devices>"
	    "<disk type='file'><driver type='qcow2'/><source file='/p/top'/><backingStore type='file'><format type='raw'/>"
	    "<source file='/p/base'/></backingStore></disk>"
	    "<disk type='file' device='cdrom'><source file='/p/iso'/></disk>"
	    "<disk type='volume'><source pool='pool' volume='vol'/><readonly/></disk>"
	    "<disk type='block'><source file='' dev='/dev/sda' pool='half'/></disk>"
	    "<interface type='network'><source network='net'/><filterref filter='filter'/></interface>"
	    "<tpm><backend type='emulator'><encryption secret='11111111-1111-1111-1111-111111111111'/></backend></tpm>"
	    "<disk type='file'><encryption><secret uuid='22222222-2222-2222-2222-222222222222'/></encryption></disk>"
	    "</devices></domain>";
	struct vg_error error;
	struct admission_document *document = admission_parse(ADMISSION_DOMAIN, xml, strlen(xml), &error);
	size_t num;

	(void)state;
	assert_non_null(document);
	(void)admission_claims(document, &num);
	assert_int_equal(num, 10);
	expect_claim(document, CLAIM_DISK, NULL, "/p/top", true);
	expect_claim(document, CLAIM_DISK, NULL, "/p/base", false);
	expect_claim(document, CLAIM_DISK, NULL, "/p/iso", false);
	expect_claim(document, CLAIM_VOLUME, "pool", "vol", false);
	expect_claim(document, CLAIM_VOLUME, "half", "", true);
	expect_claim(document, CLAIM_DISK, NULL, "/dev/sda", true);
	expect_claim(document, CLAIM_NETWORK, NULL, "net", false);
	expect_claim(document, CLAIM_NWFILTER, NULL, "filter", false);
	expect_claim(document, CLAIM_SECRET, NULL, "11111111-1111-1111-1111-111111111111", false);
	expect_claim(document, CLAIM_SECRET, NULL, "22222222-2222-2222-2222-222222222222", false);
	admission_destroy(document);
}

/* ---- hostile documents ---- */

static void
expect_refused(const char *xml, const char *why)
{
	struct vg_error error;

	if (admission_parse(ADMISSION_DOMAIN, xml, strlen(xml), &error) != NULL)
		fail_msg("accepted: %.200s", xml);
	if (strstr(error.what, why) == NULL)
		fail_msg("refused as '%s', not '%s'", error.what, why);
}

static void
test_i37_hostile_documents(void **state)
{
	static char deep[20000], many[200000], claims[20000];
	size_t len = 0;

	(void)state;
	expect_refused("<!DOCTYPE domain [<!ENTITY e 'x'>]><domain/>", "document type");
	expect_refused("<!DOCTYPE domain SYSTEM 'http://127.0.0.1/'><domain/>", "document type");
	expect_refused("<domain>&unknown;</domain>", "not well-formed");
	expect_refused("<domain name='a' name='b'/>", "not well-formed");
	expect_refused("<?xml version='1.0' encoding='UTF-7'?><domain/>", "encoding");
	expect_refused("\xff\xfe<\0d\0", "does not begin with");
	expect_refused("<?xml version='1.0' encoding='ISO-8859-1'?><domain/>", "encoding");
	expect_refused("<domain xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'><qemu:commandline/></domain>", "namespace");
	expect_refused("<domain xmlns='urn:mine'/>", "namespace");
	expect_refused("<domain xmlns:x='urn:x'><devices><disk x:type='file'/></devices></domain>", "namespace");
	expect_refused("<domain xmlns:xi='http://www.w3.org/2001/XInclude'><xi:include href='/etc/passwd'/></domain>", "namespace");
	expect_refused("<domain><devices><domain><metadata><x:y xmlns:x='urn:x'/></metadata></domain></devices></domain>", "namespace");
	expect_refused("<domain><devices><disk><source file='/p/a&#10;b'/></disk></devices></domain>", "a tab or line break in the value of 'file'");
	expect_refused("<domain><devices><disk><source file='/p/a&#9;b'/></disk></devices></domain>", "a tab or line break");
	expect_refused("<domain><name>a&#xd;b</name></domain>", "a carriage return");
	expect_refused("<network/>", "expecting an element 'domain'");
	expect_refused("", "not well-formed");
	len = (size_t)snprintf(deep, sizeof(deep), "<domain>");
	for (int i = 0; i < 100; i++)
		len += (size_t)snprintf(deep + len, sizeof(deep) - len, "<a>");
	for (int i = 0; i < 100; i++)
		len += (size_t)snprintf(deep + len, sizeof(deep) - len, "</a>");
	(void)snprintf(deep + len, sizeof(deep) - len, "</domain>");
	expect_refused(deep, "elements deep");
	len = (size_t)snprintf(many, sizeof(many), "<domain>");
	while (len < sizeof(many) - 100)
		len += (size_t)snprintf(many + len, sizeof(many) - len, "<a/>");
	(void)snprintf(many + len, sizeof(many) - len, "</domain>");
	expect_refused(many, "more than 20000");
	len = (size_t)snprintf(many, sizeof(many), "<domain");
	for (int i = 0; len < sizeof(many) - 100; i++)
		len += (size_t)snprintf(many + len, sizeof(many) - len, " a%d='>'", i);
	(void)snprintf(many + len, sizeof(many) - len, "/>");
	expect_refused(many, "too many attributes");
	len = (size_t)snprintf(claims, sizeof(claims), "<domain><devices>");
	for (int i = 0; i < 65; i++)
		len += (size_t)snprintf(claims + len, sizeof(claims) - len, "<disk><source file='/p/%d'/></disk>", i);
	(void)snprintf(claims + len, sizeof(claims) - len, "</devices></domain>");
	expect_refused(claims, "more than 64 images");
}

/* What is forwarded has no second meaning: no comments, instructions, CDATA; and a device is itself, not what it was wrapped in. */
static void
test_i38_text(void **state)
{
	static const char xml[] = "<?xml version='1.0'?><!-- a --><disk type='fi&#108;e'><!-- b --><?c d?><source file='/p/<![CDATA[x]]>'/></disk>";
	static const char good[] = "<disk type='fi&#108;e'><!-- b --><?c d?><a><![CDATA[<&]]></a></disk>";
	struct vg_error error;
	struct admission_document *document;
	const char *text;
	size_t len;

	(void)state;
	assert_null(admission_parse(ADMISSION_DEVICE, xml, strlen(xml), &error));	/* '<' in an attribute */
	document = admission_parse(ADMISSION_DEVICE, good, strlen(good), &error);
	assert_non_null(document);
	text = admission_text(document, &len);
	assert_string_equal(text, "<disk type=\"file\"><a>&lt;&amp;</a></disk>");
	assert_int_equal(len, strlen(text));
	admission_destroy(document);
}

/* ---- own rules ---- */

static const struct admission_request said = { .user = "ann", .cn = "ann", .object = "web-1" };

static void
expect_own(enum admission_kind kind, const char *class, bool must, const char *xpath, const char *xml, int num)
{
	const struct vg_rule rule = { .id = "mine", .class = class, .xpath = xpath, .must = must, .message = "", .hint = "" }, *list[] = { &rule };
	struct findings findings = { .text = "", .all_placed = true };
	struct admission_document *document;
	struct admission_rules *rules;
	struct vg_error error;
	size_t which;

	rules = admission_compile(list, 1, &which, &error);
	if (rules == NULL)
		fail_msg("%s", error.what);
	document = admission_parse(kind, xml, strlen(xml), &error);
	if (document == NULL)
		fail_msg("%s", error.what);
	if (strstr(xml, "<!--said-->") != NULL)
		assert_int_equal(admission_set_request(document, &said), 0);
	if (admission_judge_own(document, rules, &rule, note, &findings) != num)
		fail_msg("'%s' does not find %d in %s", xpath, num, xml);
	assert_true(findings.all_placed);
	assert_string_equal(findings.text, num > 0 ? "mine" : "");
	admission_destroy(document);
	admission_rules_destroy(rules);
}

static void
test_own_rules(void **state)
{
	static const char *const broken[] = { "/domain[", "nosuch(.)", "$variable", "x:y", "", "/domain[. = $users]" };
	static const char good[] = "<domain><vcpu>2</vcpu><devices><disk/><disk/></devices></domain>";
	static char many[60000];
	size_t len, which;
	struct vg_error error;

	(void)state;
	expect_own(ADMISSION_DOMAIN, "domain", false, "/domain/devices/disk", good, 2);
	expect_own(ADMISSION_DOMAIN, "domain", false, "/domain/devices/hostdev", good, 0);
	expect_own(ADMISSION_DOMAIN, "domain", false, "/domain/vcpu > 1", good, 1);
	expect_own(ADMISSION_DOMAIN, "domain", true, "/domain/vcpu <= 2", good, 0);
	expect_own(ADMISSION_DOMAIN, "domain", true, "/domain/title", good, 1);
	expect_own(ADMISSION_DEVICE, "device", false, "/domain/devices/disk", "<disk/>", 1);
	expect_own(ADMISSION_DEVICE, "domain", true, "/domain/title", "<disk/>", 0);
	expect_own(ADMISSION_VOLUME, "volume", true, "starts-with(/volume/name, 'a')", "<volume><name>b</name></volume>", 1);
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		const struct vg_rule rule = { .id = "mine", .class = "domain", .xpath = broken[i], .message = "", .hint = "" }, *list[] = { &rule };

		assert_null(admission_compile(list, 1, &which, &error));
		assert_non_null(strstr(error.what, "is not an XPath"));
		if (i == 1)
			assert_non_null(strstr(error.what, "is not an XPath: function nosuch not found"));
	}
	/* who sends it, and about what */
	expect_own(ADMISSION_DOMAIN, "domain", true, "/domain/title = $user and $object = 'web-1' and $unix = ''", "<domain><!--said--><title>ann</title></domain>", 0);
	expect_own(ADMISSION_DOMAIN, "domain", true, "/domain/title = $user", "<domain><!--said--><title>bob</title></domain>", 1);
	expect_own(ADMISSION_DOMAIN, "domain", true, "$user = '' and $address = ''", "<domain/>", 0);
	expect_own(ADMISSION_DOMAIN, "domain", false, "/domain/title[. = $user]", "<domain><!--said--><title>' or '1</title></domain>", 0);
	/* one that would walk the document for each of its elements is given up, and refuses */
	len = (size_t)snprintf(many, sizeof(many), "<domain>");
	while (len < sizeof(many) - 100)
		len += (size_t)snprintf(many + len, sizeof(many) - len, "<a/>");
	(void)snprintf(many + len, sizeof(many) - len, "</domain>");
	expect_own(ADMISSION_DOMAIN, "domain", false, "//*[count(//*) > count(//*)]", many, -1);
}

/* ---- amounts ---- */

static void
test_amounts(void **state)
{
	/* What a quota counts: guests, processors, KiB of memory and of disk; -1: cannot be counted. */
	static const struct {
		const char *xml;
		long long amounts[VG_NUM_AMOUNTS];
	} rows[] = {
		{ "<domain><memory>1024</memory></domain>", { 1, 1, 1024, 0 } },
		{ "<domain><memory unit='MiB'>2</memory><currentMemory unit='GiB'>1</currentMemory><vcpu current='1'> 8</vcpu></domain>", { 1, 8, 1048576, 0 } },
		{ "<domain><vcpu>2</vcpu><vcpu>3</vcpu><memory unit='b'>1025</memory><memory>1</memory></domain>", { 1, 3, 2, 0 } },
		{ "<domain><memory>1</memory><cpu><numa><cell memory='4' unit='MiB'/><cell memory='1024'/></numa></cpu></domain>", { 1, 1, 5120, 0 } },
		{ "<domain><cpu><numa><cell memory='1024'/></numa></cpu><devices><memory model='dimm'><target><size unit='MiB'>3</size></target></memory></devices></domain>",
		    { 1, 1, 4096, 0 } },
		{ "<domain xmlns:q='u'><q:vcpu>9</q:vcpu><memory><![CDATA[7]]></memory></domain>", { 1, 1, 7, 0 } },
		{ "<memory model='dimm'><target><size>77</size></target></memory>", { 0, 0, 77, 0 } },
		{ "<disk type='file'/>", { 0, 0, 0, 0 } },
		{ "<volume><capacity>1025</capacity></volume>", { 0, 0, 0, 2 } },
		{ "<volume><capacity unit='KiB'>4</capacity><allocation unit='M'>1</allocation></volume>", { 0, 0, 0, 1024 } },
		{ "<domainsnapshot><domain><vcpu>4</vcpu></domain><inactiveDomain><vcpu>6</vcpu><memory>2</memory></inactiveDomain></domainsnapshot>", { 1, 6, 2, 0 } },
		{ "<volume><name>v</name></volume>", { -1, 0, 0, 0 } },
		{ "<domain><vcpu>0x9</vcpu></domain>", { -1, 0, 0, 0 } },
		{ "<domain><vcpu>9999999999</vcpu></domain>", { -1, 0, 0, 0 } },
		{ "<domain><memory unit='furlong'>9</memory></domain>", { -1, 0, 0, 0 } },
		{ "<domain><memory unit='EiB'>9</memory></domain>", { -1, 0, 0, 0 } },
		{ "<domain><memory>-9</memory></domain>", { -1, 0, 0, 0 } },
		{ "<!DOCTYPE domain [<!ENTITY e '9'>]><domain><memory>&e;</memory></domain>", { -1, 0, 0, 0 } },
		{ "<domain", { -1, 0, 0, 0 } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct vg_amounts amounts;
		struct vg_error error;
		int r = admission_amounts(rows[i].xml, strlen(rows[i].xml), &amounts, &error);

		if ((r < 0) != (rows[i].amounts[0] < 0))
			fail_msg("%s: %d", rows[i].xml, r);
		for (size_t k = 0; r == 0 && k < VG_NUM_AMOUNTS; k++)
			if ((long long)amounts.of[k] != rows[i].amounts[k])
				fail_msg("%s: %s %llu", rows[i].xml, k == 0 ? "guests" : k == 1 ? "vcpus" : k == 2 ? "memory" : "disk", (unsigned long long)amounts.of[k]);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_i35_table),
		cmocka_unit_test(test_whole_definitions),
		cmocka_unit_test(test_claims),
		cmocka_unit_test(test_own_rules),
		cmocka_unit_test(test_amounts),
		cmocka_unit_test(test_i37_hostile_documents),
		cmocka_unit_test(test_i38_text),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
