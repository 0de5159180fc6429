/* The network, in integers alone. */
#ifndef LAENNEC_NETWORK_H
#define LAENNEC_NETWORK_H

#include <stdint.h>

#include "laennec_model.h"

/* From LAENNEC_FRAMES frames of LAENNEC_BANDS logarithms, the oldest at row `oldest` of a ring, to one sum for
 * each label: exact, the same on every machine. A logit is such a sum times laennec_scale. */
void laennec_network(int16_t (*frames)[LAENNEC_BANDS], uint32_t oldest, int32_t sums[LAENNEC_LABELS]);

#endif
