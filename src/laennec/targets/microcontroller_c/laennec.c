/* Sound in, probabilities out: a ring of frames, and the window over it. */
#include "laennec.h"

#include <math.h>

#include "laennec_frontend.h"
#include "laennec_network.h"

static int16_t held[LAENNEC_FFT];                        /* samples of the frame that is coming */
static int16_t frames[LAENNEC_FRAMES][LAENNEC_BANDS];    /* a ring; `count % LAENNEC_FRAMES` is the oldest */
static uint32_t held_count, count;

void laennec_reset(void)
{
    held_count = 0;
    count = 0;
}

uint32_t laennec_push(const int16_t *samples, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        held[held_count++] = samples[i];
        if (held_count == LAENNEC_FFT) {
            laennec_log_mel(held, frames[count % LAENNEC_FRAMES]);
            count++;
            if (count == 2 * LAENNEC_FRAMES) { /* the same place of the ring, and never an overflow */
                count = LAENNEC_FRAMES;
            }
            for (uint32_t k = LAENNEC_HOP; k < LAENNEC_FFT; k++) {
                held[k - LAENNEC_HOP] = held[k];
            }
            held_count = LAENNEC_FFT - LAENNEC_HOP;
        }
    }
    return count < LAENNEC_FRAMES ? count : LAENNEC_FRAMES;
}

int laennec_classify_latest(float probability[LAENNEC_LABELS])
{
    int32_t sums[LAENNEC_LABELS];
    if (count < LAENNEC_FRAMES) {
        return -1;
    }
    laennec_network(frames, count % LAENNEC_FRAMES, sums);
    for (uint32_t label = 0; label < LAENNEC_LABELS; label++) {
        const float logit = (float)sums[label] * laennec_scale[label] + laennec_offset[label];
        probability[label] = 1.0f / (1.0f + expf(-logit));
    }
    return 0;
}

void laennec_classify(const int16_t window[LAENNEC_WINDOW], float probability[LAENNEC_LABELS])
{
    laennec_reset();
    laennec_push(window, LAENNEC_WINDOW);
    (void)laennec_classify_latest(probability);
}
