#include "base/text.h"

#include <assert.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

enum {
    WORD_MAX = 63
};

void md_nearest_init(md_nearest *n, const char *word)
{
    *n = (md_nearest){ .word = word, .distance = UINT_MAX };
}

void md_nearest_offer(md_nearest *n, const char *name)
{
    unsigned d = md_text_distance(n->word, name);

    if (d < n->distance) {
        n->distance = d;
        n->best = name;
    }
}

/* One edit per three letters is a slip; more is another word. */
const char *md_nearest_best(const md_nearest *n)
{
    size_t len = strlen(n->word);
    size_t allowed = len < 3 ? 1 : 1 + len / 3;

    return n->distance <= allowed && n->distance < len ? n->best : NULL;
}

static unsigned char fold(char c)
{
    if (c >= 'A' && c <= 'Z')
        return (unsigned char)(c - 'A' + 'a');
    return c == '_' ? '-' : (unsigned char)c;
}

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
    unsigned m = a < b ? a : b;

    return m < c ? m : c;
}

/* The three rows of the usual table that a step can look at. */
unsigned md_text_distance(const char *a, const char *b)
{
    unsigned rows[3][WORD_MAX + 1];
    size_t n_a = strlen(a), n_b = strlen(b);

    if (n_a > WORD_MAX || n_b > WORD_MAX)
        return UINT_MAX;
    for (unsigned j = 0; j <= n_b; j++)
        rows[0][j] = j;
    for (unsigned i = 1; i <= n_a; i++) {
        unsigned *now = rows[i % 3];
        const unsigned *last = rows[(i - 1) % 3];
        const unsigned *before = rows[(i + 1) % 3];

        now[0] = i;
        for (unsigned j = 1; j <= n_b; j++) {
            unsigned char x = fold(a[i - 1]), y = fold(b[j - 1]);

            now[j] = min3(last[j] + 1, now[j - 1] + 1, last[j - 1] + (x != y));
            if (i > 1 && j > 1 && x == fold(b[j - 2]) && y == fold(a[i - 2]) &&
                before[j - 2] + 1 < now[j])
                now[j] = before[j - 2] + 1;
        }
    }
    return rows[n_a % 3][n_b];
}

bool md_text_in_list(const char *s, const char *list, char sep)
{
    size_t n = strlen(s);

    for (;;) {
        const char *end = strchr(list, sep);
        size_t len = end ? (size_t)(end - list) : strlen(list);

        if (len == n && memcmp(list, s, n) == 0)
            return true;
        if (!end)
            return false;
        list = end + 1;
    }
}

/* The character of `len` bytes at p as it is quoted: itself or an escape, in
 * out; len 0 is a byte that is none.  Returns the length. */
static size_t quote_char(char out[8], const unsigned char *p, size_t len)
{
    static const char plain[] = "\\'\n\r\t", letter[] = "\\'nrt";
    const char *at = len == 1 && *p ? strchr(plain, *p) : NULL;

    if (at) {
        out[0] = '\\';
        out[1] = letter[at - plain];
        return 2;
    }
    if (len == 0 || *p < 0x20 || *p == 0x7f)
        return (size_t)snprintf(out, 8, "\\x%02x", *p);
    memcpy(out, p, len);
    return len;
}

char *md_text_quote(char *buf, size_t size, const char *s, size_t n)
{
    const unsigned char *p = (const unsigned char *)s;
    size_t used = 1, fits = 1; /* fits: of used, with the mark behind it */

    assert(size >= 8);
    buf[0] = '\'';
    for (size_t at = 0; at < n;) {
        size_t len = md_utf8_next(p + at, n - at);
        char out[8];
        size_t n_out;

        if (len == 2 && p[at] == 0xc2 && p[at + 1] < 0xa0)
            len = 0; /* U+0080 to U+009F: control characters too */
        n_out = quote_char(out, p + at, len);

        if (used + n_out + 2 > size) {
            memcpy(buf + fits, "'...", 5);
            return buf;
        }
        memcpy(buf + used, out, n_out);
        used += n_out;
        if (used + 5 <= size)
            fits = used;
        at += len ? len : 1;
    }
    memcpy(buf + used, "'", 2);
    return buf;
}

void md_text_plain(char *s, size_t n)
{
    unsigned char *p = (unsigned char *)s;

    while (n > 0) {
        size_t k = md_utf8_next(p, n);
        bool is_c1 = k == 2 && p[0] == 0xc2 && p[1] < 0xa0;

        if (k == 0 || *p < 0x20 || *p == 0x7f || is_c1) {
            k = k ? k : 1;
            memset(p, '?', k);
        }
        p += k;
        n -= k;
    }
}

char *md_text_trim(char *s)
{
    size_t n;

    s += strspn(s, " \t");
    n = strlen(s);
    while (n > 0 && (s[n - 1] == ' ' || s[n - 1] == '\t'))
        n--;
    s[n] = '\0';
    return s;
}
