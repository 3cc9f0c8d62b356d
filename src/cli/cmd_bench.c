#include "base/clock.h"
#include "base/process.h"
#include "cli/compare.h"
#include "cli/model.h"
#include "cli/nodes.h"
#include "cli/progress.h"
#include "cli/times.h"
#include "cli/trace.h"

enum {
    N_RUNS_MAX = 1 << 20,
    N_RUNS_MIN = 20, /* even when they take longer than --seconds */
    N_WARM = 3,
    SECONDS = 3 /* as the help of --seconds says */
};

typedef struct result {
    int64_t *ns; /* of each run, sorted */
    int64_t n;
    int64_t load_ns;
    int64_t plan_ns; /* of a plan for new sizes; 0: there are none */
    uint64_t rss;
    int64_t macs;
    size_t memory;
    bool mapped; /* packed weights, from a file */
    int threads;
    int64_t batch;
    md_roof roof;
    md_node_times nodes; /* of --nodes */
    md_compare compare;  /* of --compare */
    int64_t n_left_out;  /* slices that --trace had no room for */
} result;

static md_status run_often(result *out, md_run *r, const md_args *a,
                           double seconds, md_error *err)
{
    const int64_t until_ns = (int64_t)(seconds * 1e9);
    int64_t start, now;
    md_progress p;

    for (int i = 0; i < N_WARM; i++)
        MD_TRY(md_run_execute(r, 0, err));
    out->rss = md_process_rss(); /* without the list of times */
    md_progress_begin(&p, a->cli->err, "running");
    start = now = md_clock_ns();
    while (out->n < N_RUNS_MAX &&
           (out->n < N_RUNS_MIN || now - start < until_ns)) {
        int64_t before = now;

        MD_TRY(md_run_execute(r, 0, err));
        now = md_clock_ns();
        out->ns[out->n++] = now - before;
        md_progress_step(&p, out->n, 0);
    }
    md_progress_end(&p);
    md_times_sort(out->ns, out->n);
    return MD_OK;
}

static double ms(const result *r, double share)
{
    return (double)md_times_quantile(r->ns, r->n, share) / 1e6;
}

/* Multiply-adds count twice, as everywhere. */
static double gflops(const result *r)
{
    return 2e-6 * (double)r->macs / ms(r, 0.5);
}

static double share_of_peak(const result *r)
{
    return gflops(r) * 1e9 / (2 * r->roof.macs);
}

static md_status put_json(const result *r, const md_args *a, md_error *err)
{
    const struct {
        const char *name;
        double value;
    } rows[] = {
        { "min_ms", ms(r, 0) },
        { "p50_ms", ms(r, 0.5) },
        { "p90_ms", ms(r, 0.9) },
        { "p99_ms", ms(r, 0.99) },
        { "load_ms", (double)r->load_ns / 1e6 },
        { "plan_us", (double)r->plan_ns / 1e3 },
        { "rss_mb", (double)r->rss / 1e6 },
        { "gflops", gflops(r) },
        { "peak_gflops", 2e-9 * r->roof.macs },
        { "peak_share", share_of_peak(r) },
    };
    md_json_writer w;
    md_buf b;

    md_cli_json_begin(&w, &b);
    md_cli_json_str(&w, "model", a->pos[0]);
    md_cli_json_str(&w, "precision", md_args_option_text(a, "precision"));
    md_cli_json_int(&w, "threads", r->threads);
    md_cli_json_int(&w, "batch", r->batch);
    md_cli_json_int(&w, "runs", r->n);
    for (size_t i = 0; i < MD_COUNT(rows); i++)
        md_cli_json_measured(&w, rows[i].name, rows[i].value);
    md_cli_json_int(&w, "macs", r->macs);
    md_json_put_name(&w, "memory_bytes");
    md_json_put_u64(&w, r->memory);
    md_json_put_name(&w, "packed_mapped");
    md_json_put_bool(&w, r->mapped);
    if (md_args_has(a, "nodes"))
        md_node_times_json(&r->nodes, &w);
    if (md_args_has(a, "compare"))
        md_compare_json(&r->compare, &w);
    return md_cli_json_end(&w, &b, a->cli->out, err);
}

