/*
 * Files: mapped, read whole, or replaced at once.
 *
 * Every error names the path and the reason the system gave.  A missing file
 * is MD_NOT_FOUND, a forbidden one MD_DENIED, the rest MD_IO.
 */
#ifndef MD_BASE_FILE_H
#define MD_BASE_FILE_H

#include <stdbool.h>

#include "base/buf.h"

/* Which file it is and since when it is as it is.  Writing into a file changes
 * changed_ns, which programs cannot set. */
typedef struct md_file_id {
    uint64_t device, inode, size;
    int64_t modified_ns, changed_ns; /* wall clock */
} md_file_id;

/* A file in memory, read-only.  Whoever opened it releases it. */
typedef struct md_map {
    const unsigned char *data; /* not NULL, even when size is 0 */
    size_t size;
    md_file_id id; /* as it was opened */
} md_map;

/*
 * Map a regular file.  The descriptor is closed again, so the file may be
 * renamed or unlinked meanwhile; one that another process cuts short makes
 * reading behind its new end fatal, as with every mapping.
 */
md_status md_map_open(md_map *out, const char *path, md_error *err);

/* The same for an open descriptor, which stays open; path is for messages. */
md_status md_map_fd(md_map *out, int fd, const char *path, md_error *err);

/* The same for a file that only this user can have written: MD_DENIED where it
 * is another's, others may write it, or path is a symbolic link. */
md_status md_map_open_own(md_map *out, const char *path, md_error *err);

/* Have the pages of [p, p + size) of a map in memory, which takes less time
 * than touching them one by one.  Only a wish. */
void md_map_fetch(const void *p, size_t size);

/* Let the system drop the pages inside [p, p + size) of a map from memory;
 * they are read again when they are touched. */
void md_map_forget(const void *p, size_t size);

/* Unmap; a released or zeroed map is allowed. */
void md_map_release(md_map *map);

/* Append all of a file (or pipe) to out, whose limit holds. */
md_status md_file_read(md_buf *out, const char *path, md_error *err);

/* A file that appears under its name only when it is complete.  Until then it
 * has none where the system can do that (O_TMPFILE), so that a process that is
 * killed leaves nothing behind. */
typedef struct md_file_writer {
    int fd; /* of the temporary file in path's folder; -1: none */
    char *path;
    char *temp; /* its name, once it is `named` */
    bool named;
    bool own; /* nobody else may read it (mode 600); set before it is written */
    bool lazy; /* it is not flushed, so may be full of zeros when the machine
                * loses its power: for who checks what he reads */
    const md_alloc *alloc;
} md_file_writer;

/* Begin to write `path`: new, or a regular file that will be replaced. */
md_status md_file_writer_open(md_file_writer *w, const char *path,
                              const md_alloc *alloc, md_error *err);

md_status md_file_writer_append(md_file_writer *w, const void *data,
                                size_t size, md_error *err);

/* Flush to the disk (not when it is lazy) and rename.  The writer is closed in
 * any case, and after a failure no temporary file is left and the old file is
 * untouched. */
md_status md_file_writer_commit(md_file_writer *w, md_error *err);

/* Give up: remove the temporary file.  Does nothing to a closed writer. */
void md_file_writer_abort(md_file_writer *w);

/* Make a folder for this user alone (mode 700) and those above it that are
 * missing; one that is there already is fine. */
md_status md_folder_make(const char *path, md_error *err);

/* md_file_writer's functions for contents that are in memory. */
md_status md_file_write_atomic(const char *path, const void *data, size_t size,
                               md_error *err);

#endif
