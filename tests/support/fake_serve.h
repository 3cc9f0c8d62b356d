/*
 * A server on a thread of its own, with models that need no engine: each
 * gives its inputs back as its outputs.
 */
#ifndef MD_TESTS_SUPPORT_FAKE_SERVE_H
#define MD_TESTS_SUPPORT_FAKE_SERVE_H

#include <pthread.h>

#include "serve/server.h"
#include "support/http_client.h"

enum {
    FAKE_IOS_MAX = 16
};

/* Stops every run of a model until it is let go; may make it fail. */
typedef struct fake_gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool closed;
    int n_inside;
    md_status status; /* of every run */
} fake_gate;

void fake_gate_init(fake_gate *g);
void fake_gate_close(fake_gate *g);
void fake_gate_open(fake_gate *g);

/* Wait until n runs stand at the gate. */
void fake_gate_await(fake_gate *g, int n);

/* Outputs are called "y0", "y1", ... (or "y", when there is one); labels and
 * gate may be NULL. */
md_serve_model *fake_model(const char *name, const md_serve_io *inputs,
                           uint32_t n, const char *const *labels,
                           uint32_t n_labels, fake_gate *gate);

/* The usual one: "id", input "x" FP32 [-1,4]. */
md_serve_model *fake_identity(void);

typedef struct fake_server {
    md_server *server;
    pthread_t thread;
    const char *address;
} fake_server;

/* Two workers unless opts (may be NULL) says otherwise; port 0 always.  The
 * models end with a NULL. */
void fake_server_start(fake_server *f, const md_server_opts *opts,
                       md_serve_model *first, ...);

/* The same with an allocator of the test's own. */
void fake_server_start_alloc(fake_server *f, const md_server_opts *opts,
                             const md_alloc *alloc, md_serve_model *first, ...);
void fake_server_stop(fake_server *f);
/* Stop was asked for already: wait for the end. */
void fake_server_join(fake_server *f);

/* A call that must be answered with `status` and a JSON object; the reply is
 * the caller's to release. */
void fake_call(const fake_server *f, const char *method, const char *path,
               const char *body, int status, http_reply *r);

/* The same, with the body that must come back. */
void fake_expect(const fake_server *f, const char *method, const char *path,
                 const char *body, int status, const char *want);

/* The same, with a text that must be in it. */
void fake_expect_part(const fake_server *f, const char *method,
                      const char *path, const char *body, int status,
                      const char *part);

#endif
