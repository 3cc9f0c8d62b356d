/* Has anything changed in a file or folder?  A number that tells, from names,
 * sizes and times, without reading what is in the files. */
#ifndef MD_REGISTRY_STAMP_H
#define MD_REGISTRY_STAMP_H

#include <stdint.h>

typedef struct md_stamp {
    uint64_t hash;
    int64_t changed_ns; /* of the last change of any file, wall clock */
} md_stamp;

/* Add everything at `path`, to MD_STAMP_DEPTH folders deep; what cannot be
 * read counts as absent. */
void md_stamp_tree(md_stamp *st, const char *path);

/* Add a text. */
void md_stamp_text(md_stamp *st, const char *text);

enum {
    MD_STAMP_DEPTH = 8,
    MD_STAMP_PATH_MAX = 4096
};

#endif
