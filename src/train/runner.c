#include "train/runner.h"

#include <stdio.h>
#include <string.h>

#include "base/hash.h"
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

md_status md_model_hash(uint64_t *out, const md_model *model, md_error *err)
{
    const uint64_t zero[2] = { 0, 1 };
    md_buf bytes;
    md_status s;

    md_buf_init(&bytes, model->alloc, (size_t)INT64_MAX);
    s = md_onnx_write(model, &bytes, err);
    *out = s == MD_OK ? md_hash_keyed(zero, bytes.data, bytes.size) : 0;
    md_buf_release(&bytes);
    return s;
}

md_status md_model_set_origin(md_model *m, uint64_t parent, const char *recipe,
                              md_error *err)
{
    char text[24];

    snprintf(text, sizeof(text), "%016llx", (unsigned long long)parent);
    MD_TRY(md_model_set_meta(m, "modeld.parent", text, err));
    return md_model_set_meta(m, "modeld.recipe", recipe, err);
}

md_status md_model_set_lineage(md_model *m, const md_model *parent,
                               const char *recipe, md_error *err)
{
    const char *before = md_model_meta(m, "modeld.recipe");
    char *both;
    uint64_t hash;

    if (parent) {
        MD_TRY(md_model_hash(&hash, parent, err));
        return md_model_set_origin(m, hash, recipe, err);
    }
    both = md_arena_printf(&m->arena, "%s; %s", before ? before : "", recipe);
    if (!both)
        return md_fail_nomem(err, strlen(recipe));
    return md_model_set_meta(m, "modeld.recipe", before ? both : recipe, err);
}

md_status md_taps_open(md_session **out, const md_model *model,
                       const char *const *names, uint32_t n, md_pool *pool,
                       md_error *err)
{
    md_model *copy;
    md_session_opts opts = MD_SESSION_OPTS_INIT;
    md_status s;

    MD_TRY(md_model_copy(&copy, model, err));
    copy->graph->n_outputs = 0;
    for (uint32_t i = 0; i < copy->graph->n_values; i++)
        copy->graph->values[i].is_output = false;
    s = MD_OK;
    for (uint32_t i = 0; i < n && s == MD_OK; i++) {
        md_value_id id = md_graph_find(copy->graph, names[i]);

        s = id == MD_VALUE_NONE
                ? md_fail(err, MD_INTERNAL, "no value '%s'", names[i])
                : md_graph_add_output(copy->graph, id, err);
    }
    opts.pool = pool;
    if (s == MD_OK)
        s = md_session_new(out, copy, &opts, err);
    if (s != MD_OK)
        md_model_free(copy);
    return s;
}

md_status md_sweep_batch(int64_t *out, const md_sweep *sweep,
                         const md_session *s, md_error *err)
{
    const int64_t n = md_sweep_n(sweep);

    *out = sweep->batch;
    MD_TRY(md_session_check_tensors(s, err));
    for (uint32_t i = 0; i < md_session_n_inputs(s); i++) {
        const md_io *v = md_session_input(s, i);
        const md_type *t = &v->type;

        if (t->rank < 1 || !md_dim_is_const(t->dim[0]))
            continue;
        *out = t->dim[0].k;
        if (*out < 1 || n % *out != 0)
            return md_fail(err, MD_INVALID,
                           "data for '%s': %lld samples given, a multiple of "
                           "the model's batch of %lld expected",
                           v->name, (long long)n, (long long)*out);
    }
    return MD_OK;
}

static md_status fill(md_run *r, const md_sweep *sweep, int64_t from, int64_t n,
                      md_error *err)
{
    const int64_t *at = sweep->which ? sweep->which->at + from : NULL;

    for (uint32_t i = 0; i < sweep->data->n_inputs; i++)
        MD_TRY(md_dataset_read(sweep->data, i, at, from, n, md_run_input(r, i),
                               sweep->pool, err));
    return md_run_execute(r, 0, err);
}

md_status md_run_batch(md_run **out, md_session *s, const md_sweep *sweep,
                       int64_t from, int64_t n, md_error *err)
{
    const md_dataset *data = sweep->data;
    md_shape *shapes =
        md_calloc(data->alloc, data->n_inputs + 1u, sizeof(*shapes));
    md_status st;

    if (!shapes)
        return md_fail_nomem(err, data->n_inputs * sizeof(*shapes));
    for (uint32_t i = 0; i < data->n_inputs; i++)
        shapes[i] = md_dataset_shape(data, i, n);
    st = md_run_acquire(out, s, shapes, err);
    md_free(data->alloc, shapes);
    if (st != MD_OK)
        return st;
    st = fill(*out, sweep, from, n, err);
    if (st != MD_OK)
        md_run_release(*out);
    return st;
}

md_status md_run_over(md_session *s, const md_sweep *sweep, md_visit_fn *visit,
                      void *ctx, md_error *err)
{
    const int64_t total = md_sweep_n(sweep);
    int64_t batch;
    md_status st = MD_OK;

    MD_TRY(md_sweep_batch(&batch, sweep, s, err));
    for (int64_t at = 0; at < total && st == MD_OK; at += batch) {
        int64_t n = md_min_i64(batch, total - at);
        md_run *r;

        MD_TRY(md_run_batch(&r, s, sweep, at, n, err));
        st = visit(ctx, r, at, n, err);
        md_run_release(r);
    }
    return st;
}
