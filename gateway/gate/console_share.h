/*
 * console_share.h: several viewers at one screen. QEMU is told that everybody shares; who may be there together is decided here:
 *
 *   max_console_viewers        so many at one guest, however they look
 *   domain:share_graphics      without it, input only where nobody else has input
 *   domain:takeover_console    a viewer that does not want to share (ClientInit, RFC 6143 7.3.1) ends the others, and no one comes in while he
 *                              is there who does not hold it too; without it his wish is ignored
 */
#ifndef GATE_CONSOLE_SHARE_H
#define GATE_CONSOLE_SHARE_H

#include "gateway/gate/console.h"

enum console_join {
	JOIN_AS_JUDGED,
	JOIN_TO_VIEW,		/* he may have input, but somebody else has */
	JOIN_FULL, JOIN_TAKEN, JOIN_BUSY,	/* he may not come in: too many; taken by one alone; input elsewhere, and he may not just look */
};

/* A viewer whose rights are judged and who would come in now. */
enum console_join console_share_join(struct session *session);
/* What a refused one is told. */
const char *console_share_refusal(enum console_join join);
/* He does not want to share: ends the others if he may. */
void console_share_take_over(struct session *session);
/* How many others are at the same screen. */
unsigned console_share_others(const struct session *session);

#endif
