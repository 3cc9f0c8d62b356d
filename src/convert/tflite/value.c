/* Tensors of the file as values of the ONNX model, in both layouts. */
#include <string.h>

#include "base/file.h"
#include "base/size.h"
#include "convert/tflite/build.h"
#include "ops/eval.h"

enum {
    READ_MAX = 64,            /* elements of a list of numbers */
    FORGET_SIZE_MIN = 1 << 16 /* bytes of the file that are worth it */
};

md_tfl_value *md_tfl_in(const md_tfl_build *b, uint32_t i)
{
    if (i >= b->op->n_in || b->op->in[i] < 0)
        return NULL;
    return &md_tfl_now(b)->values[b->op->in[i]];
}

md_tfl_value *md_tfl_out(const md_tfl_build *b, uint32_t i)
{
    if (i >= b->op->n_out || b->op->out[i] < 0)
        return NULL;
    return &md_tfl_now(b)->values[b->op->out[i]];
}

static bool is_code_type(md_dtype t)
{
    return t == MD_DTYPE_I8 || t == MD_DTYPE_U8 || t == MD_DTYPE_I16 ||
           t == MD_DTYPE_I4 || t == MD_DTYPE_I2 || t == MD_DTYPE_U4 ||
           t == MD_DTYPE_I32 || t == MD_DTYPE_I64;
}

bool md_tfl_is_quantized(const md_tfl_value *v)
{
    return v->t->scale.n > 0 && is_code_type(v->t->dtype);
}

/* Where v's real numbers are kept. */
static md_tfl_value *source(md_tfl_value *v)
{
    while (v->same)
        v = v->same;
    return v;
}

static md_value_id any_of(const md_value_id id[2])
{
    return id[0] != MD_VALUE_NONE ? id[0] : id[1];
}

bool md_tfl_is_const(const md_tfl_build *b, const md_tfl_value *v)
{
    md_value_id id;

    while (v->same)
        v = v->same;
    id = any_of(v->real);
    return v->c || (id != MD_VALUE_NONE && md_emit_cdata(&b->e, id));
}

bool md_tfl_is_first(const md_tfl_value *v)
{
    while (v->same)
        v = v->same;
    return v->real[MD_TFL_FIRST] != MD_VALUE_NONE ||
           v->code[MD_TFL_FIRST] != MD_VALUE_NONE;
}

const md_tfl_value *md_tfl_flat(const md_tfl_value *v)
{
    while (v && v->same)
        v = v->same;
    return v && v->flat_c > 0 ? v : NULL;
}

int md_tfl_axis(md_tfl_layout l, int rank, int axis)
{
    if (l == MD_TFL_LAST || axis == 0 || rank < 3)
        return axis;
    return axis == rank - 1 ? 1 : axis + 1;
}

void md_tfl_turn(int perm[MD_RANK_MAX], md_tfl_layout l, int rank)
{
    for (int i = 0; i < rank; i++)
        perm[md_tfl_axis(l, rank, i)] = i;
}

/* The value at hand, whichever it is, and its layout. */
static md_value_id at_hand(const md_tfl_value *v, md_tfl_layout *l)
{
    while (v->same)
        v = v->same;
    for (int i = 0; i < 2; i++) {
        *l = (md_tfl_layout)i;
        if (v->real[i] != MD_VALUE_NONE)
            return v->real[i];
        if (v->code[i] != MD_VALUE_NONE)
            return v->code[i];
    }
    return MD_VALUE_NONE;
}

/* Where sizes are declared: a constant knows them, also where its tensor (an
 * argument of TensorFlow's) does not. */
static const md_tflite_tensor *declared(const md_tfl_value *v)
{
    return v->c && !v->t->has_rank ? v->c : v->t;
}

int md_tfl_rank(const md_tfl_build *b, const md_tfl_value *v)
{
    md_tfl_layout l;
    md_value_id id = at_hand(v, &l);

    if (id == MD_VALUE_NONE || b->e.status != MD_OK ||
        !md_emit_type(&b->e, id)->has_rank)
        return declared(v)->rank;
    return md_emit_type(&b->e, id)->rank;
}

