#include "cli/nodes.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "cli/times.h"

enum {
    N_RUNS_MIN = 20,
    N_RUNS_MAX = 2048,
    N_SAMPLES_MAX = 1 << 23, /* of all steps together */
    NAME_SIZE = 33
};

/* Times of steps as they come, by run, then by step. */
typedef struct record {
    int64_t *ns;
    int64_t start_ns;
} record;

static void begin(void *ctx, uint32_t step)
{
    record *rec = ctx;

    (void)step;
    rec->start_ns = md_clock_ns();
}

static void end(void *ctx, uint32_t step)
{
    record *rec = ctx;

    rec->ns[step] = md_clock_ns() - rec->start_ns;
}

/* What a measurement of nothing says. */
static int64_t clock_cost(void)
{
    int64_t least = INT64_MAX;

    for (int i = 0; i < 1000; i++) {
        int64_t start = md_clock_ns(), ns = md_clock_ns() - start;

        least = ns < least ? ns : least;
    }
    return least;
}

static md_status run_often(int64_t *ns, md_node_times *out, md_run *r,
                           int64_t n_max, double seconds, md_error *err)
{
    record rec;
    const md_run_watch watch = { begin, end, &rec };
    int64_t until = md_clock_ns() + (int64_t)(seconds * 1e9);
    md_status s = MD_OK;

    rec.ns = ns;
    md_run_set_watch(r, &watch);
    while (s == MD_OK && out->n_runs < n_max &&
           (out->n_runs < N_RUNS_MIN || md_clock_ns() < until)) {
        s = md_run_execute(r, 0, err);
        rec.ns += out->n;
        out->n_runs++;
    }
    md_run_set_watch(r, NULL);
    return s;
}

static double cut(int64_t ns, int64_t cost)
{
    return ns > cost ? (double)(ns - cost) : 0;
}

/* Columns of `all` into rows: `sorted` has room for one. */
static void sum_up(md_node_times *out, const int64_t *all, int64_t *sorted,
                   const md_run *r, const md_roof *roof)
{
    const int64_t cost = clock_cost(), n_runs = out->n_runs;

    for (uint32_t i = 0; i < out->n; i++) {
        md_node_time *t = &out->node[i];

        for (int64_t k = 0; k < n_runs; k++)
            sorted[k] = all[(size_t)k * out->n + i];
        md_times_sort(sorted, n_runs);
        t->facts = md_run_step_facts(r, i);
        t->min_ns = cut(sorted[0], cost);
        t->p50_ns = cut(md_times_quantile(sorted, n_runs, 0.5), cost);
        out->sum_ns += t->p50_ns;
    }
    for (uint32_t i = 0; i < out->n; i++) {
        md_node_time *t = &out->node[i];

        if (t->p50_ns == 0)
            continue;
        t->share = t->p50_ns / out->sum_ns;
        t->roof = md_roof_ns(roof, t->facts.macs, t->facts.bytes) / t->p50_ns;
    }
}

md_status md_node_times_measure(md_node_times *out, md_run *r,
                                const md_roof *roof, double seconds,
                                md_arena *arena, md_error *err)
{
    const md_alloc *alloc = md_alloc_default();
    const uint32_t n = md_run_n_steps(r);
    int64_t n_max = n ? N_SAMPLES_MAX / n : N_RUNS_MAX;
    int64_t *ns;
    md_status s;

    n_max = n_max > N_RUNS_MAX ? N_RUNS_MAX : n_max;
    n_max = n_max < N_RUNS_MIN ? N_RUNS_MIN : n_max;
    *out = (md_node_times){ .n = n };
    out->node = md_arena_calloc(arena, n + 1u, sizeof(*out->node));
    /* One row more, to sort in. */
    ns = md_calloc(alloc, (size_t)n_max * (n + 1u), sizeof(*ns));
    if (!out->node || !ns) {
        md_free(alloc, ns);
        return md_fail_nomem(err, (size_t)n_max * (n + 1u) * sizeof(*ns));
    }
    s = run_often(ns, out, r, n_max, seconds, err);
    if (s == MD_OK)
        sum_up(out, ns, ns + (size_t)n_max * n, r, roof);
    md_free(alloc, ns);
    return s;
}

/* ---- printing ---- */

static int slower(const void *a, const void *b)
{
    const md_node_time *const *x = a, *const *y = b;

    if ((*x)->p50_ns != (*y)->p50_ns)
        return (*x)->p50_ns < (*y)->p50_ns ? 1 : -1;
    return (*x > *y) - (*x < *y); /* else as they run */
}

static double gflops(const md_node_time *t)
{
    return t->p50_ns > 0 ? 2 * (double)t->facts.macs / t->p50_ns : 0;
}

static void print_row(const md_node_time *t, FILE *f)
{
    char name[NAME_SIZE], size[32];

    /* The end of a long name tells more than its beginning. */
    snprintf(name, sizeof(name), "%s",
             t->facts.node + (strlen(t->facts.node) < NAME_SIZE
                                  ? 0
                                  : strlen(t->facts.node) - NAME_SIZE + 1));
    md_text_plain(name, strlen(name));
    md_cli_format_size(size, sizeof(size), (double)t->facts.bytes);
    fprintf(f, "%10.2f %10.2f %6.1f %8.1f %9s %6.0f  %-32s %-20s %s\n",
            t->min_ns / 1e3, t->p50_ns / 1e3, 100 * t->share, gflops(t), size,
            100 * t->roof, name, t->facts.op, t->facts.kernel);
}

void md_node_times_print(const md_node_times *t, FILE *f)
{
    const md_alloc *alloc = md_alloc_default();
    const md_node_time **order = md_calloc(alloc, t->n + 1u, sizeof(*order));

    fprintf(f, "\n%10s %10s %6s %8s %9s %6s  %-32s %-20s %s\n", "min us",
            "p50 us", "%", "GFLOP/s", "bytes", "roof %", "node", "operator",
            "kernel");
    for (uint32_t i = 0; order && i < t->n; i++)
        order[i] = &t->node[i];
    if (order)
        qsort(order, t->n, sizeof(*order), slower);
    for (uint32_t i = 0; i < t->n; i++) /* out of memory: as they run */
        print_row(order ? order[i] : &t->node[i], f);
    md_free(alloc, order);
}

void md_node_times_json(const md_node_times *t, md_json_writer *w)
{
    md_cli_json_int(w, "node_runs", t->n_runs);
    md_cli_json_measured(w, "nodes_us", t->sum_ns / 1e3);
    md_json_put_name(w, "nodes");
    md_json_put_array(w);
    for (uint32_t i = 0; i < t->n; i++) {
        const md_node_time *x = &t->node[i];

        md_json_put_object(w);
        md_cli_json_str(w, "node", x->facts.node);
        md_cli_json_str(w, "op", x->facts.op);
        md_cli_json_str(w, "kernel", x->facts.kernel);
        md_cli_json_measured(w, "min_us", x->min_ns / 1e3);
        md_cli_json_measured(w, "p50_us", x->p50_ns / 1e3);
        md_cli_json_measured(w, "share", x->share);
        md_cli_json_int(w, "macs", x->facts.macs);
        md_cli_json_measured(w, "gflops", gflops(x));
        md_cli_json_int(w, "bytes", x->facts.bytes);
        md_cli_json_measured(w, "roof_share", x->roof);
        md_json_put_end(w);
    }
    md_json_put_end(w);
}
