/* Outputs, scratch and typed access of reference executions. */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "base/size.h"
#include "kernels/vcast.h"
#include "ops/common/util.h"
#include "tensor/float.h"

md_status md_exec__scratch(void *out, md_arena *ar, int64_t n, size_t size,
                           md_error *err)
{
    void *p = NULL;
    size_t bytes;

    if (!md_mul_size(&bytes, (size_t)n, size))
        return md_fail_nomem(err, SIZE_MAX);
    if (bytes) {
        p = md_arena_alloc_aligned(ar, bytes);
        if (!p)
            return md_fail_nomem(err, bytes);
        memset(p, 0, bytes);
    }
    memcpy(out, &p, sizeof(p));
    return MD_OK;
}

md_status md_exec__infer_view(const md_exec *x, md_infer *out, md_arena *ar,
                              md_error *err)
{
    const md_node *n = x->node;
    const md_type **in;
    md_type *types;
    md_type *result;

    MD_TRY(md_exec__scratch(&in, ar, n->n_in, sizeof(*in), err));
    MD_TRY(md_exec__scratch(&types, ar, n->n_in, sizeof(*types), err));
    MD_TRY(md_exec__scratch(&result, ar, n->n_out, sizeof(*result), err));
    for (uint32_t i = 0; i < n->n_in; i++) {
        if (!x->in[i])
            continue;
        types[i] = md_type_of_value(x->in[i]);
        in[i] = &types[i];
    }
    *out = (md_infer){
        .node = n, .opset = x->opset, .in = in, .cin = x->in, .out = result
    };
    return MD_OK;
}

md_status md_exec__all_outputs(md_exec *x, md_infer_fn *infer, md_tensor ***out,
                               md_arena *ar, md_error *err)
{
    uint32_t n = x->node->n_out;
    md_tensor **list;
    md_infer c;

    MD_TRY(md_exec__infer_view(x, &c, ar, err));
    MD_TRY(infer(&c, err));
    MD_TRY(md_exec__scratch(&list, ar, n, sizeof(*list), err));
    for (uint32_t i = 0; i < n; i++) {
        md_shape shape;

        if (x->node->out[i] == MD_VALUE_NONE)
            continue;
        if (!md_type_static(&c.out[i], &shape) ||
            c.out[i].dtype == MD_DTYPE_NONE)
            return md_fail(err, MD_INTERNAL, "%s does not tell output %u",
                           x->node->op, (unsigned)i);
        MD_TRY(md_exec_output(x, i, c.out[i].dtype, &shape, &list[i], err));
    }
    *out = list;
    return MD_OK;
}

md_status md_exec__outputs(md_exec *x, md_infer_fn *infer, md_tensor **out,
                           uint32_t n_out, md_error *err)
{
    md_tensor **list;
    md_arena ar;
    md_status s;

    md_arena_init(&ar, x->alloc, 0);
    s = md_exec__all_outputs(x, infer, &list, &ar, err);
    for (uint32_t i = 0; i < n_out; i++)
        out[i] = s == MD_OK && i < x->node->n_out ? list[i] : NULL;
    md_arena_release(&ar);
    return s;
}

md_status md_exec__single(md_exec *x, md_infer_fn *infer,
                          md_compute_fn *compute, md_error *err)
{
    md_tensor *out;
    md_arena ar;
    md_status s;

    MD_TRY(md_exec__outputs(x, infer, &out, 1, err));
    if (!out || md_tensor_n(out) == 0)
        return MD_OK;
    md_arena_init(&ar, x->alloc, 0);
    s = compute(x, out, &ar, err);
    md_arena_release(&ar);
    return s;
}

md_status md_exec__several(md_exec *x, md_infer_fn *infer, uint32_t n_out,
                           md_compute_all_fn *compute, md_error *err)
{
    md_tensor *out[MD_OUTPUTS_MAX] = { NULL };
    md_arena ar;
    md_status s;

    assert(n_out <= MD_OUTPUTS_MAX);
    MD_TRY(md_exec__outputs(x, infer, out, n_out, err));
    md_arena_init(&ar, x->alloc, 0);
    s = compute(x, out, &ar, err);
    md_arena_release(&ar);
    return s;
}

md_status md_exec__open(md_exec *x, md_infer_fn *infer,
                        md_compute_open_fn *compute, md_error *err)
{
    md_infer c;
    md_arena ar;
    md_status s;

    md_arena_init(&ar, x->alloc, 0);
    s = md_exec__infer_view(x, &c, &ar, err);
    if (s == MD_OK)
        s = infer(&c, err);
    if (s == MD_OK)
        s = compute(x, &c, &ar, err);
    md_arena_release(&ar);
    return s;
}

