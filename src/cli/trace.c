#include "cli/trace.h"

#include <stdatomic.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/file.h"
#include "cli/print.h"

enum {
    N_RUNS = 5,
    N_SLICES = 1 << 18,
    FILE_MAX = 1 << 28, /* some hundred bytes for a slice */
    NOT_A_CHUNK = -1
};

typedef struct slice {
    int64_t start_ns, end_ns;
    int64_t chunk; /* NOT_A_CHUNK: the run or the step itself */
    uint32_t step; /* n_steps: the whole run */
    int thread;
} slice;

typedef struct trace {
    md_run *run;
    slice *slices;     /* room for N_SLICES */
    _Atomic int64_t n; /* also of those that there is no room for */
    uint32_t step;     /* the one that runs; its chunks are given out later */
    int64_t start_ns;  /* of it */
} trace;

static void add(trace *t, slice s)
{
    int64_t i = atomic_fetch_add_explicit(&t->n, 1, memory_order_relaxed);

    if (i < N_SLICES)
        t->slices[i] = s;
}

static void begin(void *ctx, uint32_t step)
{
    trace *t = ctx;

    t->step = step;
    t->start_ns = md_clock_ns();
}

static void end(void *ctx, uint32_t step)
{
    trace *t = ctx;

    add(t, (slice){ t->start_ns, md_clock_ns(), NOT_A_CHUNK, step, 0 });
}

static void chunk(void *ctx, int thread, int64_t index, int64_t start_ns,
                  int64_t end_ns)
{
    trace *t = ctx;

    add(t, (slice){ start_ns, end_ns, index, t->step, thread });
}

static md_status record(trace *t, md_pool *pool, md_error *err)
{
    const md_run_watch steps = { begin, end, t };
    const md_pool_watch chunks = { chunk, t };
    md_status s = MD_OK;

    md_run_set_watch(t->run, &steps);
    md_pool_set_watch(pool, &chunks);
    for (int i = 0; i < N_RUNS && s == MD_OK; i++) {
        int64_t start = md_clock_ns();

        s = md_run_execute(t->run, 0, err);
        add(t, (slice){ start, md_clock_ns(), NOT_A_CHUNK,
                        md_run_n_steps(t->run), 0 });
    }
    md_pool_set_watch(pool, NULL);
    md_run_set_watch(t->run, NULL);
    return s;
}

static void put_us(md_json_writer *w, const char *name, int64_t ns)
{
    md_cli_json_real(w, name, (double)ns / 1e3);
}

static void put_args(md_json_writer *w, const slice *s,
                     const md_step_facts *facts)
{
    md_json_put_name(w, "args");
    md_json_put_object(w);
    md_cli_json_str(w, "kernel", facts->kernel);
    if (s->chunk != NOT_A_CHUNK) {
        md_cli_json_int(w, "chunk", s->chunk);
    } else {
        md_cli_json_int(w, "macs", facts->macs);
        md_cli_json_int(w, "bytes", facts->bytes);
    }
    md_json_put_end(w);
}

static void put_slice(md_json_writer *w, const trace *t, const slice *s,
                      int64_t zero_ns)
{
    const bool is_run = s->step == md_run_n_steps(t->run);
    md_step_facts facts = { .node = "run", .op = "run" };

    if (!is_run)
        facts = md_run_step_facts(t->run, s->step);
    md_json_put_object(w);
    md_cli_json_str(w, "ph", "X");
    md_cli_json_int(w, "pid", 1);
    md_cli_json_int(w, "tid", s->thread);
    put_us(w, "ts", s->start_ns - zero_ns);
    put_us(w, "dur", s->end_ns - s->start_ns);
    md_cli_json_str(w, "name", facts.node[0] ? facts.node : facts.op);
    md_cli_json_str(w, "cat", s->chunk == NOT_A_CHUNK ? facts.op : "chunk");
    if (!is_run)
        put_args(w, s, &facts);
    md_json_put_end(w);
}

/* The name of a track; 0 is who executes. */
static void put_thread(md_json_writer *w, int thread)
{
    char name[32];

    snprintf(name, sizeof(name), thread ? "worker %d" : "caller", thread);
    md_json_put_object(w);
    md_cli_json_str(w, "ph", "M");
    md_cli_json_int(w, "pid", 1);
    md_cli_json_int(w, "tid", thread);
    md_cli_json_str(w, "name", "thread_name");
    md_json_put_name(w, "args");
    md_json_put_object(w);
    md_cli_json_str(w, "name", name);
    md_json_put_end(w);
    md_json_put_end(w);
}

static md_status put_all(md_buf *b, const trace *t, int64_t n, int n_threads,
                         md_error *err)
{
    int64_t zero_ns = INT64_MAX;
    md_json_writer w;

    for (int64_t i = 0; i < n; i++) {
        if (t->slices[i].start_ns < zero_ns)
            zero_ns = t->slices[i].start_ns;
    }
    md_json_writer_init(&w, b);
    md_json_put_object(&w);
    md_cli_json_str(&w, "displayTimeUnit", "ns");
    md_json_put_name(&w, "traceEvents");
    md_json_put_array(&w);
    for (int i = 0; i < n_threads; i++)
        put_thread(&w, i);
    for (int64_t i = 0; i < n; i++)
        put_slice(&w, t, &t->slices[i], zero_ns);
    md_json_put_end(&w);
    md_json_put_end(&w);
    return md_json_finish(&w, err);
}

md_status md_trace_write(const char *path, md_run *r, md_pool *pool,
                         int64_t *n_left_out, md_error *err)
{
    const md_alloc *alloc = md_alloc_default();
    trace t = { .run = r };
    md_buf b;
    int64_t n;
    md_status s;

    t.slices = md_calloc(alloc, N_SLICES, sizeof(*t.slices));
    if (!t.slices)
        return md_fail_nomem(err, N_SLICES * sizeof(*t.slices));
    md_buf_init(&b, alloc, FILE_MAX);
    s = record(&t, pool, err);
    n = atomic_load(&t.n);
    *n_left_out = n > N_SLICES ? n - N_SLICES : 0;
    if (s == MD_OK)
        s = put_all(&b, &t, n > N_SLICES ? N_SLICES : n, md_pool_width(pool),
                    err);
    if (s == MD_OK)
        s = md_file_write_atomic(path, b.data, b.size, err);
    md_buf_release(&b);
    md_free(alloc, t.slices);
    return s;
}
