/*
 * State dicts: named tensors of .pth files (zip and legacy) and of
 * safetensors.
 */
#ifndef MD_CONVERT_TORCH_WEIGHTS_H
#define MD_CONVERT_TORCH_WEIGHTS_H

#include "convert/torch/file.h"

typedef struct md_torch_weight {
    const char *name;
    md_torch_view view;
} md_torch_weight;

typedef struct md_torch_weights {
    md_torch_weight *w; /* in the order of the file */
    uint32_t n, cap;
    md_torch_file file; /* zip: members that views point into */
    bool has_file;
} md_torch_weights;

/*
 * Read a state dict of any of these forms; views are checked.  A dict of more
 * than tensors ("model", "optimizer", ...) gives those under "model",
 * "state_dict" or the like, else all, names joined by dots.  Texts lie in the
 * arena; release is needed only after success.
 */
md_status md_torch_weights_read(md_torch_weights *out, const void *bytes,
                                size_t size, md_arena *arena, md_error *err);
void md_torch_weights_release(md_torch_weights *w);

/* By name; NULL when there is none. */
const md_torch_weight *md_torch_weights_find(const md_torch_weights *w,
                                             const char *name);

/* Where the storages of a pickle are: the member `prefix`KEY of a file. */
typedef struct md_torch_storages {
    const md_torch_file *file;
    const char *prefix;
    const struct md_torch_legacy *legacy; /* instead of a file; or NULL */
} md_torch_storages;

/* The tensor (or parameter) that node n describes.  False in *is_tensor, and
 * nothing else, when it describes something else. */
md_status md_torch_read_tensor(md_torch_view *out, bool *is_tensor,
                               const md_pickle *p, const md_pickle_node *n,
                               const md_torch_storages *from, const char *name,
                               md_error *err);

#endif
