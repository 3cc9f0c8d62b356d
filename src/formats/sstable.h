/*
 * LevelDB's sorted tables ("table_format.md" of LevelDB), read in place:
 * blocks of keys in order, each with a checksum, an index of them, a footer.
 * TensorFlow's checkpoints keep their index in one.  Compressed blocks are
 * refused: TensorFlow writes none.
 */
#ifndef MD_FORMATS_SSTABLE_H
#define MD_FORMATS_SSTABLE_H

#include "base/arena.h"

typedef struct md_sstable_entry {
    const char *key; /* n_key bytes and a NUL, in the arena */
    size_t n_key;
    const unsigned char *value; /* in the table's bytes */
    size_t n_value;
} md_sstable_entry;

typedef struct md_sstable {
    md_sstable_entry *entries; /* in the order of their keys' bytes */
    uint32_t n, cap;
} md_sstable;

/*
 * Read all entries.  The bytes must outlive them.  MD_CORRUPT names the byte:
 * a block outside the file, a checksum that is not that of its block, a
 * prefix longer than the key before, keys out of order.  MD_UNSUPPORTED:
 * compression.
 */
md_status md_sstable_read(md_sstable *out, const void *bytes, size_t size,
                          md_arena *ar, md_error *err);

/* The entry of that key, or NULL. */
const md_sstable_entry *md_sstable_find(const md_sstable *t, const char *key,
                                        size_t n_key);

#endif
