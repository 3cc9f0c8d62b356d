/* Operators that take tensors apart and put them together. */
#include "convert/tflite/build.h"

enum {
    SPLIT_MAX = 1024 /* outputs */
};

/* Split input i along `axis` of the file into the operator's outputs. */
static void split(md_tfl_build *b, uint32_t i, int64_t axis,
                  const int64_t *sizes)
{
    uint32_t n = b->op->n_out;
    md_tfl_layout l = md_tfl_pick(b, i, i + 1);
    int rank = md_tfl_rank_in(b, i);
    md_value_id out[SPLIT_MAX];
    md_value_id in[2];
    bool codes = true;
    int at;

    if (n > SPLIT_MAX) {
        md_emit_fail(&b->e, MD_TOO_LARGE, "into %u parts", n);
        return;
    }
    for (uint32_t o = 0; o < n; o++) {
        const md_tfl_value *y = md_tfl_out(b, o);

        codes = codes && y && md_tfl_same_codes(b, i) &&
                md_tfl_scale_of(y) == md_tfl_scale_of(md_tfl_out(b, 0)) &&
                md_tfl_zero_of(y) == md_tfl_zero_of(md_tfl_out(b, 0));
    }
    at = md_tfl_axis(l, rank, md_tfl_norm_axis(b, axis, rank));
    in[0] = codes ? md_tfl_code(b, md_tfl_in(b, i), l)
                  : md_tfl_real(b, md_tfl_in(b, i), l);
    if (sizes) {
        in[1] = md_emit_ints(&b->e, sizes, n);
        md_emit_op_n(&b->e, out, n, "Split", in, 2,
                     EMIT_ATTRS(EMIT_I("axis", at)));
    } else {
        md_emit_op_n(&b->e, out, n, "Split", in, 1,
                     EMIT_ATTRS(EMIT_I("axis", at), EMIT_I("num_outputs", n)));
    }
    for (uint32_t o = 0; o < n; o++)
        md_tfl_set_moved(b, o, out[o], l, codes);
}

void md_tfl_emit_split(md_tfl_build *b)
{
    int64_t axis = 0;
    uint32_t n = 0;

    if (md_tfl_read_ints(b, 0, &axis, 1, &n) && n == 1)
        split(b, 1, axis, NULL);
}

void md_tfl_emit_split_v(md_tfl_build *b)
{
    int64_t sizes[SPLIT_MAX];
    int64_t axis = 0;
    int64_t rest;
    uint32_t n = 0;
    uint32_t n_axis = 0;

    if (!md_tfl_read_ints(b, 2, &axis, 1, &n_axis) || n_axis != 1 ||
        !md_tfl_read_ints(b, 1, sizes, SPLIT_MAX, &n))
        return;
    if (n != b->op->n_out) {
        md_emit_fail(&b->e, MD_CORRUPT, "%u sizes for %u parts", n,
                     b->op->n_out);
        return;
    }
    rest = md_tfl_size(b, md_tfl_in(b, 0),
                       md_tfl_norm_axis(b, axis, md_tfl_rank_in(b, 0)));
    for (uint32_t i = 0; i < n; i++)
        rest -= sizes[i] < 0 ? 0 : sizes[i];
    for (uint32_t i = 0; i < n; i++) {
        if (sizes[i] < 0 && rest < 0)
            md_emit_fail(&b->e, MD_UNSUPPORTED, "a part of any size");
        sizes[i] = sizes[i] < 0 ? rest : sizes[i];
    }
    split(b, 0, axis, sizes);
}

void md_tfl_emit_unpack(md_tfl_build *b)
{
    int rank = md_tfl_rank_in(b, 0);
    int axis = md_tfl_norm_axis(b, md_fb_i32(&b->op->options, 1, 0), rank);
    bool codes;
    md_value_id x = md_tfl_moved(b, 0, MD_TFL_LAST, &codes);

    for (uint32_t o = 0; o < b->op->n_out; o++)
        md_tfl_set_moved(b, o,
                         md_emit_op(&b->e, "Gather",
                                    (md_value_id[]){ x, md_emit_int(&b->e, o) },
                                    2, EMIT_ATTRS(EMIT_I("axis", axis))),
                         MD_TFL_LAST, codes);
}

/* All inputs, each as codes when all mean by them what the output does. */
static md_value_id *all_inputs(md_tfl_build *b, md_tfl_layout l, bool *codes)
{
    uint32_t n = b->op->n_in;
    md_value_id *in = md_emit_alloc(&b->e, n, sizeof(*in));

    *codes = true;
    for (uint32_t i = 0; i < n; i++)
        *codes = *codes && md_tfl_same_codes(b, i);
    for (uint32_t i = 0; in && i < n; i++)
        in[i] = *codes ? md_tfl_code(b, md_tfl_in(b, i), l)
                       : md_tfl_real(b, md_tfl_in(b, i), l);
    return in;
}

void md_tfl_emit_concat(md_tfl_build *b)
{
    md_tfl_layout l = md_tfl_pick(b, 0, b->op->n_in);
    int rank = md_tfl_rank_in(b, 0);
    int axis = md_tfl_norm_axis(b, md_fb_i32(&b->op->options, 0, 0), rank);
    int activation = md_fb_i8(&b->op->options, 1, 0);
    bool codes;
    md_value_id *in = all_inputs(b, l, &codes);
    md_value_id x;

    if (!in)
        return;
    x = md_emit_op(&b->e, "Concat", in, b->op->n_in,
                   EMIT_ATTRS(EMIT_I("axis", md_tfl_axis(l, rank, axis))));
    if (activation != 0 && !codes)
        x = md_tfl_activate(b, x, activation);
    md_tfl_set_moved(b, 0, x, l, codes);
}

void md_tfl_emit_pack(md_tfl_build *b)
{
    int rank = md_tfl_rank_in(b, 0);
    int axis = md_tfl_norm_axis(b, md_fb_i32(&b->op->options, 1, 0), rank + 1);
    bool codes;
    md_value_id *in = all_inputs(b, MD_TFL_LAST, &codes);

    for (uint32_t i = 0; in && i < b->op->n_in; i++)
        in[i] = md_emit_unsqueeze(&b->e, in[i], axis);
    if (in)
        md_tfl_set_moved(b, 0,
                         b->op->n_in == 1
                             ? in[0]
                             : md_emit_op(&b->e, "Concat", in, b->op->n_in,
                                          EMIT_ATTRS(EMIT_I("axis", axis))),
                         MD_TFL_LAST, codes);
}
