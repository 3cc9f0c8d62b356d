/* Operators that put something around tensors, or repeat them. */
#include "convert/tflite/build.h"

/* paddings [rank, 2] to ONNX's begins and ends in layout l. */
static md_value_id read_pads(md_tfl_build *b, md_tfl_layout l)
{
    int rank = md_tfl_rank_in(b, 0);
    int64_t given[2 * MD_RANK_MAX];
    int64_t pads[2 * MD_RANK_MAX];
    uint32_t n = 0;

    if (!md_tfl_read_ints(b, 1, given, 2 * MD_RANK_MAX, &n))
        return MD_VALUE_NONE;
    if ((int)n != 2 * rank) {
        md_emit_fail(&b->e, MD_CORRUPT, "%u pads for rank %d", n, rank);
        return MD_VALUE_NONE;
    }
    for (int i = 0; i < rank; i++) {
        const int64_t *pair = given + 2 * (size_t)i;
        int at = md_tfl_axis(l, rank, i);

        pads[at] = pair[0];
        pads[rank + at] = pair[1];
    }
    return md_emit_ints(&b->e, pads, 2 * (int64_t)rank);
}

void md_tfl_emit_pad(md_tfl_build *b)
{
    md_tfl_layout l = md_tfl_pick(b, 0, 1);
    md_value_id in[3] = { md_tfl_real(b, md_tfl_in(b, 0), l), read_pads(b, l),
                          MD_VALUE_NONE };
    uint32_t n = 2;

    if (md_tfl_in(b, 2)) {
        in[2] = md_emit_reshape(&b->e, md_tfl_x(b, 2), NULL, 0);
        n = 3;
    }
    md_tfl_set(b, 0, md_emit_op(&b->e, "Pad", in, n, NULL), l);
}

/* mode 0: REFLECT, 1: SYMMETRIC (the edge twice), which ONNX has not: mirrored
 * slices beside the tensor. */
void md_tfl_emit_mirror_pad(md_tfl_build *b)
{
    bool symmetric = md_fb_i8(&b->op->options, 0, 0) == 1;
    md_tfl_layout l = md_tfl_pick(b, 0, 1);
    int rank = md_tfl_rank_in(b, 0);
    int64_t given[2 * MD_RANK_MAX];
    uint32_t n = 0;
    bool codes;
    md_value_id x = md_tfl_moved(b, 0, l, &codes);

    if (!symmetric) {
        x = md_emit_op(&b->e, "Pad", (md_value_id[]){ x, read_pads(b, l) }, 2,
                       EMIT_ATTRS(EMIT_S("mode", "reflect")));
        md_tfl_set_moved(b, 0, x, l, codes);
        return;
    }
    if (!md_tfl_read_ints(b, 1, given, 2 * MD_RANK_MAX, &n) ||
        (int)n != 2 * rank)
        return;
    for (int i = 0; i < rank; i++) {
        int64_t at = md_tfl_axis(l, rank, i);
        int64_t low = given[2 * (size_t)i];
        int64_t high = given[2 * (size_t)i + 1];
        md_value_id parts[3];
        uint32_t m = 0;

        if (low > 0)
            parts[m++] = md_tfl_slice(b, x, (int64_t[]){ low - 1 },
                                      (int64_t[]){ INT64_MIN },
                                      (int64_t[]){ -1 }, &at, 1);
        parts[m++] = x;
        if (high > 0)
            parts[m++] =
                md_tfl_slice(b, x, (int64_t[]){ -1 }, (int64_t[]){ -high - 1 },
                             (int64_t[]){ -1 }, &at, 1);
        if (m > 1)
            x = md_emit_op(&b->e, "Concat", parts, m,
                           EMIT_ATTRS(EMIT_I("axis", at)));
    }
    md_tfl_set_moved(b, 0, x, l, codes);
}

void md_tfl_emit_tile(md_tfl_build *b)
{
    md_tfl_layout l = md_tfl_pick(b, 0, 1);
    int rank = md_tfl_rank_in(b, 0);
    md_dim given[MD_RANK_MAX];
    int64_t times[MD_RANK_MAX];
    uint32_t n = 0;
    bool codes;
    bool known =
        md_tfl_read_dims(b, 1, given, MD_RANK_MAX, &n) && (int)n == rank;
    md_value_id x;

    for (uint32_t i = 0; known && i < n; i++) {
        known = md_dim_is_const(given[i]);
        times[md_tfl_axis(l, rank, (int)i)] = given[i].k;
    }
    if (!known)
        l = MD_TFL_LAST;
    x = md_tfl_moved(b, 0, l, &codes);
    x = md_emit_op2(&b->e, "Tile", x,
                    known ? md_emit_ints(&b->e, times, rank)
                          : md_tfl_list(b, 1));
    md_tfl_set_moved(b, 0, x, l, codes);
}
