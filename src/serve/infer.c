#include "serve/infer.h"

#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/size.h"
#include "serve/server_impl.h"

/* ---- one call ---- */

/* What must be the same in calls that are run together: all sizes but the
 * first of each input. */
static uint64_t signature_of(const md_feed *f)
{
    uint64_t h = 0;

    for (uint32_t i = 0; i < f->model->n_inputs; i++) {
        const md_shape *s = &f->inputs[i].shape;
        const uint64_t key[2] = { h, (uint64_t)s->rank };

        h = md_hash_keyed(key, s->dim + 1,
                          s->rank > 1 ? sizeof(*s->dim) * (size_t)(s->rank - 1)
                                      : 0);
    }
    return h;
}

static void park(md_call *call)
{
    md_infer_state *st = call->infer;
    const md_feed *f = st->feed;
    const md_serve_model *m = call->model;

    st->item = (md_lane_item){ .owner = call,
                               .rows = 1,
                               .level = call->priority,
                               .timeout_us = call->timeout_us,
                               .signature = signature_of(f) };
    if (m->max_batch > 0 && m->n_inputs > 0)
        st->item.rows = md_max_i64(f->inputs[0].shape.dim[0], 1);
    call->rows = st->item.rows;
    call->parks = true;
}

static md_status begin(md_call *call, const md_infer_form *form, void *ctx,
                       md_error *err)
{
    md_infer_state *st = NULL;
    md_server *srv = call->server;

    MD_TRY(md_call_alloc(call, &st, 1, sizeof(*st), err));
    MD_TRY(md_call_alloc(call, &st->request, 1, form->size, err));
    st->feed = st->request;
    md_buf_init(&st->inputs, srv->request_alloc, srv->opts.http.arena_size_max);
    call->infer = st;
    if (call->served && call->served->lane)
        call->scratch = &st->inputs;
    MD_TRY(md_feed_init(st->feed, call, err));
    MD_TRY(form->parse(st->request, call, ctx, err));
    MD_TRY(md_feed_check(st->feed, err));
    md_call_mark(call, MD_CALL_INPUT);
    return MD_OK;
}

/* ---- answers that are there ---- */

static md_status make_key(md_call *call, md_error *err)
{
    md_infer_state *st = call->infer;
    const md_cache *cache = call->server->cache;
    const md_serve_model *m = call->model;

    /* Also an empty tensor's data must point somewhere. */
    MD_TRY(md_buf_reserve(call->scratch, 1, err));
    md_cache_key_begin(cache, &st->key, call->served->id);
    for (uint32_t i = 0; i < m->n_inputs; i++) {
        md_tensor t = { .dtype = m->inputs[i].dtype };

        t.shape = st->feed->inputs[i].shape;
        t.data = call->scratch->data + st->feed->inputs[i].at;
        md_cache_key_add(cache, &st->key, &t);
    }
    return MD_OK;
}

/* Sets call->cached when the outputs are there. */
static md_status look_up(md_call *call, md_error *err)
{
    md_infer_state *st = call->infer;
    const md_serve_model *m = call->model;
    const md_tensor *outputs;
    int64_t start;
    uint32_t n;

    if (!call->server->cache || !call->served || !m->config ||
        !m->config->response_cache)
        return MD_OK;
    start = md_clock_ns();
    MD_TRY(make_key(call, err));
    st->caches = true;
    st->cached = md_cache_find(call->server->cache, &st->key);
    call->cached = st->cached != NULL;
    md_model_stats_looked_up(&call->served->stats, call->cached,
                             md_clock_ns() - start);
    if (!st->cached)
        return MD_OK;
    outputs = md_cache_outputs(st->cached, &n);
    MD_TRY(md_call_alloc(call, &st->feed->outputs, n, sizeof(*outputs), err));
    if (n)
        memcpy(st->feed->outputs, outputs, n * sizeof(*outputs));
    return MD_OK;
}

static void keep_answer(md_call *call)
{
    md_infer_state *st = call->infer;
    const uint32_t n = call->model->n_outputs;
    const md_tensor **outputs = NULL;

    /* Without memory it is answered all the same. */
    if (!st->caches ||
        md_call_alloc(call, &outputs, n, sizeof(*outputs), NULL) != MD_OK)
        return;
    for (uint32_t i = 0; i < n; i++)
        outputs[i] = md_feed_output(st->feed, i);
    md_cache_put(call->server->cache, &st->key, outputs, n);
}

/* ---- the call ---- */

md_status md_infer_call(md_call *call, const md_infer_form *form, void *ctx,
                        md_error *err)
{
    md_infer_state *st = call->infer;

    if (!st) {
        MD_TRY(begin(call, form, ctx, err));
        st = call->infer;
        MD_TRY(look_up(call, err));
        if (!call->cached && call->served && call->served->lane) {
            park(call);
            return MD_OK;
        }
        if (!call->cached)
            MD_TRY(md_feed_run(st->feed, call->scratch,
                               call->server->opts.run_width, err));
        call->rows = 1;
        if (call->model->max_batch > 0)
            call->rows = st->feed->inputs[0].shape.dim[0];
    } else if (st->status != MD_OK) {
        return md_fail(err, st->status, "%s", st->error.msg);
    }
    if (!call->cached)
        keep_answer(call);
    md_call_mark(call, MD_CALL_INFER);
    return md_call_replied(call, form->write(st->request, ctx, err), err);
}

void md_infer_release(md_call *call)
{
    md_infer_state *st = call->infer;

    if (!st)
        return;
    md_feed_release(st->feed);
    md_cache_let_go(call->server->cache, st->cached);
    md_buf_release(&st->inputs);
    call->infer = NULL;
}

/* ---- several ---- */

