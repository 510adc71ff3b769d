/* No pages yet. */
#include "web/assets.h"

const struct web_asset web_assets[] = { { "", "", "", NULL, 0, false } };
const size_t web_num_assets = 0;
