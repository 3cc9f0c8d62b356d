/* The spectra of frames of a signal, each weighed by a window. */
#include "ops/common/spectrum.h"

enum { /* inputs */
    IN_SIGNAL,
    IN_STEP,
    IN_WINDOW,
    IN_LENGTH
};

/* Sizes of the frames; -1: not known. */
typedef struct frames {
    int64_t step, length;
} frames;

static md_status find_frames(const md_infer *c, frames *f, md_error *err)
{
    const md_type *signal = c->in[IN_SIGNAL];
    const md_type *window =
        md_infer_has(c, IN_WINDOW) ? c->in[IN_WINDOW] : NULL;

    *f = (frames){ -1, -1 };
    MD_TRY(md_spectrum__length(c, IN_STEP, "frame_step", &f->step, err));
    MD_TRY(md_spectrum__length(c, IN_LENGTH, "frame_length", &f->length, err));
    if (window && window->has_rank && md_dim_is_const(window->dim[0])) {
        int64_t n = window->dim[0].k;

        if (n < 1 || (f->length > 0 && n != f->length))
            return md_fail(err, MD_INVALID,
                           "window has %lld elements, %s%lld expected",
                           (long long)n, f->length > 0 ? "" : "at least ",
                           (long long)(f->length > 0 ? f->length : 1));
        f->length = n;
    }
    if (f->length < 0 && !window && !md_infer_has(c, IN_LENGTH) &&
        signal->has_rank && md_dim_is_const(signal->dim[1]))
        f->length = signal->dim[1].k;
    if (signal->has_rank && md_dim_is_const(signal->dim[1]) && f->length >= 0 &&
        (f->length < 1 || f->length > signal->dim[1].k))
        return md_fail(err, MD_INVALID,
                       "frames of %lld elements in a signal of %lld",
                       (long long)f->length, (long long)signal->dim[1].k);
    return MD_OK;
}

static md_status check_parts(const md_infer *c, md_error *err)
{
    const md_type *signal = c->in[IN_SIGNAL];
    md_dim parts = signal->dim[2];

    if (!signal->has_rank || !md_dim_is_const(parts))
        return MD_OK;
    if (parts.k != 1 && parts.k != 2)
        return md_fail(err, MD_INVALID,
                       "the signal's last axis is %lld, 1 or 2 expected",
                       (long long)parts.k);
    if (parts.k == 2 && md_node_attr_i(c->node, "onesided", 1))
        return md_fail(err, MD_INVALID,
                       "the signal is complex: its spectrum is not one-sided");
    return MD_OK;
}

static md_status infer(const md_infer *c, md_error *err)
{
    bool one_sided = md_node_attr_i(c->node, "onesided", 1) != 0;
    const md_type *signal = c->in[IN_SIGNAL];
    frames f;
    md_type t;

    MD_TRY(md_infer__need(c, IN_SIGNAL, MD_TYPES_FLOAT, err));
    MD_TRY(md_infer__rank(c, IN_SIGNAL, 3, 3, err));
    MD_TRY(md_infer__need(c, IN_STEP, MD_TYPES_INDEX, err));
    MD_TRY(md_infer__may(c, IN_WINDOW, MD_TYPES_FLOAT, err));
    MD_TRY(md_infer__same_dtype(c, IN_SIGNAL, IN_WINDOW, err));
    MD_TRY(md_infer__rank(c, IN_WINDOW, 1, 1, err));
    MD_TRY(check_parts(c, err));
    MD_TRY(find_frames(c, &f, err));
    MD_TRY(md_infer__fresh_type(c, &t, signal->dtype, 4, err));
    if (signal->has_rank) {
        t.dim[0] = signal->dim[0];
        if (f.step > 0 && f.length > 0 && md_dim_is_const(signal->dim[1]))
            t.dim[1] = MD_DIM(1 + (signal->dim[1].k - f.length) / f.step);
    }
    if (f.length > 0)
        t.dim[2] = MD_DIM(one_sided ? f.length / 2 + 1 : f.length);
    t.dim[3] = MD_DIM(2);
    md_infer__give(c, 0, &t);
    return MD_OK;
}

/* Frame r % a of signal r / a: a frames, b apart, in c elements. */
static int64_t in_at(const md_spectrum *s, int64_t r)
{
    return r / s->a * s->c + r % s->a * s->b;
}

static int64_t out_at(const md_spectrum *s, int64_t r)
{
    return r * s->n_out;
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    const md_tensor *in = x->in[IN_SIGNAL];
    md_spectrum s = { .in = in,
                      .out = out,
                      .in_at = in_at,
                      .out_at = out_at,
                      .in_step = 1,
                      .out_step = 1,
                      .out_complex = true };
    double *window;
    md_infer c;
    frames f;

    MD_TRY(md_exec__infer_view(x, &c, ar, err));
    MD_TRY(find_frames(&c, &f, err));
    s.in_complex = in->shape.dim[2] == 2;
    s.n_in = f.length;
    s.n_out = out->shape.dim[2];
    s.a = out->shape.dim[1];
    s.b = f.step;
    s.c = in->shape.dim[1];
    s.n_rows = out->shape.dim[0] * s.a;
    if (md_exec_has(x, IN_WINDOW)) {
        MD_TRY(md_exec__scratch(&window, ar, f.length, sizeof(*window), err));
        md_load_f64(window, x->in[IN_WINDOW], 0, f.length);
        s.window = window;
    }
    return md_spectrum__run(&s, f.length, x->pool, ar, err);
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_stft = {
    .domain = "",
    .name = "STFT",
    .since = 17,
    .in_min = 2,
    .in_max = 4,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
