/* Sums of products of 8 bits in 32 bits; each is brought back to 8 bits by a multiplier of 31 bits and a shift.
 *
 * Maps lie as bands, frames, channels. An activation a of 0 to 255 steps is kept as a - 128; the image is kept
 * as it is. Beyond the border is nothing.
 */
#include "laennec_network.h"

static int8_t first[LAENNEC_FIRST_BYTES], second[LAENNEC_SECOND_BYTES]; /* a layer reads one, writes the other */

static int8_t requantised(int32_t sum, int32_t multiplier, uint8_t shift)
{
    if (sum <= 0) {
        return -128;
    }
    const uint64_t half = (uint64_t)1 << (shift - 1);
    const uint64_t scaled = ((uint64_t)sum * (uint64_t)multiplier + half) >> shift;
    return (int8_t)((scaled > 255 ? 255 : (int32_t)scaled) - 128);
}

/* Mean of whole numbers, each raised by 32768 so that none is below 0; halves are rounded up. */
static int32_t mean(uint32_t raised, uint32_t count)
{
    return (int32_t)((2 * raised + count) / (2 * count)) - 32768;
}

/* Value over the mean, in steps of the image. */
static int8_t normalised(int32_t over, int32_t factor)
{
    const int32_t raise = 4096; /* keeps what is shifted above 0 */
    const int32_t scaled = (int32_t)((uint32_t)(over * factor + 32768 + raise * 65536) >> 16) - raise;
    return (int8_t)(scaled > 127 ? 127 : scaled < -127 ? -127 : scaled);
}

static void make_image(int16_t (*frames)[LAENNEC_BANDS], uint32_t oldest)
{
    uint32_t total = 0;
    uint32_t of_band[LAENNEC_BANDS] = {0};
    for (uint32_t frame = 0; frame < LAENNEC_FRAMES; frame++) {
        for (uint32_t band = 0; band < LAENNEC_BANDS; band++) {
            of_band[band] += (uint32_t)(frames[frame][band] + 32768);
        }
    }
    for (uint32_t band = 0; band < LAENNEC_BANDS; band++) {
        total += of_band[band];
    }
    const int32_t whole = mean(total, LAENNEC_FRAMES * LAENNEC_BANDS);
    int8_t *out = first;
    for (uint32_t band = 0; band < LAENNEC_BANDS; band++) {
        const int32_t own = mean(of_band[band], LAENNEC_FRAMES);
        for (uint32_t k = 0; k < LAENNEC_FRAMES; k++) {
            const uint32_t frame = oldest + k < LAENNEC_FRAMES ? oldest + k : oldest + k - LAENNEC_FRAMES;
            *out++ = normalised(frames[frame][band] - whole, LAENNEC_FACTOR);
            if (LAENNEC_CHANNELS > 1) {
                *out++ = normalised(frames[frame][band] - own, LAENNEC_BAND_FACTOR);
            }
        }
    }
}

/* 3 x 3, from all channels of the image to all of the first maps. */
static void stem(const laennec_layer *layer, const int8_t *in, int8_t *out)
{
    for (int32_t y = 0; y < layer->out_bands; y++) {
        for (int32_t x = 0; x < layer->out_frames; x++) {
            for (int32_t c = 0; c < layer->outputs; c++) {
                int32_t sum = layer->bias[c];
                for (int32_t i = 0; i < 3; i++) {
                    const int32_t row = y * layer->band_stride + i - 1;
                    if (row < 0 || row >= layer->bands) {
                        continue;
                    }
                    for (int32_t j = 0; j < 3; j++) {
                        const int32_t column = x * layer->frame_stride + j - 1;
                        if (column < 0 || column >= layer->frames) {
                            continue;
                        }
                        const int8_t *pixel = &in[(row * layer->frames + column) * layer->inputs];
                        const int8_t *weight = &layer->weight[((c * 3 + i) * 3 + j) * layer->inputs];
                        for (int32_t k = 0; k < layer->inputs; k++) {
                            sum += weight[k] * pixel[k];
                        }
                    }
                }
                *out++ = requantised(sum, layer->multiplier[c], layer->shift[c]);
            }
        }
    }
}

