#include "cli/compare.h"

#include <math.h>

#include "base/clock.h"
#include "cli/times.h"

enum {
    RUNS_MIN = 3, /* in a round, as peers.py */
    RUNS_MAX = 1 << 16
};

/* Student's t for a 95 % interval, two-sided, of 11 degrees of freedom. */
static const double t_95 = 2.201;
_Static_assert(MD_COMPARE_ROUNDS == 12, "t_95 is that of 12 rounds");

/* All rounds of one engine. */
typedef struct rounds {
    int64_t min_ns[MD_COMPARE_ROUNDS], p50_ns[MD_COMPARE_ROUNDS];
} rounds;

static md_status run_own(rounds *out, int round, md_run *r, double seconds,
                         int64_t *ns, md_error *err)
{
    int64_t n = 0, now, until;

    MD_TRY(md_run_execute(r, 0, err));
    now = md_clock_ns();
    until = now + (int64_t)(seconds * 1e9);
    while (n < RUNS_MAX && (n < RUNS_MIN || now < until)) {
        int64_t before = now;

        MD_TRY(md_run_execute(r, 0, err));
        now = md_clock_ns();
        ns[n++] = now - before;
    }
    md_times_sort(ns, n);
    out->min_ns[round] = ns[0];
    out->p50_ns[round] = md_times_quantile(ns, n, 0.5);
    return MD_OK;
}

static int64_t least(const int64_t ns[MD_COMPARE_ROUNDS])
{
    int64_t x = ns[0];

    for (int i = 1; i < MD_COMPARE_ROUNDS; i++)
        x = ns[i] < x ? ns[i] : x;
    return x;
}

static void sum_up(md_compare_row *row, const rounds *own, const rounds *its)
{
    const double n = MD_COMPARE_ROUNDS;
    double sum = 0, squares = 0, mean, half;

    for (int i = 0; i < MD_COMPARE_ROUNDS; i++)
        sum += log((double)its->p50_ns[i] / (double)own->p50_ns[i]);
    mean = sum / n;
    for (int i = 0; i < MD_COMPARE_ROUNDS; i++) {
        double d = log((double)its->p50_ns[i] / (double)own->p50_ns[i]) - mean;

        squares += d * d;
    }
    half = t_95 * sqrt(squares / (n - 1) / n);
    row->ratio = exp(mean);
    row->low = exp(mean - half);
    row->high = exp(mean + half);
    row->min_ns = least(its->min_ns);
    row->p50_ns = least(its->p50_ns);
    row->own_min_ns = least(own->min_ns);
    row->own_p50_ns = least(own->p50_ns);
    row->ratio_min = (double)row->min_ns / (double)row->own_min_ns;
}

static md_status run_rounds(md_compare *out, md_peers *p, md_run *r,
                            double seconds, int64_t *ns, md_error *err)
{
    rounds own, its[MD_PEERS_MAX];

    for (int k = 0; k < MD_COMPARE_ROUNDS; k++) {
        MD_TRY(run_own(&own, k, r, seconds / MD_COMPARE_ROUNDS, ns, err));
        for (int i = 0; i < p->n; i++)
            MD_TRY(md_peers_run(p, i, seconds / MD_COMPARE_ROUNDS,
                                &its[i].min_ns[k], &its[i].p50_ns[k], err));
    }
    out->n = p->n;
    for (int i = 0; i < p->n; i++) {
        out->row[i].peer = p->peer[i];
        sum_up(&out->row[i], &own, &its[i]);
    }
    return MD_OK;
}

md_status md_compare_measure(md_compare *out, const char *list,
                             const md_peers_job *job, double seconds,
                             md_error *err)
{
    const md_alloc *alloc = md_alloc_default();
    int64_t *ns;
    md_peers p;
    md_status s;

    MD_TRY(md_peers_parse(&p, list, err));
    ns = md_calloc(alloc, RUNS_MAX, sizeof(*ns));
    if (!ns)
        return md_fail_nomem(err, RUNS_MAX * sizeof(*ns));
    s = md_peers_open(&p, job, err);
    if (s == MD_OK) {
        s = run_rounds(out, &p, job->run, seconds, ns, err);
        md_peers_close(&p);
    }
    md_free(alloc, ns);
    return s;
}

static double ms(int64_t ns)
{
    return (double)ns / 1e6;
}

void md_compare_print(const md_compare *c, FILE *f)
{
    fprintf(f, "\n%-22s %9s %9s %9s %9s %7s %15s %9s\n", "in turn, ms", "min",
            "p50", "ours min", "ours p50", "ratio", "95 %", "of min");
    for (int i = 0; i < c->n; i++) {
        const md_compare_row *r = &c->row[i];

        fprintf(f,
                "%-11s %-10s %9.4f %9.4f %9.4f %9.4f %7.2f %6.2f to %5.2f "
                "%9.2f\n",
                r->peer.name, r->peer.version, ms(r->min_ns), ms(r->p50_ns),
                ms(r->own_min_ns), ms(r->own_p50_ns), r->ratio, r->low, r->high,
                r->ratio_min);
    }
}

void md_compare_json(const md_compare *c, md_json_writer *w)
{
    md_json_put_name(w, "compare");
    md_json_put_array(w);
    for (int i = 0; i < c->n; i++) {
        const md_compare_row *r = &c->row[i];

        md_json_put_object(w);
        md_cli_json_str(w, "peer", r->peer.name);
        md_cli_json_str(w, "version", r->peer.version);
        md_cli_json_real(w, "min_ms", ms(r->min_ns));
        md_cli_json_real(w, "p50_ms", ms(r->p50_ns));
        md_cli_json_real(w, "own_min_ms", ms(r->own_min_ns));
        md_cli_json_real(w, "own_p50_ms", ms(r->own_p50_ns));
        md_cli_json_measured(w, "ratio", r->ratio);
        md_cli_json_measured(w, "ratio_low", r->low);
        md_cli_json_measured(w, "ratio_high", r->high);
        md_cli_json_measured(w, "ratio_min", r->ratio_min);
        md_json_put_end(w);
    }
    md_json_put_end(w);
}
