/* The list of TensorFlow Lite's operators. */
#include <string.h>

#include "convert/tflite/build.h"

static const md_tfl_row rows[] = {
#define TFL(code, name, fn, in_min, in_max, out_min, out_max, onnx)            \
    { code, #name, md_tfl_emit_##fn, in_min, in_max, out_min, out_max, onnx },
#define TFL_CUSTOM(name, fn, in_min, in_max, out_min, out_max)                 \
    { -1, #name, md_tfl_emit_##fn, in_min, in_max, out_min, out_max, "" },
#include "convert/tflite/ops.def"
#undef TFL
#undef TFL_CUSTOM
    { 0 }
};

const md_tfl_row *md_tfl_rows(void)
{
    return rows;
}

const md_tfl_row *md_tfl_row_find(int code, const char *custom)
{
    for (const md_tfl_row *r = rows; r->name; r++) {
        if (code == MD_TFLITE_CUSTOM ? r->code < 0 && !strcmp(r->name, custom)
                                     : r->code == code)
            return r;
    }
    return NULL;
}

const md_tfl_row *md_tfl_row_now(const md_tfl_build *b)
{
    if (b->op->code >= MD_TFL_MORE)
        return &b->more[b->op->code - MD_TFL_MORE];
    return md_tfl_row_find(b->op->code, b->op->custom);
}
