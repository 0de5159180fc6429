/* The front end: samples to logarithms of mel bands' power. */
#ifndef LAENNEC_FRONTEND_H
#define LAENNEC_FRONTEND_H

#include <stdint.h>

#include "laennec_model.h"

/* One frame: LAENNEC_FFT samples to LAENNEC_BANDS natural logarithms of power, in steps of 1 / LAENNEC_LOG_STEPS.
 */
void laennec_log_mel(const int16_t samples[LAENNEC_FFT], int16_t bands[LAENNEC_BANDS]);

#endif
