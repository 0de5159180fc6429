/* Example: probabilities of each window of a recording, one a second. Research software, not a medical device.
 *
 *     ./laennec recording.wav       16-bit mono WAV at LAENNEC_SAMPLE_RATE, or raw little-endian samples (.raw)
 *
 * With --sums, prints the network's whole numbers and the first window's frames besides, to compare with Python.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "laennec.h"
#include "laennec_frontend.h"
#include "laennec_network.h"

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
    uint8_t header[12], chunk[8], format[16] = {0};
    if (fread(header, 1, 12, file) != 12 || memcmp(header, "RIFF", 4) != 0 || memcmp(header + 8, "WAVE", 4) != 0) {
        return 0;
    }
    while (fread(chunk, 1, 8, file) == 8) {
        const uint32_t size = little(chunk + 4, 4);
        if (memcmp(chunk, "data", 4) == 0) {
            const int fits = little(format, 2) == 1 && little(format + 2, 2) == 1 && little(format + 14, 2) == 16;
            return fits && little(format + 4, 4) == LAENNEC_SAMPLE_RATE ? size : 0;
        }
        uint32_t left = size + (size & 1);
        if (memcmp(chunk, "fmt ", 4) == 0 && size >= 16) {
            if (fread(format, 1, 16, file) != 16) {
                return 0;
            }
            left -= 16;
        }
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

static void print_window(double start_s, const int16_t *window, int with_sums)
{
    float probability[LAENNEC_LABELS];
    laennec_classify(window, probability);
    printf("%.3f %.6f %.6f\n", start_s, (double)probability[LAENNEC_WHEEZE], (double)probability[LAENNEC_CRACKLE]);
    if (with_sums) {
        static int16_t frames[LAENNEC_FRAMES][LAENNEC_BANDS];
        int32_t sums[LAENNEC_LABELS];
        for (uint32_t frame = 0; frame < LAENNEC_FRAMES; frame++) {
            laennec_log_mel(&window[frame * LAENNEC_HOP], frames[frame]);
            for (uint32_t band = 0; band < LAENNEC_BANDS; band++) {
                printf("%d%c", frames[frame][band], band + 1 < LAENNEC_BANDS ? ' ' : '\n');
            }
        }
        laennec_network(frames, 0, sums);
        printf("%ld %ld\n", (long)sums[LAENNEC_WHEEZE], (long)sums[LAENNEC_CRACKLE]);
    }
}

int main(int argc, char **argv)
{
    static int16_t window[LAENNEC_WINDOW];
    const int with_sums = argc > 2 && strcmp(argv[1], "--sums") == 0;
    if (argc != 2 + with_sums) {
        fprintf(stderr, "usage: laennec [--sums] RECORDING.wav|RECORDING.raw\n");
        return 2;
    }
    const char *path = argv[1 + with_sums];
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
    size_t have = 0;
    uint32_t windows = 0;
    for (;;) {
        have += read_samples(file, window + have, LAENNEC_WINDOW - have, &left);
        if (have < LAENNEC_WINDOW) {
            break;
        }
        print_window((double)windows * LAENNEC_STEP / LAENNEC_SAMPLE_RATE, window, with_sums);
        windows++;
        have = LAENNEC_WINDOW - LAENNEC_STEP;
        memmove(window, window + LAENNEC_STEP, have * sizeof window[0]);
    }
    fclose(file);
    if (windows == 0) {
        fprintf(stderr, "%s: shorter than a window of %d samples\n", path, LAENNEC_WINDOW);
        return 1;
    }
    return EXIT_SUCCESS;
}