static md_infer_state *state_of(const md_lane_item *item)
{
    return ((md_call *)item->owner)->infer;
}

/* By itself. */
static void run_one(md_lane_item *item, int width)
{
    md_infer_state *st = state_of(item);

    st->status = md_feed_run(st->feed, &st->inputs, width, &st->error);
}

/* Bytes of one row of an input or output with this shape; false when rows are
 * no whole bytes. */
static bool row_size(size_t *out, md_dtype t, const md_shape *shape)
{
    int64_t n = 1;

    if (shape->rank < 1 || md_dtype_bits(t) % 8 != 0)
        return false;
    for (int i = 1; i < shape->rank; i++)
        if (!md_mul_i64(&n, n, shape->dim[i]))
            return false;
    return md_dtype_size(out, t, n);
}

/* Are the shapes equal but for the first size, which is the call's rows? */
static bool fits(const md_shape *a, const md_shape *b, int64_t rows)
{
    if (a->rank != b->rank || a->rank < 1 || b->dim[0] != rows)
        return false;
    for (int i = 1; i < a->rank; i++)
        if (a->dim[i] != b->dim[i])
            return false;
    return true;
}

/* Input i of all calls, one behind the other, at *at in scratch. */
static md_status gather_input(md_lane_item *first, uint32_t i, int64_t rows,
                              md_buf *scratch, md_shape *shape, size_t *at,
                              md_error *err)
{
    const md_feed *f = state_of(first)->feed;
    size_t size;
    size_t whole;

    *shape = f->inputs[i].shape;
    if (!row_size(&size, f->model->inputs[i].dtype, shape) ||
        !md_mul_size(&whole, size, (size_t)rows))
        return md_fail(err, MD_UNSUPPORTED, "rows of '%s' cannot be joined",
                       f->model->inputs[i].name);
    *at = md_round_up(scratch->size, MD_CACHE_LINE);
    MD_TRY(md_buf_reserve(scratch, *at - scratch->size + whole + 1, err));
    scratch->size = *at;
    for (md_lane_item *item = first; item; item = item->next) {
        const md_infer_state *st = state_of(item);
        const md_feed_input *in = &st->feed->inputs[i];

        if (!fits(shape, &in->shape, item->rows))
            return md_fail(err, MD_UNSUPPORTED, "shapes of '%s' differ",
                           f->model->inputs[i].name);
        MD_TRY(md_buf_append(scratch, st->inputs.data + in->at,
                             size * (size_t)item->rows, err));
    }
    shape->dim[0] = rows;
    return MD_OK;
}

/* The rows of each call as outputs of its own. */
static md_status hand_out(const md_infer_batch *b, md_lane_item *first,
                          md_error *err)
{
    const md_serve_model *m = b->model;

    for (md_lane_item *item = first; item; item = item->next) {
        md_call *call = item->owner;

        MD_TRY(md_call_alloc(call, &state_of(item)->feed->outputs, m->n_outputs,
                             sizeof(md_tensor), err));
    }
    for (uint32_t i = 0; i < m->n_outputs; i++) {
        const md_tensor *t = m->engine->output(b->run, i);
        unsigned char *p = t->data;
        size_t size;

        if (!row_size(&size, t->dtype, &t->shape) || t->shape.dim[0] != b->rows)
            return md_fail(err, MD_UNSUPPORTED,
                           "output '%s' has no row for each of the batch",
                           m->outputs[i].name);
        for (md_lane_item *item = first; item; item = item->next) {
            md_tensor *to = &state_of(item)->feed->outputs[i];

            *to = (md_tensor){ .dtype = t->dtype, .shape = t->shape };
            to->shape.dim[0] = item->rows;
            to->data = p;
            p += size * (size_t)item->rows;
        }
    }
    return MD_OK;
}

static md_status run_together(md_infer_batch *b, md_lane_item *first,
                              md_buf *scratch, int width, md_error *err)
{
    const md_serve_model *m = b->model;
    md_call *lead = first->owner;
    md_shape *shapes = NULL;
    uint32_t n_calls = 0;
    size_t *at = NULL;

    MD_TRY(md_call_alloc(lead, &shapes, m->n_inputs, sizeof(*shapes), err));
    MD_TRY(md_call_alloc(lead, &at, m->n_inputs, sizeof(*at), err));
    for (uint32_t i = 0; i < m->n_inputs; i++)
        MD_TRY(
            gather_input(first, i, b->rows, scratch, &shapes[i], &at[i], err));
    MD_TRY(m->engine->acquire(m->ctx, &b->run, shapes, err));
    for (uint32_t i = 0; i < m->n_inputs; i++)
        m->engine->bind(b->run, i, scratch->data + at[i]);
    MD_TRY(m->engine->execute(b->run, width, err));
    MD_TRY(hand_out(b, first, err));
    for (const md_lane_item *item = first; item; item = item->next)
        n_calls++;
    if (m->engine->ran)
        m->engine->ran(b->run, n_calls);
    return MD_OK;
}

void md_infer_run(md_infer_batch *b, md_lane_item *first, uint32_t n,
                  md_buf *scratch, int width)
{
    *b = (md_infer_batch){ .model = ((md_call *)first->owner)->model };
    for (md_lane_item *item = first; item; item = item->next)
        b->rows += item->rows;
    if (n > 1) {
        if (run_together(b, first, scratch, width, NULL) == MD_OK)
            return;
        md_infer_batch_release(b);
        b->rows = 0;
    }
    for (md_lane_item *item = first; item; item = item->next) {
        state_of(item)->feed->outputs = NULL;
        run_one(item, width);
    }
}

void md_infer_batch_release(md_infer_batch *b)
{
    if (b->run)
        b->model->engine->release(b->run);
    b->run = NULL;
}
