/*
 * ONNX models: reading and writing (onnx.proto of ONNX 1.22, IR version 13).
 *
 * Reading gives a verified graph (md_graph_verify).  Differences to the file:
 *
 *   - Documentation strings and metadata of anything but the model are
 *     dropped; training information, quantization annotations (which no
 *     operator reads) and device placement too.
 *   - A graph input that also has an initializer becomes a constant and is no
 *     input, whatever the IR version: before IR 4 that is what it means, and
 *     since then it is a default, which modeld does not let callers change.
 *   - Sparse tensors are made dense.
 *   - A name that a subgraph reads and does not define is a value in the
 *     subgraph with no def, no cdata and not is_input: a capture, which the
 *     closest graph above defines under the same name.
 *   - A dimension that is negative or missing is a fresh anonymous symbol.
 *
 * Constants keep pointing into the file's mapping when they are aligned for
 * their type there; others are copied, but for large ones of a model that is
 * loaded to be run (md_load).
 */
#ifndef MD_FORMATS_ONNX_H
#define MD_FORMATS_ONNX_H

#include "graph/graph.h"

typedef struct md_onnx_opts {
    const char *folder;  /* of external data; NULL: external data is refused */
    size_t memory_limit; /* bytes the model may take in memory; 0: none */
    size_t dense_limit;  /* bytes of all sparse tensors made dense */
    bool keep;           /* the bytes outlive the model: point into them */
    bool unaligned;      /* also where large ones are not aligned (md_load) */
} md_onnx_opts;

#define MD_ONNX_OPTS_INIT                                                      \
    {                                                                          \
        .folder = NULL, .memory_limit = 0, .dense_limit = (size_t)1 << 30,     \
        .keep = false, .unaligned = false                                      \
    }

/*
 * Map and read the model at `path`; the mapping lives as long as the model.
 * External data must lie in the model's folder, reached without symbolic or
 * hard links.  MD_CORRUPT, MD_UNSUPPORTED (a construct that modeld has no
 * place for), MD_DENIED (external data outside), MD_TOO_LARGE, or the status
 * of md_map_open; the text names the thing, its value and the expectation.
 */
md_status md_onnx_load(md_model **out, const char *path, const md_alloc *alloc,
                       md_error *err);

/* md_onnx_load from memory (opts may be NULL). */
md_status md_onnx_parse(md_model **out, const void *bytes, size_t size,
                        const md_onnx_opts *opts, const md_alloc *alloc,
                        md_error *err);

typedef struct md_onnx_save_opts {
    /* Above so many bytes of constants, those of 1 KiB and more go to
     * PATH.data, since protobuf readers stop at 2 GiB. */
    size_t external_above;
    /* Constants of float32 with so many zeros that this is smaller become
     * sparse initializers: values and their places, 12 bytes for each. */
    bool sparse;
} md_onnx_save_opts;

#define MD_ONNX_SAVE_OPTS_INIT                                                 \
    {                                                                          \
        .external_above = ((size_t)1 << 31) - ((size_t)1 << 26)                \
    }

/*
 * Write `path` (and PATH.data when needed), each at once or not at all.  opts
 * may be NULL.  Dead nodes and constants that nothing reads are left out;
 * unnamed values get names; an IR version below 4, where constants had to be
 * inputs, becomes 4.  What the engine keeps in nodes (opset, impl, fused) has no place
 * in a file: save before a model is prepared.
 */
md_status md_onnx_save(const md_model *model, const char *path,
                       const md_onnx_save_opts *opts, md_error *err);

/* Append the file's bytes, all data inside; MD_TOO_LARGE over out's limit. */
md_status md_onnx_write(const md_model *model, md_buf *out, md_error *err);

/* True when bytes can be the start of an ONNX file (of `size` or more). */
bool md_onnx_probe(const void *bytes, size_t size);

#endif
