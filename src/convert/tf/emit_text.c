/* Strings and tables. */
#include <string.h>

#include "convert/tf/emit.h"

/* A constant's contents in the model's arena, for an attribute. */
static const md_tensor *keep(md_tfl_build *b, uint32_t i)
{
    const md_tensor *from = md_emit_cdata(&b->e, md_tfl_x(b, i));
    md_arena *ar = &b->e.model->arena;
    md_tensor *t;
    size_t size;

    if (b->e.status != MD_OK)
        return NULL;
    if (!from) {
        md_emit_fail(&b->e, MD_UNSUPPORTED, "a default that is computed");
        return NULL;
    }
    size = md_tensor_size(from);
    t = md_arena_calloc(ar, 1, sizeof(*t));
    if (t)
        t->data = md_arena_alloc_aligned(ar, size + 1);
    if (!t || !t->data) {
        b->e.status = md_fail_nomem(b->e.err, size);
        return NULL;
    }
    t->dtype = from->dtype;
    t->shape = from->shape;
    if (t->shape.rank == 0)
        t->shape = (md_shape){ 1, { 1 } };
    if (size > 0)
        memcpy(t->data, from->data, size);
    for (int64_t k = 0; t->dtype == MD_DTYPE_STRING && k < md_tensor_n(from);
         k++) {
        md_str *s = (md_str *)t->data + k;

        s->p = md_arena_strndup(ar, s->p, s->n);
        if (!s->p) {
            b->e.status = md_fail_nomem(b->e.err, s->n);
            return NULL;
        }
    }
    return t;
}

/* words, otherwise, keys, values */
void md_tf_emit_look_up(md_tfl_build *b)
{
    md_value_id x = md_tfl_x(b, 0);
    const md_tensor *otherwise = keep(b, 1);
    const md_tensor *keys = keep(b, 2);
    const md_tensor *values = keep(b, 3);

    if (b->e.status != MD_OK)
        return;
    md_tfl_set(b, 0,
               md_emit_op_ml(&b->e, "LabelEncoder", &x, 1,
                             EMIT_ATTRS(EMIT_T("keys_tensor", keys),
                                        EMIT_T("values_tensor", values),
                                        EMIT_T("default_tensor", otherwise))),
               MD_TFL_LAST);
}

/* Any shape through an operator of rank 1. */
void md_tf_emit_string_case(md_tfl_build *b)
{
    md_value_id x = md_tfl_x(b, 0);
    md_value_id shape = md_emit_op1(&b->e, "Shape", x);

    x = md_emit_reshape(&b->e, x, (const int64_t[]){ -1 }, 1);
    x = md_emit_op(
        &b->e, "StringNormalizer", &x, 1,
        EMIT_ATTRS(EMIT_S("case_change_action", md_tfl_row_now(b)->onnx),
                   EMIT_I("is_case_sensitive", 1)));
    md_tfl_set(b, 0, md_emit_op2(&b->e, "Reshape", x, shape), MD_TFL_LAST);
}

static md_value_id text(md_tfl_build *b, const char *s)
{
    md_tensor t = MD_TENSOR_INIT;
    md_shape shape = { 0, { 0 } };

    if (b->e.status != MD_OK ||
        !md_emit_ok(&b->e, md_tensor_alloc(&t, MD_DTYPE_STRING, &shape,
                                           b->e.model->alloc, b->e.err)))
        return MD_VALUE_NONE;
    *(md_str *)t.data = (md_str){ s, strlen(s) };
    if (!md_emit_ok(&b->e, md_tensor_own_text(&t, b->e.err))) {
        md_tensor_release(&t);
        return MD_VALUE_NONE;
    }
    return md_emit_const(&b->e, t);
}

/* separator 0 */
void md_tf_emit_string_join(md_tfl_build *b)
{
    const char *between = md_fb_text(&b->op->options, 0);
    md_value_id x = md_tfl_x(b, 0);

    for (uint32_t i = 1; i < b->op->n_in; i++) {
        if (between[0])
            x = md_emit_op2(&b->e, "StringConcat", x, text(b, between));
        x = md_emit_op2(&b->e, "StringConcat", x, md_tfl_x(b, i));
    }
    if (b->op->n_in == 1)
        x = md_emit_op1(&b->e, "Identity", x);
    md_tfl_set(b, 0, x, MD_TFL_LAST);
}

/* pattern: option 0, or input 1 */
void md_tf_emit_regex(md_tfl_build *b)
{
    md_value_id x = md_tfl_x(b, 0);
    const char *pattern = md_fb_text(&b->op->options, 0);
    const md_tensor *t;

    if (b->op->n_in > 1) {
        t = md_emit_cdata(&b->e, md_tfl_x(b, 1));
        if (b->e.status != MD_OK || !t || t->dtype != MD_DTYPE_STRING ||
            md_tensor_n(t) != 1) {
            md_emit_fail(&b->e, MD_UNSUPPORTED, "a pattern that is computed");
            return;
        }
        pattern = md_arena_strndup(b->e.arena, ((const md_str *)t->data)->p,
                                   ((const md_str *)t->data)->n);
        if (!pattern) {
            b->e.status = md_fail_nomem(b->e.err, 1);
            return;
        }
    }
    md_tfl_set(b, 0,
               md_emit_op(&b->e, "RegexFullMatch", &x, 1,
                          EMIT_ATTRS(EMIT_S("pattern", pattern))),
               MD_TFL_LAST);
}
