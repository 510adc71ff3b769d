/*
 * functions.c: see functions.h. Each costs at most by the length of its text times that of a list of the policy.
 */
#include "gateway/admission/functions.h"

#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libxml/xpathInternals.h>

#include "virtgate/glob.h"

/* Longest path that known.def could hold. */
#define MAX_PATH 128

static const struct known {
	const char *path, *attributes;
} known_nodes[] = {
#define KNOWN(path, attributes) { path, attributes },
#include "gateway/admission/known.def"
#undef KNOWN
};

#define NUM_KNOWN (sizeof(known_nodes) / sizeof(known_nodes[0]))

/* ---- what libxml2 says ---- */

static char said[160];

/* The first line; it comes in pieces. */
static void __attribute__((format(printf, 2, 3)))
keep_words(void *arg, const char *format, ...)
{
	size_t len = strlen(said);
	va_list args;

	(void)arg;
	if (strchr(said, '\n') != NULL)
		return;
	va_start(args, format);
	(void)vsnprintf(said + len, sizeof(said) - len, format, args);
	va_end(args);
}

const char *
functions_said(void)
{
	static char line[sizeof(said)];
	const char *begin = strstr(said, ": ");

	/* "xmlXPathCompOpEval: function x not found": which of its functions noticed is nobody's concern. */
	(void)snprintf(line, sizeof(line), "%s", begin == NULL ? said : begin + 2);
	line[strcspn(line, "\n")] = '\0';
	said[0] = '\0';
	return line;
}

int
functions_start(struct vg_error *error)
{
	for (size_t i = 1; i < NUM_KNOWN; i++)
		if (strcmp(known_nodes[i - 1].path, known_nodes[i].path) >= 0)
			return vg_fail(error, "known.def is not sorted at '%s'", known_nodes[i].path);
	return 0;
}

/* ---- known(node) ---- */

static int
compare_known(const void *path, const void *row)
{
	return strcmp(path, ((const struct known *)row)->path);
}

static const struct known *
find_known(const char *path)
{
	return bsearch(path, known_nodes, NUM_KNOWN, sizeof(known_nodes[0]), compare_known);
}

/*
 * The element's path below the root, into the end of `buf`. A further <backingStore> in one is left out. NULL: longer than any that is
 * known. What stands in metadata, or in something else of which everything is known, is that.
 */
static const char *
path_below_root(const xmlNode *element, char *buf, size_t size)
{
	size_t at = size - 1;

	buf[at] = '\0';
	for (; element->parent != NULL && element->parent->type == XML_ELEMENT_NODE; element = element->parent) {
		const char *name = (const char *)element->name;
		size_t len = strlen(name);

		if (strcmp(name, "backingStore") == 0 && strcmp((const char *)element->parent->name, name) == 0)
			continue;
		if (len + 1 > at)
			return NULL;
		if (buf[at] != '\0')
			buf[--at] = '/';
		at -= len;
		memcpy(buf + at, name, len);
	}
	return buf + at;
}

static const struct known *
known_element(const xmlNode *element)
{
	char buf[MAX_PATH], general[MAX_PATH + 2];
	const char *path = path_below_root(element, buf, sizeof(buf)), *rest;
	const struct known *known;

	if (path == NULL)
		return NULL;
	known = find_known(path);
	if (known != NULL || strncmp(path, "devices/", 8) != 0 || (rest = strchr(path + 8, '/')) == NULL)
		return known;
	(void)snprintf(general, sizeof(general), "devices/*%s", rest);
	return find_known(general);
}

static bool
has_word(const char *words, const char *word)
{
	size_t len = strlen(word);

	for (const char *at = words; (at = strstr(at, word)) != NULL; at++)
		if ((at == words || at[-1] == ' ') && (at[len] == ' ' || at[len] == '\0'))
			return true;
	return false;
}

static bool
is_known(const xmlNode *node)
{
	const xmlNode *element = node->type == XML_ATTRIBUTE_NODE ? node->parent : node, *top = element;
	const struct known *known;

	/* Of the children of the root one may be known with all that is in it. */
	while (top->parent != NULL && top->parent->parent != NULL && top->parent->parent->type == XML_ELEMENT_NODE)
		top = top->parent;
	known = known_element(top);
	if (known != NULL && strcmp(known->attributes, "**") == 0)
		return true;
	known = known_element(element);
	return known != NULL && (node->type != XML_ATTRIBUTE_NODE || has_word(known->attributes, (const char *)node->name));
}

