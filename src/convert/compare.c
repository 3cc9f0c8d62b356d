/*
 * The result beside the file's graph as it is.
 *
 * A converter that can gives the source a second time as the import form: each
 * operator by itself, in the layout of the file.  It is run by the operators'
 * definitions, the result by the engine, on the same made-up inputs; so a
 * layout that was lost, a weight that was turned wrongly, a fold or a fusion
 * that is none show up as numbers that differ.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "convert/check.h"
#include "convert/convert.h"
#include "engine/session.h"
#include "ops/eval.h"

enum {
    RUNS = 3 /* with batches of 2, 1 and 3 */
};

/* Largest distance of float results that is no mistake, as the ratio of
 * Euclidean norms: sums of some thousand products in another order stay below
 * 1e-5.  Codes that are rounded the other way move all behind them by a step;
 * measured 0.02 on nets of 20 layers. */
static const double apart_max = 1e-3;
static const double apart_max_codes = 0.1;

/* Of labels, whether one or the other is chosen where two are as good hangs on
 * the last bit of a sum: so many may differ. */
static const double labels_apart_max = 0.01;

/* What two results have in common. */
typedef struct likeness {
    double abs_max, rel_max;
    double dot, got2;             /* sums of products */
    double want2[2], diff2[2];    /* of numbers; of integers */
    int64_t n_whole, whole_apart; /* integers and texts, and which differ */
    int64_t rows, rows_same;      /* whose largest element is the same */
    int64_t n_finite;
} likeness;

/* The same where no number comes out: attention to nothing, a mean of none. */
static bool is_same_odd(double got, double want)
{
    return (isnan(got) && isnan(want)) || (isinf(want) && got == want);
}

static void add_element(likeness *l, double got, double want, bool whole)
{
    double d = fabs(got - want);

    l->n_whole += whole;
    l->whole_apart += whole && got != want;

    l->abs_max = fmax(l->abs_max, d);
    if (want != 0)
        l->rel_max = fmax(l->rel_max, d / fabs(want));
    l->dot += got * want;
    l->got2 += got * got;
    l->want2[whole] += want * want;
    l->diff2[whole] += d * d;
}

/* Rows are along the last axis. */
static void add_rows(likeness *l, const md_tensor *got, const md_tensor *want)
{
    int64_t n =
        want->shape.rank > 0 ? want->shape.dim[want->shape.rank - 1] : 1;

    for (int64_t at = 0; n > 1 && at < md_tensor_n(want); at += n) {
        int64_t a = at;
        int64_t b = at;

        for (int64_t i = at + 1; i < at + n; i++) {
            if (md_tensor_get_f64(got, i) > md_tensor_get_f64(got, a))
                a = i;
            if (md_tensor_get_f64(want, i) > md_tensor_get_f64(want, b))
                b = i;
        }
        l->rows++;
        l->rows_same += a == b;
    }
}

/* A number; of a text 0, or 1 where another one is wanted. */
static double element(const md_tensor *got, const md_tensor *want, int64_t i)
{
    const md_str *a, *b;

    if (got->dtype != MD_DTYPE_STRING)
        return md_tensor_get_f64(got, i);
    a = (const md_str *)got->data + i;
    b = (const md_str *)want->data + i;
    return a->n != b->n || (a->n > 0 && memcmp(a->p, b->p, a->n) != 0);
}

static md_status compare(likeness *l, const md_tensor *got,
                         const md_tensor *want, const char *name, md_error *err)
{
    char a[MD_SHAPE_TEXT];
    char b[MD_SHAPE_TEXT];

    if (got->dtype != want->dtype || !md_shape_equal(&got->shape, &want->shape))
        return md_fail(err, MD_MISMATCH,
                       "self-check: output '%.80s' is %s%s, %s%s expected",
                       name, md_dtype_name(got->dtype),
                       md_shape_format(a, sizeof(a), &got->shape),
                       md_dtype_name(want->dtype),
                       md_shape_format(b, sizeof(b), &want->shape));
    for (int64_t i = 0; i < md_tensor_n(want); i++) {
        double x = element(got, want, i);
        double y =
            want->dtype == MD_DTYPE_STRING ? 0 : md_tensor_get_f64(want, i);

        if (is_same_odd(x, y))
            continue;
        if (!isfinite(x) || !isfinite(y))
            return md_fail(err, MD_MISMATCH,
                           "self-check: output '%.80s' has %g at element %lld, "
                           "%g expected",
                           name, x, (long long)i, y);
        add_element(l, x, y, !md_dtype_is_float(want->dtype));
        l->n_finite++;
    }
    if (md_dtype_is_float(want->dtype))
        add_rows(l, got, want);
    return MD_OK;
}

