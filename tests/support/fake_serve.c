#include "support/fake_serve.h"

#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"

/* ---- gate ---- */

void fake_gate_init(fake_gate *g)
{
    memset(g, 0, sizeof(*g));
    pthread_mutex_init(&g->lock, NULL);
    pthread_cond_init(&g->changed, NULL);
}

static void set_closed(fake_gate *g, bool closed)
{
    pthread_mutex_lock(&g->lock);
    g->closed = closed;
    pthread_cond_broadcast(&g->changed);
    pthread_mutex_unlock(&g->lock);
}

void fake_gate_close(fake_gate *g)
{
    set_closed(g, true);
}

void fake_gate_open(fake_gate *g)
{
    set_closed(g, false);
}

void fake_gate_await(fake_gate *g, int n)
{
    pthread_mutex_lock(&g->lock);
    while (g->n_inside != n)
        pthread_cond_wait(&g->changed, &g->lock);
    pthread_mutex_unlock(&g->lock);
}

static md_status pass(fake_gate *g, md_error *err)
{
    md_status s;

    pthread_mutex_lock(&g->lock);
    g->n_inside++;
    pthread_cond_broadcast(&g->changed);
    while (g->closed)
        pthread_cond_wait(&g->changed, &g->lock);
    g->n_inside--;
    s = g->status;
    pthread_mutex_unlock(&g->lock);
    return s == MD_OK ? MD_OK
                      : md_fail(err, s, "secret at /tmp/x and 0x7f00dead");
}

/* ---- model ---- */

typedef struct fake {
    const md_serve_model *model;
    fake_gate *gate;
} fake;

typedef struct fake_run {
    const fake *f;
    md_tensor t[FAKE_IOS_MAX];
} fake_run;

static md_status acquire(void *ctx, void **run_out, const md_shape *shapes,
                         md_error *err)
{
    const fake *f = ctx;
    fake_run *r = md_calloc(md_alloc_default(), 1, sizeof(*r));

    if (!r)
        return md_fail_nomem(err, sizeof(*r));
    r->f = f;
    for (uint32_t i = 0; i < f->model->n_inputs; i++) {
        r->t[i].dtype = f->model->inputs[i].dtype;
        r->t[i].shape = shapes[i];
    }
    *run_out = r;
    return MD_OK;
}

static void bind(void *run, uint32_t i, const void *data)
{
    /* only read again */
    ((fake_run *)run)->t[i].data = (void *)data;
}

static md_status execute(void *run, int width, md_error *err)
{
    const fake_run *r = run;

    (void)width;
    return r->f->gate ? pass(r->f->gate, err) : MD_OK;
}

static const md_tensor *output(const void *run, uint32_t i)
{
    return &((const fake_run *)run)->t[i];
}

static void release(void *run)
{
    md_free(md_alloc_default(), run);
}

static const md_serve_engine FAKE = { .acquire = acquire,
                                      .bind = bind,
                                      .execute = execute,
                                      .output = output,
                                      .release = release };

md_serve_model *fake_model(const char *name, const md_serve_io *inputs,
                           uint32_t n, const char *const *labels,
                           uint32_t n_labels, fake_gate *gate)
{
    md_arena ar;
    md_serve_model *m;
    md_serve_io *ios;
    fake *f;

    assert_true(n <= FAKE_IOS_MAX);
    md_arena_init(&ar, md_alloc_default(), 0);
    m = md_arena_calloc(&ar, 1, sizeof(*m));
    ios = md_arena_calloc(&ar, (size_t)2 * n, sizeof(*ios));
    f = md_arena_calloc(&ar, 1, sizeof(*f));
    for (uint32_t i = 0; i < n; i++) {
        ios[i] = inputs[i];
        ios[n + i] = inputs[i];
        ios[n + i].name =
            n == 1 ? "y" : md_arena_printf(&ar, "y%u", (unsigned)i);
    }
    *f = (fake){ m, gate };
    *m = (md_serve_model){ .name = name,
                           .version = "1",
                           .platform = "fake",
                           .inputs = ios,
                           .outputs = ios + n,
                           .n_inputs = n,
                           .n_outputs = n,
                           .labels = labels,
                           .n_labels = n_labels,
                           .engine = &FAKE,
                           .ctx = f,
                           .arena = ar };
    md_serve_image_guess(m);
    return m;
}

md_serve_model *fake_identity(void)
{
    const md_serve_io x = { .name = "x",
                            .dtype = MD_DTYPE_F32,
                            .has_rank = true,
                            .shape = { 2, { -1, 4 } } };

    return fake_model("id", &x, 1, NULL, 0, NULL);
}

/* ---- server ---- */

static void *run(void *arg)
{
    fake_server *f = arg;
    md_error err = MD_ERROR_INIT;

    return md_server_run(f->server, &err) == MD_OK ? f : NULL;
}

static void start(fake_server *f, const md_server_opts *opts,
                  const md_alloc *alloc, md_serve_model *first, va_list rest)
{
    md_server_opts o = MD_SERVER_OPTS_INIT;
    md_error err = MD_ERROR_INIT;

    o.n_workers = 2;
    if (opts)
        o = *opts;
    assert_md_ok(md_log_set_levels("error", &err), &err);
    o.http.listen = "127.0.0.1:0";
    assert_md_ok(md_server_new(&f->server, &o, alloc, &err), &err);
    for (md_serve_model *m = first; m; m = va_arg(rest, md_serve_model *))
        assert_md_ok(md_server_add_model(f->server, m, &err), &err);
    f->address = md_server_address(f->server);
    assert_int_equal(pthread_create(&f->thread, NULL, run, f), 0);
}

void fake_server_start(fake_server *f, const md_server_opts *opts,
                       md_serve_model *first, ...)
{
    va_list ap;

    va_start(ap, first);
    start(f, opts, md_alloc_default(), first, ap);
    va_end(ap);
}

void fake_server_start_alloc(fake_server *f, const md_server_opts *opts,
                             const md_alloc *alloc, md_serve_model *first, ...)
{
    va_list ap;

    va_start(ap, first);
    start(f, opts, alloc, first, ap);
    va_end(ap);
}

void fake_server_join(fake_server *f)
{
    void *ok = NULL;

    pthread_join(f->thread, &ok);
    assert_non_null(ok);
    md_server_free(f->server);
}

void fake_server_stop(fake_server *f)
{
    md_server_stop(f->server);
    fake_server_join(f);
}

/* ---- calls ---- */

void fake_call(const fake_server *f, const char *method, const char *path,
               const char *body, int status, http_reply *r)
{
    http_call(f->address, method, path, body ? "application/json" : NULL, body,
              body ? strlen(body) : 0, r);
    if (r->status != status)
        fail_msg("%s %s: %d, expected %d: %s", method, path, r->status, status,
                 r->body);
    if (strcmp(method, "HEAD") != 0 && status != 200)
        assert_int_equal(strncmp(r->body, "{\"error\":\"", 10), 0);
}

void fake_expect(const fake_server *f, const char *method, const char *path,
                 const char *body, int status, const char *want)
{
    http_reply r;

    fake_call(f, method, path, body, status, &r);
    assert_string_equal(r.body, want);
    http_reply_release(&r);
}

void fake_expect_part(const fake_server *f, const char *method,
                      const char *path, const char *body, int status,
                      const char *part)
{
    http_reply r;

    fake_call(f, method, path, body, status, &r);
    if (!strstr(r.body, part))
        fail_msg("%s %s: '%s' lacks '%s'", method, path, r.body, part);
    http_reply_release(&r);
}
