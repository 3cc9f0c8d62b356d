/*
 * Sequences, optionals and maps: values that hold tensors.
 *
 * A container is an md_tensor whose `kind` says so.  Its shape is [n], n being
 * the number of its items; dtype is the element type of all tensors in it.
 *
 *   - A sequence holds any number of tensors, or of maps (`of`).
 *   - An optional holds one item, a tensor or a sequence (`of`), or none.
 *   - A map holds two tensors of rank 1 and one length: keys, of type `key`
 *     and each there once, and values.
 *
 * Items are counted: containers share them, so that a sequence with one item
 * more costs an array of pointers and no copies of tensors.  Once in a
 * container, an item is not changed any more; it owns its data and, of
 * strings, their text.  The counts are atomic, so containers that share items
 * may be used by different threads.  Released with md_tensor_release.
 *
 * Limits: MD_ITEMS_MAX items.  What a container holds was allocated item by
 * item, so memory is bounded by what bounds the tensors.
 */
#ifndef MD_TENSOR_CONTAINER_H
#define MD_TENSOR_CONTAINER_H

#include "tensor/tensor.h"

enum {
    MD_ITEMS_MAX = 1 << 24
};

/*
 * A container of `like`'s kind and types with room for n items, each to be
 * filled by give or share.  MD_TOO_LARGE for more than MD_ITEMS_MAX.
 */
md_status md_container_alloc(md_tensor *out, const md_tensor *like, int64_t n,
                             const md_alloc *alloc, md_error *err);

/* Take t over as item i, still empty, of c; t, which owns its data, becomes
 * MD_TENSOR_INIT.  MD_NOMEM leaves both as they were. */
md_status md_container_give(md_tensor *c, int64_t i, md_tensor *t,
                            md_error *err);

/* The same with a copy of t. */
md_status md_container_put(md_tensor *c, int64_t i, const md_tensor *t,
                           md_error *err);

/* Let item i, still empty, of c be item j of `from`. */
void md_container_share(md_tensor *c, int64_t i, const md_tensor *from,
                        int64_t j);

/* A container with the same items, which are shared. */
md_status md_container_clone(md_tensor *out, const md_tensor *c,
                             const md_alloc *alloc, md_error *err);

/* A map of these keys and values (rank 1, of one length), both of which it
 * takes over; on failure they are left as they were. */
md_status md_container_map(md_tensor *out, md_tensor *keys, md_tensor *values,
                           const md_alloc *alloc, md_error *err);

/* Item i, which belongs to c; NULL while it is empty. */
const md_tensor *md_container_item(const md_tensor *c, int64_t i);

/* "sequence", "optional", "map"; "tensor". */
const char *md_kind_name(md_kind kind);

/* For md_tensor_copy and md_tensor_release: a deep copy, and let go of the
 * items. */
md_status md_container__copy(md_tensor *out, const md_tensor *c,
                             const md_alloc *alloc, md_error *err);
void md_container__drop(md_tensor *c);

#endif
