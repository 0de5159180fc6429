/* Hann window, real fast Fourier transform in single precision, mel filters, logarithm. */
#include "laennec_frontend.h"

#include <math.h>

#define HALF (LAENNEC_FFT / 2)

static float data[LAENNEC_FFT]; /* LAENNEC_FFT / 2 complex numbers */

/* Complex transform of HALF numbers in place, radix 2; the twiddle of step s is cos, -sin of 2 pi s / FFT. */
static void transform(void)
{
    for (uint32_t i = 0, j = 0; i < HALF; i++) {
        if (i < j) {
            const float real = data[2 * i], imaginary = data[2 * i + 1];
            data[2 * i] = data[2 * j];
            data[2 * i + 1] = data[2 * j + 1];
            data[2 * j] = real;
            data[2 * j + 1] = imaginary;
        }
        uint32_t bit = HALF >> 1;
        for (; bit && (j & bit); bit >>= 1) {
            j ^= bit;
        }
        j |= bit;
    }
    for (uint32_t length = 1; length < HALF; length *= 2) {
        for (uint32_t k = 0; k < length; k++) {
            const float c = laennec_cosine[k * (HALF / length)];
            const float s = laennec_sine[k * (HALF / length)];
            for (uint32_t i = k; i < HALF; i += 2 * length) {
                float *a = &data[2 * i], *b = &data[2 * (i + length)];
                const float real = b[0] * c + b[1] * s, imaginary = b[1] * c - b[0] * s;
                b[0] = a[0] - real;
                b[1] = a[1] - imaginary;
                a[0] += real;
                a[1] += imaginary;
            }
        }
    }
}

/* Power of bin k of the real transform, from the complex one of even and odd samples. */
static float power_of(uint32_t k)
{
    const uint32_t a = k % HALF, b = (HALF - k) % HALF;
    const float even_real = 0.5f * (data[2 * a] + data[2 * b]);
    const float even_imaginary = 0.5f * (data[2 * a + 1] - data[2 * b + 1]);
    const float odd_real = 0.5f * (data[2 * a + 1] + data[2 * b + 1]);
    const float odd_imaginary = 0.5f * (data[2 * b] - data[2 * a]);
    const float c = k < HALF ? laennec_cosine[k] : -1.0f, s = k < HALF ? laennec_sine[k] : 0.0f;
    const float real = even_real + c * odd_real + s * odd_imaginary;
    const float imaginary = even_imaginary + c * odd_imaginary - s * odd_real;
    return real * real + imaginary * imaginary;
}

void laennec_log_mel(const int16_t samples[LAENNEC_FFT], int16_t bands[LAENNEC_BANDS])
{
    static float power[HALF + 1];
    for (uint32_t i = 0; i < LAENNEC_FFT; i++) {
        data[i] = laennec_window[i] * (float)samples[i];
    }
    transform();
    for (uint32_t k = 0; k <= HALF; k++) {
        power[k] = power_of(k);
    }
    const float *weight = laennec_mel_weight;
    for (uint32_t band = 0; band < LAENNEC_BANDS; band++) {
        const float *bin = &power[laennec_mel_first[band]];
        float sum = 0.0f;
        for (int32_t k = 0; k < laennec_mel_count[band]; k++) {
            sum += *weight++ * *bin++;
        }
        const float logarithm = logf(sum * (1.0f / LAENNEC_FLOOR) + 1.0f) + LAENNEC_LOG_FLOOR;
        bands[band] = (int16_t)lrintf(logarithm * LAENNEC_LOG_STEPS);
    }
}
