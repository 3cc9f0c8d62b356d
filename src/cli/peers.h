/*
 * Other engines in a Python of the user's: a child process that runs peers.py,
 * told over a pair of sockets to run one of them for a while.
 */
#ifndef MD_CLI_PEERS_H
#define MD_CLI_PEERS_H

#include <stdio.h>
#include <sys/types.h>

#include "engine/session.h"

enum {
    MD_PEERS_MAX = 8,
    MD_PEER_NAME = 32
};

typedef struct md_peer {
    char name[MD_PEER_NAME], version[MD_PEER_NAME];
} md_peer;

/* Plain data, zeroed when nothing is open; pid and below are private. */
typedef struct md_peers {
    md_peer peer[MD_PEERS_MAX];
    int n;
    pid_t pid;
    int fd;       /* our end, to write to */
    FILE *answer; /* the same, to read from */
    const char *python;
} md_peers;

/* Names of a list, "onnxruntime,openvino": n and their names are set.
 * MD_INVALID names the one that is unknown or there twice, and the known
 * ones. */
md_status md_peers_parse(md_peers *out, const char *list, md_error *err);

typedef struct md_peers_job {
    const char *python; /* found by PATH */
    const char *model;  /* path of an ONNX file */
    const char *precision;
    int threads;
    md_session *session;
    md_run *run; /* whose inputs are theirs */
} md_peers_job;

/* Start them on the job, after md_peers_parse.  MD_UNAVAILABLE when that
 * Python, a module or an engine cannot do it, with its words; p has nothing
 * open then. */
md_status md_peers_open(md_peers *p, const md_peers_job *job, md_error *err);

/* Let peer i run for `seconds`, and at least three times. */
md_status md_peers_run(md_peers *p, int i, double seconds, int64_t *min_ns,
                       int64_t *p50_ns, md_error *err);

/* End the child; one that is zeroed is allowed. */
void md_peers_close(md_peers *p);

#endif