md_dim md_tfl_dim(const md_tfl_build *b, const md_tfl_value *v, int axis)
{
    md_tfl_layout l;
    md_value_id id = at_hand(v, &l);
    const md_type *t = md_emit_type(&b->e, id);
    md_dim d = MD_DIM(-1);

    if (id == MD_VALUE_NONE || b->e.status != MD_OK || !t->has_rank) {
        if (axis < declared(v)->rank)
            d = MD_DIM(declared(v)->dim[axis]);
        return d;
    }
    return axis < t->rank ? t->dim[md_tfl_axis(l, t->rank, axis)] : d;
}

int64_t md_tfl_size(const md_tfl_build *b, const md_tfl_value *v, int axis)
{
    md_dim d = md_tfl_dim(b, v, axis);

    return md_dim_is_const(d) ? d.k : -1;
}

double md_tfl_scale_of(const md_tfl_value *v)
{
    return v->t->scale.n > 0 ? (double)md_fb_vec_f32(&v->t->scale, 0) : 0;
}

int64_t md_tfl_zero_of(const md_tfl_value *v)
{
    return v->t->zero.n > 0 ? md_fb_vec_i64(&v->t->zero, 0) : 0;
}

/* --- contents of constants --- */

/* One operator on one constant; x is released. */
static bool run1(md_tfl_build *b, md_tensor *x, const char *op, md_attr *attr)
{
    const md_tensor *in[] = { x };
    md_value_id id[] = { 0, 1 };
    md_node n = { .name = "",
                  .op = op,
                  .domain = "",
                  .overload = "",
                  .in = id,
                  .out = id + 1,
                  .attr = attr,
                  .n_in = 1,
                  .n_out = 1,
                  .n_attr = 1 };
    md_tensor out = MD_TENSOR_INIT;
    bool ok =
        md_emit_ok(&b->e, md_node_eval(&out, &n, md_node_opset(b->e.model, &n),
                                       in, b->e.model->alloc, NULL, b->e.err));

    md_tensor_release(x);
    *x = out;
    return ok;
}

/* As the file has it: borrowed where that will do. */
static bool load_plain(md_tensor *out, md_tfl_build *b,
                       const md_tflite_tensor *c, bool keep)
{
    md_tensor t = { .dtype = c->dtype, .shape = { c->rank, { 0 } } };
    const md_alloc *alloc = b->e.model->alloc;

    if (c->dtype == MD_DTYPE_STRING)
        return md_emit_ok(&b->e, md_tflite_strings(c, out, alloc, b->e.err));
    for (int i = 0; i < c->rank; i++)
        t.shape.dim[c->stored ? c->stored[i] : i] =
            c->dim[i] < 0 ? 1 : c->dim[i];
    if (!c->sparsity.fb && c->data) {
        memcpy(&t.data, &c->data, sizeof(t.data)); /* nobody writes to it */
        if (md_tensor_is_aligned(&t) && (!keep || (b->stays && !c->is_made))) {
            *out = t;
            return true;
        }
    }
    if (!md_emit_ok(&b->e,
                    md_tensor_alloc(out, t.dtype, &t.shape, alloc, b->e.err)))
        return false;
    if (c->sparsity.fb)
        return md_emit_ok(&b->e, md_tflite_densify(c, out, b->e.err));
    if (c->data && md_tensor_size(out) > 0)
        memcpy(out->data, c->data, md_tensor_size(out));
    return true;
}

