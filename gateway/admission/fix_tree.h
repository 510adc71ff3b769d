/*
 * fix_tree.h: a document as people wrote it, changed in places: what is put in is indented like what stands beside it, and the rest is
 * written as it was. Private to this folder. Functions take NULL for a node that is not there, and do nothing.
 */
#ifndef ADMISSION_FIX_TREE_H
#define ADMISSION_FIX_TREE_H

#include <stdbool.h>
#include <stddef.h>

#include <libxml/tree.h>

/* Is it an element of this name, without a namespace? */
bool tree_is(const xmlNode *node, const char *name);
bool tree_has(const xmlNode *node, const char *attribute, const char *value);
xmlNodePtr tree_child(const xmlNode *parent, const char *name);
xmlNodePtr tree_child_after(const xmlNode *child, const char *name);

/* A new child at the end, or at the beginning; NULL: out of memory. */
xmlNodePtr tree_add(xmlNodePtr parent, const char *name);
xmlNodePtr tree_add_first(xmlNodePtr parent, const char *name);
/* An element with its line, or an attribute. */
void tree_remove(xmlNodePtr node);
/* `value` NULL: the attribute goes. */
void tree_set(xmlNodePtr node, const char *attribute, const char *value);
/* In place of all that is in it. */
void tree_say(xmlNodePtr node, const char *text);

/* As a new string, in the quotes that `original` mostly has; with what stands there before and behind the top element. NULL: out of memory. */
char *tree_text(const xmlDoc *doc, const char *original, size_t len);

#endif
