#include "engine/widths.h"

#include <limits.h>

#include "base/size.h"

enum {
    PART_NS = 1500,   /* work of a thread that is worth its handing over */
    ALONE_NS = 60000, /* at most this is tried on the caller alone */
    WAKE_NS = 80000   /* of a step: worth to wake workers for */
};

void md_run__forget_widths(md_run *r)
{
    r->n_timed = 0;
    r->shared_ns = 0;
    for (uint32_t i = 0; i < r->n_steps; i++) {
        md_run_step *st = &r->steps[i];

        st->width = INT_MAX;
        st->is_short = false;
        st->work_ns = INT64_MAX;
    }
}

/* Parts that a step can be shared in. */
static int64_t n_parts(const md_run *r, const md_run_step *st)
{
    int64_t n = st->st.n_chunks;

    if (st->inst->kind == MD_INST_REORDER)
        return md_run__reorder_parts(r, st);
    for (int i = 0; i < MD_PHASES_MAX - 1; i++)
        n = md_max_i64(n, st->st.n_more[i]);
    return n;
}

/* Steps that are shared by what is said here: others look at what there is to
 * do each time. */
static bool is_shared(const md_run *r, const md_run_step *st)
{
    return !st->dynamic &&
           (st->inst->kind == MD_INST_FAST ||
            st->inst->kind == MD_INST_REORDER) &&
           n_parts(r, st) > 1;
}

void md_run__before_step(const md_run *r, md_run_step *st)
{
    if (r->n_timed > 1 && st->work_ns <= ALONE_NS)
        st->width = 1;
}

void md_run__after_step(const md_run *r, md_run_step *st, int64_t ns)
{
    int64_t threads = md_min_i64(r->width, st->width);

    if (r->n_timed == 0 || !is_shared(r, st))
        return; /* caches were cold */
    ns *= md_min_i64(threads, n_parts(r, st));
    st->work_ns = md_min_i64(st->work_ns, ns);
}

void md_run__after_timing(md_run *r)
{
    if (++r->n_timed < MD_TIMED_RUNS)
        return;
    for (uint32_t i = 0; i < r->n_steps; i++) {
        md_run_step *st = &r->steps[i];

        if (!is_shared(r, st))
            continue;
        st->width = (int)md_min_i64(1 + st->work_ns / PART_NS, INT_MAX);
        if (st->work_ns / PART_NS < 2)
            st->width = 1;
        st->is_short = st->work_ns < WAKE_NS;
        r->shared_ns += st->width > 1 ? st->work_ns : 0;
    }
}