/* v's constant with its axes in the order perm (NULL: as they are). */
static bool load(md_tensor *out, md_tfl_build *b, const md_tfl_value *v,
                 const int *perm)
{
    int64_t order[MD_RANK_MAX];
    bool turned = false;

    *out = (md_tensor)MD_TENSOR_INIT;
    for (int i = 0; i < v->c->rank; i++) {
        int at = perm ? perm[i] : i;

        order[i] = v->c->stored ? v->c->stored[at] : at;
        turned = turned || order[i] != i;
    }
    if (b->e.status != MD_OK ||
        !load_plain(out, b, v->c, !turned && v->c->dtype == v->t->dtype)) {
        md_tensor_release(out);
        return false;
    }
    if (turned && !run1(b, out, "Transpose",
                        &(md_attr){ .name = "perm",
                                    .type = MD_ATTR_INTS,
                                    .n = (uint32_t)v->c->rank,
                                    .v.is = order }))
        return false;
    if (v->c->dtype != v->t->dtype && v->t->dtype != MD_DTYPE_NONE &&
        !run1(b, out, "Cast",
              &(md_attr){
                  .name = "to", .type = MD_ATTR_INT, .v.i = v->t->dtype }))
        return false;
    if (b->stays && out->owner && !v->c->is_made &&
        v->c->size >= FORGET_SIZE_MIN)
        md_map_forget(v->c->data, v->c->size);
    return true;
}

/* --- quantization --- */

/* Scales as a constant: scalar, or one per element of an axis. */
static md_value_id scale_const(md_tfl_build *b, const md_tflite_tensor *t)
{
    md_shape shape = { t->scale.n > 1, { t->scale.n } };
    md_tensor s = MD_TENSOR_INIT;

    if (b->e.status != MD_OK ||
        !md_emit_ok(&b->e, md_tensor_alloc(&s, MD_DTYPE_F32, &shape,
                                           b->e.model->alloc, b->e.err)))
        return MD_VALUE_NONE;
    for (uint32_t i = 0; i < t->scale.n; i++)
        ((float *)s.data)[i] = md_fb_vec_f32(&t->scale, i);
    return md_emit_const(&b->e, s);
}

static bool has_zero(const md_tflite_tensor *t)
{
    for (uint32_t i = 0; i < t->zero.n; i++) {
        if (md_fb_vec_i64(&t->zero, i) != 0)
            return true;
    }
    return false;
}

static md_value_id zero_const(md_tfl_build *b, const md_tflite_tensor *t)
{
    md_shape shape = { t->scale.n > 1, { t->scale.n } };
    md_tensor z = MD_TENSOR_INIT;

    if (b->e.status != MD_OK ||
        !md_emit_ok(&b->e, md_tensor_alloc(&z, t->dtype, &shape,
                                           b->e.model->alloc, b->e.err)))
        return MD_VALUE_NONE;
    for (uint32_t i = 0; i < t->scale.n && t->zero.n > 0; i++)
        md_tensor_set_i64(&z, i,
                          md_fb_vec_i64(&t->zero, t->zero.n > 1 ? i : 0));
    return md_emit_const(&b->e, z);
}

/* Codes of v with the scales along `axis` to numbers. */
static md_value_id dequantize(md_tfl_build *b, const md_tfl_value *v,
                              md_value_id code, int axis)
{
    const md_tflite_tensor *t = v->t;
    md_value_id in[3] = { code, scale_const(b, t), MD_VALUE_NONE };
    md_emit_attr attrs[] = { EMIT_I("axis", axis), EMIT_END };
    uint32_t n = 2;

    if (t->dtype == MD_DTYPE_I64) /* biases of 16-bit products */
        return md_emit_op2(&b->e, "Mul",
                           md_emit_cast(&b->e, code, MD_DTYPE_F32), in[1]);
    /* A constant without zero points needs none; elsewhere they tell apart
     * what the integers are. */
    if (has_zero(t) || (!v->c && t->dtype != MD_DTYPE_I32))
        in[n++] = zero_const(b, t);
    return md_emit_op(&b->e, "DequantizeLinear", in, n,
                      t->scale.n > 1 ? attrs : NULL);
}

static md_value_id quantize(md_tfl_build *b, const md_tfl_value *v,
                            md_value_id x, int axis)
{
    md_value_id in[3] = { x, scale_const(b, v->t), zero_const(b, v->t) };
    md_emit_attr attrs[] = { EMIT_I("axis", axis), EMIT_END };

    return md_emit_op(&b->e, "QuantizeLinear", in, 3,
                      v->t->scale.n > 1 ? attrs : NULL);
}

