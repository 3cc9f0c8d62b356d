/* What known architectures are made of. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "convert/torch/arch.h"

const char *md_arch_name(md_arch *a, const char *fmt, ...)
{
    char text[256];
    const char *name;
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    name = md_arena_strdup(a->b->e.arena, text);
    if (!name)
        md_emit_ok(&a->b->e, md_fail_nomem(a->b->e.err, sizeof(text)));
    return name ? name : "";
}

void md_arch_at(md_arch *a, const char *name)
{
    a->b->where = a->b->e.stem = md_arena_strdup(a->b->e.arena, name);
}

static md_tv optional(md_arch *a, const char *name)
{
    return md_arch_has(a, "%s", name) ? md_arch_weight(a, "%s", name)
                                      : md_tv_none();
}

static md_tv product(md_arch *a, md_tv x, const char *weight, const char *bias)
{
    md_arch_at(a, weight);
    return MD_ARCH_OP(a, "linear", x, md_arch_weight(a, "%s", weight),
                      optional(a, bias));
}

md_tv md_arch_linear(md_arch *a, md_tv x, const char *name)
{
    md_arch_at(a, name);
    return MD_ARCH_OP(a, "linear", x, md_arch_weight(a, "%s.weight", name),
                      optional(a, md_arch_name(a, "%s.bias", name)));
}

md_tv md_arch_layer_norm(md_arch *a, md_tv x, const char *name, double eps)
{
    /* Files of TensorFlow's days say gamma and beta. */
    bool old = md_arch_has(a, "%s.gamma", name);
    md_tv w = md_arch_weight(a, "%s.%s", name, old ? "gamma" : "weight");
    int64_t n = md_arch_size(a, 0, "%s.%s", name, old ? "gamma" : "weight");

    md_arch_at(a, name);
    return MD_ARCH_OP(a, "layer_norm", x, md_arch_ints(a, &n, 1), w,
                      md_arch_weight(a, "%s.%s", name, old ? "beta" : "bias"),
                      md_tv_float(eps));
}

md_tv md_arch_conv(md_arch *a, md_tv x, const char *name, int64_t stride,
                   int64_t padding)
{
    int64_t in = md_arch_size(a, 1, "%s.weight", name);
    md_tv channels = MD_ARCH_OP(a, "size", x, md_tv_int(1));
    int64_t groups = in > 0 && !channels.computed ? channels.v.i / in : 1;

    md_arch_at(a, name);
    return MD_ARCH_OP(a, "conv2d", x, md_arch_weight(a, "%s.weight", name),
                      optional(a, md_arch_name(a, "%s.bias", name)),
                      md_tv_int(stride), md_tv_int(padding), md_tv_int(1),
                      md_tv_int(groups));
}

md_tv md_arch_batch_norm(md_arch *a, md_tv x, const char *name, double eps)
{
    return MD_ARCH_OP(a, "batch_norm", x, md_arch_weight(a, "%s.weight", name),
                      md_arch_weight(a, "%s.bias", name),
                      md_arch_weight(a, "%s.running_mean", name),
                      md_arch_weight(a, "%s.running_var", name),
                      md_tv_bool(false), md_tv_float(0.1), md_tv_float(eps));
}

md_tv md_arch_pool(md_arch *a, md_tv x)
{
    x = MD_ARCH_OP(a, "adaptive_avg_pool2d", x,
                   md_arch_ints(a, (int64_t[]){ 1, 1 }, 2));
    return MD_ARCH_OP(a, "flatten", x, md_tv_int(1));
}

md_tv md_arch_activate(md_arch *a, md_tv x, const char *act)
{
    if (strcmp(act, "gelu") == 0)
        return MD_ARCH_OP(a, "gelu", x);
    if (strcmp(act, "gelu_new") == 0 || strcmp(act, "gelu_pytorch_tanh") == 0 ||
        strcmp(act, "gelu_fast") == 0)
        return MD_ARCH_OP(a, "gelu", x, md_tv_text("tanh"));
    if (strcmp(act, "quick_gelu") == 0)
        return MD_ARCH_OP(
            a, "mul", x,
            MD_ARCH_OP(a, "sigmoid",
                       MD_ARCH_OP(a, "mul", x, md_tv_float(1.702))));
    if (strcmp(act, "swish") == 0)
        return MD_ARCH_OP(a, "silu", x);
    return MD_ARCH_OP(a, act, x);
}

int64_t md_arch_heads(md_arch *a, const char *key, int64_t width)
{
    int64_t heads = md_arch_int(a, key, width % 64 == 0 ? width / 64 : 0);

    if (heads > 0 && width > 0 && width % heads == 0)
        return heads;
    md_emit_fail(&a->b->e, MD_UNSUPPORTED,
                 "%lld heads of %lld: %s of config.json, beside the file, "
                 "expected",
                 (long long)heads, (long long)width, key);
    return 0;
}