void md_exec__zero(md_tensor *t)
{
    size_t size = md_tensor_size(t);

    if (size)
        memset(t->data, 0, size);
}

/* Element i of a type of whole bytes. */
static char *element(const md_tensor *t, int64_t i)
{
    return (char *)t->data + i * (md_dtype_bits(t->dtype) / 8);
}

/* n elements of t from `from` on in another type, by the loop for the two;
 * false when there is none. */
static bool load(void *out, md_dtype type, const md_tensor *t, int64_t from,
                 int64_t n)
{
    md_vcast_fn *fn = md_vcast__ref(type, t->dtype);

    if (fn && n > 0)
        fn(out, element(t, from), (size_t)n);
    return fn != NULL;
}

static bool store(md_tensor *t, int64_t to, md_dtype type, const void *v,
                  int64_t n)
{
    md_vcast_fn *fn = md_vcast__ref(t->dtype, type);

    if (fn && n > 0)
        fn(element(t, to), v, (size_t)n);
    return fn != NULL;
}

void md_load_f64(double *out, const md_tensor *t, int64_t from, int64_t n)
{
    if (load(out, MD_DTYPE_F64, t, from, n))
        return;
    for (int64_t i = 0; i < n; i++)
        out[i] = md_tensor_get_f64(t, from + i);
}

void md_load_f32(float *out, const md_tensor *t, int64_t from, int64_t n)
{
    if (load(out, MD_DTYPE_F32, t, from, n))
        return;
    for (int64_t i = 0; i < n; i++)
        out[i] = (float)md_tensor_get_f64(t, from + i);
}

void md_load_i64(int64_t *out, const md_tensor *t, int64_t from, int64_t n)
{
    if (load(out, MD_DTYPE_I64, t, from, n))
        return;
    for (int64_t i = 0; i < n; i++)
        out[i] = md_tensor_get_i64(t, from + i);
}

void md_load_i32(int32_t *out, const md_tensor *t, int64_t from, int64_t n)
{
    if (load(out, MD_DTYPE_I32, t, from, n))
        return;
    for (int64_t i = 0; i < n; i++)
        out[i] = (int32_t)md_tensor_get_i64(t, from + i);
}

void md_store_f64(md_tensor *t, int64_t to, const double *v, int64_t n)
{
    if (store(t, to, MD_DTYPE_F64, v, n))
        return;
    for (int64_t i = 0; i < n; i++)
        md_tensor_set_f64(t, to + i, v[i]);
}

void md_store_f32(md_tensor *t, int64_t to, const float *v, int64_t n)
{
    if (store(t, to, MD_DTYPE_F32, v, n))
        return;
    for (int64_t i = 0; i < n; i++)
        md_tensor_set_f64(t, to + i, (double)v[i]);
}

void md_store_i64(md_tensor *t, int64_t to, const int64_t *v, int64_t n)
{
    if (store(t, to, MD_DTYPE_I64, v, n))
        return;
    for (int64_t i = 0; i < n; i++)
        md_tensor_set_i64(t, to + i, v[i]);
}

md_status md_exec__as_f32(const float **out, const md_tensor *t, md_arena *ar,
                          md_error *err)
{
    int64_t n = md_tensor_n(t);
    float *copy;

    if (t->dtype == MD_DTYPE_F32) {
        *out = t->data;
        return MD_OK;
    }
    MD_TRY(md_exec__scratch(&copy, ar, n, sizeof(*copy), err));
    md_load_f32(copy, t, 0, n);
    *out = copy;
    return MD_OK;
}

md_status md_exec__f32_of(float **out, md_tensor *t, md_arena *ar,
                          md_error *err)
{
    int64_t n = md_tensor_n(t);

    if (t->dtype != MD_DTYPE_F32)
        return md_exec__scratch(out, ar, n, sizeof(**out), err);
    *out = t->data;
    if (n)
        memset(t->data, 0, (size_t)n * sizeof(float));
    return MD_OK;
}

void md_exec__from_f32(md_tensor *t, const float *v)
{
    if (v != t->data)
        md_store_f32(t, 0, v, md_tensor_n(t));
}

double md_exec__scalar(const md_exec *x, uint32_t i, double otherwise)
{
    if (!md_exec_has(x, i) || md_tensor_n(x->in[i]) < 1)
        return otherwise;
    return md_tensor_get_f64(x->in[i], 0);
}