/* --- layouts --- */

/* A flattened picture in the file's order: [n, c * hw] -> [n, hw * c]. */
static md_value_id unflatten(md_tfl_build *b, const md_tfl_value *v,
                             md_value_id x)
{
    int64_t split[] = { 0, v->flat_c, v->flat_hw };
    int64_t joined[] = { 0, v->flat_c * v->flat_hw };

    x = md_emit_reshape(&b->e, x, split, 3);
    x = md_emit_transpose(&b->e, x, (const int64_t[]){ 0, 2, 1 }, 3);
    b->n_transposes++;
    return md_emit_reshape(&b->e, x, joined, 2);
}

/* Are all sizes between the first and the last axis 1 (or is the last)?  Then
 * both layouts have the same order of elements. */
static bool is_line(const md_tfl_build *b, const md_tfl_value *v, int rank)
{
    bool line = true;

    for (int i = 1; i < rank - 1; i++)
        line = line && md_tfl_size(b, v, i) == 1;
    return line || md_tfl_size(b, v, rank - 1) == 1;
}

static md_value_id turn(md_tfl_build *b, const md_tfl_value *v, md_value_id x,
                        md_tfl_layout to)
{
    int rank = md_tfl_rank(b, v);
    int64_t order[MD_RANK_MAX];
    int64_t dim[MD_RANK_MAX];
    int perm[MD_RANK_MAX];
    int n_free = 0;

    if (v->flat_c > 0)
        return unflatten(b, v, x);
    if (rank < 3)
        return x;
    md_tfl_turn(perm, MD_TFL_FIRST, rank);
    for (int i = 0; i < rank; i++) {
        int k = to == MD_TFL_FIRST ? perm[i] : i;

        order[to == MD_TFL_FIRST ? i : perm[i]] =
            to == MD_TFL_FIRST ? perm[i] : i;
        dim[i] = md_tfl_size(b, v, k);
        n_free += dim[i] < 0;
    }
    if (is_line(b, v, rank) && n_free <= 1)
        return md_emit_reshape(&b->e, x, dim, rank);
    if (!md_emit_cdata(&b->e, x))
        b->n_transposes++;
    return md_emit_transpose(&b->e, x, order, rank);
}

static md_value_id view(md_tfl_build *b, md_tfl_value *v, bool code,
                        md_tfl_layout l);

/* A constant in layout l. */
static md_value_id constant(md_tfl_build *b, md_tfl_value *v, bool code,
                            md_tfl_layout l)
{
    int rank = v->c->rank;
    int perm[MD_RANK_MAX];
    md_value_id id;
    md_tensor t;

    if (md_tfl_is_quantized(v) && !code)
        return dequantize(b, v, view(b, v, true, l),
                          md_tfl_axis(l, rank, v->t->axis));
    md_tfl_turn(perm, l, rank);
    if (!load(&t, b, v, l == MD_TFL_FIRST && rank >= 3 ? perm : NULL))
        return MD_VALUE_NONE;
    id = md_emit_const(&b->e, t);
    md_emit_stem(&b->e, id, v->t->name);
    return id;
}

