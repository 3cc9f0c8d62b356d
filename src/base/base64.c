#include "base/base64.h"

#include <stdint.h>

static const char LETTERS[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=";

enum {
    PAD = 64
};

/* Six bits of a letter, or -1. */
static int bits_of(unsigned char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+')
        return 62;
    return c == '/' ? 63 : -1;
}

size_t md_base64_decoded_max(size_t n)
{
    return n / 4 * 3 + 3;
}

size_t md_base64_encoded_size(size_t n)
{
    return (n / 3 + (n % 3 != 0)) * 4;
}

bool md_base64_decode(unsigned char *out, size_t *size, const char *text,
                      size_t n)
{
    uint32_t held = 0;
    int n_bits = 0;
    size_t at = 0;

    if (n % 4 == 0)
        for (int k = 0; k < 2 && n && text[n - 1] == '='; k++)
            n--;
    if (n % 4 == 1)
        return false;
    for (size_t i = 0; i < n; i++) {
        int bits = bits_of((unsigned char)text[i]);

        if (bits < 0)
            return false;
        held = held << 6 | (uint32_t)bits;
        n_bits += 6;
        if (n_bits >= 8) {
            n_bits -= 8;
            out[at++] = (unsigned char)(held >> n_bits);
            held &= (1u << n_bits) - 1;
        }
    }
    *size = at;
    return held == 0; /* bits behind the last byte */
}

void md_base64_encode(char *out, const void *data, size_t n)
{
    const unsigned char *p = data;

    for (size_t i = 0; i < n; i += 3) {
        const uint32_t group = (uint32_t)p[i] << 16 |
                               (i + 1 < n ? (uint32_t)p[i + 1] << 8 : 0) |
                               (i + 2 < n ? p[i + 2] : 0);

        out[0] = LETTERS[group >> 18];
        out[1] = LETTERS[group >> 12 & 63];
        out[2] = LETTERS[i + 1 < n ? group >> 6 & 63 : PAD];
        out[3] = LETTERS[i + 2 < n ? group & 63 : PAD];
        out += 4;
    }
}