/* One run of both. */
static md_status run_pair(likeness *l, md_session *s, const md_graph *plain,
                          int64_t size, const md_check_fill *fill, md_tensor *t,
                          const md_tensor **in, md_error *err)
{
    const md_alloc *alloc = plain->model->alloc;
    md_tensor *want = t + plain->n_inputs;
    md_tensor *got = want + plain->n_outputs;

    for (uint32_t i = 0; i < plain->n_inputs; i++) {
        MD_TRY(md_check__input(&t[i],
                               &md_graph_value(plain, plain->inputs[i])->type,
                               size, fill, alloc, err));
        in[i] = &t[i];
    }
    MD_TRY(md_graph_eval(want, plain, in, alloc, NULL, err));
    MD_TRY(md_session_run(s, t, got, alloc, err));
    for (uint32_t i = 0; i < plain->n_outputs; i++)
        MD_TRY(compare(l, &got[i], &want[i],
                       md_graph_value(plain, plain->outputs[i])->name, err));
    return MD_OK;
}

static bool has_op(const md_graph *g, const char *start)
{
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        if (strncmp(g->nodes[i]->op, start, strlen(start)) == 0)
            return true;
    }
    return false;
}

static double apart(const likeness *l, int kind)
{
    double d = l->diff2[kind], w = l->want2[kind];

    return w > 0 ? sqrt(d / w) : sqrt(d);
}

static md_status judge(const likeness *l, bool codes, char *text, md_error *err)
{
    const double max = codes ? apart_max_codes : apart_max;
    double norm = sqrt(l->got2) * sqrt(l->want2[0] + l->want2[1]);

    snprintf(text, MD_CONVERT_TEXT,
             "as the file's own graph on %d inputs: max abs %.2g, max rel "
             "%.2g, cosine %.7f%s",
             RUNS, l->abs_max, l->rel_max, norm > 0 ? l->dot / norm : 1.0,
             l->rows == l->rows_same ? ", argmax the same"
                                     : ", argmax not always the same");
    if (apart(l, 0) <= max &&
        (apart(l, 1) <= max ||
         (double)l->whole_apart <= labels_apart_max * (double)l->n_whole))
        return MD_OK;
    return md_fail(err, MD_MISMATCH, "self-check: not %s", text);
}

md_status md_check__compare(md_session *s, const md_model *plain,
                            const md_convert_trial *trial, bool *ran,
                            char text[MD_CONVERT_TEXT], md_error *err)
{
    const md_graph *g = plain->graph;
    size_t n = (size_t)g->n_inputs + 2 * (size_t)g->n_outputs;
    md_tensor *t = md_calloc(plain->alloc, n + 1, sizeof(*t));
    const md_tensor **in =
        md_calloc(plain->alloc, (size_t)g->n_inputs + 1, sizeof(*in));
    md_status st = t && in ? MD_OK : md_fail_nomem(err, n * sizeof(*t));
    static const int64_t batch[RUNS] = { 2, 1, 3 };
    const int64_t times = trial->batch > 0 ? trial->batch : 1;
    md_check_fill fill = { .from = trial->from,
                           .to = trial->to > trial->from ? trial->to : 1,
                           .missing = trial->missing };
    likeness l = { 0 };

    /* Integers are 0: indices that every table has.  Of masks, 0 may be what
     * leaves no number: then they are 1. */
    for (int64_t whole = 0; st == MD_OK && whole < 2 && l.n_finite == 0;
         whole++) {
        l = (likeness){ 0 };
        for (uint32_t turn = 0; st == MD_OK && turn < RUNS; turn++) {
            fill.seed = turn + 1;
            fill.whole = whole;
            st = run_pair(&l, s, g, times * batch[turn], &fill, t, in, err);
            for (size_t i = 0; i < n; i++)
                md_tensor_release(&t[i]);
        }
    }
    *ran = st == MD_OK;
    if (st == MD_OK)
        st = judge(&l, has_op(g, "Quantize"), text, err);
    md_free(plain->alloc, t);
    md_free(plain->alloc, in);
    return st;
}

bool md_check__is_repeatable(const md_model *m)
{
    return !has_op(m->graph, "Random") && !has_op(m->graph, "Multinomial");
}