static md_value_id view(md_tfl_build *b, md_tfl_value *v, bool code,
                        md_tfl_layout l)
{
    bool quantized = md_tfl_is_quantized(v);
    md_value_id *slots = code && quantized ? v->code : v->real;
    md_value_id x;

    if (b->e.status != MD_OK)
        return MD_VALUE_NONE;
    if (v->same && !(code && quantized)) {
        x = view(b, source(v), false, l);
        md_emit_stem(&b->e, x, v->t->name);
        return x;
    }
    if (slots[l] != MD_VALUE_NONE)
        return slots[l];
    if (l == MD_TFL_FIRST && v->flat_c == 0 && md_tfl_rank(b, v) < 3)
        return view(b, v, code, MD_TFL_LAST);
    if (v->c) {
        x = constant(b, v, code, l);
    } else if (quantized && !code) {
        x = view(b, v, true, l);
        x = dequantize(b, v, x, md_tfl_axis(l, md_tfl_rank(b, v), v->t->axis));
    } else if (slots[1 - l] != MD_VALUE_NONE) {
        x = turn(b, v, slots[1 - l], l);
    } else {
        md_emit_fail(&b->e, MD_CORRUPT,
                     "tensor '%.80s' is used before it is there", v->t->name);
        return MD_VALUE_NONE;
    }
    slots[l] = x;
    return x;
}

md_value_id md_tfl_real(md_tfl_build *b, md_tfl_value *v, md_tfl_layout l)
{
    if (!v) {
        md_emit_fail(&b->e, MD_CORRUPT, "an input is missing");
        return MD_VALUE_NONE;
    }
    return view(b, v, false, l);
}

md_value_id md_tfl_code(md_tfl_build *b, md_tfl_value *v, md_tfl_layout l)
{
    if (!v) {
        md_emit_fail(&b->e, MD_CORRUPT, "an input is missing");
        return MD_VALUE_NONE;
    }
    return view(b, v, true, l);
}

md_value_id md_tfl_x(md_tfl_build *b, uint32_t i)
{
    return md_tfl_real(b, md_tfl_in(b, i), MD_TFL_LAST);
}

/* A constant with axes of size 1 in front, up to rank. */
static md_tfl_value *stretch(md_tfl_build *b, const md_tfl_value *v, int rank)
{
    md_tflite_tensor *t = md_emit_alloc(&b->e, 2, sizeof(*t));
    md_tfl_value *made = md_emit_alloc(&b->e, 1, sizeof(*made));
    int by = rank - v->c->rank;

    if (!t || !made)
        return NULL;
    t[0] = *v->t;
    t[1] = *v->c;
    for (int i = 0; i < 2; i++) {
        t[i].rank = rank;
        t[i].axis += by;
        for (int k = rank - 1; k >= 0; k--)
            t[i].dim[k] = k < by ? 1 : t[i].dim[k - by];
    }
    *made = (md_tfl_value){ .t = &t[0],
                            .c = &t[1],
                            .real = { MD_VALUE_NONE, MD_VALUE_NONE },
                            .code = { MD_VALUE_NONE, MD_VALUE_NONE },
                            .made = MD_VALUE_NONE };
    return made;
}

md_value_id md_tfl_spread(md_tfl_build *b, md_tfl_value *v, md_tfl_layout l,
                          int rank)
{
    int own = v ? md_tfl_rank(b, v) : 0;
    int64_t axes[MD_RANK_MAX];
    md_value_id x;

    if (own == rank || l == MD_TFL_LAST || own == 0)
        return md_tfl_real(b, v, own == rank ? l : MD_TFL_LAST);
    /* [c] beside [n, h, w, c] is [1, c, 1, 1] beside [n, c, h, w]. */
    if (source(v)->c && !source(v)->c->sparsity.fb && !source(v)->c->stored)
        return md_tfl_real(b, stretch(b, source(v), rank), l);
    x = md_tfl_real(b, v, MD_TFL_LAST);
    for (int i = 0; i < rank - own; i++)
        axes[i] = i;
    x = md_emit_op2(&b->e, "Unsqueeze", x,
                    md_emit_ints(&b->e, axes, rank - own));
    if (b->e.status == MD_OK) {
        int64_t order[MD_RANK_MAX];
        int perm[MD_RANK_MAX];
        bool line = own == 1;

        md_tfl_turn(perm, l, rank);
        for (int i = 0; i < rank; i++)
            order[i] = perm[i];
        if (line && !md_emit_cdata(&b->e, x)) {
            int64_t dim[MD_RANK_MAX];

            for (int i = 0; i < rank; i++)
                dim[i] = i == 1 ? -1 : 1;
            return md_emit_reshape(&b->e, x, dim, rank);
        }
        if (!md_emit_cdata(&b->e, x))
            b->n_transposes++;
        x = md_emit_transpose(&b->e, x, order, rank);
    }
    return x;
}

