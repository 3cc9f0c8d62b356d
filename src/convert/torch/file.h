/*
 * Containers of PyTorch: zip archives with one root folder (.pt2, TorchScript,
 * state dicts) and legacy pickles.
 *
 * Members are read where they lie in the file when they are stored, as
 * PyTorch writes them; packed ones are unpacked into the arena, within a bound
 * for all together.
 */
#ifndef MD_CONVERT_TORCH_FILE_H
#define MD_CONVERT_TORCH_FILE_H

#include "base/arena.h"
#include "formats/pickle.h"
#include "formats/zip.h"
#include "graph/graph.h"

typedef enum md_torch_kind {
    MD_TORCH_NONE,
    MD_TORCH_EXPORT, /* .pt2 */
    MD_TORCH_SCRIPT,
    MD_TORCH_STATE,  /* zip with data.pkl and no code */
    MD_TORCH_LEGACY, /* pickles and storages one after another */
    MD_TORCH_SAFETENSORS,
} md_torch_kind;

/* What these bytes are; a file that was cut off is known by its first
 * member. */
md_torch_kind md_torch_kind_of(const void *bytes, size_t size);

typedef struct md_torch_file {
    md_zip zip;
    const char *root;             /* "NAME/", or "" */
    const md_zip_entry **by_name; /* all entries, sorted */
    md_arena *arena;              /* of texts and of what is unpacked */
} md_torch_file;

/* A part of a member's, or of a legacy file's, bytes. */
typedef struct md_torch_bytes {
    const unsigned char *p;
    size_t size;
    bool in_file; /* and not in the arena */
} md_torch_bytes;

/* Open an archive: names are checked, byte order is little.  The arena
 * outlives it; release is needed only after success. */
md_status md_torch_file_open(md_torch_file *f, const void *bytes, size_t size,
                             md_arena *arena, md_error *err);
void md_torch_file_release(md_torch_file *f);

/* Is there such a member, `name` below the root? */
bool md_torch_file_has(const md_torch_file *f, const char *name);

/* Its contents; MD_CORRUPT when there is none. */
md_status md_torch_file_read(md_torch_bytes *out, const md_torch_file *f,
                             const char *name, md_error *err);

/* A tensor as a view of a storage. */
typedef struct md_torch_view {
    md_torch_bytes storage;
    md_dtype dtype;
    md_shape shape;
    int64_t stride[MD_RANK_MAX]; /* elements */
    int64_t offset;              /* elements */
} md_torch_view;

/* The view lies in its storage; `name` is for the message.  MD_CORRUPT. */
md_status md_torch_view_check(const md_torch_view *v, const char *name,
                              md_error *err);

/* The view as a tensor: borrowed where the file's bytes stay as long as what
 * it is for, and are in order; else a copy by `alloc`. */
md_status md_torch_view_tensor(md_tensor *out, const md_torch_view *v,
                               bool stays, const md_alloc *alloc,
                               md_error *err);

/* PyTorch's own number of a type (c10::ScalarType), as pickles and programs
 * have it; MD_DTYPE_NONE and -1 for what there is not. */
md_dtype md_torch_dtype(int64_t scalar_type);
int64_t md_torch_scalar_type(md_dtype dtype);

#endif
