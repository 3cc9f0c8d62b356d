/*
 * TensorFlow's checkpoints ("tensor bundle", tensor_bundle.proto): an index,
 * `PREFIX.index`, which is a sorted table of names, and elements in
 * `PREFIX.data-00000-of-00001` and so on.
 *
 * Elements are read in place; the files stay mapped as long as the model that
 * keeps them.  Each tensor's checksum is compared when it is asked for.
 */
#ifndef MD_FORMATS_BUNDLE_H
#define MD_FORMATS_BUNDLE_H

#include "formats/sstable.h"
#include "formats/tf.h"
#include "graph/graph.h"

typedef struct md_bundle {
    md_sstable table;
    const char *folder, *prefix; /* of the shards, beside the index */
    uint32_t n_shards;
    md_map *shards; /* data NULL: not opened yet */
    md_model *model;
    md_arena *ar;
} md_bundle;

/*
 * Open `prefix`.index in folder (files that lie elsewhere are refused,
 * confine.h).  folder and prefix must live as long as the bundle, which the
 * model's and the arena's end ends.
 */
md_status md_bundle_open(md_bundle *out, const char *folder, const char *prefix,
                         md_model *model, md_arena *ar, md_error *err);

/* The same of an index in memory, which must outlive the bundle: shards are
 * those that the caller puts into out->shards. */
md_status md_bundle_read(md_bundle *out, const void *index, size_t size,
                         md_arena *ar, md_error *err);

/* The tensor of that name.  MD_NOT_FOUND; MD_CORRUPT: bytes outside of the
 * shard, another checksum; MD_UNSUPPORTED: in parts, big-endian. */
md_status md_bundle_get(md_tf_tensor *out, md_bundle *b, const char *name,
                        md_error *err);

/* Is there one? */
bool md_bundle_has(const md_bundle *b, const char *name);

#endif
