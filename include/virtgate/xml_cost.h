/*
 * xml_cost.h: is a document worth giving to libxml2? It compares each attribute of an element with all before it: half a megabyte of them
 * took 13 seconds (2.9.14), in which a room does nothing else. Looked at in one pass, before the parser and as bytes; so the encoding must
 * be one in which '<' and '=' are themselves.
 */
#ifndef VIRTGATE_XML_COST_H
#define VIRTGATE_XML_COST_H

#include <stddef.h>
#include <string.h>
#include <strings.h>

/* Comparisons of attributes in a whole document: some 10 ms. */
#define XML_MAX_COMPARISONS 1000000u

/* <?xml … encoding='UTF-8'?>, or none. */
static inline int
xml_says_other_encoding(const char *xml, size_t len)
{
	static const char word[] = "encoding";
	const char *end = memchr(xml, '>', len);
	size_t head = end == NULL ? len : (size_t)(end - xml);

	if (head < 5 || memcmp(xml, "<?xml", 5) != 0)
		return 0;
	for (size_t i = 0; i + sizeof(word) - 1 <= head; i++) {
		if (memcmp(xml + i, word, sizeof(word) - 1) != 0)
			continue;
		i += sizeof(word) - 1;
		while (i < head && strchr(" \t\r\n=", xml[i]) != NULL)
			i++;
		return head - i < 7 || strncasecmp(xml + i + 1, "UTF-8", 5) != 0 || xml[i] != xml[i + 6];
	}
	return 0;
}

/* NULL, or why it is not to be parsed. */
static inline const char *
xml_refusal(const char *xml, size_t len)
{
	size_t comparisons = 0, since_tag = 0, at = 0;

	if (len >= 3 && memcmp(xml, "\xef\xbb\xbf", 3) == 0)
		at = 3;
	if (xml_says_other_encoding(xml + at, len - at))
		return "its encoding is not accepted: UTF-8 is";
	while (at < len && (xml[at] == ' ' || xml[at] == '\t' || xml[at] == '\r' || xml[at] == '\n'))
		at++;
	if (at + 1 >= len || xml[at] != '<' || xml[at + 1] == '\0')
		return "not well-formed: it does not begin with '<'";
	for (; at < len; at++) {
		if (xml[at] == '<')
			since_tag = 0;
		else if (xml[at] == '=' && (comparisons += since_tag++) > XML_MAX_COMPARISONS)
			return "too many attributes";
	}
	return NULL;
}

#endif
