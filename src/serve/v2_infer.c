/* The inference call of the Open Inference Protocol: what REST and gRPC have
 * in common. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "serve/server_impl.h"
#include "serve/v2.h"

enum {
    CLASSES_MAX = 100 /* each is one pass over the row */
};

void md_v2_each_extension(const md_call *call,
                          void (*fn)(void *ctx, const char *name), void *ctx)
{
    static const char shared[] = "system_shared_memory";
    static const char *const names[] = { "classification",
                                         "model_repository",
                                         "model_repository(unload_dependents)",
                                         "schedule_policy",
                                         "model_configuration",
                                         shared,
                                         "binary_tensor_data",
                                         "statistics",
                                         "trace",
                                         "logging" };

    for (size_t i = 0; i < MD_COUNT(names); i++)
        if (names[i] != shared ||
            md_shm_check(&call->server->shm, NULL) == MD_OK)
            fn(ctx, names[i]);
}

/* ---- inputs ---- */

md_status md_v2__find_input(const md_v2_request *r, md_str name, int *index,
                            md_error *err)
{
    const md_serve_model *m = r->feed.model;

    *index = md_serve_model_find_input(m, name);
    if (*index < 0)
        return md_fail(err, MD_INVALID,
                       "unexpected inference input '%.*s' for model '%s'",
                       name.n > 100 ? 100 : (int)name.n, name.p, m->name);
    if (r->feed.inputs[*index].given)
        return md_fail(err, MD_INVALID, "input '%s' is given twice",
                       m->inputs[*index].name);
    return MD_OK;
}

md_status md_v2__datatype(md_dtype *out, const char *name, md_error *err)
{
    *out = md_dtype_parse_v2(name);
    if (*out == MD_DTYPE_NONE)
        return md_fail(err, MD_INVALID,
                       "invalid datatype '%.32s' for an input: BOOL, INT8 to "
                       "INT64, UINT8 to UINT64, FP16 to FP64, BF16 or BYTES "
                       "expected",
                       name);
    return MD_OK;
}

md_status md_v2__check_datatype(const md_v2_request *r, int index,
                                md_dtype given, md_error *err)
{
    const md_serve_model *m = r->feed.model;
    const md_serve_io *io = &m->inputs[index];

    if (given == io->dtype)
        return MD_OK;
    return md_fail(err, MD_INVALID,
                   "inference input '%s' data-type is '%s', but model '%s' "
                   "expects '%s'",
                   io->name, md_dtype_v2_name(given), m->name,
                   md_dtype_v2_name(io->dtype));
}

md_status md_v2__give(md_v2_request *r, int index, const md_shape *shape,
                      int64_t n, md_error *err)
{
    md_feed_input *fi = &r->feed.inputs[index];
    int64_t want;

    MD_TRY(md_shape_count(&want, shape, err));
    if (n != want) {
        char text[MD_SHAPE_TEXT];

        return md_fail(err, MD_INVALID,
                       "input '%s': %lld values given, %lld expected for its "
                       "shape %s",
                       r->feed.model->inputs[index].name, (long long)n,
                       (long long)want,
                       md_shape_format(text, sizeof(text), shape));
    }
    fi->shape = *shape;
    fi->given = true;
    return MD_OK;
}

/* ---- outputs ---- */

md_status md_v2__find_output(const md_v2_request *r, md_str name, int *index,
                             md_error *err)
{
    const md_serve_model *m = r->feed.model;

    *index = md_serve_model_find_output(m, name);
    if (*index < 0)
        return md_fail(err, MD_INVALID,
                       "unexpected inference output '%.*s' for model '%s'",
                       name.n > 100 ? 100 : (int)name.n, name.p, m->name);
    return MD_OK;
}

md_status md_v2__add_output(md_v2_request *r, const md_v2_wish *wish,
                            md_error *err)
{
    const md_serve_model *m = r->feed.model;
    md_v2_output *o;

    if (wish->index < 0)
        return md_fail(err, MD_INVALID, "an output has no name");
    for (uint32_t i = 0; i < r->n_outputs; i++)
        if (r->outputs[i].index == (uint32_t)wish->index)
            return md_fail(err, MD_INVALID, "output '%s' is asked for twice",
                           m->outputs[wish->index].name);
    if (wish->classes > CLASSES_MAX)
        return md_fail(err, MD_INVALID,
                       "output '%s': classification %zu given, at most %d "
                       "classes expected",
                       m->outputs[wish->index].name, wish->classes,
                       CLASSES_MAX);
    if (wish->shared.region && wish->classes)
        return md_fail(err, MD_INVALID,
                       "output '%s': classification given beside shared "
                       "memory, one of them expected",
                       m->outputs[wish->index].name);
    MD_TRY(md_v2__check_shared(r, &wish->shared, err));
    /* No output twice, so there are at most as many as the model has. */
    if (!r->outputs)
        MD_TRY(md_call_alloc(r->feed.call, &r->outputs, m->n_outputs,
                             sizeof(*r->outputs), err));
    o = &r->outputs[r->n_outputs++];
    o->index = (uint32_t)wish->index;
    o->classes = (uint32_t)wish->classes;
    o->binary = wish->binary;
    o->told = wish->has_binary;
    o->shared = wish->shared;
    return MD_OK;
}

