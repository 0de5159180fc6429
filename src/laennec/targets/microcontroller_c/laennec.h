/* Wheezes and crackles in lung sounds, on a microcontroller. Research software, not a medical device.
 *
 * C99, float and integers, no allocation, nothing but the standard library (logf, expf of math.h). One
 * recording at a time: all state is static.
 */
#ifndef LAENNEC_H
#define LAENNEC_H

#include <stddef.h>
#include <stdint.h>

#include "laennec_model.h"

/* Outputs: probability that each is heard in the window. */
enum { LAENNEC_WHEEZE, LAENNEC_CRACKLE };

/* Forget all sound. */
void laennec_reset(void);

/* Take the next `count` samples of a recording at LAENNEC_SAMPLE_RATE, full scale 32768, of any level. Returns
 * how many frames are held, of LAENNEC_FRAMES that a window has: the first comes with LAENNEC_FFT samples, each
 * of the others with LAENNEC_HOP more. */
uint32_t laennec_push(const int16_t *samples, size_t count);

/* Classify the last LAENNEC_WINDOW samples or so: the last LAENNEC_FRAMES frames. 0: `probability` is set;
 * -1: less sound than that has come. */
int laennec_classify_latest(float probability[LAENNEC_LABELS]);

/* Classify a window by itself; forgets what has been pushed. */
void laennec_classify(const int16_t window[LAENNEC_WINDOW], float probability[LAENNEC_LABELS]);

#endif
