#include "kernels/pool2d.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "base/size.h"

const md_pool2d_kernel md_pool2d_kernels[] = {
#define K(isa, need)                                                           \
    { "pool2d__" #isa,          need,                                          \
      md_pool2d_max_f32__##isa, md_pool2d_sum_f32__##isa,                      \
      md_pool2d_max_q8__##isa,  md_pool2d_sum_q8__##isa },
#include "kernels/pool2d.def"
#undef K
    { NULL, 0, NULL, NULL, NULL, NULL },
};

const md_pool2d_kernel *md_pool2d_select(uint32_t cpu_flags)
{
    const md_pool2d_kernel *k = md_pool2d_kernels;

    while (k->required & ~cpu_flags)
        k++;
    return k;
}

/* One dimension of a window: the taps first .. first + n lie inside; count
 * of them are counted by an average. */
typedef struct span {
    int64_t at; /* input index of the first tap inside */
    int64_t n;
    int64_t count;
} span;

/* Taps at from, from + dilation, ... (k of them) in an input of `size`. */
static span make_span(int64_t from, int64_t k, int64_t dilation, int64_t size,
                      int64_t pad_end, bool count_pad)
{
    const int64_t skip = from < 0 ? md_div_up(-from, dilation) : 0;
    const int64_t end =
        from < size ? md_min_i64(k, md_div_up(size - from, dilation)) : 0;
    const int64_t padded = size + pad_end;
    span s = { .at = from + skip * dilation, .n = md_max_i64(end - skip, 0) };

    s.count = s.n;
    if (count_pad)
        s.count = from < padded
                      ? md_min_i64(k, md_div_up(padded - from, dilation))
                      : 0;
    return s;
}

static span rows_of(const md_pool2d_args *p, int64_t oy)
{
    const md_conv_shape *s = &p->shape;

    return make_span(oy * s->stride_h - s->pad_top, s->kh, s->dilation_h, s->ih,
                     p->pad_bottom, p->count_pad);
}

static span cols_of(const md_pool2d_args *p, int64_t ox)
{
    const md_conv_shape *s = &p->shape;

    return make_span(ox * s->stride_w - s->pad_left, s->kw, s->dilation_w,
                     s->iw, p->pad_right, p->count_pad);
}

/* The columns [*from, *to) whose windows lie inside. */
static void inside_cols(const md_pool2d_args *p, int64_t *from, int64_t *to)
{
    const md_conv_shape *s = &p->shape;
    const int64_t room = s->iw + s->pad_left - (s->kw - 1) * s->dilation_w;

    *from = md_div_up(s->pad_left, s->stride_w);
    *to = room > 0 ? md_min_i64(s->ow, md_div_up(room, s->stride_w)) : 0;
}

static int64_t n_blocks(const md_pool2d_args *p)
{
    return md_div_up(p->shape.oc, MD_LANES);
}

int64_t md_pool2d_n_chunks(const md_pool2d_args *p)
{
    return p->shape.n * n_blocks(p);
}

static int64_t element_size(const md_pool2d_args *p)
{
    return p->type == MD_POOL2D_F32 ? (int64_t)sizeof(float) : 1;
}

static void pool_f32(const md_pool2d_args *p, float *y,
                     const md_pool2d_window *w, int64_t count)
{
    if (w->rows == 0 || w->cols == 0) {
        for (int i = 0; i < MD_LANES; i++)
            y[i] = p->average ? 0 : -INFINITY;
        return;
    }
    if (!p->average) {
        p->kernel->max_f32(y, w, 1, 0);
        return;
    }
    p->kernel->sum_f32(y, w);
    for (int i = 0; i < MD_LANES; i++)
        y[i] /= (float)count;
}

static void pool_q8(const md_pool2d_args *p, uint8_t *y,
                    const md_pool2d_window *w, int64_t count)
{
    const bool is_signed = p->type == MD_POOL2D_S8;
    const int64_t inside = w->rows * w->cols;
    int32_t sum[MD_LANES] = { 0 };
    float mult[MD_LANES];
    md_requant q = p->rq;
    const md_requant_tile t = {
        .acc = sum, .out = y, .rows = 1, .lanes = MD_LANES
    };

    if (!p->average) {
        if (inside)
            p->kernel->max_q8(y, w, is_signed, 1, 0);
        else
            memset(y, (uint8_t)p->rq.q_min, MD_LANES);
        return;
    }
    if (inside)
        p->kernel->sum_q8(sum, w, is_signed);
    for (int i = 0; i < MD_LANES; i++) {
        sum[i] -= (int32_t)(inside * p->x_zero);
        mult[i] = count ? p->mult / (float)count : 0;
    }
    q.mult = mult;
    p->requant->run(&q, 0, &t);
}

static md_pool2d_window window(const md_pool2d_args *p, const char *plane,
                               const span *v, const span *h)
{
    const int64_t pixel = MD_LANES * element_size(p);
    const int64_t row = p->shape.iw * pixel;

    return (md_pool2d_window){
        .x = v->n && h->n ? plane + v->at * row + h->at * pixel : plane,
        .rows = v->n,
        .cols = h->n,
        .row_stride = p->shape.dilation_h * row,
        .col_stride = p->shape.dilation_w * pixel,
    };
}

/* n windows of a row that lie inside; h is the first one's. */
static void max_beside(const md_pool2d_args *p, void *y, const char *plane,
                       const span *v, const span *h, int64_t n)
{
    const md_pool2d_window w = window(p, plane, v, h);
    const int64_t step = p->shape.stride_w * MD_LANES * element_size(p);

    if (p->type == MD_POOL2D_F32)
        p->kernel->max_f32(y, &w, n, step);
    else
        p->kernel->max_q8(y, &w, p->type == MD_POOL2D_S8, n, step);
}

static void pool_window(const md_pool2d_args *p, void *y, const char *plane,
                        const span *v, const span *h)
{
    const md_pool2d_window w = window(p, plane, v, h);

    if (p->type == MD_POOL2D_F32)
        pool_f32(p, y, &w, v->count * h->count);
    else
        pool_q8(p, y, &w, v->count * h->count);
}

/* The one window of a block into y[n][c]. */
static void run_rows(const md_pool2d_args *p, int64_t chunk, const char *plane)
{
    const int64_t blocks = n_blocks(p);
    const int64_t c = chunk % blocks * MD_LANES;
    const int64_t size = element_size(p);
    const span v = rows_of(p, 0);
    const span h = cols_of(p, 0);
    float lanes[MD_LANES];

    assert(p->shape.oh == 1 && p->shape.ow == 1);
    pool_window(p, lanes, plane, &v, &h);
    memcpy((char *)p->y + (chunk / blocks * p->shape.oc + c) * size, lanes,
           (size_t)(md_min_i64(MD_LANES, p->shape.oc - c) * size));
}

void md_pool2d_run(const md_pool2d_args *p, int64_t chunk)
{
    const md_conv_shape *s = &p->shape;
    const int64_t pixel = MD_LANES * element_size(p);
    const char *plane = (const char *)p->x + chunk * s->ih * s->iw * pixel;
    char *y = (char *)p->y + chunk * s->oh * s->ow * pixel;
    int64_t from, to;

    assert(chunk >= 0 && chunk < md_pool2d_n_chunks(p));
    if (p->y_rows) {
        run_rows(p, chunk, plane);
        return;
    }
    inside_cols(p, &from, &to);
    if (p->average)
        to = from; /* one by one */
    for (int64_t i = 0; i < s->oh; i++) {
        const span v = rows_of(p, i);

        for (int64_t j = 0; j < s->ow;) {
            const span h = cols_of(p, j);
            const int64_t n = j == from && j < to && v.n > 0 ? to - j : 1;

            if (n > 1)
                max_beside(p, y, plane, &v, &h, n);
            else
                pool_window(p, y, plane, &v, &h);
            j += n;
            y += n * pixel;
        }
    }
}

static float pool_plain(const md_pool2d_args *p, const float *x, const span *v,
                        const span *h)
{
    const md_conv_shape *s = &p->shape;
    float top = -INFINITY, sum = 0;

    for (int64_t i = 0; i < v->n; i++) {
        const float *row = x + (v->at + i * s->dilation_h) * s->iw + h->at;
        float row_sum = 0;

        for (int64_t j = 0; j < h->n; j++) {
            const float e = row[j * s->dilation_w];

            top = top > e ? top : e;
            row_sum += e;
        }
        sum += row_sum;
    }
    if (!p->average)
        return top;
    return v->n > 0 && h->n > 0 ? sum / (float)(v->count * h->count) : 0;
}

void md_pool2d_nchw_run(const md_pool2d_args *p, int64_t chunk)
{
    const md_conv_shape *s = &p->shape;
    const float *x = (const float *)p->x + chunk * s->ih * s->iw;
    float *y = (float *)p->y + chunk * s->oh * s->ow;

    assert(p->type == MD_POOL2D_F32 && !p->y_rows);
    for (int64_t i = 0; i < s->oh; i++) {
        const span v = rows_of(p, i);

        for (int64_t j = 0; j < s->ow; j++) {
            const span h = cols_of(p, j);

            *y++ = pool_plain(p, x, &v, &h);
        }
    }
}
