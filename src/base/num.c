#include "base/num.h"

#include <float.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"

enum {
    DIGITS_MAX = 19,    /* always fit uint64_t */
    EXP_EXACT_MAX = 22, /* 10^22 = 2^22 * 5^22, and 5^22 < 2^53 */
    EXP_CLAMP = 100000  /* any exponent beyond it overflows */
};

static const double power10[] = { 1e0,  1e1,  1e2,  1e3,  1e4,  1e5,
                                  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                  1e12, 1e13, 1e14, 1e15, 1e16, 1e17,
                                  1e18, 1e19, 1e20, 1e21, 1e22 };

/* +-mantissa * 10^exp; exact unless digits were dropped. */
typedef struct decimal {
    uint64_t mantissa;
    int64_t exp;
    bool negative;
    bool dropped;
} decimal;

static inline bool is_digit(const unsigned char *p, const unsigned char *end)
{
    return p < end && (unsigned)(*p - '0') < 10;
}

/* The digits from p on; *n counts those in the mantissa after its first
 * nonzero one, *n_over those that no longer fit. */
static inline const unsigned char *scan_digits(decimal *d, int *n,
                                               int64_t *n_over,
                                               const unsigned char *p,
                                               const unsigned char *end)
{
    for (; is_digit(p, end); p++) {
        if (MD_LIKELY(*n < DIGITS_MAX)) {
            d->mantissa = d->mantissa * 10 + (uint64_t)(*p - '0');
            *n += d->mantissa != 0;
        } else {
            d->dropped |= *p != '0';
            ++*n_over;
        }
    }
    return p;
}

/* The exponent behind 'e'; NULL when it has no digit. */
static const unsigned char *scan_exp(decimal *d, const unsigned char *p,
                                     const unsigned char *end)
{
    bool negative = false;
    int e = 0;

    if (p < end && (*p == '+' || *p == '-'))
        negative = *p++ == '-';
    if (!is_digit(p, end))
        return NULL;
    for (; is_digit(p, end); p++) {
        if (e < EXP_CLAMP)
            e = e * 10 + (*p - '0');
    }
    d->exp += negative ? -e : e;
    return p;
}

/* The number at p; returns its end, or NULL when there is none. */
static inline const unsigned char *scan(decimal *d, const unsigned char *p,
                                        const unsigned char *end)
{
    int n = 0;
    int64_t n_over = 0;

    *d = (decimal){ 0 };
    if (p < end && *p == '-') {
        d->negative = true;
        p++;
    }
    if (!is_digit(p, end))
        return NULL;
    if (*p == '0')
        p++; /* no digit may follow: RFC 8259 forbids leading zeros */
    else
        p = scan_digits(d, &n, &n_over, p, end);
    if (is_digit(p, end))
        return NULL;
    d->exp = n_over;
    if (p < end && *p == '.') {
        const unsigned char *dot = ++p;

        if (!is_digit(p, end))
            return NULL;
        n_over = 0;
        p = scan_digits(d, &n, &n_over, p, end);
        d->exp -= p - dot - n_over;
    }
    if (p < end && (*p | 0x20) == 'e')
        p = scan_exp(d, p + 1, end);
    return p;
}

static locale_t c_locale;

static void make_locale(void)
{
    c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

/* A point is a point, whatever locale the program that embeds us has set. */
static locale_t enter_locale(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, make_locale);
    return c_locale ? uselocale(c_locale) : (locale_t)0;
}

static void leave_locale(locale_t old)
{
    if (old)
        uselocale(old);
}

double md_num_strtod(const char *text, char **end)
{
    locale_t old = enter_locale();
    double v = strtod(text, end);

    leave_locale(old);
    return v;
}

/* What the quick ways cannot decide is for the library, on a terminated copy
 * of the n bytes at p. */
static bool copy_text(char text[MD_NUM_LENGTH_MAX + 1], const unsigned char *p,
                      size_t n)
{
    if (n > MD_NUM_LENGTH_MAX)
        return false;
    memcpy(text, p, n);
    text[n] = '\0';
    return true;
}

static bool convert_f64_slowly(double *out, const unsigned char *p, size_t n)
{
    char text[MD_NUM_LENGTH_MAX + 1];

    if (!copy_text(text, p, n))
        return false;
    *out = md_num_strtod(text, NULL);
    return isfinite(*out);
}

static bool convert_f32_slowly(float *out, const unsigned char *p, size_t n)
{
    char text[MD_NUM_LENGTH_MAX + 1];
    locale_t old;

    if (!copy_text(text, p, n))
        return false;
    old = enter_locale();
    *out = strtof(text, NULL);
    leave_locale(old);
    return isfinite(*out);
}

/*
 * Both operands exact means one rounding, so the result is the nearest double
 * (W. D. Clinger, How to read floating point numbers accurately, 1990).
 */
