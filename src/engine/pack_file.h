/*
 * The file that packed weights are kept in: a head, a list of blocks, the
 * blocks.  It is for the program that wrote it, on the machine that it was
 * written on, so numbers are as they lie in memory; everything that is believed
 * has a digest (base/digest.h), and no place in it is believed before it was
 * found to be inside.
 *
 *     offset  bytes
 *          0      8  "mdpacked"
 *          8      4  version of this layout
 *         12      4  number of blocks, at most MD_PACK_BLOCKS_MAX
 *         16      8  size of the file
 *         24     24  for whom it is: program, model, settings (md_pack_key)
 *         48      8  digest of the list
 *         56      8  digest of the 56 bytes before
 *         64  n * 40 the list: node, kernel, offset, size, digest of each block
 *
 * A block begins at a multiple of 64 bytes, one of a page or more at a page.
 * Between blocks are zeros, at which nobody looks.
 */
#ifndef MD_ENGINE_PACK_FILE_H
#define MD_ENGINE_PACK_FILE_H

#include "base/file.h"
#include "base/pool.h"

enum {
    MD_PACK_BLOCKS_MAX = 1 << 20
};

/* For whom a file is.  With anything else it is of no use. */
typedef struct md_pack_key {
    uint64_t program;  /* the code that lays blocks out: md_pack_program */
    uint64_t model;    /* md_model_stamp */
    uint64_t settings; /* what chooses kernels: CPU, precision */
} md_pack_key;

typedef struct md_pack_block {
    uint64_t node;   /* of which node of the program */
    uint64_t kernel; /* for which kernel */
    uint64_t offset; /* in the file */
    uint64_t size;
    uint64_t digest; /* md_pack_digest */
} md_pack_block;

/* A file in memory; its bytes belong to somebody else. */
typedef struct md_pack_file {
    const unsigned char *bytes;
    uint32_t n_blocks;
} md_pack_file;

/* A number for the machine code that runs: its build ID; 0 when it has none. */
uint64_t md_pack_program(void);

/*
 * Read head and list, not the blocks.  MD_CORRUPT: it is damaged or no such
 * file; MD_MISMATCH: it is for another program, model or setting.
 */
md_status md_pack_file_read(md_pack_file *out, const void *bytes, size_t size,
                            const md_pack_key *key, md_error *err);

/* Block i < n_blocks of a file that was read; it lies inside. */
md_pack_block md_pack_file_block(const md_pack_file *f, uint32_t i);

/* Compare all blocks with their digests, on all threads of the pool (NULL:
 * one): MD_CORRUPT names the first that differs.  Everything is in memory then. */
md_status md_pack_file_check(const md_pack_file *f, md_pool *pool,
                             const md_alloc *alloc, md_error *err);

/*
 * Write a file of n blocks, whose offset and digest are set here; block i is
 * data[i].  The writer is left open.
 */
md_status md_pack_file_write(md_file_writer *w, const md_pack_key *key,
                             md_pack_block *blocks, const void *const *data,
                             uint32_t n, md_error *err);

#endif