/* One pixel of a 3 x 3 convolution of each channel by itself. */
static void depthwise(const laennec_layer *layer, const int8_t *in, int32_t y, int32_t x, int8_t *out)
{
    static int32_t sums[LAENNEC_MOST_CHANNELS];
    for (int32_t c = 0; c < layer->outputs; c++) {
        sums[c] = layer->bias[c];
    }
    for (int32_t i = 0; i < 3; i++) {
        const int32_t row = y * layer->band_stride + i - 1;
        if (row < 0 || row >= layer->bands) {
            continue;
        }
        for (int32_t j = 0; j < 3; j++) {
            const int32_t column = x * layer->frame_stride + j - 1;
            if (column < 0 || column >= layer->frames) {
                continue;
            }
            const int8_t *pixel = &in[(row * layer->frames + column) * layer->outputs];
            const int8_t *weight = &layer->weight[(3 * i + j) * layer->outputs];
            for (int32_t c = 0; c < layer->outputs; c++) {
                sums[c] += weight[c] * (pixel[c] + 128);
            }
        }
    }
    for (int32_t c = 0; c < layer->outputs; c++) {
        out[c] = requantised(sums[c], layer->multiplier[c], layer->shift[c]);
    }
}

/* A pixel of each channel by itself, then of all channels together. */
static void block(const laennec_layer *own, const laennec_layer *together, const int8_t *in, int8_t *out)
{
    static int8_t pixel[LAENNEC_MOST_CHANNELS];
    for (int32_t y = 0; y < own->out_bands; y++) {
        for (int32_t x = 0; x < own->out_frames; x++) {
            depthwise(own, in, y, x, pixel);
            const int8_t *weight = together->weight;
            for (int32_t c = 0; c < together->outputs; c++) {
                int32_t sum = together->bias[c]; /* with 128 times the sum of the weights in it */
                for (int32_t k = 0; k < together->inputs; k++) {
                    sum += *weight++ * pixel[k];
                }
                *out++ = requantised(sum, together->multiplier[c], together->shift[c]);
            }
        }
    }
}

/* Sums over the maps, and of the column whose sum is the largest, times the weights of the labels. */
static void head(const laennec_layer *last, const int8_t *in, int32_t sums[LAENNEC_LABELS])
{
    const int32_t channels = last->outputs, bands = last->out_bands, frames = last->out_frames;
    for (int32_t label = 0; label < LAENNEC_LABELS; label++) {
        sums[label] = laennec_head_bias[label];
    }
    for (int32_t c = 0; c < channels; c++) {
        int32_t total = 0, largest = 0;
        for (int32_t x = 0; x < frames; x++) {
            int32_t column = 0;
            for (int32_t y = 0; y < bands; y++) {
                column += in[(y * frames + x) * channels + c] + 128;
            }
            total += column;
            largest = column > largest ? column : largest;
        }
        for (int32_t label = 0; label < LAENNEC_LABELS; label++) {
            const int8_t *weight = &laennec_head[label * 2 * channels];
            sums[label] += weight[c] * total + weight[channels + c] * (frames * largest);
        }
    }
}

void laennec_network(int16_t (*frames)[LAENNEC_BANDS], uint32_t oldest, int32_t sums[LAENNEC_LABELS])
{
    make_image(frames, oldest);
    stem(&laennec_layers[0], first, second);
    int8_t *in = second, *out = first;
    for (uint32_t k = 1; k + 1 < LAENNEC_LAYERS; k += 2) {
        block(&laennec_layers[k], &laennec_layers[k + 1], in, out);
        int8_t *const written = out;
        out = in;
        in = written;
    }
    head(&laennec_layers[LAENNEC_LAYERS - 1], in, sums);
}