/* The order of axes in one number, 0 for as they are. */
static uint32_t order_of(const int *perm, int rank)
{
    uint32_t order = 0;

    for (int i = 0; perm && i < rank; i++)
        order = order << 4 | (uint32_t)(perm[i] ^ i);
    return order;
}

static md_value_id weight_of(md_tfl_build *b, md_tfl_value *v, const int *perm,
                             const md_shape *as)
{
    int axis = v->t->axis;
    md_value_id id;
    md_tensor t;

    if (!load(&t, b, v, perm))
        return MD_VALUE_NONE;
    if (as)
        t.shape = *as;
    id = md_emit_const(&b->e, t);
    md_emit_stem(&b->e, id, v->t->name);
    for (int i = 0; perm && i < v->c->rank; i++) {
        if (perm[i] == v->t->axis)
            axis = i;
    }
    return md_tfl_is_quantized(v) ? dequantize(b, v, id, axis) : id;
}

md_value_id md_tfl_weight(md_tfl_build *b, md_tfl_value *v, const int *perm,
                          const md_shape *as)
{
    int64_t order[MD_RANK_MAX] = { 0 };
    uint32_t key;
    md_value_id x;

    if (!v || b->e.status != MD_OK)
        return md_tfl_real(b, v, MD_TFL_LAST);
    v = source(v);
    if (!v->c) {
        x = md_tfl_real(b, v, MD_TFL_LAST);
        for (int i = 0; perm && i < md_tfl_rank(b, v); i++)
            order[i] = perm[i];
        if (perm)
            x = md_emit_transpose(&b->e, x, order, md_tfl_rank(b, v));
        return as ? md_emit_reshape(&b->e, x, as->dim, as->rank) : x;
    }
    key = order_of(perm, v->c->rank) << 1 | (as != NULL);
    if (v->made != MD_VALUE_NONE && v->made_order == key)
        return v->made;
    v->made = weight_of(b, v, perm, as);
    v->made_order = key;
    return v->made;
}

md_value_id md_tfl_bias(md_tfl_build *b, md_tfl_value *v)
{
    md_value_id x;

    if (!v)
        return MD_VALUE_NONE;
    x = md_tfl_real(b, v, MD_TFL_LAST);
    if (md_tfl_rank(b, v) > 1)
        x = md_emit_reshape(&b->e, x, (const int64_t[]){ -1 }, 1);
    return x;
}

/* --- contents as numbers --- */

bool md_tfl_read_ints(md_tfl_build *b, uint32_t i, int64_t *v, uint32_t max,
                      uint32_t *n)
{
    md_dim dims[READ_MAX];
    uint32_t got = 0;

    if (!md_tfl_in(b, i))
        return b->e.status == MD_OK;
    if (!md_tfl_read_dims(b, i, dims, max < READ_MAX ? max : READ_MAX, &got)) {
        md_emit_fail(&b->e, MD_UNSUPPORTED, "input %u is no constant", i);
        return false;
    }
    for (uint32_t k = 0; k < got; k++) {
        if (!md_dim_is_const(dims[k])) {
            md_emit_fail(&b->e, MD_UNSUPPORTED, "input %u is no constant", i);
            return false;
        }
        v[k] = dims[k].k;
    }
    *n = got;
    return true;
}

