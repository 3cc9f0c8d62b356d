/*
 * Executing a plan: a walk over steps.
 */
#include <string.h>

#include "base/clock.h"
#include "base/size.h"
#include "engine/body.h"
#include "engine/exec.h"
#include "engine/profile.h"
#include "engine/widths.h"
#include "kernels/reorder.h"

md_tensor *md_run_input(md_run *r, uint32_t i)
{
    return &r->inputs[i];
}

static void bind(md_run *r, md_run_end *e, void *data)
{
    if (e->bound == data)
        return;
    e->bound = data;
    e->moved = r->moved = true;
}

void md_run_bind_container(md_run *r, uint32_t i, const md_tensor *c)
{
    r->inputs[i] = *c;
    r->inputs[i].owner = NULL;
    r->ends[i].bound = &r->inputs[i];
}

void md_run_bind_input(md_run *r, uint32_t i, const void *data)
{
    void *p;

    if (r->s->inputs[i].type.kind != MD_KIND_TENSOR) { /* bound otherwise */
        r->ends[i].bound = NULL;
        return;
    }
    memcpy(&p, &data, sizeof(p)); /* never written to */
    bind(r, &r->ends[i], p);
}

bool md_run_bind_output(md_run *r, uint32_t i, void *data)
{
    md_run_end *e = md_run__output_end(r, i);

    if (e->size == 0)
        return false;
    bind(r, e, data);
    return true;
}

md_nc16_args md_run__blocks(const md_tensor *x)
{
    const int64_t *d = x->shape.dim;

    return (md_nc16_args){ .n = d[0],
                           .c = d[1],
                           .pixels = d[2] * d[3],
                           .n_stride = d[1] * d[2] * d[3],
                           .c_stride = d[2] * d[3],
                           .pixel_stride = 1,
                           .size = (int)md_dtype_bits(x->dtype) / 8 };
}

typedef struct job {
    const md_run *r;
    const md_step *st;
} job;

static void run_chunk(void *ctx, int64_t chunk, int worker)
{
    const job *j = ctx;

    j->st->fast->run(j->st, chunk,
                     j->r->scratch
                         ? j->r->scratch + (size_t)worker * j->r->scratch_size
                         : NULL);
}

typedef struct reorder_job {
    md_nc16_args a;
    void *to;
    const void *from;
    bool packs;
    int64_t step; /* parts of a chunk */
} reorder_job;

static void reorder_parts(void *ctx, int64_t chunk, int worker)
{
    const reorder_job *j = ctx;
    const int64_t from = chunk * j->step;
    const int64_t to = md_min_i64(from + j->step, md_nc16_n_parts(&j->a));

    (void)worker;
    for (int64_t i = from; i < to; i++) {
        if (j->packs)
            md_nc16_pack_part(j->to, j->from, &j->a, i);
        else
            md_nc16_unpack_part(j->to, j->from, &j->a, i);
    }
}

static void share(const md_run *r, const md_run_step *st, int64_t n_chunks,
                  md_pool_fn *fn, void *ctx)
{
    const int width = st->width < r->width ? st->width : r->width;

    if (st->is_short)
        md_pool_run_short(r->s->pool, width, n_chunks, fn, ctx);
    else
        md_pool_run(r->s->pool, width, n_chunks, fn, ctx);
}

static reorder_job plan_reorder(const md_run *r, const md_run_step *st)
{
    enum {
        WORTH = 1 << 14 /* elements: a chunk of fewer is not handed over */
    };
    const md_tensor *x = &st->in[0];
    reorder_job j = { .a = md_run__blocks(x),
                      .to = st->out[0].data,
                      .from = x->data };

    j.packs = r->s->slots[st->inst->in[0]].layout == MD_LAYOUT_ROW;
    j.step = md_max_i64(1, WORTH / md_max_i64(1, j.a.pixels * MD_BLOCK));
    return j;
}

int64_t md_run__reorder_parts(const md_run *r, const md_run_step *st)
{
    const reorder_job j = plan_reorder(r, st);

    return md_div_up(md_nc16_n_parts(&j.a), j.step);
}

