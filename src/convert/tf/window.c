/*
 * Convolutions and pools: TensorFlow Lite's, with the kernels' axes in another
 * order.  What lies channels first is turned to channels last and back, which
 * leaves no Transpose behind.
 */
#include <string.h>

#include "convert/tf/lower.h"

enum {
    SAME = 0,
    VALID = 1,
    AVERAGE_POOL_2D = 1,
    CONV_2D = 3,
    DEPTHWISE_CONV_2D = 4,
    MAX_POOL_2D = 17,
    RESHAPE = 22,
    PAD = 34,
    TRANSPOSE = 39,
    PADV2 = 60,
    TRANSPOSE_CONV = 67,
    CONV_3D = 132,
    CONV_3D_TRANSPOSE = 141,
    AXES_MAX = 5,
    INPUTS_MAX = 8,
    NOTHING_FUSED = 0
};

/* What one of them is. */
typedef struct kind {
    const char *op;
    int code;
    int rank;         /* of the picture */
    int kernel;       /* input; -1: none */
    int picture;      /* input */
    const int *order; /* of the kernel's axes: TensorFlow Lite's axis i is
                            * order[i] here; NULL: the same */
    bool is_depthwise;
} kind;

static const int conv_order[] = { 3, 0, 1, 2 };   /* h, w, in, out */
static const int deconv_order[] = { 2, 0, 1, 3 }; /* h, w, out, in */

static const kind kinds[] = {
    { "Conv2D", CONV_2D, 4, 1, 0, conv_order, false },
    { "DepthwiseConv2dNative", DEPTHWISE_CONV_2D, 4, 1, 0, NULL, true },
    { "Conv3D", CONV_3D, 5, 1, 0, NULL, false },
    { "Conv2DBackpropInput", TRANSPOSE_CONV, 4, 1, 2, deconv_order, false },
    { "Conv3DBackpropInputV2", CONV_3D_TRANSPOSE, 5, 1, 2, NULL, false },
    { "_FusedConv2D", CONV_2D, 4, 1, 0, conv_order, false },
    { "FusedDepthwiseConv2dNative", DEPTHWISE_CONV_2D, 4, 1, 0, NULL, true },
    { "_FusedDepthwiseConv2dNative", DEPTHWISE_CONV_2D, 4, 1, 0, NULL, true },
    { "MaxPool", MAX_POOL_2D, 4, -1, 0, NULL, false },
    { "AvgPool", AVERAGE_POOL_2D, 4, -1, 0, NULL, false },
    { "MaxPool3D", -1, 5, -1, 0, NULL, false },
    { "AvgPool3D", -1, 5, -1, 0, NULL, false },
};

/* Its settings, in the order of the picture channels last. */
typedef struct settings {
    int64_t stride[AXES_MAX], dilation[AXES_MAX], size[AXES_MAX];
    int64_t pads[2 * AXES_MAX]; /* of EXPLICIT */
    int padding;
    bool first;    /* channels */
    bool explicit; /* pads */
} settings;

static const md_fb_table none = { .fb = NULL };

/* Axis i of the picture as it is given. */
static int given_axis(const settings *s, int rank, int i)
{
    if (!s->first || i == 0)
        return i;
    return i == rank - 1 ? 1 : i + 1;
}

static md_status read_list(int64_t *out, md_tf_lower *w, const settings *s,
                           const md_tf_node *node, const char *name, int rank)
{
    int64_t given[AXES_MAX];
    uint32_t n;

    for (int i = 0; i < rank; i++)
        out[i] = 1;
    MD_TRY(md_tf_attr_ints(given, AXES_MAX, &n, node, name, w->err));
    if (n == 0)
        return MD_OK;
    if ((int)n != rank)
        return md_tf_fail(w, MD_CORRUPT, "%s has %u elements, %d expected",
                          name, n, rank);
    for (int i = 0; i < rank; i++)
        out[i] = given[given_axis(s, rank, i)];
    if (out[0] != 1 || out[rank - 1] != 1)
        return md_tf_refuse(w, "steps over the batch or the channels");
    return MD_OK;
}

