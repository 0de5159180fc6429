/* One window on an emulated Cortex-M4 (QEMU's mps2-an386): sums and instructions, written by semihosting.
 *
 * With -icount shift=0 an instruction takes a nanosecond of the emulated clock, and SysTick counts every 40. */
#include <stdint.h>

#include "laennec.h"
#include "laennec_frontend.h"
#include "laennec_network.h"

extern const int16_t sound[LAENNEC_WINDOW];
extern uint32_t data_start, data_end, data_load, bss_start, bss_end, stack_top;

static volatile uint32_t *const control = (uint32_t *)0xe000e010, *const reload = (uint32_t *)0xe000e014,
                                *const value = (uint32_t *)0xe000e018;

static int call(int what, const void *with)
{
    register int number __asm__("r0") = what;
    register const void *block __asm__("r1") = with;
    __asm__ volatile("bkpt 0xab" : "+r"(number) : "r"(block) : "memory");
    return number;
}

static void put(const char *name, int32_t number)
{
    char text[32];
    int at = 31, negative = number < 0;
    uint32_t left = negative ? 0u - (uint32_t)number : (uint32_t)number;
    text[at] = 0;
    do {
        text[--at] = (char)('0' + left % 10);
        left /= 10;
    } while (left);
    if (negative) {
        text[--at] = '-';
    }
    call(4, name);
    call(4, " ");
    call(4, &text[at]);
    call(4, "\n");
}

static uint32_t now(void) { return 0xffffff - *value; }

int main(void)
{
    static int16_t frames[LAENNEC_FRAMES][LAENNEC_BANDS];
    int32_t sums[LAENNEC_LABELS];
    *reload = 0xffffff;
    *value = 0;
    *control = 5;
    const uint32_t begin = now();
    for (uint32_t frame = 0; frame < LAENNEC_FRAMES; frame++) {
        laennec_log_mel(&sound[frame * LAENNEC_HOP], frames[frame]);
    }
    const uint32_t between = now();
    laennec_network(frames, 0, sums);
    const uint32_t end = now();
    put("frontend_ticks", (int32_t)((between - begin) & 0xffffff));
    put("network_ticks", (int32_t)((end - between) & 0xffffff));
    put("sum", sums[0]);
    put("sum", sums[1]);
    for (uint32_t k = 0; k < LAENNEC_FRAMES * LAENNEC_BANDS; k++) {
        put("frame", (&frames[0][0])[k]);
    }
    return 0;
}

void start(void)
{
    *(volatile uint32_t *)0xe000ed88 |= 0xf << 20; /* the floating point unit */
    __asm__ volatile("dsb\nisb");
    const uint32_t *from = &data_load;
    for (uint32_t *to = &data_start; to < &data_end;) {
        *to++ = *from++;
    }
    for (uint32_t *to = &bss_start; to < &bss_end;) {
        *to++ = 0;
    }
    main();
    call(0x18, (void *)0x20026);
    for (;;) {
    }
}

__attribute__((section(".vectors"), used)) static const void *const vectors[2] = {&stack_top, (void *)start};
