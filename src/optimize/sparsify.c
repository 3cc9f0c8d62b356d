#include "optimize/sparsify.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "train/runner.h"

/* A kernel; its elements are summed over in runs: element k of run r is at
 * r / inner * n * inner + k * inner + r % inner. */
typedef struct kernel {
    md_value_id id;
    md_tensor t;      /* an own copy */
    int64_t n, inner; /* summed over */
    float *score;     /* by element */
} kernel;

typedef struct sparsifier {
    md_model *m;
    kernel *k;
    uint32_t n;
    md_arena ar;
} sparsifier;

static bool is(const md_node *n, const char *op)
{
    return !n->domain[0] && strcmp(n->op, op) == 0;
}

/* The axis of the weights of n that is summed over; -1: none. */
static int summed_axis(const md_node *n, const md_tensor *w)
{
    if (is(n, "Conv"))
        return 1;
    if (is(n, "ConvTranspose"))
        return 0;
    if (is(n, "Gemm"))
        return md_node_attr_i(n, "transB", 0) ? 1 : 0;
    return is(n, "MatMul") ? w->shape.rank - 2 : -1;
}

static md_status add_kernel(sparsifier *s, const md_node *n, md_error *err)
{
    const md_graph *g = s->m->graph;
    const md_tensor *w;
    kernel *k = &s->k[s->n];
    int axis;

    if (n->n_in < 2 || n->in[1] == MD_VALUE_NONE)
        return MD_OK;
    w = g->values[n->in[1]].cdata;
    if (!w || w->dtype != MD_DTYPE_F32 || w->shape.rank < 2 ||
        md_tensor_n(w) == 0)
        return MD_OK;
    axis = summed_axis(n, w);
    for (uint32_t i = 0; i < s->n; i++) {
        if (s->k[i].id == n->in[1])
            return MD_OK; /* shared: once */
    }
    if (axis < 0)
        return MD_OK;
    *k = (kernel){ .id = n->in[1],
                   .n = w->shape.dim[axis],
                   .inner = md_shape_span(&w->shape, axis + 1, w->shape.rank) };
    MD_TRY(md_tensor_copy(&k->t, w, s->m->alloc, err));
    s->n++;
    for (int64_t i = 0; i < md_tensor_n(w); i++) {
        if (!isfinite(((const float *)w->data)[i]))
            return md_fail(err, MD_INVALID, "weights '%s' hold %g",
                           g->values[k->id].name,
                           (double)((const float *)w->data)[i]);
    }
    return MD_OK;
}

static md_status find_kernels(sparsifier *s, md_error *err)
{
    const md_graph *g = s->m->graph;

    s->k = md_arena_calloc(&s->ar, g->n_nodes + 1u, sizeof(*s->k));
    if (!s->k)
        return md_fail_nomem(err, g->n_nodes * sizeof(*s->k));
    for (uint32_t i = 0; i < g->n_nodes; i++)
        MD_TRY(add_kernel(s, g->nodes[i], err));
    if (s->n == 0)
        return md_fail(err, MD_UNSUPPORTED,
                       "no Conv, Gemm or MatMul with constant float32 weights");
    return MD_OK;
}

/* ---- by share ---- */

static int by_size(const void *x, const void *y)
{
    const float a = *(const float *)x, b = *(const float *)y;

    return a < b ? -1 : a > b;
}

/* score = w^2 / sum of the squares that are not smaller; `sorted` has room. */
static void score_kernel(const kernel *k, float *sorted, double *tail)
{
    const int64_t n = md_tensor_n(&k->t);
    const float *w = k->t.data;
    double sum = 0.0;

    for (int64_t i = 0; i < n; i++)
        sorted[i] = fabsf(w[i]);
    qsort(sorted, (size_t)n, sizeof(*sorted), by_size);
    for (int64_t i = n; i-- > 0;) {
        sum += (double)sorted[i] * (double)sorted[i];
        tail[i] = sum;
    }
    for (int64_t i = 0; i < n; i++) {
        const float size = fabsf(w[i]);
        int64_t low = 0, high = n; /* the first that is not smaller */

        while (low < high) {
            const int64_t mid = low + (high - low) / 2;

            if (sorted[mid] < size)
                low = mid + 1;
            else
                high = mid;
        }
        k->score[i] = size > 0.0f
                          ? (float)((double)size * (double)size / tail[low])
                          : 0.0f;
    }
}

/* The scores below `bound` go, and so many of those that are equal to it, in
 * order. */
static void zero_below(const sparsifier *s, float bound, int64_t equal)
{
    for (uint32_t i = 0; i < s->n; i++) {
        const kernel *k = &s->k[i];
        float *w = k->t.data;

        for (int64_t j = 0; j < md_tensor_n(&k->t); j++) {
            if (k->score[j] < bound || (k->score[j] == bound && equal-- > 0))
                w[j] = 0.0f;
        }
    }
}

