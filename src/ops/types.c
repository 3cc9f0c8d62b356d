/* Element types of inputs, by opset version.  An operator's inference takes
 * what its definition can compute; this is what the standard allows. */
#include <stdio.h>
#include <string.h>

#include "ops/common/util.h"
#include "ops/lower.h"

#define T(id) MD_T(id)
#define REAL (T(F16) | T(F32) | T(F64))
#define SIGNED MD_TYPES_SIGNED
#define UNSIGNED MD_TYPES_UNSIGNED
#define INTS MD_TYPES_INT
#define WIDE (T(I32) | T(I64) | T(U32) | T(U64))
#define NUMBERS (REAL | INTS)
#define PLAIN (NUMBERS | T(BOOL) | T(STRING) | T(C64) | T(C128))
#define F8 MD_TYPES_F8
#define INT4 (T(I4) | T(U4))
#define INT2 (T(I2) | T(U2))

typedef struct type_row {
    const char *op;
    int since;
    uint32_t inputs, types;
} type_row;

static const type_row rows[] = {
#define TYPES(op, since, inputs, types) { #op, since, inputs, types },
#include "ops/types.def"
#undef TYPES
};

/* The first row of an operator, MD_COUNT(rows) when it has none. */
static size_t first_row(const char *op)
{
    size_t lo = 0, hi = MD_COUNT(rows);

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;

        if (strcmp(rows[mid].op, op) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < MD_COUNT(rows) && strcmp(rows[lo].op, op) == 0 ? lo
                                                               : MD_COUNT(rows);
}

uint32_t md_op_types(const char *op, int64_t opset, uint32_t i)
{
    uint32_t all = 0, types = 0;
    size_t first = first_row(op), end = first;

    for (; end < MD_COUNT(rows) && strcmp(rows[end].op, op) == 0; end++)
        all |= rows[end].inputs;
    if (i > 31 || !(all >> i))
        for (i = 0; all >> i > 1;)
            i++;
    for (size_t r = first; r < end && rows[r].since <= opset; r++) {
        if (rows[r].inputs >> i & 1)
            types = rows[r].types;
    }
    return types;
}

/* "float32, float64"; cut off where there is no more room. */
static void list_types(char *out, size_t size, uint32_t types)
{
    size_t used = 0;

    out[0] = '\0';
    for (int t = 1; t < MD_DTYPE_N; t++) {
        const char *name = md_dtype_name((md_dtype)t);

        if (!(types >> t & 1) || !md_dtype_is_valid(t))
            continue;
        if (used + strlen(name) + sizeof(", ...") > size) {
            snprintf(out + used, size - used, ", ...");
            return;
        }
        used += (size_t)snprintf(out + used, size - used, "%s%s",
                                 used ? ", " : "", name);
    }
}

md_status md_op_check_type(const md_node *n, int64_t opset, uint32_t i,
                           md_dtype type, md_error *err)
{
    const md_fused *f = n->fused;
    uint32_t types;
    char list[96];

    if (n->domain[0] || type == MD_DTYPE_NONE)
        return MD_OK;
    if (f && f->residual != MD_VALUE_NONE && i == n->n_in - 1)
        return MD_OK; /* no input of the operator's */
    types = md_op_types(n->op, opset, i);
    if (!types || types >> type & 1)
        return MD_OK;
    list_types(list, sizeof(list), types);
    return md_fail(err, MD_INVALID,
                   "input %u has element type %s, which %s does not take in "
                   "opset %lld, %s expected",
                   (unsigned)i, md_dtype_name(type), n->op, (long long)opset,
                   list);
}