/* [batch, rows, width] to [batch, heads, rows, width / heads] */
static md_tv split_heads(md_arch *a, md_tv x, int64_t heads)
{
    md_tv y = MD_ARCH_OP(a, "unflatten", x, md_tv_int(-1),
                         md_arch_ints(a, (int64_t[]){ heads, -1 }, 2));

    return MD_ARCH_OP(a, "transpose", y, md_tv_int(1), md_tv_int(2));
}

md_tv md_arch_attend(md_arch *a, md_tv q, md_tv k, md_tv v, md_tv mask,
                     int64_t heads)
{
    md_tv y =
        MD_ARCH_OP(a, "scaled_dot_product_attention", split_heads(a, q, heads),
                   split_heads(a, k, heads), split_heads(a, v, heads), mask);

    y = MD_ARCH_OP(a, "transpose", y, md_tv_int(1), md_tv_int(2));
    return MD_ARCH_OP(a, "flatten", y, md_tv_int(2));
}

md_tv md_arch_key_mask(md_arch *a, md_tv mask)
{
    md_tv m = MD_ARCH_OP(a, "eq", mask, md_tv_int(0));

    m = MD_ARCH_OP(a, "to", m, md_tv_int(6)); /* float32 */
    m = MD_ARCH_OP(a, "mul", m, md_tv_float(-3.4028234663852886e38));
    m = MD_ARCH_OP(a, "unsqueeze", m, md_tv_int(1));
    return MD_ARCH_OP(a, "unsqueeze", m, md_tv_int(1));
}

md_tv md_arch_row_at(md_arch *a, md_tv x, int64_t at)
{
    return MD_ARCH_OP(a, "select", x, md_tv_int(1), md_tv_int(at));
}

md_tv md_arch_for_each(md_arch *a, md_tv v, md_tv x)
{
    md_tv sizes = md_tv_list(a->b, MD_TV_LIST, 3);

    if (sizes.kind != MD_TV_LIST)
        return md_tv_none();
    md_tv_append(a->b, sizes.v.list, MD_ARCH_OP(a, "size", x, md_tv_int(0)));
    md_tv_append(a->b, sizes.v.list, md_tv_int(-1));
    md_tv_append(a->b, sizes.v.list, md_tv_int(-1));
    return MD_ARCH_OP(a, "expand", v, sizes);
}

/* --- layers of encoders --- */

static md_tv attention_of(md_arch *a, md_tv x, md_tv mask,
                          const md_arch_layer *l)
{
    md_tv in[3] = { { 0 } };

    if (l->qkv_weight) {
        md_tv all = product(a, x, md_arch_name(a, "%s%s", l->at, l->qkv_weight),
                            md_arch_name(a, "%s%s", l->at, l->qkv_bias));

        all = MD_ARCH_OP(a, "chunk", all, md_tv_int(3), md_tv_int(-1));
        for (uint32_t i = 0; md_tv_is_list(&all) && i < all.v.list->n; i++)
            in[i % 3] = all.v.list->item[i];
    } else {
        const char *const names[] = { l->q, l->k, l->v };

        for (int i = 0; i < 3; i++)
            in[i] =
                md_arch_linear(a, x, md_arch_name(a, "%s%s", l->at, names[i]));
    }
    x = md_arch_attend(a, in[0], in[1], in[2], mask, l->heads);
    return md_arch_linear(a, x, md_arch_name(a, "%s%s", l->at, l->out));
}

static md_tv products_of(md_arch *a, md_tv x, const md_arch_layer *l)
{
    x = md_arch_linear(a, x, md_arch_name(a, "%s%s", l->at, l->up));
    x = md_arch_activate(a, x, l->act);
    return md_arch_linear(a, x, md_arch_name(a, "%s%s", l->at, l->down));
}

md_tv md_arch_encode(md_arch *a, md_tv x, md_tv mask, const md_arch_layer *l)
{
    const char *norm1 = md_arch_name(a, "%s%s", l->at, l->norm1);
    const char *norm2 = md_arch_name(a, "%s%s", l->at, l->norm2);
    md_tv y;

    if (l->post) {
        x = MD_ARCH_OP(a, "add", attention_of(a, x, mask, l), x);
        x = md_arch_layer_norm(a, x, norm1, l->eps);
        x = MD_ARCH_OP(a, "add", products_of(a, x, l), x);
        return md_arch_layer_norm(a, x, norm2, l->eps);
    }
    y = md_arch_layer_norm(a, x, norm1, l->eps);
    x = MD_ARCH_OP(a, "add", x, attention_of(a, y, mask, l));
    y = md_arch_layer_norm(a, x, norm2, l->eps);
    return MD_ARCH_OP(a, "add", x, products_of(a, y, l));
}
