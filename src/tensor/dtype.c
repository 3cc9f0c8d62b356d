#include "tensor/dtype.h"

#include <string.h>

#include "base/attr.h"
#include "base/size.h"

static const struct {
    const char *name, *v2, *npy;
    uint8_t bits;
    char cls; /* F U I B C S */
} rows[MD_DTYPE_N] = {
#define DTYPE(id, value, bits, name, v2, npy, cls)                             \
    [value] = { name, v2, npy, bits, #cls[0] },
#include "tensor/dtypes.def"
#undef DTYPE
};

static bool known(md_dtype t)
{
    return (unsigned)t < MD_COUNT(rows) && rows[t].name;
}

bool md_dtype_is_valid(int value)
{
    return value > 0 && known((md_dtype)value);
}

unsigned md_dtype_bits(md_dtype t)
{
    return known(t) ? rows[t].bits : 0;
}

size_t md_dtype_align(md_dtype t)
{
    unsigned bits = md_dtype_bits(t);

    if (t == MD_DTYPE_STRING)
        return _Alignof(md_str);
    if (t == MD_DTYPE_C64 || t == MD_DTYPE_C128)
        bits /= 2;
    return bits < 8 ? 1 : bits / 8;
}

const char *md_dtype_name(md_dtype t)
{
    return known(t) ? rows[t].name : "unknown";
}

const char *md_dtype_v2_name(md_dtype t)
{
    return known(t) ? rows[t].v2 : "";
}

const char *md_dtype_npy(md_dtype t)
{
    return known(t) ? rows[t].npy : "";
}

md_dtype md_dtype_parse(const char *name)
{
    for (size_t i = 1; i < MD_COUNT(rows); i++) {
        if (rows[i].name && strcmp(rows[i].name, name) == 0)
            return (md_dtype)i;
    }
    return MD_DTYPE_NONE;
}

md_dtype md_dtype_parse_v2(const char *name)
{
    for (size_t i = 1; i < MD_COUNT(rows); i++) {
        if (rows[i].v2 && rows[i].v2[0] && strcmp(rows[i].v2, name) == 0)
            return (md_dtype)i;
    }
    return MD_DTYPE_NONE;
}

bool md_dtype_is_float(md_dtype t)
{
    return known(t) && rows[t].cls == 'F';
}

bool md_dtype_is_integer(md_dtype t)
{
    return known(t) && (rows[t].cls == 'U' || rows[t].cls == 'I');
}

bool md_dtype_is_signed(md_dtype t)
{
    return known(t) && rows[t].cls == 'I';
}

bool md_dtype_size(size_t *out, md_dtype t, int64_t n)
{
    size_t bits;

    if (n < 0 || !md_mul_size(&bits, (size_t)n, md_dtype_bits(t)))
        return false;
    *out = bits / 8 + (bits % 8 != 0);
    return true;
}

int64_t md_dtype_int_max(md_dtype t)
{
    unsigned bits = md_dtype_bits(t);

    if (!md_dtype_is_integer(t) || bits == 64)
        return INT64_MAX;
    if (md_dtype_is_signed(t))
        bits--;
    return ((int64_t)1 << bits) - 1;
}

int64_t md_dtype_int_min(md_dtype t)
{
    if (!md_dtype_is_signed(t))
        return 0;
    return -md_dtype_int_max(t) - 1;
}
