/*
 * A run of the new model on made-up inputs.
 *
 * For converters that give no import form to compare with (compare.c); what
 * this finds is a graph that cannot run, gives another shape than
 * the source promises, or numbers that are not finite.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "convert/check.h"
#include "convert/convert.h"
#include "ops/eval.h"

enum {
    BATCH = 2,      /* for the first axis, where it is free */
    FREE_SIZE = 16, /* for every other free axis */
    MISSING = 7     /* of so many numbers one */
};

/* Uniform. */
static void fill_floats(md_tensor *t, const md_check_fill *f)
{
    int64_t n = md_tensor_n(t);
    uint32_t state = f->seed;

    for (int64_t i = 0; i < n; i++) {
        state = state * 1664525u + 1013904223u;
        md_tensor_set_f64(t, i,
                          f->missing && state >> 8 & 1 && i % MISSING == 0
                              ? NAN
                              : f->from +
                                    (f->to - f->from) *
                                        ((double)(state >> 8) / 16777216.0));
    }
}

md_status md_check__input(md_tensor *out, const md_type *t, int64_t batch,
                          const md_check_fill *fill, const md_alloc *alloc,
                          md_error *err)
{
    md_shape shape = { t->rank, { 0 } };

    for (int i = 0; i < t->rank; i++) {
        shape.dim[i] = md_dim_is_const(t->dim[i]) ? t->dim[i].k
                       : i == 0                   ? batch
                                                  : FREE_SIZE;
    }
    MD_TRY(md_tensor_alloc(out, t->dtype, &shape, alloc, err));
    if (md_dtype_is_float(t->dtype))
        fill_floats(out, fill);
    for (int64_t i = 0; !md_dtype_is_float(t->dtype) && i < md_tensor_n(out);
         i++)
        md_tensor_set_i64(out, i, fill->whole);
    return MD_OK;
}

static md_status check_output(const md_tensor *t, const md_value *v,
                              md_error *err)
{
    bool fits = t->shape.rank == v->type.rank;
    int64_t n = md_tensor_n(t);
    char got[MD_SHAPE_TEXT];

    for (int i = 0; fits && i < t->shape.rank; i++)
        fits = !md_dim_is_const(v->type.dim[i]) ||
               v->type.dim[i].k == t->shape.dim[i];
    if (!fits)
        return md_fail(err, MD_MISMATCH,
                       "self-check: output '%s' has shape %s, another one "
                       "is promised",
                       v->name, md_shape_format(got, sizeof(got), &t->shape));
    for (int64_t i = 0; i < n; i++) {
        if (!isfinite(md_tensor_get_f64(t, i)))
            return md_fail(err, MD_MISMATCH,
                           "self-check: output '%s' has %g at element %lld, "
                           "finite numbers expected",
                           v->name, md_tensor_get_f64(t, i), (long long)i);
    }
    return MD_OK;
}

static md_status run(const md_graph *g, md_tensor *in, md_tensor *out,
                     const md_tensor **in_ptr, bool *ran,
                     char text[MD_CONVERT_TEXT], md_error *err)
{
    const md_alloc *alloc = g->model->alloc;
    const md_check_fill as_images = { .to = 1, .seed = 1 };
    md_error why = MD_ERROR_INIT;
    md_status s;

    for (uint32_t i = 0; i < g->n_inputs; i++) {
        MD_TRY(md_check__input(&in[i], &md_graph_value(g, g->inputs[i])->type,
                               BATCH, &as_images, alloc, err));
        in_ptr[i] = &in[i];
    }
    s = md_graph_eval(out, g, in_ptr, alloc, NULL, &why);
    *ran = s == MD_OK;
    if (s == MD_UNSUPPORTED) {
        snprintf(text, MD_CONVERT_TEXT, "%.200s", why.msg);
        return MD_OK;
    }
    if (s != MD_OK)
        return md_fail(err, s, "self-check: %.400s", why.msg);
    for (uint32_t i = 0; i < g->n_outputs; i++)
        MD_TRY(check_output(&out[i], md_graph_value(g, g->outputs[i]), err));
    snprintf(text, MD_CONVERT_TEXT,
             "ran on made-up inputs; %u outputs of the promised shape, finite",
             g->n_outputs);
    return MD_OK;
}

md_status md_convert_self_check(const md_model *model, bool *ran,
                                char text[MD_CONVERT_TEXT], md_error *err)
{
    const md_graph *g = model->graph;
    size_t n = (size_t)g->n_inputs + g->n_outputs;
    md_tensor *t = md_calloc(model->alloc, n + 1, sizeof(*t));
    const md_tensor **in =
        md_calloc(model->alloc, (size_t)g->n_inputs + 1, sizeof(*in));
    md_status s;

    *ran = false;
    if (t && in)
        s = run(g, t, t + g->n_inputs, in, ran, text, err);
    else
        s = md_fail_nomem(err, n * sizeof(*t));
    for (size_t i = 0; t && i < n; i++)
        md_tensor_release(&t[i]);
    md_free(model->alloc, t);
    md_free(model->alloc, in);
    return s;
}