static md_status read_pads(settings *s, md_tf_lower *w, const md_tf_node *node,
                           int rank)
{
    int64_t given[2 * AXES_MAX];
    uint32_t n;

    MD_TRY(md_tf_attr_ints(given, 2 * AXES_MAX, &n, node, "explicit_paddings",
                           w->err));
    if ((int)n != 2 * rank)
        return md_tf_fail(w, MD_CORRUPT, "%u explicit pads, %d expected", n,
                          2 * rank);
    for (int i = 0; i < rank; i++) {
        size_t from = 2 * (size_t)given_axis(s, rank, i);

        s->pads[(size_t)i * 2] = given[from];
        s->pads[(size_t)i * 2 + 1] = given[from + 1];
    }
    return MD_OK;
}

static md_status read_settings(settings *s, md_tf_lower *w,
                               const md_tf_node *node, const kind *k)
{
    const char *text;

    *s = (settings){ .padding = VALID };
    MD_TRY(md_tf_attr_text(&text, node, "data_format", "N", w->arena, w->err));
    s->first = strncmp(text, "NC", 2) == 0;
    if (text[0] != 'N' || strcmp(text, "NCHW_VECT_C") == 0)
        return md_tf_refuse(w, "its layout");
    MD_TRY(read_list(s->stride, w, s, node, "strides", k->rank));
    MD_TRY(read_list(s->dilation, w, s, node, "dilations", k->rank));
    MD_TRY(read_list(s->size, w, s, node, "ksize", k->rank));
    MD_TRY(md_tf_attr_text(&text, node, "padding", "VALID", w->arena, w->err));
    if (strcmp(text, "SAME") == 0)
        s->padding = SAME;
    s->explicit = strcmp(text, "EXPLICIT") == 0;
    return s->explicit ? read_pads(s, w, node, k->rank) : MD_OK;
}

static md_status turn(int32_t *t, md_tf_lower *w, int rank, bool to_last)
{
    int64_t perm[AXES_MAX];
    int32_t in[2] = { *t };

    for (int i = 0; i < rank; i++) {
        if (to_last)
            perm[i] = i == 0 ? 0 : i == rank - 1 ? 1 : i + 1;
        else
            perm[i] = i == 0 ? 0 : i == 1 ? rank - 1 : i - 1;
    }
    MD_TRY(md_tf_add_ints(&in[1], w, "", perm, (uint32_t)rank));
    return md_tf_add_simple(t, w, TRANSPOSE, in, 2, w->made->tensors[*t].dtype,
                            none);
}

static md_status pad(int32_t *t, md_tf_lower *w, const settings *s,
                     const kind *k)
{
    static const float lowest = -3.4028234663852886e38f;
    bool is_max = k->op[0] == 'M';
    int32_t in[3] = { *t };
    md_tf_tensor pads = { .dtype = MD_DTYPE_I64,
                          .shape = { 2, { k->rank, 2 } } };
    int64_t *copy =
        md_arena_calloc(w->arena, (size_t)2 * AXES_MAX, sizeof(*copy));

    if (!copy)
        return md_fail_nomem(w->err, sizeof(*copy));
    memcpy(copy, s->pads, sizeof(s->pads));
    pads.data = (const unsigned char *)copy;
    pads.size = 2 * (size_t)k->rank * sizeof(*copy);
    MD_TRY(md_tf_add_const(&in[1], w, "", &pads));
    if (is_max) {
        md_tf_tensor v = { .dtype = MD_DTYPE_F32,
                           .data = (const unsigned char *)&lowest,
                           .size = sizeof(lowest) };

        MD_TRY(md_tf_add_const(&in[2], w, "", &v));
    }
    return md_tf_add_simple(t, w, is_max ? PADV2 : PAD, in, is_max ? 3 : 2,
                            w->made->tensors[*t].dtype, none);
}

/* [h, w, c, m] as [1, h, w, c * m]: the same bytes. */
static md_status join_multiplier(int32_t *t, md_tf_lower *w)
{
    md_tflite_tensor *c = &w->made->tensors[*t];
    md_tf_tensor joined = { .dtype = c->dtype,
                            .data = c->data,
                            .size = c->size,
                            .in_file = !c->is_made };
    int64_t dim[4];

    if (!c->data || c->rank != 4)
        return md_tf_add_simple(t, w, md_tf_own_code("DepthwiseKernel"), t, 1,
                                c->dtype, none);
    dim[0] = 1;
    dim[1] = c->dim[0];
    dim[2] = c->dim[1];
    if (__builtin_mul_overflow(c->dim[2], c->dim[3], &dim[3]))
        return md_tf_fail(w, MD_CORRUPT, "its kernel");
    joined.shape.rank = 4;
    memcpy(joined.shape.dim, dim, sizeof(dim));
    MD_TRY(md_tf_add_const(t, w, c->name, &joined));
    w->made->tensors[*t].is_view = true;
    return MD_OK;
}

