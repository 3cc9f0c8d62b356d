/* Operators by name, and those that are TensorFlow's own. */
#include <stdlib.h>
#include <string.h>

#include "convert/tf/emit.h"
#include "convert/tf/lower.h"

enum {
    OUTPUTS_MAX = 1 << 14
};

/* The own ones, numbered. */
enum own {
#define TF(name, code, options, types)
#define TF_OWN(name, fn, in_min, in_max, onnx, options, types) OWN_##name,
#define TF_PART(name, fn, in_min, in_max, onnx) OWN_##name,
#include "convert/tf/ops.def"
#undef TF
#undef TF_OWN
#undef TF_PART
    OWN_N
};

static const md_tfl_row own_rows[] = {
#define TF(name, code, options, types)
#define TF_OWN(name, fn, in_min, in_max, onnx, options, types)                 \
    {                                                                          \
        MD_TFL_MORE + OWN_##name,                                              \
        #name,                                                                 \
        fn,                                                                    \
        in_min,                                                                \
        in_max,                                                                \
        1,                                                                     \
        OUTPUTS_MAX,                                                           \
        onnx                                                                   \
    },
#define TF_PART(name, fn, in_min, in_max, onnx)                                \
    { MD_TFL_MORE + OWN_##name, #name, fn, in_min, in_max, 1, 1, onnx },
#include "convert/tf/ops.def"
#undef TF
#undef TF_OWN
#undef TF_PART
};

static const md_tf_row rows[] = {
#define TF(name, code, options, types) { #name, code, options, types },
#define TF_OWN(name, fn, in_min, in_max, onnx, options, types)                 \
    { #name, MD_TFL_MORE + OWN_##name, options, types },
#define TF_PART(name, fn, in_min, in_max, onnx)
#include "convert/tf/ops.def"
#undef TF
#undef TF_OWN
#undef TF_PART
};

const md_tf_row *md_tf_row_find(const char *op)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (strcmp(rows[i].name, op) == 0)
            return &rows[i];
    }
    return NULL;
}

const md_tfl_row *md_tf_more(void)
{
    return own_rows;
}

int md_tf_own_code(const char *name)
{
    for (int i = 0; i < OWN_N; i++) {
        if (strcmp(own_rows[i].name, name) == 0)
            return MD_TFL_MORE + i;
    }
    return -1;
}
