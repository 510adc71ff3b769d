/*
 * control.h: run_dir/control.sock, the admin's way to a running gateway: one JSON object a line asks, one answers.
 *   {"verb": "session.list"}                         -> {"sessions": [...]}
 *   {"verb": "session.kill", "id": "…"} or "user"    -> {"killed": N}
 *   {"verb": "console.list"}                         -> {"consoles": [...]}: each running guest and its port
 *   {"verb": "reload"}                               -> {"asked": true}
 *   {"verb": "status"}                               -> {"sessions": N, "decisions": N, …}
 * Only root and the gateway's own user are heard (SO_PEERCRED).
 */
#ifndef GATE_CONTROL_H
#define GATE_CONTROL_H

#include "gateway/gate/gate.h"

/* Listens on the descriptor that the parent made; NULL when memory is out. */
struct control *control_create(struct gate *gate, int fd);
void control_destroy(struct control *control);

#endif
