/*
 * audit_document.h: the documents that a record names, kept whole beside the trail.
 */
#ifndef CLI_AUDIT_DOCUMENT_H
#define CLI_AUDIT_DOCUMENT_H

#include <jansson.h>

#include "gateway/cli/audit_source.h"

/* Is it a word under which a record may name a document? Else `error` tells which there are. */
bool audit_document_word(const char *which, struct vg_error *error);
/* Prints the document `which` of a record that audit_source_id() gives. 1, 0 when it names none of that word, -1 with `error`. */
int audit_document_print(const struct audit_source *source, json_t *record, const char *which, struct vg_error *error);
/*
 * The difference that the record was too short for: "diff" becomes what it is from the documents. Where they cannot be read it stays
 * as it is, which says how much is left out.
 */
void audit_document_complete(const struct audit_source *source, json_t *record);

#endif