/* Takes the only argument, which must be one node; NULL otherwise, then the result is none. `object` is the caller's to free. */
static const xmlNode *
pop_node(xmlXPathParserContextPtr parser, int nargs, xmlXPathObjectPtr *object)
{
	*object = NULL;
	if (nargs != 1) {
		xmlXPathSetArityError(parser);
		return NULL;
	}
	*object = valuePop(parser);
	if (*object == NULL || (*object)->type != XPATH_NODESET || (*object)->nodesetval == NULL || (*object)->nodesetval->nodeNr != 1)
		return NULL;
	return (*object)->nodesetval->nodeTab[0];
}

static void
function_known(xmlXPathParserContextPtr parser, int nargs)
{
	xmlXPathObjectPtr object;
	const xmlNode *node = pop_node(parser, nargs, &object);
	bool known = node != NULL && is_known(node);

	xmlXPathFreeObject(object);
	xmlXPathReturnBoolean(parser, known);
}

/* ---- named(node, names) ---- */

static void
function_named(xmlXPathParserContextPtr parser, int nargs)
{
	const xmlNode *node;
	xmlXPathObjectPtr object;
	xmlChar *names;
	bool named;

	if (nargs != 2) {
		xmlXPathSetArityError(parser);
		return;
	}
	names = xmlXPathPopString(parser);
	node = pop_node(parser, 1, &object);
	named = node != NULL && names != NULL && node->name != NULL && has_word((const char *)names, (const char *)node->name);
	xmlXPathFreeObject(object);
	xmlFree(names);
	xmlXPathReturnBoolean(parser, named);
}

/* ---- listed(text, list) ---- */

static bool
is_listed(const struct vg_limits *limits, const char *list, const char *text)
{
	bool macs = strcmp(list, "macs") == 0;
	const struct vg_texts *texts = macs ? &limits->macs : strcmp(list, "filters") == 0 ? &limits->filters :
	    strcmp(list, "vlans") == 0 ? &limits->vlans : NULL;
	char lower[32];

	if (macs) {
		if (strlen(text) != 17)	/* libvirt takes shorter ones, of which a glob would say something else */
			return false;
		for (size_t i = 0; i <= 17; i++)
			lower[i] = (char)tolower((unsigned char)text[i]);
		text = lower;
	}
	for (size_t i = 0; texts != NULL && i < texts->num; i++)
		if (macs ? glob_match(texts->texts[i], text) : strcmp(texts->texts[i], text) == 0)
			return true;
	return false;
}

static void
function_listed(xmlXPathParserContextPtr parser, int nargs)
{
	const struct vg_limits *limits = parser->context->userData;
	xmlXPathObjectPtr object;
	xmlChar *list, *text;
	bool one;

	if (nargs != 2) {
		xmlXPathSetArityError(parser);
		return;
	}
	list = xmlXPathPopString(parser);
	object = valuePop(parser);
	one = object != NULL && (object->type != XPATH_NODESET || (object->nodesetval != NULL && object->nodesetval->nodeNr == 1));
	text = one ? xmlXPathCastToString(object) : NULL;
	xmlXPathFreeObject(object);
	one = text != NULL && list != NULL && is_listed(limits, (const char *)list, (const char *)text);
	xmlFree(list);
	xmlFree(text);
	xmlXPathReturnBoolean(parser, one);
}

/* ---- limit(name), kibibytes(node) ---- */

static void
function_limit(xmlXPathParserContextPtr parser, int nargs)
{
	const struct vg_limits *limits = parser->context->userData;
	uint64_t limit = 1;	/* of a name that there is not: nearly nothing passes */
	xmlChar *name;

	if (nargs != 1) {
		xmlXPathSetArityError(parser);
		return;
	}
	name = xmlXPathPopString(parser);
	if (name != NULL && strcmp((const char *)name, "vcpus") == 0)
		limit = limits->max_vcpus;
	else if (name != NULL && strcmp((const char *)name, "memory") == 0)
		limit = limits->max_memory_kib;
	xmlFree(name);
	xmlXPathReturnNumber(parser, limit == 0 ? HUGE_VAL : (double)limit);
}

