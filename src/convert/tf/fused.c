/*
 * Products that have operators fused to them (Grappler's _FusedMatMul and
 * _FusedConv2D, which TensorFlow.js writes too): a bias, then functions.
 */
#include <string.h>

#include "convert/tf/lower.h"

static const md_fb_table none = { .fb = NULL };

static md_status read_names(const char *names[MD_TF_FUSED_MAX], uint32_t *n,
                            md_tf_lower *w, const md_tf_node *node)
{
    MD_TRY(md_tf_attr_texts(names, MD_TF_FUSED_MAX, n, node, "fused_ops",
                            w->arena, w->err));
    if (*n > MD_TF_FUSED_MAX)
        return md_tf_fail(w, MD_CORRUPT, "%u fused operators", *n);
    return MD_OK;
}

md_status md_tf_has_fused_bias(bool *out, md_tf_lower *w,
                               const md_tf_node *node)
{
    const char *names[MD_TF_FUSED_MAX];
    uint32_t n;

    MD_TRY(read_names(names, &n, w, node));
    *out = n > 0 && strcmp(names[0], "BiasAdd") == 0;
    return MD_OK;
}

/* One function. */
static md_status add(int32_t *t, md_tf_lower *w, const md_tf_node *node,
                     const char *name, int32_t prelu)
{
    static const struct {
        const char *name;
        int code;
    } functions[] = { { "Relu", 19 },
                      { "Relu6", 21 },
                      { "Elu", 111 },
                      { "Sigmoid", 14 },
                      { "Tanh", 28 } };
    enum {
        PRELU = 54,
        LEAKY_RELU = 98
    };
    md_dtype dtype = w->made->tensors[*t].dtype;
    int32_t in[2] = { *t, prelu };
    md_fb_table options;

    for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
        if (strcmp(functions[i].name, name) == 0)
            return md_tf_add_simple(t, w, functions[i].code, in, 1, dtype,
                                    none);
    }
    if (strcmp(name, "LeakyRelu") == 0) {
        MD_TRY(md_tf_options(&options, w, node, "%leakyrelu_alpha=0.2"));
        return md_tf_add_simple(t, w, LEAKY_RELU, in, 1, dtype, options);
    }
    if (strcmp(name, "Prelu") == 0 && prelu >= 0)
        return md_tf_add_simple(t, w, PRELU, in, 2, dtype, none);
    return md_tf_refuse(w, "a function that is fused to it");
}

md_status md_tf_add_fused(int32_t *t, md_tf_lower *w, const md_tf_node *node,
                          int32_t prelu)
{
    const char *names[MD_TF_FUSED_MAX];
    uint32_t n;

    MD_TRY(read_names(names, &n, w, node));
    for (uint32_t i = 0; i < n; i++) {
        if (i > 0 || strcmp(names[i], "BiasAdd") != 0)
            MD_TRY(add(t, w, node, names[i], prelu));
    }
    return MD_OK;
}

/* _FusedMatMul(a, b, bias[, slopes]) */
md_status md_tf_lower_fused(bool *done, md_tf_ref *out, md_tf_lower *w,
                            const md_tf_frame *f, const md_tf_node *node)
{
    uint32_t n = md_tf_n_inputs(node);
    md_fb_table options;
    int32_t in[4] = { 0 };
    bool biased;

    *done = strcmp(node->op, "_FusedMatMul") == 0;
    if (!*done)
        return MD_OK;
    if (n < 2 || n > 4)
        return md_tf_fail(w, MD_CORRUPT, "%u inputs", n);
    for (uint32_t i = 0; i < n; i++) {
        md_tf_ref ref = { .condition = -1 };

        MD_TRY(md_tf_input(&ref, w, f, node, i));
        if (ref.kind != MD_TF_REF_TENSOR)
            return w->n_refusals > 0 ? MD_OK : md_tf_refuse(w, "its input");
        in[i] = ref.tensor;
    }
    MD_TRY(md_tf_has_fused_bias(&biased, w, node));
    MD_TRY(md_tf_options(&options, w, node, "transpose_a,transpose_b"));
    out->kind = MD_TF_REF_TENSOR;
    MD_TRY(md_tf_add_simple(&out->tensor, w, md_tf_own_code("MatMul"), in,
                            biased && n > 2 ? 3 : 2,
                            w->made->tensors[in[0]].dtype, options));
    return md_tf_add_fused(&out->tensor, w, node, n > 3 ? in[3] : -1);
}
