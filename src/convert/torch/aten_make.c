/* New tensors. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "convert/torch/build.h"

/* The type that argument i asks for, else `otherwise`. */
static md_dtype type_arg(md_torch_call *c, uint32_t i, md_dtype otherwise)
{
    md_dtype t = otherwise;

    if (md_torch_given(c, i))
        t = md_torch_dtype(md_torch_i(c, i));
    if (t == MD_DTYPE_NONE)
        md_emit_fail(c->e, MD_UNSUPPORTED, "type %lld",
                     (long long)md_torch_i(c, i));
    return t;
}

static md_dtype type_of_number(const md_tv *v)
{
    return v->kind == MD_TV_BOOL  ? MD_DTYPE_BOOL
           : v->kind == MD_TV_INT ? MD_DTYPE_I64
                                  : MD_DTYPE_F32;
}

static md_value_id expanded(md_torch_call *c, const md_tv *v, md_dtype t,
                            md_value_id shape)
{
    return md_emit_op2(c->e, "Expand", md_tv_as(c->b, v, t), shape);
}

static md_tv what(const md_torch_call *c)
{
    return md_tv_int(c->row->onnx[0] - '0');
}

void md_torch_emit_filled(md_torch_call *c)
{
    md_tv v = what(c);

    md_torch_ret(
        c, expanded(c, &v, type_arg(c, 1, MD_DTYPE_F32), md_torch_sizes(c, 0)));
}

void md_torch_emit_filled_after(md_torch_call *c)
{
    md_tv v = what(c);

    md_torch_ret(
        c, expanded(c, &v, type_arg(c, 2, MD_DTYPE_F32), md_torch_sizes(c, 0)));
}

void md_torch_emit_full(md_torch_call *c)
{
    md_torch_ret(c, expanded(c, &c->arg[1],
                             type_arg(c, 2, type_of_number(&c->arg[1])),
                             md_torch_sizes(c, 0)));
}

static void like(md_torch_call *c, const md_tv *v, uint32_t type,
                 md_value_id shape)
{
    md_torch_ret(
        c, expanded(c, v,
                    type_arg(c, type, md_torch_dtype_of(c, md_torch_x(c, 0))),
                    shape));
}

void md_torch_emit_filled_like(md_torch_call *c)
{
    md_tv v = what(c);

    like(c, &v, 1, md_emit_op1(c->e, "Shape", md_torch_x(c, 0)));
}

void md_torch_emit_full_like(md_torch_call *c)
{
    like(c, &c->arg[1], 2, md_emit_op1(c->e, "Shape", md_torch_x(c, 0)));
}

void md_torch_emit_new_filled(md_torch_call *c)
{
    md_tv v = what(c);

    like(c, &v, 2, md_torch_sizes(c, 1));
}

void md_torch_emit_new_full(md_torch_call *c)
{
    like(c, &c->arg[2], 3, md_torch_sizes(c, 1));
}

void md_torch_emit_fill(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);

    md_torch_ret(
        c, md_emit_op2(c->e, "Expand",
                       md_torch_operand(c, &c->arg[1], md_torch_dtype_of(c, x)),
                       md_emit_op1(c->e, "Shape", x)));
}

void md_torch_emit_zero(md_torch_call *c)
{
    md_tv v = md_tv_int(0);
    md_value_id x = md_torch_x(c, 0);

    md_torch_ret(c, expanded(c, &v, md_torch_dtype_of(c, x),
                             md_emit_op1(c->e, "Shape", x)));
}

void md_torch_emit_scalar(md_torch_call *c)
{
    md_torch_ret(c, md_tv_as(c->b, &c->arg[0], type_arg(c, 1, MD_DTYPE_F32)));
}

void md_torch_emit_scalar_typed(md_torch_call *c)
{
    md_torch_ret(c, md_tv_as(c->b, &c->arg[0],
                             type_arg(c, 1, type_of_number(&c->arg[0]))));
}

/* --- nested lists --- */

enum {
    DEPTH_MAX = MD_RANK_MAX
};

static md_value_id nested(md_torch_call *c, const md_tv *v, md_dtype t,
                          int depth)
{
    const md_torch_list *l = v->v.list;
    md_value_id *part;

    if (!md_tv_is_list(v)) {
        if (!md_tv_is_number(v) && v->kind != MD_TV_TENSOR)
            md_emit_fail(c->e, MD_UNSUPPORTED, "a tensor of %ss",
                         md_tv_kind_text(v));
        return md_torch_operand(c, v, t);
    }
    if (depth == DEPTH_MAX || l->stacked) {
        md_emit_fail(c->e, MD_UNSUPPORTED, "such lists");
        return MD_VALUE_NONE;
    }
    if (l->n == 0)
        return md_emit_cast(c->e, md_emit_ints(c->e, NULL, 0), t);
    part = md_emit_alloc(c->e, l->n, sizeof(*part));
    for (uint32_t i = 0; part && i < l->n && c->e->status == MD_OK; i++)
        part[i] =
            md_emit_unsqueeze(c->e, nested(c, &l->item[i], t, depth + 1), 0);
    if (!part)
        return MD_VALUE_NONE;
    return l->n == 1 ? part[0]
                     : md_emit_op(c->e, "Concat", part, l->n,
                                  EMIT_ATTRS(EMIT_I("axis", 0)));
}

