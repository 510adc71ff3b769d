/* endings.h: why a session ended: the one list (endings.def), for those who end it and for those who tell a browser. */
#ifndef VIRTGATE_ENDINGS_H
#define VIRTGATE_ENDINGS_H

enum close_reason {
#define ENDING(NAME, CODE, TEXT) CLOSE_##NAME,
#include "virtgate/endings.def"
#undef ENDING
	CLOSE_NUM_REASONS
};

#endif