md_status md_v2__end_outputs(md_v2_request *r, md_error *err)
{
    const md_serve_model *m = r->feed.model;

    if (!r->outputs) {
        MD_TRY(md_call_alloc(r->feed.call, &r->outputs, m->n_outputs,
                             sizeof(*r->outputs), err));
        for (uint32_t i = 0; i < m->n_outputs; i++)
            r->outputs[i].index = i;
        r->n_outputs = m->n_outputs;
    }
    for (uint32_t i = 0; i < r->n_outputs; i++)
        if (!r->outputs[i].told)
            r->outputs[i].binary = r->binary_default;
    return MD_OK;
}

md_status md_v2__check_type(const char *name, const md_tensor *t, md_error *err)
{
    if (*md_dtype_v2_name(t->dtype))
        return MD_OK;
    return md_fail(err, MD_UNSUPPORTED, "output '%s': the protocol has no %s",
                   name, md_dtype_name(t->dtype));
}

size_t md_v2__raw_size(const md_tensor *t)
{
    size_t n = 0;

    if (t->dtype != MD_DTYPE_STRING)
        return md_tensor_size(t);
    for (int64_t i = 0; i < md_tensor_n(t); i++)
        n += 4 + ((const md_str *)t->data)[i].n;
    return n;
}

md_status md_v2__raw_append(md_buf *out, const md_tensor *t, md_error *err)
{
    if (t->dtype != MD_DTYPE_STRING)
        return md_buf_append(out, t->data, md_tensor_size(t), err);
    for (int64_t i = 0; i < md_tensor_n(t); i++) {
        const md_str *s = (const md_str *)t->data + i;
        uint32_t size = (uint32_t)s->n;

        MD_TRY(md_buf_append(out, &size, 4, err));
        MD_TRY(md_buf_append(out, s->p, s->n, err));
    }
    return MD_OK;
}

/* ---- classification: BYTES "value:index[:label]", best first ---- */

/* The next best class behind (value, index) in order of falling value, ties
 * by index; -1 at the end, and when a value is NaN, which is in no order. */
static int64_t next_best(const md_tensor *t, int64_t row, int64_t n,
                         int64_t last)
{
    double limit = last >= 0 ? md_tensor_get_f64(t, row * n + last) : 0;
    double best_value = 0;
    int64_t best = -1;

    for (int64_t i = 0; i < n; i++) {
        double v = md_tensor_get_f64(t, row * n + i);

        if (isnan(v))
            return -1;
        if (last >= 0 && !(v < limit || (v == limit && i > last)))
            continue;
        if (best < 0 || v > best_value) {
            best = i;
            best_value = v;
        }
    }
    return best;
}

md_status md_v2__class_shape(const md_tensor *t, uint32_t k, md_shape *shape,
                             md_error *err)
{
    const int rank = t->shape.rank;
    const int64_t n = rank ? t->shape.dim[rank - 1] : 1;

    if (rank > 2 ||
        !(md_dtype_is_float(t->dtype) || md_dtype_is_integer(t->dtype)))
        return md_fail(err, MD_INVALID,
                       "classification: an output of numbers with shape "
                       "[N,classes] expected");
    shape->rank = rank > 1 ? 2 : 1;
    shape->dim[0] = rank > 1 ? t->shape.dim[0] : 1;
    shape->dim[shape->rank - 1] = k > n ? n : k;
    return MD_OK;
}

md_status md_v2__each_class(const md_serve_model *m, uint32_t output,
                            const md_tensor *t, uint32_t k,
                            void (*put)(void *ctx, const char *text), void *ctx,
                            md_error *err)
{
    const int rank = t->shape.rank;
    const int64_t n = rank ? t->shape.dim[rank - 1] : 1;
    const int64_t rows = rank > 1 ? t->shape.dim[0] : 1;

    for (int64_t row = 0; row < rows; row++) {
        int64_t i = -1;

        for (int64_t j = 0; j < k && j < n; j++) {
            char text[256];
            bool labelled;

            i = next_best(t, row, n, i);
            if (i < 0)
                return md_fail(err, MD_INVALID,
                               "classification: the output has values that "
                               "are not numbers");
            labelled = output == m->labelled && i < (int64_t)m->n_labels;
            (void)snprintf(text, sizeof(text), "%f:%lld%s%.180s",
                           md_tensor_get_f64(t, row * n + i), (long long)i,
                           labelled ? ":" : "", labelled ? m->labels[i] : "");
            put(ctx, text);
        }
    }
    return MD_OK;
}
