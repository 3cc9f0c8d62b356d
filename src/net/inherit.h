/*
 * Sockets that the service manager opened (socket activation), as
 * sd_listen_fds(3) has them: descriptors from 3 on, counted by LISTEN_FDS,
 * named by LISTEN_FDNAMES, meant for the process LISTEN_PID.
 */
#ifndef MD_NET_INHERIT_H
#define MD_NET_INHERIT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

enum {
    MD_INHERITED_MAX = 16
};

typedef struct md_inherited {
    int fds[MD_INHERITED_MAX];   /* non-blocking, close-on-exec */
    bool grpc[MD_INHERITED_MAX]; /* its name is "grpc" */
    uint32_t n; /* 0: there are none, or they are not for this process */
} md_inherited;

/* Take them, and the variables from the environment, so that no child does.
 * MD_INVALID, naming what is wrong, for one that is no listening stream socket
 * and for more than MD_INHERITED_MAX. */
md_status md_inherited_take(md_inherited *out, md_error *err);

#endif
