#include "support/narrow.h"

#include <math.h>

const narrow_format narrow_formats[NARROW_N] = {
    { MD_DTYPE_F16, 5, 10, 15, 0x7bff, 0x7c00, 0x7e00, 65504.0, 0x1p-24 },
    { MD_DTYPE_BF16, 8, 7, 127, 0x7f7f, 0x7f80, 0x7fc0, 0x1.fep127, 0x1p-133 },
    { MD_DTYPE_F8E4M3FN, 4, 3, 7, 0x7e, 0, 0x7f, 448.0, 0x1p-9 },
    { MD_DTYPE_F8E4M3FNUZ, 4, 3, 8, 0x7f, 0, 0x80, 240.0, 0x1p-10 },
    { MD_DTYPE_F8E5M2, 5, 2, 15, 0x7b, 0x7c, 0x7f, 57344.0, 0x1p-16 },
    { MD_DTYPE_F8E5M2FNUZ, 5, 2, 16, 0x7f, 0, 0x80, 57344.0, 0x1p-17 },
    { MD_DTYPE_F4E2M1, 2, 1, 1, 0x7, 0, 0, 6.0, 0.5 },
    { MD_DTYPE_F8E8M0, 8, 0, 127, 0xfe, 0, 0xff, 0x1p127, 0x1p-127 },
};

static bool is_e8m0(const narrow_format *f)
{
    return f->type == MD_DTYPE_F8E8M0;
}

/* FNUZ: the code of -0 is the one NaN. */
static bool is_fnuz(const narrow_format *f)
{
    return f->nan == 0x80;
}

unsigned narrow_n_codes(const narrow_format *f)
{
    return 1u << (f->n_exp + f->n_man + !is_e8m0(f));
}

double narrow_decode(const narrow_format *f, unsigned code)
{
    unsigned sign = is_e8m0(f) ? 0 : code >> (f->n_exp + f->n_man);
    unsigned magnitude = code & ((1u << (f->n_exp + f->n_man)) - 1);
    int exp = (int)(magnitude >> f->n_man);
    double x = 0.0;

    if (is_fnuz(f) && code == f->nan)
        return (double)NAN;
    if (magnitude > f->max && (!f->inf || magnitude != f->inf))
        return (double)NAN;
    if (f->inf && magnitude == f->inf)
        return sign ? (double)-INFINITY : (double)INFINITY;
    for (unsigned bit = 0; bit < f->n_man; bit++) {
        if (magnitude >> bit & 1)
            x += pow(2.0, (int)bit - (int)f->n_man);
    }
    if (is_e8m0(f))
        x = pow(2.0, exp - f->bias);
    else if (exp == 0)
        x *= pow(2.0, 1 - f->bias);
    else
        x = (1.0 + x) * pow(2.0, exp - f->bias);
    return sign ? -x : x;
}

/* Magnitudes rise with their codes: the largest not above x. */
static unsigned floor_code(const narrow_format *f, double x)
{
    unsigned lo = 0, hi = f->max;

    while (lo < hi) {
        unsigned mid = (lo + hi + 1) / 2;

        if (narrow_decode(f, mid) <= x)
            lo = mid;
        else
            hi = mid - 1;
    }
    return lo;
}

/* Of the magnitude x; f->max + 1 when it is beyond the range.  The middle of
 * two neighbours is a double too, so nothing is rounded here. */
static unsigned nearest_code(const narrow_format *f, double x)
{
    unsigned below = floor_code(f, x);
    double at = narrow_decode(f, below);
    double step = below < f->max ? narrow_decode(f, below + 1) - at
                                 : at - narrow_decode(f, below - 1);
    double middle;

    if (is_e8m0(f) && below == f->max)
        step = at; /* the next power of two is as far again */
    middle = at + step / 2;
    if (x < middle || x < at)
        return below;
    if (x > middle || is_e8m0(f)) /* E8M0: ties up */
        return below + 1;
    return below + (below & 1);
}

unsigned narrow_encode(const narrow_format *f, double x, bool saturate)
{
    unsigned minus =
        signbit(x) && !is_e8m0(f) ? 1u << (f->n_exp + f->n_man) : 0;
    unsigned code;

    if (isnan(x))
        return is_fnuz(f) ? f->nan : f->nan | minus;
    if (is_e8m0(f) && x < 0.0)
        return f->nan;
    code = isinf(x) ? f->max + 1 : nearest_code(f, fabs(x));
    if (code > f->max) {
        if (saturate || !f->nan)
            code = f->max;
        else if (is_fnuz(f))
            return f->nan;
        else
            code = f->inf ? f->inf : f->nan;
    }
    return is_fnuz(f) && code == 0 ? 0 : code | minus;
}
