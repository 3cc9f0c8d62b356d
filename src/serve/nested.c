#include "serve/nested.h"

static void write_value(md_json_writer *w, const md_tensor *t, int64_t i)
{
    if (t->dtype == MD_DTYPE_STRING) {
        const md_str *s = (const md_str *)t->data + i;

        md_json_put_strn(w, s->p, s->n);
    } else if (t->dtype == MD_DTYPE_BOOL) {
        md_json_put_bool(w, ((const uint8_t *)t->data)[i] != 0);
    } else if (t->dtype == MD_DTYPE_U64) {
        md_json_put_u64(w, ((const uint64_t *)t->data)[i]);
    } else if (md_dtype_is_integer(t->dtype)) {
        md_json_put_i64(w, md_tensor_get_i64(t, i));
    } else if (t->dtype == MD_DTYPE_F64) {
        md_json_put_f64(w, ((const double *)t->data)[i]);
    } else {
        md_json_put_f32(w, (float)md_tensor_get_f64(t, i));
    }
}

void md_nested_write(md_json_writer *w, const md_tensor *t, int axis,
                     int64_t at)
{
    int64_t step;

    if (axis == t->shape.rank) {
        write_value(w, t, at);
        return;
    }
    step = md_shape_span(&t->shape, axis + 1, t->shape.rank);
    md_json_put_array(w);
    if (axis + 1 == t->shape.rank && t->dtype == MD_DTYPE_F32)
        md_json_put_f32s(w, (const float *)t->data + at,
                         (size_t)t->shape.dim[axis]);
    else
        for (int64_t i = 0; i < t->shape.dim[axis]; i++)
            md_nested_write(w, t, axis + 1, at + i * step);
    md_json_put_end(w);
}
