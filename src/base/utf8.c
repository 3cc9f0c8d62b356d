#include "base/utf8.h"

static bool follows(unsigned char c)
{
    return (c & 0xc0) == 0x80;
}

/* Ranges: The Unicode Standard, table 3-7. */
size_t md_utf8_next(const unsigned char *p, size_t n)
{
    unsigned c = p[0];

    if (c < 0x80)
        return 1;
    if (c >= 0xc2 && c <= 0xdf)
        return n >= 2 && follows(p[1]) ? 2 : 0;
    if (c >= 0xe0 && c <= 0xef) {
        unsigned lo = c == 0xe0 ? 0xa0 : 0x80;
        unsigned hi = c == 0xed ? 0x9f : 0xbf;

        return n >= 3 && p[1] >= lo && p[1] <= hi && follows(p[2]) ? 3 : 0;
    }
    if (c >= 0xf0 && c <= 0xf4) {
        unsigned lo = c == 0xf0 ? 0x90 : 0x80;
        unsigned hi = c == 0xf4 ? 0x8f : 0xbf;

        return n >= 4 && p[1] >= lo && p[1] <= hi && follows(p[2]) &&
                       follows(p[3])
                   ? 4
                   : 0;
    }
    return 0;
}

uint32_t md_utf8_get(const unsigned char *p, size_t k)
{
    uint32_t rune = k == 1 ? p[0] : p[0] & (0xffu >> (k + 1));

    for (size_t i = 1; i < k; i++)
        rune = rune << 6 | (p[i] & 0x3f);
    return rune;
}

bool md_utf8_valid(const void *text, size_t n)
{
    const unsigned char *p = text;

    for (size_t at = 0; at < n;) {
        size_t k = md_utf8_next(p + at, n - at);

        if (k == 0)
            return false;
        at += k;
    }
    return true;
}

size_t md_utf8_cut(const void *text, size_t n, size_t max)
{
    const unsigned char *p = text;
    size_t at = max;

    if (n <= max)
        return n;
    while (at > 0 && max - at < 3 && follows(p[at]))
        at--;
    return follows(p[at]) ? max : at;
}

size_t md_utf8_put(char dst[4], uint32_t rune)
{
    if (rune < 0x80) {
        dst[0] = (char)rune;
        return 1;
    }
    if (rune < 0x800) {
        dst[0] = (char)(0xc0 | rune >> 6);
        dst[1] = (char)(0x80 | (rune & 0x3f));
        return 2;
    }
    if (rune < 0x10000) {
        dst[0] = (char)(0xe0 | rune >> 12);
        dst[1] = (char)(0x80 | (rune >> 6 & 0x3f));
        dst[2] = (char)(0x80 | (rune & 0x3f));
        return 3;
    }
    dst[0] = (char)(0xf0 | rune >> 18);
    dst[1] = (char)(0x80 | (rune >> 12 & 0x3f));
    dst[2] = (char)(0x80 | (rune >> 6 & 0x3f));
    dst[3] = (char)(0x80 | (rune & 0x3f));
    return 4;
}
