/*
 * Known architectures: programs for files that hold weights alone.
 *
 * An architecture is known by the names of its tensors; most of its sizes are
 * those of the tensors, the rest is in config.json beside the file.  It calls
 * the same operators as the programs of files do.
 */
#ifndef MD_CONVERT_TORCH_ARCH_H
#define MD_CONVERT_TORCH_ARCH_H

#include <jansson.h>

#include "convert/torch/build.h"
#include "convert/torch/weights.h"

typedef struct md_arch md_arch;

/* One row of arch.def. */
typedef struct md_arch_row {
    const char *name;  /* of --arch */
    const char *also;  /* other names, separated by spaces; or NULL */
    const char *title; /* "BERT" */
    /* A tensor that every such file has; or NULL: knows tells. */
    const char *mark;
    bool (*knows)(const md_arch *a);
    const char *prefix[2]; /* that names may have in front of them; or NULL */
    void (*emit)(md_arch *a);
} md_arch_row;

#define ARCH(id) extern const md_arch_row md_arch_##id;
#include "convert/torch/arch.def"
#undef ARCH

struct md_arch {
    md_torch *b;
    const md_torch_weights *w;
    const md_arch_row *row;
    const char *prefix; /* of the names in this file */
    json_t *config;     /* of config.json; NULL: there is none */
    json_t *pooling;    /* of 1_Pooling/config.json beside it; NULL */
    bool normalizes;    /* modules.json beside it ends with Normalize */
    bool open_sizes;    /* an input has a free size that not all numbers fit */
};

/* Find the row that `name` asks for, or (NULL) whose tensors a->w are, and the
 * prefix of its names; false when there is none. */
bool md_arch_find(md_arch *a, const char *name);

/* The tensor of that name, as float32 where it is of floats.  A missing one
 * fails the build. */
md_tv md_arch_weight(md_arch *a, const char *fmt, ...) MD_PRINTF(2, 3);
bool md_arch_has(const md_arch *a, const char *fmt, ...) MD_PRINTF(2, 3);

/* Size of an axis of a weight; 0 where there is none. */
int64_t md_arch_size(const md_arch *a, int axis, const char *fmt, ...)
    MD_PRINTF(3, 4);

/* A number or text of config.json. */
int64_t md_arch_int(const md_arch *a, const char *key, int64_t otherwise);
double md_arch_float(const md_arch *a, const char *key, double otherwise);
const char *md_arch_text(const md_arch *a, const char *key,
                         const char *otherwise);

/* An operator on these. */
md_tv md_arch_op(md_arch *a, const char *op, const md_tv *args, uint32_t n);

#define MD_ARCH_OP(a, op, ...)                                                 \
    md_arch_op(                                                                \
        (a), (op), (const md_tv[]){ __VA_ARGS__ },                             \
        (uint32_t)(sizeof((const md_tv[]){ __VA_ARGS__ }) / sizeof(md_tv)))

/* A list of ints. */
md_tv md_arch_ints(md_arch *a, const int64_t *v, uint32_t n);

/* An input of the model: the sizes' names, NULL for a known one. */
md_tv md_arch_input(md_arch *a, const char *name, md_dtype dtype, int rank,
                    const char *const *symbols, const int64_t *sizes);

/* An output. */
void md_arch_output(md_arch *a, md_tv v, const char *name);

/* --- parts that architectures share (arch_parts.c) ------------------------- */

/* A name that lives as long as the build. */
const char *md_arch_name(md_arch *a, const char *fmt, ...) MD_PRINTF(2, 3);

/* What follows is called after `name`, in messages and in the model. */
void md_arch_at(md_arch *a, const char *name);

/* x * name.weight + name.bias, where there is one; its normalization. */
md_tv md_arch_linear(md_arch *a, md_tv x, const char *name);
md_tv md_arch_layer_norm(md_arch *a, md_tv x, const char *name, double eps);

/* A convolution of a picture with name.weight, and name.bias where there is
 * one; groups and padding to keep the size by the tensor's shape. */
md_tv md_arch_conv(md_arch *a, md_tv x, const char *name, int64_t stride,
                   int64_t padding);
md_tv md_arch_batch_norm(md_arch *a, md_tv x, const char *name, double eps);

/* [batch, c, height, width] to [batch, c]: means. */
md_tv md_arch_pool(md_arch *a, md_tv x);

/* By its name in config.json: "gelu", "quick_gelu", "silu"... */
md_tv md_arch_activate(md_arch *a, md_tv x, const char *act);

/* Number of heads: `key` of config.json, or 64 wide; 0 and a failure when they
 * do not divide `width`. */
int64_t md_arch_heads(md_arch *a, const char *key, int64_t width);

/* Attention of q, k and v [batch, rows, width], that of the result. */
md_tv md_arch_attend(md_arch *a, md_tv q, md_tv k, md_tv v, md_tv mask,
                     int64_t heads);

/* What is added to scores, [batch, 1, 1, keys]: so little that nothing is left
 * where the mask [batch, keys] is 0. */
md_tv md_arch_key_mask(md_arch *a, md_tv mask);

/* Row `at` of axis 1. */
md_tv md_arch_row_at(md_arch *a, md_tv x, int64_t at);

/* The tensor v [1, rows, width] once for each of x's batch. */
md_tv md_arch_for_each(md_arch *a, md_tv v, md_tv x);

/* A layer of a transformer's encoder: names of its tensors behind `at`. */
typedef struct md_arch_layer {
    const char *at; /* "encoder.layer.0." */
    const char *norm1, *norm2;
    const char *qkv_weight, *qkv_bias; /* all three in one; or NULL */
    const char *q, *k, *v, *out;
    const char *up, *down;
    const char *act;
    int64_t heads;
    double eps;
    bool post; /* normalizations behind the additions, else before attention and
                * before the products */
} md_arch_layer;

md_tv md_arch_encode(md_arch *a, md_tv x, md_tv mask, const md_arch_layer *l);

#endif
