/*
 * console_ports.h: which port of vnc_ports is which guest's. A running guest gets one when it is first asked for and keeps
 * it while it runs; the place to begin looking is made of its UUID, so that after a restart of the gate most have the same.
 */
#ifndef GATE_CONSOLE_PORTS_H
#define GATE_CONSOLE_PORTS_H

#include "gateway/gate/inventory.h"

/* Of the ports that the fronts listen on. NULL: out of memory. */
struct console_ports *console_ports_create(struct gate *gate);
void console_ports_destroy(struct console_ports *ports);
/* The guest's port, given now if it has none; 0: it does not run, or none is left. */
uint16_t console_ports_give(struct console_ports *ports, const struct inventory *inventory, const struct inventory_domain *domain);
/* The running guest of this inventory that the port is for, or NULL. A port that nobody has yet is a reason to give all guests theirs. */
const struct inventory_domain *console_ports_guest(struct console_ports *ports, const struct inventory *inventory, uint16_t port);
/* console.list of the control socket. */
json_t *console_ports_list(struct gate *gate, const json_t *request);

#endif