/* virScaleInteger() of libvirt's src/util/virutil.c: bytes in one of `unit`; 0: there is no such unit. */
static double
bytes_in(const char *unit)
{
	static const char letters[] = "kmgtpe";
	double base = 1024, bytes = 1;
	const char *letter;

	if (strcasecmp(unit, "b") == 0 || strcasecmp(unit, "byte") == 0 || strcasecmp(unit, "bytes") == 0)
		return 1;
	letter = strchr(letters, tolower((unsigned char)unit[0]));
	if (letter == NULL || (unit[1] != '\0' && strcasecmp(unit + 1, "iB") != 0 && strcasecmp(unit + 1, "B") != 0))
		return 0;
	if (strcasecmp(unit + 1, "B") == 0)
		base = 1000;
	for (const char *at = letters; at <= letter; at++)
		bytes *= base;
	return bytes;
}

double
functions_kibibytes(const xmlNode *node, const char *usual)
{
	const xmlNode *element = node->type == XML_ATTRIBUTE_NODE ? node->parent : node;
	xmlChar *text = xmlNodeGetContent(node), *unit = xmlGetNoNsProp(element, (const xmlChar *)"unit");
	const char *digits = text == NULL ? "" : (const char *)text;
	double bytes = bytes_in(unit == NULL || *unit == '\0' ? usual : (const char *)unit), value = NAN;
	size_t len;

	digits += strspn(digits, " \t\n");
	len = strspn(digits, "0123456789");
	if (len > 0 && len < 20 && digits[len] == '\0' && bytes > 0)
		value = (double)strtoull(digits, NULL, 10) * bytes / 1024;
	xmlFree(text);
	xmlFree(unit);
	return value;
}

static void
function_kibibytes(xmlXPathParserContextPtr parser, int nargs)
{
	xmlXPathObjectPtr object;
	const xmlNode *node = pop_node(parser, nargs, &object);
	double value = node == NULL ? NAN : functions_kibibytes(node, "KiB");

	xmlXPathFreeObject(object);
	xmlXPathReturnNumber(parser, value);
}

#if LIBXML_VERSION >= 21200
typedef const xmlError *problem_ptr;
#else
typedef xmlErrorPtr problem_ptr;
#endif

/* libxml2 would print on standard error. */
static void
keep_problem(void *arg, problem_ptr problem)
{
	(void)arg;
	(void)problem;
}

xmlXPathContextPtr
functions_context(xmlDocPtr doc)
{
	static const struct { const char *name; xmlXPathFunction function; } functions[] = { { "known", function_known },
		{ "listed", function_listed }, { "limit", function_limit }, { "named", function_named }, { "kibibytes", function_kibibytes } };
	xmlXPathContextPtr context = xmlXPathNewContext(doc);
	int r = context == NULL ? -1 : 0;

	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]) && r == 0; i++)
		r = xmlXPathRegisterFunc(context, (const xmlChar *)functions[i].name, functions[i].function);
	if (r != 0) {
		xmlXPathFreeContext(context);
		return NULL;
	}
	context->error = keep_problem;
	xmlSetGenericErrorFunc(NULL, keep_words);
	(void)xmlXPathContextSetCache(context, 1, -1, 0);	/* without it each step allocates its nodes anew */
	return context;
}

int
functions_set_request(xmlXPathContextPtr context, const struct admission_request *request)
{
	const struct { const char *name, *value; } variables[] = { { "user", request->user }, { "sasl", request->sasl }, { "cn", request->cn },
		{ "unix", request->unix_user }, { "dn", request->dn }, { "address", request->address }, { "object", request->object } };
	int r = 0;

	for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]) && r == 0; i++) {
		xmlXPathObjectPtr value = xmlXPathNewString((const xmlChar *)(variables[i].value == NULL ? "" : variables[i].value));

		r = value == NULL ? -1 : xmlXPathRegisterVariable(context, (const xmlChar *)variables[i].name, value);
	}
	return r;
}