static inline bool convert_f64(double *out, const decimal *d)
{
    double m = (double)d->mantissa;

    if (d->mantissa == 0) {
        *out = d->negative ? -0.0 : 0.0;
        return true;
    }
    if (d->dropped || d->mantissa >> DBL_MANT_DIG || d->exp > EXP_EXACT_MAX ||
        d->exp < -EXP_EXACT_MAX)
        return false;
    m = d->exp < 0 ? m / power10[-d->exp] : m * power10[d->exp];
    *out = d->negative ? -m : m;
    return true;
}

/*
 * For float a double that is a few ulp off will do, so any 19 digits pass:
 * mantissa, its tail and the division each err by at most 2^-53.  What must
 * not happen is that the error decides a tie: the 29 bits that float drops
 * have to be clear of one half.
 */
static inline bool convert_f32(float *out, const decimal *d)
{
    enum {
        DROPPED_MASK = (1 << 29) - 1,
        HALF = 1 << 28,
        MARGIN = 8
    };
    double m = (double)d->mantissa;
    uint64_t bits;
    int tail;

    if (d->mantissa == 0) {
        *out = d->negative ? -0.0F : 0.0F;
        return true;
    }
    if (d->exp > EXP_EXACT_MAX || d->exp < -EXP_EXACT_MAX)
        return false;
    m = d->exp < 0 ? m / power10[-d->exp] : m * power10[d->exp];
    /* Subnormal floats drop more bits; the greatest may round to infinity. */
    if (m < (double)FLT_MIN || m >= (double)FLT_MAX)
        return false;
    memcpy(&bits, &m, sizeof(bits));
    tail = (int)(bits & DROPPED_MASK) - HALF;
    if (tail > -MARGIN && tail < MARGIN)
        return false;
    *out = d->negative ? -(float)m : (float)m;
    return true;
}

md_num_status md_num_f32(float *out, const unsigned char **after,
                         const unsigned char *p, const unsigned char *end)
{
    decimal d;
    const unsigned char *q = scan(&d, p, end);

    if (!q)
        return MD_NUM_SYNTAX;
    *after = q;
    if (MD_LIKELY(convert_f32(out, &d)) ||
        convert_f32_slowly(out, p, (size_t)(q - p)))
        return MD_NUM_OK;
    return MD_NUM_RANGE;
}

md_num_status md_num_f64(double *out, const unsigned char **after,
                         const unsigned char *p, const unsigned char *end)
{
    decimal d;
    const unsigned char *q = scan(&d, p, end);

    if (!q)
        return MD_NUM_SYNTAX;
    *after = q;
    if (MD_LIKELY(convert_f64(out, &d)) ||
        convert_f64_slowly(out, p, (size_t)(q - p)))
        return MD_NUM_OK;
    return MD_NUM_RANGE;
}

/* The digits of an integer at p; *fits is false when *magnitude, then without
 * meaning, exceeds 64 bits.  NULL for a leading zero or another number. */
static const unsigned char *scan_integer(uint64_t *magnitude, bool *fits,
                                         const unsigned char *p,
                                         const unsigned char *end)
{
    const unsigned char *first = p;
    uint64_t m = 0;

    *fits = true;
    if (!is_digit(p, end))
        return NULL;
    for (; is_digit(p, end); p++) {
        uint64_t digit = (uint64_t)(*p - '0');

        *fits &= m <= (UINT64_MAX - digit) / 10;
        m = m * 10 + digit;
    }
    if (*first == '0' && p - first > 1)
        return NULL;
    if (p < end && (*p == '.' || (*p | 0x20) == 'e'))
        return NULL;
    *magnitude = m;
    return p;
}

md_num_status md_num_u64(uint64_t *out, const unsigned char **after,
                         const unsigned char *p, const unsigned char *end)
{
    bool negative = p < end && *p == '-';
    bool fits;
    const unsigned char *q = scan_integer(out, &fits, p + negative, end);

    if (!q)
        return MD_NUM_SYNTAX;
    *after = q;
    return fits && (!negative || *out == 0) ? MD_NUM_OK : MD_NUM_RANGE;
}

md_num_status md_num_i64(int64_t *out, const unsigned char **after,
                         const unsigned char *p, const unsigned char *end)
{
    bool negative = p < end && *p == '-';
    bool fits;
    uint64_t m;
    const unsigned char *q = scan_integer(&m, &fits, p + negative, end);

    if (!q)
        return MD_NUM_SYNTAX;
    *after = q;
    if (!fits || m > (uint64_t)INT64_MAX + negative)
        return MD_NUM_RANGE;
    /* -(2^63) has no positive twin: negate one less. */
    *out = negative && m ? -(int64_t)(m - 1) - 1 : (int64_t)m;
    return MD_NUM_OK;
}

md_num_status md_num_skip(const unsigned char **after, const unsigned char *p,
                          const unsigned char *end)
{
    decimal d;
    const unsigned char *q = scan(&d, p, end);

    if (!q)
        return MD_NUM_SYNTAX;
    *after = q;
    return MD_NUM_OK;
}

