/*
 * Packed weights kept from one load of a model to the next, in a file that all
 * processes map and so have in memory once.
 *
 * Nothing else knows of files: lowering asks for memory (md_lower__pack) and is
 * told whether what it would pack is there already.  Blocks are known by the
 * node that asks, the how manyth it is, the kernel and its size; the file by the
 * build of the program, the CPU, the precision and the identity of the model's
 * files (md_model_stamp), which is why only models that were read from files
 * that they keep have one.
 *
 * A file that is missing, damaged, of something else, somebody else's or
 * writable by others is not believed; the session packs as ever and then writes
 * a new one in a thread of its own.  No failure here is one of the session's:
 * without a file it has its weights in memory of its own.
 */
#ifndef MD_ENGINE_PACKS_H
#define MD_ENGINE_PACKS_H

#include "engine/session.h"

typedef struct md_packs md_packs;

/*
 * For the lowering of a model into these kernels: *out, and the file in `folder`
 * mapped if there is one that is right.  *out is NULL where weights are not
 * kept, and after a failure; memory is all that can be short.
 */
md_status md_packs_open(md_packs **out, const char *folder,
                        const md_model *model, uint32_t cpu,
                        md_precision precision, md_pool *pool,
                        const md_alloc *alloc, md_error *err);

/* For what lowering allocates to last; blocks of the file may be freed with it,
 * too. */
const md_alloc *md_packs_alloc(md_packs *p);

/* Lowering comes to n of g: true when the file has its blocks, and a lowering
 * that does not ask for just these fails (md_packs_gave_up) and has to begin
 * again, without them. */
bool md_packs_begin(md_packs *p, const md_graph *g, const md_node *n);
bool md_packs_gave_up(const md_packs *p);

/* md_keeper.take, ctx being a md_packs. */
md_status md_packs_take(void *ctx, const md_lower *lo, void **out, size_t size,
                        bool *ready, md_error *err);

/* All is lowered: begin to write the file where it is not right. */
void md_packs_settle(md_packs *p);

/* Wait until it is written; blocks may be freed only then.  NULL is allowed. */
void md_packs_wait(md_packs *p);

/* Where packed weights are now. */
void md_packs_describe(const md_packs *p, md_packed *out);

/* After all that its allocator gave was freed.  NULL is allowed. */
void md_packs_free(md_packs *p);

#endif
