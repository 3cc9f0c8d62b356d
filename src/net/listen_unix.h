/* Listening sockets with a name in the file system. */
#ifndef MD_NET_LISTEN_UNIX_H
#define MD_NET_LISTEN_UNIX_H

#include <sys/stat.h>
#include <sys/types.h>

#include "base/error.h"

#define MD_LISTEN_UNIX "unix:" /* before the path, as people write it */

/* The file that a socket is, to be removed with it. */
typedef struct md_listen_file {
    char path[108]; /* of sockaddr_un; "": none */
    dev_t dev;
    ino_t ino;
    struct timespec changed; /* numbers of inodes are used again */
} md_listen_file;

/*
 * Open a socket at `path` that those may connect to whom the permission bits
 * of `mode` let write.  Non-blocking, close-on-exec.  A socket that is there
 * and has no listener any more, as a process that was killed leaves it, is
 * replaced.  MD_EXISTS when there is anything else, MD_DENIED, MD_NOT_FOUND
 * without the folder, MD_INVALID for a path that is too long, else MD_IO.
 */
md_status md_listen_unix_open(int *fd_out, md_listen_file *file,
                              const char *path, mode_t mode, md_error *err);

/* Remove the file, unless another one has its name by now. */
void md_listen_unix_remove(md_listen_file *file);

#endif