/* n zeros at p; returns the end. */
static char *put_zeros(char *p, int n)
{
    memset(p, '0', (size_t)n);
    return p + n;
}

/* x in decimal in front of *p, which moves to its first digit. */
static int put_digits(char **p, uint64_t x)
{
    char *end = *p;

    do {
        *--*p = (char)('0' + x % 10);
        x /= 10;
    } while (x);
    return (int)(end - *p);
}

/* digits * 10^exp, in Python's choice between plain and scientific. */
static size_t put_decimal(char buf[MD_NUM_SIZE], bool negative, uint64_t digits,
                          int exp)
{
    enum {
        PLAIN_MIN = -4,
        PLAIN_MAX = 15
    };
    char buffer[20];
    char *text = buffer + sizeof(buffer);
    int n = put_digits(&text, digits);
    int first = n + exp - 1; /* power of ten of the first digit */
    char *p = buf;

    if (negative)
        *p++ = '-';
    if (first < PLAIN_MIN || first > PLAIN_MAX) {
        *p++ = text[0];
        if (n > 1)
            *p++ = '.';
        memcpy(p, text + 1, (size_t)(n - 1));
        p += n - 1;
        p += snprintf(p, 8, "e%c%02d", first < 0 ? '-' : '+', abs(first));
    } else if (first < 0) {
        *p++ = '0';
        *p++ = '.';
        p = put_zeros(p, -first - 1);
        memcpy(p, text, (size_t)n);
        p += n;
    } else if (exp >= 0) {
        memcpy(p, text, (size_t)n);
        p = put_zeros(p + n, exp);
        *p++ = '.';
        *p++ = '0';
    } else {
        memcpy(p, text, (size_t)first + 1);
        p += first + 1;
        *p++ = '.';
        memcpy(p, text + first + 1, (size_t)(n - first - 1));
        p += n - first - 1;
    }
    *p = '\0';
    return (size_t)(p - buf);
}

/* x * 10^n within a few ulp. */
static double scale(double x, int n)
{
    for (; n > EXP_EXACT_MAX; n -= EXP_EXACT_MAX)
        x *= power10[EXP_EXACT_MAX];
    for (; n < -EXP_EXACT_MAX; n += EXP_EXACT_MAX)
        x /= power10[EXP_EXACT_MAX];
    return n < 0 ? x / power10[-n] : x * power10[n];
}

/* The float whose bits are `bits`, as double. */
static double float_at(uint32_t bits)
{
    float f;

    memcpy(&f, &bits, sizeof(f));
    return (double)f;
}

/*
 * Every decimal strictly between the midpoints to both neighbours reads back
 * as x.  Scaled so that x has 9 or 10 digits before the point, that interval
 * is more than 5 wide and double (16 digits) locates its ends to 1e-6; digits
 * are then dropped while an integer remains inside.
 */
size_t md_num_put_f32(char buf[MD_NUM_SIZE], float x)
{
    static const double guard = 1e-5;
    static const double log10_2 = 0.30102999566398120;
    uint32_t bits;
    double mid, below, above;
    uint64_t lo, hi, best;
    int exp2, up, n = 0;

    memcpy(&bits, &x, sizeof(bits));
    bits &= INT32_MAX;
    if (bits == 0)
        return (size_t)snprintf(buf, MD_NUM_SIZE, "%s",
                                signbit(x) ? "-0.0" : "0.0");
    mid = float_at(bits);
    below = (mid + float_at(bits - 1)) / 2;
    above =
        bits == 0x7f7fffff ? 2 * mid - below : (mid + float_at(bits + 1)) / 2;
    frexp(mid, &exp2); /* 2^(exp2-1) <= mid < 2^exp2 */
    up = 8 - (int)floor((exp2 - 1) * log10_2);
    lo = (uint64_t)ceil(scale(below, up) + guard);
    hi = (uint64_t)floor(scale(above, up) - guard);
    for (; (lo + 9) / 10 <= hi / 10; n++) {
        lo = (lo + 9) / 10;
        hi /= 10;
    }
    best = (uint64_t)(scale(mid, up) / power10[n] + 0.5);
    best = best < lo ? lo : best > hi ? hi : best;
    return put_decimal(buf, x < 0, best, n - up);
}

size_t md_num_put_f64(char buf[MD_NUM_SIZE], double x)
{
    locale_t old = enter_locale();
    size_t n = 0;

    for (int digits = 15; digits <= 17; digits++) {
        n = (size_t)snprintf(buf, MD_NUM_SIZE, "%.*g", digits, x);
        if (strtod(buf, NULL) == x)
            break;
    }
    leave_locale(old);
    if (!strpbrk(buf, ".e"))
        n += (size_t)snprintf(buf + n, MD_NUM_SIZE - n, ".0");
    return n;
}
