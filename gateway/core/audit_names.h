/*
 * audit_names.h: the code and the event name of an RPC call in the audit trail, both made from its row in the
 * procedure table, so that a new procedure needs nothing here.
 */
#ifndef CORE_AUDIT_NAMES_H
#define CORE_AUDIT_NAMES_H

#include <stddef.h>
#include <stdint.h>

#define AUDIT_CODE_LEN 7

/*
 * "VG2350I": VG2 for the remote program, VG3 qemu, VG4 lxc, VG5 virtgate (the browser's verbs); three digits of the procedure; I, W (denied) or E (failed).
 * A program or number that is none of those has "VG2000".
 */
void audit_call_code(char code[AUDIT_CODE_LEN + 1], uint32_t program, uint32_t number, char severity);

/* "class.verb": "domain_define_xml_flags" gives "domain.define". Cut when `size` is too small. */
void audit_call_event(char *out, size_t size, const char *proc_name);

#endif