void md_run__reorder(const md_run *r, const md_run_step *st)
{
    reorder_job j = plan_reorder(r, st);

    share(r, st, md_div_up(md_nc16_n_parts(&j.a), j.step), reorder_parts, &j);
}

static md_status run_ref(md_run *r, md_run_step *st, md_error *err)
{
    md_body_call call = { r, st };
    const md_exec_env env = md_body__env(&call);

    return md_exec_node(r->s->graph, st->inst->node, st->in_p, st->out, &env,
                        err);
}

md_status md_run__fast(const md_run *r, const md_run_step *st, md_error *err)
{
    md_step now = st->st;
    job j = { r, &now };
    md_status s = now.check ? now.check(&now, err) : MD_OK;

    if (s != MD_OK)
        return md_wrap(err, s, "node '%s' (%s): ", now.node->name,
                       now.node->op);
    now.shared = r->shared;
    share(r, st, now.n_chunks, run_chunk, &j);
    while (now.phase < MD_PHASES_MAX - 1 && now.n_more[now.phase] > 0) {
        int64_t n = now.n_more[now.phase++];

        share(r, st, n, run_chunk, &j);
    }
    return MD_OK;
}

static md_status run_step(md_run *r, md_run_step *st, md_error *err)
{
    if (st->dynamic)
        return md_run__dynamic(r, st, err);
    switch (st->inst->kind) {
    case MD_INST_FAST:
        return md_run__fast(r, st, err);
    case MD_INST_REORDER:
        md_run__reorder(r, st);
        return MD_OK;
    default:
        return run_ref(r, st, err);
    }
}

static md_status run_steps(md_run *r, md_error *err)
{
    for (uint32_t i = 0; i < r->n_steps; i++)
        MD_TRY(run_step(r, &r->steps[i], err));
    return MD_OK;
}

static md_status run_timed(md_run *r, md_error *err)
{
    int64_t start = md_clock_ns();

    for (uint32_t i = 0; i < r->n_steps; i++) {
        md_run_step *st = &r->steps[i];
        int64_t now;

        md_run__before_step(r, st);
        MD_TRY(run_step(r, st, err));
        now = md_clock_ns();
        md_run__after_step(r, st, now - start);
        start = now;
    }
    md_run__after_timing(r);
    return MD_OK;
}

static md_status run_watched(md_run *r, md_error *err)
{
    const md_run_watch *w = r->watch;

    for (uint32_t i = 0; i < r->n_steps; i++) {
        w->begin(w->ctx, i);
        MD_TRY(run_step(r, &r->steps[i], err));
        w->end(w->ctx, i);
    }
    return MD_OK;
}

/* Workers stay awake from step to step; a subgraph's run is part of that
 * around it. */
static md_status run_all(md_run *r, md_error *err)
{
    const bool is_outer = r->above == NULL;
    md_status s;

    if (is_outer)
        md_pool_begin(r->s->pool, r->width, r->shared_ns);
    if (r->watch)
        s = run_watched(r, err);
    else if (md_run__is_timed(r))
        s = run_timed(r, err);
    else
        s = run_steps(r, err);
    if (is_outer)
        md_pool_end(r->s->pool);
    return s;
}

md_status md_run_execute(md_run *r, int width, md_error *err)
{
    int all = md_pool_width(r->s->pool);

    r->width = width <= 0 || width > all ? all : width;
    if (r->moved)
        MD_TRY(md_run__follow_ends(r, err));
    md_run__drop_values(r);
    md_arena_reset(&r->text);
    r->body_macs = 0;
    r->trips = 0;
    MD_TRY(md_run__take_containers(r, err));
    MD_TRY(run_all(r, err));
    md_run__give_values(r);
    return MD_OK;
}

const md_tensor *md_run_output(const md_run *r, uint32_t i)
{
    return &r->outputs[i];
}

size_t md_run_memory(const md_run *r)
{
    size_t size = md_body__memory(r) + r->memory_size + r->recycle.used_size +
                  r->recycle.kept_size + r->shared_size +
                  r->scratch_size * (size_t)md_pool_width(r->s->pool);

    for (uint32_t i = 0; i < r->s->graph->n_outputs; i++)
        size += md_run__output_end(r, i)->own_size;
    return size;
}
