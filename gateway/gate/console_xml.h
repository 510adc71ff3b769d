/*
 * console_xml.h: where a domain's screen is, as its live description tells people. Viewers of the libvirt family read there
 * which port to connect to, on the host that they already talk to: they shall find the gateway's.
 *
 * Only the live description is changed, never one that is meant to be edited (VIR_DOMAIN_XML_INACTIVE) or to go to another
 * host (MIGRATABLE). What was changed is marked, and a document with the mark is not taken back.
 */
#ifndef GATE_CONSOLE_XML_H
#define GATE_CONSOLE_XML_H

#include "gateway/gate/gate.h"

/* Does this call ask for such a description? The body has passed xdr_check(). */
bool console_xml_is_live(const struct call *call, const uint8_t *body, size_t len);
/* Does a change bring one back? Then judgement says what to do instead. */
bool console_xml_comes_back(const struct call *call, struct judgement *judgement, const uint8_t *body, size_t len);
/*
 * As filter_reply(), of a call with `shows_screens`: `out` may hold the reply as it was changed before, which is replaced. Who may
 * open or view the screen is shown the gateway's port, others no address at all.
 */
int console_xml_filter(const struct call *call, const uint8_t *message, size_t len, uint8_t **out, size_t *out_len);
/* The first VNC display of a description, counted among all <graphics> as virDomainOpenGraphicsFD counts; -1: there is none. */
int console_xml_display(const char *xml, size_t len);
/* The document itself; `port` 0: no address. `out` is a new allocation, or NULL when there is nothing to change. -1: must not be passed on. */
int console_xml_show(const char *xml, size_t len, uint16_t port, char **out);

#endif