static void put_text(const result *r, const md_args *a)
{
    FILE *f = a->cli->out;
    char rss[32], memory[32], macs[32];

    md_cli_format_size(rss, sizeof(rss), (double)r->rss);
    md_cli_format_size(memory, sizeof(memory), (double)r->memory);
    md_cli_format_count(macs, sizeof(macs), (double)r->macs);
    fprintf(f,
            "latency   min %.3f  p50 %.3f  p90 %.3f  p99 %.3f ms, %lld runs, "
            "%d threads, batch %lld\n"
            "load      %.1f ms%s\n"
            "plan      %.1f us for new sizes\n"
            "memory    %s resident, %s for activations\n"
            "work      %s MACs, %.1f GFLOP/s, %.0f %% of the fp32 peak of "
            "%.0f\n",
            ms(r, 0), ms(r, 0.5), ms(r, 0.9), ms(r, 0.99), (long long)r->n,
            r->threads, (long long)r->batch, (double)r->load_ns / 1e6,
            r->mapped ? ", packed weights from a file" : "",
            (double)r->plan_ns / 1e3, rss, memory, macs, gflops(r),
            100 * share_of_peak(r), 2e-9 * r->roof.macs);
    if (r->n_left_out)
        fprintf(f, "trace     %lld slices left out: no room for more\n",
                (long long)r->n_left_out);
    if (md_args_has(a, "nodes"))
        md_node_times_print(&r->nodes, f);
    if (md_args_has(a, "compare"))
        md_compare_print(&r->compare, f);
}

/* The least time for a plan when free sizes change.  Sizes that the model does
 * not take end it. */
static void measure_plan(result *out, md_session *s, const md_shape *first,
                         md_shape *shapes)
{
    enum {
        N_PLANS = 64
    };
    uint32_t n = md_session_n_inputs(s);
    bool any = false;

    for (int k = 1; k <= N_PLANS; k++) {
        int64_t start;
        md_run *r;

        for (uint32_t i = 0; i < n; i++) {
            const md_type *t = &md_session_input(s, i)->type;

            shapes[i] = first[i];
            for (int d = 0; d < t->rank; d++) {
                shapes[i].dim[d] += md_dim_is_const(t->dim[d]) ? 0 : k;
                any |= !md_dim_is_const(t->dim[d]);
            }
        }
        start = md_clock_ns();
        if (!any || md_run_acquire(&r, s, shapes, NULL) != MD_OK)
            return;
        start = md_clock_ns() - start;
        if (out->plan_ns == 0 || start < out->plan_ns)
            out->plan_ns = start;
        md_run_release(r);
    }
}

static md_status compare(result *out, md_run *r, const md_cli_session *s,
                         const md_args *a, md_error *err)
{
    const md_peers_job job = {
        .python = md_args_text(a, "python", "python3"),
        .model = a->pos[0],
        .precision = md_args_option_text(a, "precision"),
        .threads = s->width,
        .session = s->session,
        .run = r,
    };
    const char *list = md_args_text(a, "compare", NULL);

    if (!list)
        return MD_OK;
    return md_compare_measure(&out->compare, list, &job,
                              md_args_real(a, "seconds", SECONDS), err);
}

/* What was asked for beyond the whole. */
static md_status look_inside(result *out, md_run *r, const md_cli_session *s,
                             const md_args *a, md_error *err)
{
    const char *trace = md_args_text(a, "trace", NULL);

    if (md_args_has(a, "nodes")) {
        MD_TRY(md_roof_measure_bytes(&out->roof, s->pool, err));
        MD_TRY(md_node_times_measure(&out->nodes, r, &out->roof,
                                     md_args_real(a, "seconds", SECONDS),
                                     a->arena, err));
    }
    if (trace)
        MD_TRY(md_trace_write(trace, r, s->pool, &out->n_left_out, err));
    return compare(out, r, s, a, err);
}

static md_status measure_run(result *out, md_run *r, const md_cli_session *s,
                             const md_args *a, md_error *err)
{
    MD_TRY(run_often(out, r, a, md_args_real(a, "seconds", SECONDS), err));
    out->macs = md_run_macs(r);
    out->memory = md_run_memory(r);
    out->load_ns = s->load_ns;
    out->threads = s->width;
    md_roof_measure_macs(&out->roof, s->pool);
    return look_inside(out, r, s, a, err);
}

static md_status measure(result *out, md_cli_session *s, const md_args *a,
                         md_error *err)
{
    uint32_t n = md_session_n_inputs(s->session);
    md_shape *shapes = md_arena_calloc(a->arena, 2 * n + 1u, sizeof(*shapes));
    md_status st;
    md_run *r;

    if (!shapes)
        return md_fail_nomem(err, n * sizeof(*shapes));
    MD_TRY(md_session_check_tensors(s->session, err));
    MD_TRY(md_cli_shapes(shapes, s, out->batch, a, err));
    MD_TRY(md_run_acquire(&r, s->session, shapes, err));
    for (uint32_t i = 0; i < n; i++)
        md_session_sample(s->session, i, 1, md_run_input(r, i));
    st = measure_run(out, r, s, a, err);
    md_run_release(r);
    if (st == MD_OK)
        measure_plan(out, s->session, shapes, shapes + n);
    return st;
}

