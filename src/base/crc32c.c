/* Eight tables, eight bytes a step ("slicing by 8", M. Kounavis and F. Berry,
 * 2008). */
#include "base/crc32c.h"

#include <pthread.h>

enum {
    TABLES = 8,
    MASK_BITS = 15
};

static const uint32_t polynomial = 0x82f63b78u; /* its bits reversed */
static const uint32_t mask_delta = 0xa282ead8u;
static uint32_t table[TABLES][256];

static void fill(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;

        for (int k = 0; k < 8; k++)
            c = c & 1 ? c >> 1 ^ polynomial : c >> 1;
        table[0][i] = c;
    }
    for (uint32_t i = 0; i < 256; i++) {
        for (int k = 1; k < TABLES; k++)
            table[k][i] =
                table[k - 1][i] >> 8 ^ table[0][table[k - 1][i] & 255];
    }
}

static uint32_t get_u32(const unsigned char *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
           (uint32_t)p[3] << 24;
}

uint32_t md_crc32c(uint32_t before, const void *bytes, size_t n)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    const unsigned char *p = bytes;
    uint32_t c = ~before;

    pthread_once(&once, fill);
    for (; n >= TABLES; n -= TABLES, p += TABLES) {
        uint32_t lo = c ^ get_u32(p);
        uint32_t hi = get_u32(p + 4);

        c = table[7][lo & 255] ^ table[6][lo >> 8 & 255] ^
            table[5][lo >> 16 & 255] ^ table[4][lo >> 24] ^ table[3][hi & 255] ^
            table[2][hi >> 8 & 255] ^ table[1][hi >> 16 & 255] ^
            table[0][hi >> 24];
    }
    for (; n > 0; n--, p++)
        c = c >> 8 ^ table[0][(c ^ *p) & 255];
    return ~c;
}

uint32_t md_crc32c_mask(uint32_t crc)
{
    return (crc >> MASK_BITS | crc << (32 - MASK_BITS)) + mask_delta;
}
