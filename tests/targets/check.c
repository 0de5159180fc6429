/* What the test reads: of each window of standard input its frames, sums and probabilities; then the same
 * probabilities by pushing the sound in pieces of odd lengths. */
#include <stdio.h>

#include "laennec.h"
#include "laennec_frontend.h"
#include "laennec_network.h"

int main(void)
{
    static int16_t window[LAENNEC_WINDOW], frames[LAENNEC_FRAMES][LAENNEC_BANDS];
    while (fread(window, sizeof window[0], LAENNEC_WINDOW, stdin) == LAENNEC_WINDOW) {
        int32_t sums[LAENNEC_LABELS];
        float probability[LAENNEC_LABELS], pushed[LAENNEC_LABELS];
        for (uint32_t frame = 0; frame < LAENNEC_FRAMES; frame++) {
            laennec_log_mel(&window[frame * LAENNEC_HOP], frames[frame]);
        }
        laennec_network(frames, 0, sums);
        laennec_classify(window, probability);
        laennec_reset();
        if (laennec_classify_latest(pushed) != -1) {
            return 1;
        }
        const int16_t earlier[7] = {0, 9, -9, 99, -99, 999, -999};
        for (uint32_t k = 0; k < LAENNEC_HOP; k++) { /* 7 hops of other sound: the ring has turned */
            laennec_push(earlier, 7);
        }
        for (uint32_t at = 0, piece = 1; at < LAENNEC_WINDOW; at += piece, piece = 1 + piece * 7 % 613) {
            piece = piece < LAENNEC_WINDOW - at ? piece : LAENNEC_WINDOW - at;
            laennec_push(&window[at], piece);
        }
        if (laennec_classify_latest(pushed) != 0) {
            return 1;
        }
        fwrite(frames, sizeof frames, 1, stdout);
        fwrite(sums, sizeof sums, 1, stdout);
        fwrite(probability, sizeof probability, 1, stdout);
        fwrite(pushed, sizeof pushed, 1, stdout);
    }
    return 0;
}