/* The kernel with its axes as TensorFlow Lite has them. */
static md_status turn_kernel(int32_t *t, md_tf_lower *w, const kind *k)
{
    const md_tflite_tensor *c = &w->made->tensors[*t];
    int64_t perm[AXES_MAX];
    md_tflite_tensor *made;
    int32_t in[2] = { *t };

    if (k->is_depthwise)
        return join_multiplier(t, w);
    if (!k->order)
        return MD_OK;
    if (c->data && c->rank == k->rank) {
        md_tf_tensor same = { .dtype = c->dtype,
                              .data = c->data,
                              .size = c->size,
                              .in_file = !c->is_made };

        same.shape.rank = c->rank;
        for (int i = 0; i < c->rank; i++)
            same.shape.dim[i] = c->dim[k->order[i]];
        MD_TRY(md_tf_add_const(t, w, c->name, &same));
        made = &w->made->tensors[*t];
        made->stored = k->order;
        made->is_view = true;
        return MD_OK;
    }
    for (int i = 0; i < k->rank; i++)
        perm[i] = k->order[i];
    MD_TRY(md_tf_add_ints(&in[1], w, "", perm, (uint32_t)k->rank));
    return md_tf_add_simple(t, w, TRANSPOSE, in, 2, c->dtype, none);
}

/* The options of TensorFlow Lite's tables, by operator. */
static md_status make_options(md_fb_table *out, md_tf_lower *w, const kind *k,
                              const settings *s)
{
    md_tf_field f[9];
    int64_t v[9] = { s->explicit ? VALID : s->padding };
    uint32_t n;

    switch (k->code) {
    case CONV_2D:
        n = 6;
        memcpy(v + 1,
               (int64_t[]){ s->stride[2], s->stride[1], NOTHING_FUSED,
                            s->dilation[2], s->dilation[1] },
               5 * sizeof(*v));
        break;
    case DEPTHWISE_CONV_2D:
        n = 7;
        memcpy(v + 1,
               (int64_t[]){ s->stride[2], s->stride[1], 1, NOTHING_FUSED,
                            s->dilation[2], s->dilation[1] },
               6 * sizeof(*v));
        break;
    case TRANSPOSE_CONV:
        n = 4;
        memcpy(v + 1, (int64_t[]){ s->stride[2], s->stride[1], NOTHING_FUSED },
               3 * sizeof(*v));
        break;
    case CONV_3D:
    case CONV_3D_TRANSPOSE:
        n = 8;
        memcpy(v + 1,
               (int64_t[]){ s->stride[1], s->stride[3], s->stride[2],
                            NOTHING_FUSED, s->dilation[1], s->dilation[3],
                            s->dilation[2] },
               7 * sizeof(*v));
        break;
    case MAX_POOL_2D:
    case AVERAGE_POOL_2D:
        n = 6;
        memcpy(v + 1,
               (int64_t[]){ s->stride[2], s->stride[1], s->size[2], s->size[1],
                            NOTHING_FUSED },
               5 * sizeof(*v));
        break;
    default: /* a pool over volumes: ours */
        n = 7;
        memcpy(v + 1,
               (int64_t[]){ s->stride[1], s->stride[2], s->stride[3],
                            s->size[1], s->size[2], s->size[3] },
               6 * sizeof(*v));
        break;
    }
    for (uint32_t i = 0; i < n; i++)
        f[i] = (md_tf_field){ .kind = MD_TF_FIELD_INT, .i = v[i] };
    return md_tf_make_options(out, w, f, n);
}

static const kind *find(const char *op)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (strcmp(kinds[i].op, op) == 0)
            return &kinds[i];
    }
    return NULL;
}

