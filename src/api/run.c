/* Running models: public tensors to the engine's and back. */
#include <string.h>

#include "api/api.h"

static const md_alloc *tensor_alloc(void)
{
    return md_alloc_tagged(MD_MEM_request);
}

/* An own array of the engine's strings for the caller's. */
static md_status take_strings(md_tensor *t, int64_t n, md_error *err)
{
    const modeld_string *from = t->data;
    md_str *to = md_calloc(tensor_alloc(), (size_t)n, sizeof(*to));

    if (!to)
        return md_fail_nomem(err, (size_t)n * sizeof(*to));
    t->data = to;
    t->owner = tensor_alloc();
    for (int64_t i = 0; i < n; i++) {
        if (!from[i].p && from[i].n > 0)
            return md_fail(err, MD_INVALID, "string %lld: NULL given",
                           (long long)i);
        to[i] = (md_str){ from[i].p, from[i].n };
    }
    return MD_OK;
}

/* Where elements may begin: kernels read them as what they are. */
static size_t alignment(modeld_type type)
{
    size_t bits = (size_t)md_dtype_bits((md_dtype)type);

    switch (type) {
    case MODELD_TYPE_STRING:
        return _Alignof(modeld_string);
    case MODELD_TYPE_C64:
    case MODELD_TYPE_C128:
        return bits / 16;
    default:
        return bits < 8 ? 1 : bits / 8;
    }
}

/* View the caller's tensor as the engine's; out is to be released. */
static md_status take_input(md_tensor *out, const modeld_tensor *in,
                            const modeld_info *info, md_error *err)
{
    md_tensor t = { .dtype = (md_dtype)info->type, .data = in->data };
    size_t size;
    int64_t n;

    if (in->type != info->type)
        return md_fail(err, MD_INVALID, "%s given, %s expected",
                       modeld_type_name(in->type),
                       modeld_type_name(info->type));
    if (in->rank != info->rank)
        return md_fail(err, MD_INVALID, "rank %d given, %d expected", in->rank,
                       info->rank);
    t.shape.rank = in->rank;
    memcpy(t.shape.dim, in->dim, sizeof(t.shape.dim));
    MD_TRY(md_shape_count(&n, &t.shape, err));
    MD_TRY(md_tensor_bytes(&size, t.dtype, &t.shape, err));
    if (in->size != size)
        return md_fail(err, MD_INVALID, "%zu bytes given, %zu expected",
                       in->size, size);
    if (size > 0 && !in->data)
        return md_fail(err, MD_INVALID, "data: NULL given");
    if ((uintptr_t)in->data % alignment(in->type) != 0)
        return md_fail(err, MD_INVALID,
                       "data: address %p given, a multiple of %zu expected",
                       in->data, alignment(in->type));
    *out = t;
    if (t.dtype == MD_DTYPE_STRING && n > 0)
        return take_strings(out, n, err);
    return MD_OK;
}

/* Hand the engine's tensor, which owns its data, to the caller. */
static modeld_tensor give_output(const md_tensor *t)
{
    modeld_tensor out = { .type = (modeld_type)t->dtype,
                          .rank = t->shape.rank,
                          .data = t->data,
                          .size = md_tensor_size(t),
                          .owner = t->owner };

    _Static_assert(sizeof(modeld_string) == sizeof(md_str),
                   "strings are renamed in place");
    memcpy(out.dim, t->shape.dim, sizeof(out.dim[0]) * (size_t)out.rank);
    if (t->dtype == MD_DTYPE_STRING) {
        int64_t n = md_tensor_n(t);

        for (int64_t i = 0; i < n; i++) {
            const md_str s = ((const md_str *)t->data)[i];

            ((modeld_string *)out.data)[i] = (modeld_string){ s.p, s.n };
        }
    }
    return out;
}

static md_status check_call(const modeld_model *m, const modeld_tensor *inputs,
                            size_t n_inputs, const modeld_tensor *outputs,
                            size_t n_outputs, md_error *err)
{
    size_t n_in = modeld_model_n_inputs(m), n_out = modeld_model_n_outputs(m);

    if (!m)
        return md_fail(err, MD_INVALID, "model: NULL given");
    if (n_inputs != n_in)
        return md_fail(err, MD_INVALID, "inputs: %zu given, %zu expected",
                       n_inputs, n_in);
    if (n_outputs != n_out)
        return md_fail(err, MD_INVALID,
                       "outputs: room for %zu given, "
                       "for %zu expected",
                       n_outputs, n_out);
    if (!inputs && n_in > 0)
        return md_fail(err, MD_INVALID, "inputs: NULL given");
    if (!outputs && n_out > 0)
        return md_fail(err, MD_INVALID, "outputs: NULL given");
    return MD_OK;
}

/* The call is sound; `in` and `result` are zeroed. */
static md_status run(modeld_model *m, const modeld_tensor *inputs,
                     md_tensor *in, md_tensor *result, md_error *err)
{
    size_t n_in = modeld_model_n_inputs(m);

    for (size_t i = 0; i < n_in; i++) {
        md_status s = take_input(&in[i], &inputs[i], &m->inputs[i], err);

        if (s != MD_OK)
            return md_wrap(err, s, "input '%s': ", m->inputs[i].name);
    }
    return md_session_run(m->session, in, result, tensor_alloc(), err);
}

modeld_code modeld_model_run(modeld_model *model, const modeld_tensor *inputs,
                             size_t n_inputs, modeld_tensor *outputs,
                             size_t n_outputs, modeld_error *err)
{
    md_error e = MD_ERROR_INIT;
    md_tensor *tensors;
    md_status s;

    if (outputs)
        memset(outputs, 0, n_outputs * sizeof(*outputs));
    s = check_call(model, inputs, n_inputs, outputs, n_outputs, &e);
    if (s != MD_OK)
        return md_api__give(err, s, &e);
    tensors =
        md_calloc(tensor_alloc(), n_inputs + n_outputs + 1, sizeof(*tensors));
    if (!tensors) {
        s = md_fail_nomem(&e, (n_inputs + n_outputs) * sizeof(*tensors));
        return md_api__give(err, s, &e);
    }
    s = run(model, inputs, tensors, tensors + n_inputs, &e);
    for (size_t i = 0; i < n_inputs; i++)
        md_tensor_release(&tensors[i]);
    for (size_t i = 0; i < n_outputs && s == MD_OK; i++)
        outputs[i] = give_output(&tensors[n_inputs + i]);
    md_free(tensor_alloc(), tensors);
    return md_api__give(err, s, &e);
}

void modeld_tensor_release(modeld_tensor *tensor)
{
    if (!tensor)
        return;
    if (tensor->owner)
        md_free(tensor->owner, tensor->data);
    memset(tensor, 0, sizeof(*tensor));
}
