/*
 * TensorFlow Lite files to ONNX: opset 21, inputs and outputs named as the
 * file's tensors.
 */
#include <stdio.h>
#include <string.h>

#include "convert/convert.h"
#include "convert/tflite/build.h"

enum {
    ARENA_SIZE = (size_t)1 << 30 /* what a small file can make of itself */
};

static const char default_signature[] = "serving_default";

/* The signature asked for, or the usual one; NULL: the first subgraph. */
static md_status choose(const md_tflite_signature **out, const md_tflite *m,
                        const char *name, md_error *err)
{
    const char *wanted = name ? name : default_signature;
    char known[256] = "";

    *out = NULL;
    for (uint32_t i = 0; i < m->n_signatures; i++) {
        size_t n = strlen(known);

        if (strcmp(m->signatures[i].key, wanted) == 0)
            *out = &m->signatures[i];
        snprintf(known + n, sizeof(known) - n, "%s'%.60s'", n ? ", " : "",
                 m->signatures[i].key);
    }
    if (*out || !name)
        return MD_OK;
    return md_fail(err, MD_NOT_FOUND, "tflite: no signature '%.80s', %s", name,
                   known[0] ? known : "the file has none");
}

static md_status convert(md_model *model, md_convert_report *report,
                         const md_convert_source *src, md_error *err)
{
    const md_tflite_signature *signature = NULL;
    md_tfl_build b = { .e = { .model = model,
                              .source = "tflite",
                              .plain = src->plain,
                              .err = err },
                       .stays = src->stays,
                       .plain = src->plain };
    md_tfl_about about = { .source = "tflite" };
    md_tflite m;
    md_arena arena;
    md_status s;

    md_arena_init(&arena, model->alloc, ARENA_SIZE);
    b.e.arena = &arena;
    b.m = &m;
    MD_GOTO(md_tflite_read(&m, src->bytes, src->size, &arena, err));
    MD_GOTO(choose(&signature, &m, src->signature, err));
    about.version = m.min_runtime;
    about.description = m.description;
    if (signature) {
        about.signature = signature->key;
        about.inputs = signature->inputs;
        about.n_inputs = signature->n_inputs;
        about.outputs = signature->outputs;
        about.n_outputs = signature->n_outputs;
    }
    MD_GOTO(md_tfl_make_model(&b, signature ? signature->graph : 0, &about));
    report->n_layers = b.n_ops;
    report->n_transposes = b.n_transposes;
    report->n_parameters = b.n_parameters;
    snprintf(report->version, sizeof(report->version), "%s",
             m.min_runtime[0] ? m.min_runtime : "3");
out:
    md_arena_release(&arena);
    return s;
}

const md_converter md_converter_tflite = { .name = "tflite",
                                           .title = "TensorFlow Lite",
                                           .probe = md_tflite_probe,
                                           .has_plain = true,
                                           .convert = convert };
