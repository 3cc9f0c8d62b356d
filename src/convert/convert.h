/*
 * Foreign models to ONNX graphs: one file per converter, found by what the
 * bytes are, never by the file's name.
 */
#ifndef MD_CONVERT_CONVERT_H
#define MD_CONVERT_CONVERT_H

#include <stdbool.h>

#include "graph/graph.h"

enum {
    MD_CONVERT_TEXT = 256
};

/* What the self-check feeds; all zero: numbers from 0 to 1. */
typedef struct md_convert_trial {
    double from, to;
    int64_t batch; /* the usual batches are multiplied with it */
    bool missing;  /* some numbers are NaN */
} md_convert_trial;

/* What a conversion did. */
typedef struct md_convert_report {
    const char *format;    /* of the converter; lives for ever */
    char version[32];      /* of the framework that wrote the file */
    uint32_t n_layers;     /* of the source */
    uint32_t n_nodes;      /* of the result */
    uint32_t n_transposes; /* among them, for layout */
    uint64_t n_parameters;
    md_convert_trial trial;
    bool open_sizes; /* the source says nothing of its inputs' sizes */
    bool ran;        /* the self-check ran the result */
    /* What the self-check saw, or why it could not run. */
    char self_check[MD_CONVERT_TEXT];
} md_convert_report;

/* What is converted. */
typedef struct md_convert_source {
    const void *bytes;
    size_t size;
    /* Where the file lies and what it is called there, for formats that keep a
     * part in files beside; NULL for bytes that are no file. */
    const char *folder, *file;
    bool stays; /* bytes are a mapped file that lives as long as the model:
                 * constants may point into it */
    bool plain; /* as the file has it, with no layout but its own: what the
                 * result is compared with */
    const char *signature, *inputs, *arch, *architecture; /* md_convert_how */
    const char *path; /* of the file, for what lies beside it; NULL: bytes */
} md_convert_source;

typedef struct md_converter {
    const char *name; /* row of converters.def */
    const char *title;
    /* A file whose folder is what people call the model; or NULL. */
    const char *in_folder;
    /* True when this converter reads bytes like these. */
    bool (*probe)(const void *bytes, size_t size);
    /* convert knows md_convert_source.plain: the self-check compares. */
    bool has_plain;
    /* Fill the new, empty model. */
    md_status (*convert)(md_model *model, md_convert_report *report,
                         const md_convert_source *src, md_error *err);
} md_converter;

#define CONVERTER(id) extern const md_converter md_converter_##id;
#include "convert/converters.def"
#undef CONVERTER

/* All converters, NULL-terminated, in the order of converters.def. */
const md_converter *const *md_converter_list(void);

/* The converter for these bytes, or NULL. */
const md_converter *md_converter_find(const void *bytes, size_t size);

/* What a file does not tell of itself, or leaves to choose; NULL: nothing. */
typedef struct md_convert_how {
    /* Of the file's functions, where it has several; NULL: "serving_default",
     * or the first. */
    const char *signature;
    /* Types of inputs that the file says nothing of (TorchScript):
     * "x=float32[batch,3,?,?];sr=16000"; NULL: they are found by trying. */
    const char *inputs;
    /* What a file of weights alone is of ("bert", "resnet50"); NULL: the
     * tensors' names tell. */
    const char *arch;
    /* The JSON that tells the model of a Keras file of weights alone; NULL:
     * NAME.json beside NAME.weights.h5. */
    const char *architecture;
} md_convert_how;

typedef struct md_convert_opts {
    /* A text file with one class name per line, recorded as metadata
     * "modeld.labels"; NULL: none. */
    const char *labels;
    md_convert_how how;
    bool no_self_check;
} md_convert_opts;

#define MD_CONVERT_OPTS_INIT                                                   \
    {                                                                          \
        .labels = NULL, .no_self_check = false                                 \
    }

/*
 * Convert the file at `path`, or the folder that has a model's files
 * (md_converter.in_folder).  The new model is the caller's.  opts and report
 * may be NULL.
 *
 * The result is then run on made-up inputs (MD_MISMATCH).  Where the converter
 * gives an import form, the engine's outputs must be those that the operators'
 * definitions give for it; else every output must come out, in the promised
 * shape, finite.  Neither tells whether the framework means the same by an
 * operator: for that, compare with what it gave.
 *
 * MD_UNSUPPORTED when no converter reads the file, or what the converter says.
 */
md_status md_convert(md_model **out, const char *path,
                     const md_convert_opts *opts, md_convert_report *report,
                     const md_alloc *alloc, md_error *err);

/* The same from memory; `name` stands for the path in error texts. */
md_status md_convert_bytes(md_model **out, const void *bytes, size_t size,
                           const char *name, const md_convert_opts *opts,
                           md_convert_report *report, const md_alloc *alloc,
                           md_error *err);

/*
 * Read any model: a file, a folder or bytes that a converter takes, converted
 * without the self-check, or ONNX.  The new model is the caller's.  MD_UNSUPPORTED
 * names what can be read; external data is looked for beside a file only.
 * `how` (NULL: nothing) is for converters: MD_INVALID where it says something
 * and the file is ONNX.
 */
md_status md_convert_load(md_model **out, const char *path, md_load use,
                          const md_convert_how *how, const md_alloc *alloc,
                          md_error *err);
md_status md_convert_load_bytes(md_model **out, const void *bytes, size_t size,
                                const char *name, const md_alloc *alloc,
                                md_error *err);

/*
 * The self-check alone.  *ran is false, and `text` tells why, when the model
 * uses an operator that modeld does not run.
 */
md_status md_convert_self_check(const md_model *model, bool *ran,
                                char text[MD_CONVERT_TEXT], md_error *err);

#endif
