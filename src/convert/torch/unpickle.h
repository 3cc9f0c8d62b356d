/*
 * Pickles of PyTorch, read in a confined child process (convert/child.h).
 *
 * The child interprets, by an allow-list (allow.def) and calling nothing; what
 * it hands over is checked as if it were the file.
 */
#ifndef MD_CONVERT_TORCH_UNPICKLE_H
#define MD_CONVERT_TORCH_UNPICKLE_H

#include "base/buf.h"
#include "formats/pickle.h"

/* May this global occur in a file of PyTorch? */
bool md_torch_allows(const char *module, size_t n_module, const char *name,
                     size_t n_name);

/*
 * Read the pickle at the beginning of bytes, which outlive it; the rest of it
 * lies in the arena.  Statuses as md_pickle_parse and md_child_run.
 */
md_status md_torch_unpickle(md_pickle *out, const void *bytes, size_t size,
                            md_arena *arena, md_error *err);

/* The two halves, for tests: in this process, to records; and from records
 * that nobody vouches for. */
md_status md_torch_pickle_records(md_buf *out, const void *bytes, size_t size,
                                  const md_alloc *alloc, md_error *err);
md_status md_torch_pickle_take(md_pickle *out, const void *bytes, size_t size,
                               const void *records, size_t n_records,
                               md_arena *arena, md_error *err);

#endif
