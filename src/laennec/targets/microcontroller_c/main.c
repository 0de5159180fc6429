/* Example: probabilities of the last LAENNEC_WINDOW samples of a recording, every LAENNEC_STEP samples.
 * Research software, not a medical device.
 *
 *     ./laennec recording.wav       16-bit mono WAV at LAENNEC_SAMPLE_RATE, or raw little-endian samples (.raw)
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "laennec.h"

static uint32_t little(const uint8_t *bytes, int count)
{
    uint32_t value = 0;
    for (int k = count - 1; k >= 0; k--) {
        value = value << 8 | bytes[k];
    }
    return value;
}

/* Stand at the samples of a WAV file, return how many bytes they are; 0 if it is another kind of file. */
static uint32_t find_samples(FILE *file)
{
    uint8_t riff[12], chunk[8], format[16] = {0};
    if (fread(riff, 1, 12, file) != 12 || memcmp(riff, "RIFF", 4) != 0 || memcmp(riff + 8, "WAVE", 4) != 0) {
        return 0;
    }
    while (fread(chunk, 1, 8, file) == 8) {
        const uint32_t size = little(chunk + 4, 4);
        if (memcmp(chunk, "data", 4) == 0) {
            const int plain = little(format, 2) == 1 && little(format + 2, 2) == 1;
            const int fits = little(format + 4, 4) == LAENNEC_SAMPLE_RATE && little(format + 14, 2) == 16;
            return plain && fits ? size : 0;
        }
        uint32_t left = size;
        if (memcmp(chunk, "fmt ", 4) == 0 && size >= 16) {
            if (fread(format, 1, 16, file) != 16) {
                return 0;
            }
            left -= 16;
        }
        left += size & 1;
        if (left > 0x7fffffff || fseek(file, (long)left, SEEK_CUR) != 0) {
            return 0;
        }
    }
    return 0;
}

static size_t read_samples(FILE *file, int16_t *samples, size_t most, uint32_t *left)
{
    size_t count = 0;
    uint8_t bytes[2];
    while (count < most && *left >= 2 && fread(bytes, 1, 2, file) == 2) {
        const int32_t value = (int32_t)little(bytes, 2);
        samples[count++] = (int16_t)(value > 32767 ? value - 65536 : value);
        *left -= 2;
    }
    return count;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: laennec RECORDING.wav|RECORDING.raw\n");
        return 2;
    }
    const char *path = argv[1];
    const size_t length = strlen(path);
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        return 1;
    }
    const int raw = length > 4 && strcmp(path + length - 4, ".raw") == 0;
    uint32_t left = raw ? UINT32_MAX : find_samples(file);
    if (left == 0) {
        fprintf(stderr, "%s: no 16-bit mono WAV file at %d Hz\n", path, LAENNEC_SAMPLE_RATE);
        fclose(file);
        return 1;
    }
    static int16_t samples[LAENNEC_WINDOW];
    size_t wanted = LAENNEC_WINDOW;
    uint32_t windows = 0;
    laennec_reset();
    for (;;) {
        const size_t count = read_samples(file, samples, wanted, &left);
        float probability[LAENNEC_LABELS];
        laennec_push(samples, count);
        if (count < wanted || laennec_classify_latest(probability) != 0) {
            break;
        }
        const double start_s = (double)windows * LAENNEC_STEP / LAENNEC_SAMPLE_RATE;
        printf("%.3f %.6f %.6f\n", start_s, (double)probability[LAENNEC_WHEEZE],
               (double)probability[LAENNEC_CRACKLE]);
        windows++;
        wanted = LAENNEC_STEP;
    }
    fclose(file);
    if (windows == 0) {
        fprintf(stderr, "%s: shorter than a window of %d samples\n", path, LAENNEC_WINDOW);
        return 1;
    }
    return EXIT_SUCCESS;
}