static md_status by_share(sparsifier *s, double share, md_error *err)
{
    const md_alloc *alloc = s->m->alloc;
    int64_t total = 0, at = 0, out, equal;
    float *scores, *sorted;
    double *tail;

    for (uint32_t i = 0; i < s->n; i++)
        total += md_tensor_n(&s->k[i].t);
    scores = md_calloc(alloc, (size_t)total + 1, sizeof(*scores));
    sorted = md_calloc(alloc, (size_t)total + 1, sizeof(*sorted));
    tail = md_calloc(alloc, (size_t)total + 1, sizeof(*tail));
    if (scores && sorted && tail) {
        for (uint32_t i = 0; i < s->n; i++) {
            s->k[i].score = scores + at;
            score_kernel(&s->k[i], sorted, tail);
            at += md_tensor_n(&s->k[i].t);
        }
        memcpy(sorted, scores, (size_t)total * sizeof(*sorted));
        qsort(sorted, (size_t)total, sizeof(*sorted), by_size);
        out = (int64_t)(share * (double)total);
        for (equal = 0; equal < out && sorted[out - 1 - equal] == sorted[out];)
            equal++;
        zero_below(s, sorted[out], equal);
    }
    at = scores && sorted && tail;
    md_free(alloc, scores);
    md_free(alloc, sorted);
    md_free(alloc, tail);
    return at ? MD_OK : md_fail_nomem(err, (size_t)total * sizeof(*tail));
}

/* ---- n of m ---- */

/* Of the m elements `step` apart from w on all but the n largest go. */
static void keep_largest(float *w, int64_t step, int64_t n, int64_t m)
{
    for (int64_t out = m - n; out > 0; out--) {
        int64_t least = -1;

        for (int64_t i = 0; i < m; i++) {
            if (w[i * step] != 0.0f &&
                (least < 0 || fabsf(w[i * step]) < fabsf(w[least * step])))
                least = i;
        }
        if (least < 0)
            return;
        w[least * step] = 0.0f;
    }
}

static int64_t count_zeros(const float *w, int64_t step, int64_t m)
{
    int64_t n = 0;

    for (int64_t i = 0; i < m; i++)
        n += w[i * step] == 0.0f;
    return n;
}

/* What is left over of a run stays. */
static void by_pattern(const kernel *k, int64_t n, int64_t m)
{
    const int64_t runs = md_tensor_n(&k->t) / k->n;
    float *w = k->t.data;

    for (int64_t r = 0; r < runs; r++) {
        float *run = w + r / k->inner * k->n * k->inner + r % k->inner;

        for (int64_t i = 0; i + m <= k->n; i += m) {
            float *at = run + i * k->inner;

            keep_largest(at, k->inner, n + count_zeros(at, k->inner, m), m);
        }
    }
}

/* ---- the whole ---- */

static md_status check(const md_sparsify_opts *o, md_error *err)
{
    if (o->m == 0 && !(o->share > 0.0 && o->share < 1.0))
        return md_fail(err, MD_INVALID,
                       "a share of %g given, between 0 and 1 expected",
                       o->share);
    if (o->m != 0 && (o->n < 1 || o->n >= o->m))
        return md_fail(err, MD_INVALID,
                       "pattern %lld:%lld given, 0 < n < m expected",
                       (long long)o->n, (long long)o->m);
    return MD_OK;
}

static md_status put(sparsifier *s, md_sparsify_report *r, md_error *err)
{
    for (uint32_t i = 0; i < s->n; i++) {
        kernel *k = &s->k[i];

        r->n_layers++;
        r->weights += md_tensor_n(&k->t);
        r->zeros += count_zeros(k->t.data, 1, md_tensor_n(&k->t));
        MD_TRY(md_graph_set_const(s->m->graph, k->id, k->t, err));
        k->t = (md_tensor)MD_TENSOR_INIT; /* the model's */
    }
    return MD_OK;
}

static md_status set_lineage(md_model *m, uint64_t parent,
                             const md_sparsify_opts *o, md_error *err)
{
    char text[64];

    if (o->m)
        snprintf(text, sizeof(text), "prune nm=%lld:%lld", (long long)o->n,
                 (long long)o->m);
    else
        snprintf(text, sizeof(text), "prune sparsity=%.9g", o->share);
    return md_model_set_origin(m, parent, text, err);
}

md_status md_sparsify(md_model *model, const md_sparsify_opts *opts,
                      md_sparsify_report *report, md_error *err)
{
    sparsifier s = { .m = model };
    uint64_t parent = 0;
    md_status st;

    *report = (md_sparsify_report){ .n_layers = 0 };
    MD_TRY(check(opts, err));
    MD_TRY(md_model_hash(&parent, model, err));
    MD_TRY(md_model_inline(model, err));
    MD_TRY(md_graph_lift_constants(model->graph, err));
    md_arena_init(&s.ar, model->alloc, 0);
    st = find_kernels(&s, err);
    if (st == MD_OK && opts->m == 0)
        st = by_share(&s, opts->share, err);
    for (uint32_t i = 0; i < s.n && st == MD_OK && opts->m; i++)
        by_pattern(&s.k[i], opts->n, opts->m);
    if (st == MD_OK)
        st = put(&s, report, err);
    for (uint32_t i = 0; i < s.n; i++)
        md_tensor_release(&s.k[i].t);
    md_arena_release(&s.ar);
    return st == MD_OK ? set_lineage(model, parent, opts, err) : st;
}