static md_dtype leaf_type(const md_tv *v)
{
    for (int i = 0; i < DEPTH_MAX && md_tv_is_list(v); i++) {
        if (v->v.list->n == 0)
            return MD_DTYPE_F32;
        v = &v->v.list->item[0];
    }
    return type_of_number(v);
}

void md_torch_emit_tensor(md_torch_call *c)
{
    md_torch_ret(
        c, nested(c, &c->arg[0], type_arg(c, 1, leaf_type(&c->arg[0])), 0));
}

/* --- ranges --- */

void md_torch_emit_arange(md_torch_call *c)
{
    uint32_t n = (uint32_t)(c->row->onnx[0] - '0');
    const md_tv *a = c->arg;
    md_tv zero = md_tv_int(0), one = md_tv_int(1);
    md_dtype t = MD_DTYPE_I64, run;

    for (uint32_t i = 0; i < n; i++) {
        if (a[i].kind == MD_TV_FLOAT ||
            (a[i].kind == MD_TV_TENSOR &&
             md_dtype_is_float(md_torch_dtype_of(c, md_torch_x(c, i)))))
            t = MD_DTYPE_F32;
    }
    run = t;
    t = type_arg(c, n, t);
    md_torch_ret(
        c, md_emit_cast(
               c->e,
               md_emit_op(c->e, "Range",
                          (md_value_id[]){
                              md_tv_as(c->b, n == 1 ? &zero : &a[0], run),
                              md_tv_as(c->b, n == 1 ? &a[0] : &a[1], run),
                              md_tv_as(c->b, n == 3 ? &a[2] : &one, run) },
                          3, NULL),
               t));
}

void md_torch_emit_linspace(md_torch_call *c)
{
    int64_t n = md_torch_i(c, 2);
    double from = md_torch_f(c, 0), to = md_torch_f(c, 1);
    md_tensor t = MD_TENSOR_INIT;

    if (n < 0 || n > 1 << 20) {
        md_emit_fail(c->e, MD_UNSUPPORTED, "%lld steps", (long long)n);
        return;
    }
    if (!md_emit_ok(c->e, md_tensor_alloc(&t, type_arg(c, 3, MD_DTYPE_F32),
                                          &(md_shape){ 1, { n } },
                                          c->e->model->alloc, c->e->err)))
        return;
    for (int64_t i = 0; i < n; i++)
        md_tensor_set_f64(
            &t, i,
            n == 1 ? from : from + (to - from) * (double)i / (double)(n - 1));
    md_torch_ret(c, md_emit_const(c->e, t));
}

void md_torch_emit_eye(md_torch_call *c)
{
    uint32_t n = (uint32_t)(c->row->onnx[0] - '0');
    md_tv one = md_tv_int(1);
    md_value_id size[2] = { md_tv_id(c->b, &c->arg[0]),
                            md_tv_id(c->b, &c->arg[n - 1]) };
    md_value_id x;

    for (int i = 0; i < 2; i++)
        size[i] = md_emit_unsqueeze(c->e, size[i], 0);
    x = expanded(
        c, &one, MD_DTYPE_F32,
        md_emit_op(c->e, "Concat", size, 2, EMIT_ATTRS(EMIT_I("axis", 0))));
    x = md_emit_op(c->e, "EyeLike", &x, 1,
                   EMIT_ATTRS(EMIT_I("dtype", type_arg(c, n, MD_DTYPE_F32))));
    md_torch_ret(c, x);
}

void md_torch_emit_one_hot(md_torch_call *c)
{
    int64_t n = md_torch_i(c, 1);

    if (n < 0)
        md_emit_fail(c->e, MD_UNSUPPORTED, "as many classes as the data has");
    md_torch_ret(
        c, md_emit_op(c->e, "OneHot",
                      (md_value_id[]){ md_torch_x(c, 0), md_emit_int(c->e, n),
                                       MD_TORCH_INTS(c, 0, 1) },
                      3, NULL));
}

/* --- chance --- */

static void ret_random(md_torch_call *c, md_value_id like_this, md_dtype t)
{
    md_torch_ret(c, md_emit_op(c->e, c->row->onnx, &like_this, 1,
                               EMIT_ATTRS(EMIT_I("dtype", t))));
}

void md_torch_emit_random(md_torch_call *c)
{
    md_tv zero = md_tv_int(0);
    md_dtype t = type_arg(c, 1, MD_DTYPE_F32);

    ret_random(c, expanded(c, &zero, MD_DTYPE_F32, md_torch_sizes(c, 0)), t);
}

void md_torch_emit_random_like(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);

    ret_random(c, x, type_arg(c, 1, md_torch_dtype_of(c, x)));
}