/* Sizes that are wanted, channels last. */
static md_status turn_sizes(int32_t *t, md_tf_lower *w, const kind *k)
{
    enum {
        GATHER = 36
    };
    static const md_tf_field fields[] = { { .kind = MD_TF_FIELD_INT },
                                          { .kind = MD_TF_FIELD_INT } };
    int64_t order[AXES_MAX];
    md_fb_table options;
    int32_t in[2] = { *t };

    for (int i = 0; i < k->rank; i++)
        order[i] = i == 0 ? 0 : i == k->rank - 1 ? 1 : i + 1;
    MD_TRY(md_tf_make_options(&options, w, fields, 2));
    MD_TRY(md_tf_add_ints(&in[1], w, "", order, (uint32_t)k->rank));
    return md_tf_add_simple(t, w, GATHER, in, 2, w->made->tensors[*t].dtype,
                            options);
}

/* The operator's inputs; *usable is false when one is no tensor. */
static md_status read_inputs(int32_t *in, uint32_t n, bool *usable,
                             md_tf_lower *w, const md_tf_frame *f,
                             const md_tf_node *node)
{
    *usable = true;
    for (uint32_t i = 0; i < n; i++) {
        md_tf_ref ref;

        MD_TRY(md_tf_input(&ref, w, f, node, i));
        *usable = *usable && ref.kind == MD_TF_REF_TENSOR;
        in[i] = ref.tensor;
    }
    if (!*usable && w->n_refusals == 0)
        return md_tf_refuse(w, "an input that is no tensor");
    return MD_OK;
}

/* Kernel, layout and pads as TensorFlow Lite has them. */
static md_status prepare(int32_t *in, md_tf_lower *w, const kind *k,
                         const settings *s)
{
    if (k->kernel >= 0)
        MD_TRY(turn_kernel(&in[k->kernel], w, k));
    if (s->first)
        MD_TRY(turn(&in[k->picture], w, k->rank, true));
    if (s->first && k->picture == 2)
        MD_TRY(turn_sizes(&in[0], w, k));
    if (!s->explicit)
        return MD_OK;
    return k->picture == 2 ? md_tf_refuse(w, "explicit pads")
                           : pad(&in[k->picture], w, s, k);
}

/* How many inputs there are besides what is fused to it, and a bias. */
static md_status count_inputs(uint32_t *n, uint32_t *n_own, bool *biased,
                              md_tf_lower *w, const kind *k,
                              const md_tf_node *node)
{
    bool fused = strstr(k->op, "Fused") != NULL;

    *n = *n_own = k->picture == 2 ? 3 : k->kernel < 0 ? 1 : 2;
    *biased = false;
    if (!fused)
        return MD_OK;
    *n = md_tf_n_inputs(node);
    MD_TRY(md_tf_has_fused_bias(biased, w, node));
    if (*n < *n_own + *biased || *n > INPUTS_MAX)
        return md_tf_fail(w, MD_CORRUPT, "%u inputs", *n);
    return MD_OK;
}

md_status md_tf_lower_window(bool *done, md_tf_ref *out, md_tf_lower *w,
                             const md_tf_frame *f, const md_tf_node *node)
{
    const kind *k = find(node->op);
    uint32_t refused = w->n_refusals;
    int32_t in[INPUTS_MAX] = { 0 };
    md_fb_table options;
    bool usable;
    bool biased;
    uint32_t n_own;
    uint32_t n;
    int code;
    settings s;

    *done = k != NULL;
    if (!k)
        return MD_OK;
    MD_TRY(count_inputs(&n, &n_own, &biased, w, k, node));
    MD_TRY(read_inputs(in, n, &usable, w, f, node));
    if (!usable)
        return MD_OK;
    MD_TRY(read_settings(&s, w, node, k));
    MD_TRY(prepare(in, w, k, &s));
    MD_TRY(make_options(&options, w, k, &s));
    if (w->n_refusals > refused)
        return MD_OK;
    out->kind = MD_TF_REF_TENSOR;
    code = k->code < 0 ? md_tf_own_code(k->op) : k->code;
    MD_TRY(md_tf_add_simple(&out->tensor, w, code, in, n_own + biased,
                            w->made->tensors[in[k->picture]].dtype, options));
    if (strstr(k->op, "Fused"))
        MD_TRY(md_tf_add_fused(&out->tensor, w, node,
                               n > n_own + biased ? in[n - 1] : -1));
    return s.first ? turn(&out->tensor, w, k->rank, false) : MD_OK;
}
