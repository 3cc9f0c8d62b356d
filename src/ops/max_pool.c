/* A window without any input position gives the type's lowest value. */
#include <math.h>

#include "ops/common/pool.h"
#include "ops/grad.h"
#include "ops/lower.h"

static md_status infer(const md_infer *c, md_error *err)
{
    MD_TRY(md_infer__need(c, 0, MD_TYPES_FLOAT | MD_TYPES_Q8, err));
    return md_pool__infer(c, c->in[0]->dtype, MD_DTYPE_I64, err);
}

/* Offset in a plane counted with the last spatial axis slowest. */
static int64_t column_major(const md_pool_plan *p, int64_t at)
{
    int64_t r = 0, scale = 1;
    int64_t c[MD_SPATIAL_MAX];

    for (int i = MD_SPATIAL_MAX; i-- > 0; at /= p->in[i])
        c[i] = at % p->in[i];
    for (int i = 0; i < MD_SPATIAL_MAX; i++) {
        r += c[i] * scale;
        scale *= p->in[i];
    }
    return r;
}

typedef struct job {
    const md_pool_plan *p;
    const md_tensor *in;
    md_tensor *const *out;
    double lowest;
    bool columns; /* the place is counted with the last axis slowest */
} job;

/* The largest so far and where, in the plane; -1: there was none. */
typedef struct best {
    double v;
    int64_t at;
} best;

/* n <= MD_CHUNK elements of a row of the window, `step` apart. */
static void look_at(const job *j, best *b, int64_t base, int64_t at, int64_t n,
                    int64_t step)
{
    double room[MD_CHUNK];
    const double *v = room;

    if (j->in->dtype == MD_DTYPE_F64 && step == 1)
        v = (const double *)j->in->data + base + at;
    else if (step == 1)
        md_load_f64(room, j->in, base + at, n);
    for (int64_t i = 0; i < n && step != 1; i++)
        md_load_f64(room + i, j->in, base + at + i * step, 1);
    for (int64_t i = 0; i < n; i++) {
        if (b->at < 0 || v[i] > b->v || isnan(v[i])) {
            b->v = v[i];
            b->at = at + i * step;
        }
    }
}

/* The largest of the window of output o of the plane at `base`. */
static best search(const job *j, int64_t base, int64_t o)
{
    enum {
        LAST = MD_SPATIAL_MAX - 1
    };
    const md_pool_plan *p = j->p;
    const int64_t *step = p->w.dilation;
    best b = { j->lowest, -1 };
    md_span s[MD_SPATIAL_MAX];

    md_pool__spans(s, p, o);
    for (int64_t k = s[0].lo; k < s[0].hi; k++) {
        int64_t slice = (s[0].first + k * step[0]) * p->in[1];

        for (int64_t l = s[1].lo; l < s[1].hi; l++) {
            int64_t row =
                (slice + s[1].first + l * step[1]) * p->in[2] + s[2].first;

            for (int64_t m = s[2].lo; m < s[2].hi; m += MD_CHUNK)
                look_at(j, &b, base, row + m * step[LAST],
                        md_min_i64(MD_CHUNK, s[2].hi - m), step[LAST]);
        }
    }
    return b;
}

/* Outputs [from, to). */
static void pool_part(void *ctx, int64_t from, int64_t to)
{
    const job *j = ctx;
    const md_pool_plan *p = j->p;

    for (int64_t i = from; i < to; i++) {
        int64_t base = i / p->out_size * p->in_size;
        best b = search(j, base, i % p->out_size);

        if (j->out[0])
            md_store_f64(j->out[0], i, &b.v, 1);
        if (j->columns && b.at >= 0)
            b.at = column_major(p, b.at);
        if (j->out[1])
            ((int64_t *)j->out[1]->data)[i] = b.at < 0 ? -1 : base + b.at;
    }
}

static void pool(const md_exec *x, const md_pool_plan *p, md_tensor **out)
{
    md_dtype type = x->in[0]->dtype;
    double window = 1.0;

    for (int i = 0; i < MD_SPATIAL_MAX; i++)
        window *= (double)p->w.kernel[i];
    if (type == MD_DTYPE_F64 && !out[1] && md_pool__has_rows_f64(p)) {
        md_pool__rows_f64(x, p, out[0]->data, NULL, false);
        return;
    }
    md_exec__share(
        x, p->n_planes * p->out_size, 20.0 + 2.0 * window, pool_part,
        &(job){ .p = p,
                .in = x->in[0],
                .out = out,
                .lowest = md_dtype_is_float(type)
                              ? -INFINITY
                              : (double)md_dtype_int_min(type),
                .columns = md_node_attr_i(x->node, "storage_order", 0) != 0 });
}

static md_status run(md_exec *x, md_error *err)
{
    md_tensor *out[2];
    const md_tensor *any;
    md_pool_plan p;

    MD_TRY(md_exec__outputs(x, infer, out, 2, err));
    any = out[0] ? out[0] : out[1];
    if (!any || md_tensor_n(any) == 0)
        return MD_OK;
    MD_TRY(md_pool__plan(&p, x->node, &x->in[0]->shape, &any->shape, err));
    pool(x, &p, out);
    return MD_OK;
}

/* To where each maximum was found, the first of those that are equal. */
static void grad(md_grad *g)
{
    static const char *const keep[] = { "auto_pad",  "ceil_mode",
                                        "dilations", "kernel_shape",
                                        "pads",      "strides",
                                        NULL };
    md_part x = md_grad_in(g, 0), at;

    at = MD_GRAD_STEP(g, .op = "MaxPool", .in = { x }, .n_in = 1, .n_out = 2,
                      .keep = keep);
    if (at != MD_PART_NONE)
        md_grad_give(g, 0, md_grad_collect(g, md_grad_of(g, 0), at + 1, x));
}

const md_op md_op_max_pool = {
    .domain = "",
    .name = "MaxPool",
    .since = 1,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 2,
    .flags = MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .fast = &md_fast_pool,
    .grad = grad,
};
