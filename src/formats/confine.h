/*
 * Opening files that an untrusted file names, only inside one folder.
 *
 * Four walls, as the history of such holes asks for (CVE-2024-27318 and its
 * successors): the path is checked as text, resolved by the kernel beneath
 * the folder without symbolic links, must be a regular file, and must have no
 * second name (a hard link may have been made to a file elsewhere).
 */
#ifndef MD_FORMATS_CONFINE_H
#define MD_FORMATS_CONFINE_H

#include <stdbool.h>

#include "base/error.h"

/*
 * Open `path`, relative to `folder`, for reading; the caller closes *fd.
 * MD_DENIED when it is absolute, has a "..", a link or anything but folders
 * and a regular file in it; MD_NOT_FOUND when there is none.
 */
md_status md_confined_open(int *fd, const char *folder, const char *path,
                           md_error *err);

/* The walk that stands in on kernels without openat2 (before Linux 5.6): an
 * open descriptor, or -1 and errno (ELOOP for a link). */
int md_confined__walk(int folder_fd, const char *path);

#endif