static md_status bench(result *r, const md_args *a, md_error *err)
{
    md_cli_session s;
    md_status st;

    MD_TRY(md_cli_session_open(&s, a->pos[0], a, err));
    r->mapped = md_session_packed(s.session).file != NULL;
    st = measure(r, &s, a, err);
    if (st == MD_OK && md_args_has(a, "json"))
        st = put_json(r, a, err);
    else if (st == MD_OK)
        put_text(r, a);
    md_cli_session_close(&s); /* names of nodes were the session's */
    return st;
}

static md_status run(const md_args *a, md_error *err)
{
    size_t size = N_RUNS_MAX * sizeof(int64_t);
    result r = { .batch = md_args_int(a, "batch", 1) };
    md_status s;

    r.ns = md_malloc(md_alloc_default(), size);
    if (!r.ns)
        return md_fail_nomem(err, size);
    s = bench(&r, a, err);
    md_free(md_alloc_default(), r.ns);
    return s;
}

static const md_flag flags[] = {
    MD_FLAG_THREADS,
    { .name = "batch",
      .letter = 'b',
      .type = MD_OPT_INT,
      .arg = "N",
      .min = 1,
      .max = 65536,
      .help = "first dim of the inputs (1)" },
    MD_FLAG_SHAPE,
    MD_FLAG_PRECISION,
    MD_FLAG_WEIGHT_CACHE,
    MD_FLAGS_SOURCE,
    { .name = "seconds",
      .letter = 's',
      .type = MD_OPT_REAL,
      .arg = "S",
      .min = 0,
      .max = 3600,
      .help = "how long (3); at least 20 runs" },
    { .name = "nodes",
      .type = MD_OPT_BOOL,
      .help = "time each node too, for as long again" },
    { .name = "trace",
      .type = MD_OPT_TEXT,
      .arg = "FILE",
      .help = "write five runs for Perfetto or Chrome's trace viewer" },
    { .name = "compare",
      .type = MD_OPT_TEXT,
      .arg = "PEERS",
      .help = "run onnxruntime,openvino or one of them in turn with modeld" },
    { .name = "python",
      .type = MD_OPT_TEXT,
      .arg = "PROGRAM",
      .help = "the Python that has them (python3)" },
    MD_FLAG_JSON,
};

static md_status check(const md_args *a, md_error *err)
{
    const char *list = md_args_text(a, "compare", NULL);
    md_peers p;

    MD_TRY(md_cli_check_shapes(a, err));
    return list ? md_peers_parse(&p, list, err) : MD_OK;
}

const md_cmd md_cmd_bench = {
    .usage = "MODEL [--threads N] [--batch N] [--shape NAME=D,D,...]... "
             "[--precision P] [--seconds S] [--nodes] [--trace FILE] "
             "[--compare PEERS] [--python PROGRAM] [--json]",
    .text =
        "Measures latency, load time and memory with made-up inputs.  The "
        "share of the peak\nis that of fp32 multiply-adds on as many "
        "threads, measured, too: bf16 and int8 may\nexceed it.\n\n"
        "With --nodes a table tells for each node, slowest first, its time "
        "and share of the\ntime of all, the bytes of its operands and "
        "results, and how near it is to the roof:\nthe time that its "
        "multiply-adds would take at the peak, or moving its bytes, if "
        "that\nis longer, at the speed measured for a block of that size. "
        " Kernels that need fewer\nmultiply-adds (Winograd, int8, bf16) "
        "may exceed it.  With --trace the file has a track\nper thread "
        "with a slice for each node and each chunk of it.\n\n"
        "With --compare the engines named run the same file on the same "
        "inputs and as many\nthreads, in twelve rounds in turn with modeld; "
        "a ratio is their time over modeld's,\nwith the 95 % interval that "
        "the rounds give. OpenVINO computes in fp32, or in bf16\nwhere "
        "modeld may.",
    .example = "modeld bench net.onnx --threads 1 --seconds 5",
    .flags = flags,
    .n_flags = MD_COUNT(flags),
    .n_min = 1,
    .n_max = 1,
    .check = check,
    .run = run,
};