bool md_tfl_read_dims(md_tfl_build *b, uint32_t i, md_dim *v, uint32_t max,
                      uint32_t *n)
{
    md_value_id id = md_tfl_x(b, i);
    const md_tensor *t = md_emit_cdata(&b->e, id);
    const md_value *value;
    md_shape shape;

    if (b->e.status != MD_OK)
        return false;
    value = md_graph_value(b->e.s->g, id);
    if (t) {
        if (md_tensor_n(t) > (int64_t)max) {
            md_emit_fail(&b->e, MD_CORRUPT, "input %u has %lld elements", i,
                         (long long)md_tensor_n(t));
            return false;
        }
        *n = (uint32_t)md_tensor_n(t);
        for (uint32_t k = 0; k < *n; k++)
            v[k] = MD_DIM(md_tensor_get_i64(t, k));
        return true;
    }
    if (!value->data || !md_type_static(&value->type, &shape) ||
        md_shape_n(&shape) > (int64_t)max)
        return false;
    *n = (uint32_t)md_shape_n(&shape);
    memcpy(v, value->data, *n * sizeof(*v));
    return true;
}

bool md_tfl_read_float(md_tfl_build *b, uint32_t i, double *v)
{
    const md_tensor *t = md_emit_cdata(&b->e, md_tfl_x(b, i));

    if (b->e.status == MD_OK && (!t || md_tensor_n(t) != 1))
        md_emit_fail(&b->e, MD_UNSUPPORTED,
                     "input %u is no constant of one element", i);
    if (b->e.status == MD_OK)
        *v = md_tensor_get_f64(t, 0);
    return b->e.status == MD_OK;
}

void md_tfl_put(md_tfl_build *b, md_tfl_value *v, md_value_id id, bool code,
                md_tfl_layout l)
{
    bool quantized = v && md_tfl_is_quantized(v);
    int rank;

    if (!v || b->e.status != MD_OK)
        return;
    rank = md_emit_type(&b->e, id)->rank;
    if (rank < 3 && v->flat_c == 0)
        l = MD_TFL_LAST;
    if (quantized && !code)
        id = quantize(b, v, id, md_tfl_axis(l, rank, v->t->axis));
    else if (!quantized && v->t->dtype != MD_DTYPE_NONE &&
             v->t->dtype != MD_DTYPE_C64 && /* pairs of float32 */
             md_emit_type(&b->e, id)->dtype != v->t->dtype)
        id = md_emit_cast(&b->e, id, v->t->dtype);
    v->c = NULL;
    v->same = NULL;
    v->real[0] = v->real[1] = v->code[0] = v->code[1] = MD_VALUE_NONE;
    (quantized ? v->code : v->real)[l] = id;
    if (b->plain && l == MD_TFL_FIRST) {
        id = view(b, v, true, MD_TFL_LAST);
        v->real[l] = v->code[l] = MD_VALUE_NONE;
        v->flat_c = v->flat_hw = 0;
    }
    md_emit_stem(&b->e, id, v->t->name);
}

/* --- inputs --- */

int md_tfl_norm_axis(md_tfl_build *b, int64_t axis, int rank)
{
    int64_t a = axis < 0 ? axis + rank : axis;

    if (a < 0 || a >= rank) {
        md_emit_fail(&b->e, MD_CORRUPT, "axis %lld of a tensor of rank %d",
                     (long long)axis, rank);
        return 0;
    }
    return (int)a;
}

md_tfl_layout md_tfl_pick(const md_tfl_build *b, uint32_t from, uint32_t to)
{
    bool first = false;

    if (b->plain)
        return MD_TFL_LAST;
    for (uint32_t i = from; i < to; i++) {
        md_tfl_value *v = md_tfl_in(b, i);

        if (!v || md_tfl_is_const(b, v))
            continue;
        if (source(v)->flat_c > 0)
            return MD_TFL_LAST;
        first = first || (md_tfl_is_first(v) && md_tfl_rank(b, v) >= 3);
    }
    return first ? MD_TFL_FIRST : MD_TFL_LAST;
}

md_value_id md_tfl_list(md_tfl_build *b, uint32_t i)
{
    return md_emit_cast(&b->e, md_tfl_x(b, i), MD_DTYPE_I64);
}

int md_tfl_rank_in(const md_tfl_build *b, uint32_t i)
{
    return md_tfl_in(b, i) ? md_tfl_rank(b, md_tfl_in(b, i)) : 0;
}
