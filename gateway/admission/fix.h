/*
 * fix.h: the smallest change of a document that a rule's finding goes away, for the rules of which there is one that leaves the guest working:
 * a filter is put in, an address made one of the row's, a label left out. What makes a guest another one (its disks, its devices of the
 * host, its kernel) is not touched. Pure.
 */
#ifndef ADMISSION_FIX_H
#define ADMISSION_FIX_H

#include "gateway/admission/admission.h"

struct admission_fix;

/* Reads it as it stands, comments too. NULL with error text. */
struct admission_fix *admission_fix_create(const char *xml, size_t len, struct vg_error *error);
void admission_fix_destroy(struct admission_fix *fix);
/*
 * A finding of admission_judge() in this document; `limits` as there, borrowed until admission_fix_apply(). False: there is no change that would
 * do. May be called from within.
 */
bool admission_fix_note(struct admission_fix *fix, const struct admission_finding *finding, const struct vg_limits *limits);
/* Makes the first change that was noted: then places are others, so judge again. False: none was. */
bool admission_fix_apply(struct admission_fix *fix);
/* The document with its own line breaks, indentation and kind of quotes; caller frees. NULL: out of memory. */
char *admission_fix_text(const struct admission_fix *fix);

#endif
