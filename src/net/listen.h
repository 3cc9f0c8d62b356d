/* Listening sockets from addresses as people write them. */
#ifndef MD_NET_LISTEN_H
#define MD_NET_LISTEN_H

#include <stdbool.h>
#include <sys/socket.h>

#include "base/error.h"

enum {
    MD_ADDRESS_SIZE = 116 /* "unix:" and a path; "[v6 address]:port" */
};

/*
 * Open a TCP socket on "HOST:PORT", "[::1]:PORT" or ":PORT" (every IPv4
 * address); port 0 lets the system choose.  Non-blocking, close-on-exec.
 * reuse_port: several sockets may share the port, each for its own loop.
 * MD_INVALID for the text, MD_EXISTS when the port is taken, MD_DENIED when it
 * needs privileges, else MD_IO; the message says what to do.
 */
md_status md_listen_open(int *fd_out, const char *address, bool reuse_port,
                         md_error *err);

/* "127.0.0.1:8080", "[::1]:8080", "unix:/run/modeld.sock", for a client of the
 * last "unix:"; "?" for anything else. */
void md_address_format(char out[MD_ADDRESS_SIZE], const struct sockaddr *sa,
                       socklen_t size);

/* Where fd listens, formatted. */
md_status md_listen_address(char out[MD_ADDRESS_SIZE], int fd, md_error *err);

#endif
