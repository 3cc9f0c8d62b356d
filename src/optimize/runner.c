#include "optimize/runner.h"

#include "base/size.h"
#include "formats/onnx.h"

md_status md_model_copy(md_model **out, const md_model *model, md_error *err)
{
    md_buf bytes;
    md_status s;

    md_buf_init(&bytes, model->alloc, (size_t)INT64_MAX);
    s = md_onnx_write(model, &bytes, err);
    if (s == MD_OK)
        s = md_onnx_parse(out, bytes.data, bytes.size, NULL, model->alloc, err);
    md_buf_release(&bytes);
    return s;
}

/* Samples that one execution takes: a fixed batch, which n must be a multiple
 * of, or those wanted. */
static md_status batch_of(int64_t *batch, const md_session *s, int64_t n,
                          md_error *err)
{
    MD_TRY(md_session_check_tensors(s, err));
    for (uint32_t i = 0; i < md_session_n_inputs(s); i++) {
        const md_io *v = md_session_input(s, i);
        const md_type *t = &v->type;

        if (t->rank < 1 || !md_dim_is_const(t->dim[0]))
            continue;
        *batch = t->dim[0].k;
        if (*batch < 1 || n % *batch != 0)
            return md_fail(err, MD_INVALID,
                           "data for '%s': %lld samples given, a multiple of "
                           "the model's batch of %lld expected",
                           v->name, (long long)n, (long long)*batch);
    }
    return MD_OK;
}

static md_status run_some(md_session *s, const md_dataset *data,
                          md_shape *shapes, int64_t from, int64_t n,
                          md_visit_fn *visit, void *ctx, md_error *err)
{
    md_run *r;
    md_status st = MD_OK;

    for (uint32_t i = 0; i < data->n_inputs; i++)
        shapes[i] = md_dataset_shape(data, i, n);
    MD_TRY(md_run_acquire(&r, s, shapes, err));
    for (uint32_t i = 0; i < data->n_inputs && st == MD_OK; i++)
        st = md_dataset_read(data, i, from, n, md_run_input(r, i), err);
    if (st == MD_OK)
        st = md_run_execute(r, 0, err);
    if (st == MD_OK)
        st = visit(ctx, r, from, n, err);
    md_run_release(r);
    return st;
}

md_status md_run_over(md_session *s, const md_dataset *data, int64_t batch,
                      md_visit_fn *visit, void *ctx, md_error *err)
{
    md_shape *shapes;
    md_status st = MD_OK;

    MD_TRY(batch_of(&batch, s, data->n, err));
    shapes = md_calloc(data->alloc, data->n_inputs + 1u, sizeof(*shapes));
    if (!shapes)
        return md_fail_nomem(err, data->n_inputs * sizeof(*shapes));
    for (int64_t at = 0; at < data->n && st == MD_OK; at += batch)
        st = run_some(s, data, shapes, at, md_min_i64(batch, data->n - at),
                      visit, ctx, err);
    md_free(data->alloc, shapes);
    return st;
}

typedef struct score {
    const int64_t *labels;
    int64_t right;
} score;

static int64_t argmax(const md_tensor *t, int64_t row, int64_t n)
{
    int64_t best = 0;

    for (int64_t i = 1; i < n; i++) {
        if (md_tensor_get_f64(t, row * n + i) >
            md_tensor_get_f64(t, row * n + best))
            best = i;
    }
    return best;
}

static md_status visit_score(void *ctx, const md_run *r, int64_t from,
                             int64_t n, md_error *err)
{
    const md_tensor *y = md_run_output(r, 0);
    score *sc = ctx;
    int64_t classes;

    if (y->shape.rank < 1 || md_tensor_n(y) % n != 0)
        return md_fail(err, MD_UNSUPPORTED,
                       "accuracy needs one row of scores per sample");
    classes = md_tensor_n(y) / n;
    for (int64_t i = 0; i < n; i++) {
        int64_t label = sc->labels[from + i];

        if (label < 0 || label >= classes)
            return md_fail(err, MD_INVALID,
                           "labels 'y': %lld given for sample %lld, 0 to %lld "
                           "expected",
                           (long long)label, (long long)(from + i),
                           (long long)classes - 1);
        sc->right += argmax(y, i, classes) == label;
    }
    return MD_OK;
}

md_status md_accuracy(double *out, const md_model *model,
                      const md_dataset *data, md_pool *pool, md_error *err)
{
    md_session_opts opts = MD_SESSION_OPTS_INIT;
    score sc = { .labels = data->labels.data };
    md_session *s;
    md_model *copy;
    md_status st;

    if (!sc.labels)
        return md_fail(err, MD_INVALID, "the data has no labels 'y'");
    MD_TRY(md_model_copy(&copy, model, err));
    opts.pool = pool;
    st = md_session_new(&s, copy, &opts, err);
    if (st != MD_OK) {
        md_model_free(copy);
        return st;
    }
    st = md_run_over(s, data, 16, visit_score, &sc, err);
    md_session_free(s);
    *out = (double)sc.right / (double)data->n;
    return st;
}
