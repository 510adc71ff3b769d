/* In the place of the bundle, where node and npm were missing when virtgate was built: the interface below /api is there, the pages are not. */
#include "web/assets.h"

const struct web_asset web_assets[] = { { "", "", "", NULL, 0, false } };
const size_t web_num_assets = 0;
