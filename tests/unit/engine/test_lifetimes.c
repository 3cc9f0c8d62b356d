/*
 * Plans of random graphs against rules that are checked here from the
 * program alone: who is alive together does not overlap, nothing is read that
 * was not written, a run may be executed again, and memory is no more than
 * all values would take side by side.
 */
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "base/cpu.h"
#include "base/size.h"
#include "engine/run_impl.h"
#include "support/net.h"
#include "support/random_net.h"

enum {
    SLOTS_MAX = 1024,
    SEEDS = 700,
    FOREVER = 1 << 30
};

/* A slot: where it lies and from which to which instruction it is needed. */
typedef struct life {
    const char *at;
    size_t size;
    int from, to; /* from -1: never in planned memory */
} life;

static const char *text_of;

static bool in_memory(const md_run *r, uint32_t slot)
{
    const md_value_id v = r->s->slots[slot].value;

    return !r->cdata[v] && !r->form->dynamic[v];
}

static void read_places(const md_run *r, life *l)
{
    const md_session *s = r->s;

    for (uint32_t i = 0; i < s->n_slots; i++) {
        const md_slot *sl = &s->slots[i];
        const md_shape shape = md_run__shape(r, sl->value);
        md_error err = MD_ERROR_INIT;

        l[i] = (life){ .at = r->address[i], .from = -1, .to = -1 };
        if (in_memory(r, i))
            assert_md_ok(md_layout_bytes(&l[i].size, sl->layout,
                                         md_run__dtype(r, sl->value), &shape,
                                         &err),
                         &err);
    }
}

static void use(life *l, uint32_t slot, int at)
{
    if (slot != MD_SLOT_NONE && at > l[slot].to)
        l[slot].to = at;
}

/* Is the output of this instruction the memory of its input as it is? */
static bool is_alias(const md_inst *i, const life *l)
{
    return (i->kind == MD_INST_VIEW || i->kind == MD_INST_REORDER) &&
           l[i->in[0]].at == l[i->out[0]].at;
}

/* Backwards, so that who reads a view keeps what it looks at. */
static void read_uses(const md_run *r, life *l)
{
    const md_session *s = r->s;
    const md_graph *g = s->graph;

    for (uint32_t i = 0; i < g->n_outputs; i++)
        use(l, s->slot_of[MD_LAYOUT_ROW][g->outputs[i]], FOREVER);
    for (uint32_t i = s->n_insts; i-- > 0;) {
        const md_inst *inst = &s->insts[i];

        if (r->form->skip[i])
            continue;
        for (uint32_t k = 0; k < inst->n_in; k++)
            use(l, inst->in[k], (int)i + 1);
        if (is_alias(inst, l))
            use(l, inst->in[0], l[inst->out[0]].to);
        for (uint32_t k = 0; k < inst->n_out; k++) {
            if (inst->out[k] == MD_SLOT_NONE)
                continue;
            l[inst->out[k]].from = (int)i + 1;
            use(l, inst->out[k], (int)i + 1);
        }
    }
    for (uint32_t i = 0; i < g->n_inputs; i++) {
        life *in = &l[s->slot_of[MD_LAYOUT_ROW][g->inputs[i]]];

        in->from = 0; /* kept for the next execution */
        in->to = FOREVER;
    }
}

static const md_inst *writer(const md_run *r, uint32_t slot)
{
    for (uint32_t i = 0; i < r->s->n_insts; i++) {
        const md_inst *inst = &r->s->insts[i];

        for (uint32_t k = 0; k < inst->n_out; k++) {
            if (inst->out[k] == slot && !r->form->skip[i])
                return inst;
        }
    }
    return NULL;
}

/* The slot that this one is a view of, itself when it is none. */
static uint32_t origin(const md_run *r, const life *l, uint32_t slot)
{
    const md_inst *inst = writer(r, slot);

    return inst && is_alias(inst, l) ? origin(r, l, inst->in[0]) : slot;
}

/* May `later` lie where `earlier` does: as the same thing, or written in its
 * place by the instruction that reads it last? */
static bool may_share(const md_run *r, const life *l, uint32_t earlier,
                      uint32_t later)
{
    const uint32_t a = origin(r, l, earlier), b = origin(r, l, later);

    return a == b || (l[a].at == l[b].at && l[a].size == l[b].size &&
                      l[a].from > 0 && l[a].to == l[b].from);
}

static void check_pair(const md_run *r, const life *l, uint32_t a, uint32_t b)
{
    const bool together = l[a].from <= l[b].to && l[b].from <= l[a].to;
    const bool apart =
        l[a].at + l[a].size <= l[b].at || l[b].at + l[b].size <= l[a].at;

    if (!together || apart || may_share(r, l, a, b) || may_share(r, l, b, a))
        return;
    fail_msg("'%s' and '%s' overlap (%d to %d, %d to %d) in\n%s",
             r->s->graph->values[r->s->slots[a].value].name,
             r->s->graph->values[r->s->slots[b].value].name, l[a].from, l[a].to,
             l[b].from, l[b].to, text_of);
}

static void check_plan(const md_run *r)
{
    static life l[SLOTS_MAX];
    size_t sum = 0;

    assert_true(r->s->n_slots <= SLOTS_MAX);
    read_places(r, l);
    read_uses(r, l);
    for (uint32_t a = 0; a < r->s->n_slots; a++) {
        const char *begin = (const char *)r->memory;
        size_t size = r->memory_size;

        if (l[a].from < 0 || l[a].size == 0 || !in_memory(r, a))
            continue;
        if (r->form->end[a] != MD_SLOT_NONE &&
            r->form->end[a] >= r->s->graph->n_inputs) { /* outside the block */
            begin = r->ends[r->form->end[a]].own;
            size = r->ends[r->form->end[a]].size;
        } else {
            sum += md_round_up(l[a].size, MD_CACHE_LINE);
        }
        assert_true(l[a].at >= begin);
        assert_true(l[a].at + l[a].size <= begin + size);
        assert_int_equal((uintptr_t)l[a].at % MD_CACHE_LINE, 0);
        for (uint32_t b = 0; b < a; b++) {
            if (l[b].from >= 0 && l[b].size > 0 && in_memory(r, b))
                check_pair(r, l, a, b);
        }
    }
    assert_true(r->memory_size <= sum);
}

/* Outputs of an execution over memory that held `fill` before. */
static void execute(md_run *r, const md_tensor *in, int fill, md_tensor *out)
{
    const md_graph *g = r->s->graph;
    md_error err = MD_ERROR_INIT;

    if (fill >= 0) {
        if (r->memory_size > 0)
            memset(r->memory, fill, r->memory_size);
        for (uint32_t i = g->n_inputs; i < g->n_inputs + g->n_outputs; i++) {
            if (r->ends[i].own)
                memset(r->ends[i].own, fill, r->ends[i].size);
        }
        for (uint32_t i = 0; i < g->n_inputs; i++)
            memcpy(md_run_input(r, i)->data, in[i].data,
                   md_tensor_size(&in[i]));
    }
    assert_md_ok(md_run_execute(r, 0, &err), &err);
    for (uint32_t i = 0; i < g->n_outputs; i++)
        assert_md_ok(md_tensor_copy(&out[i], md_run_output(r, i),
                                    md_alloc_default(), &err),
                     &err);
}

static void check_same(const md_tensor *a, const md_tensor *b, uint32_t n,
                       const char *what)
{
    for (uint32_t i = 0; i < n; i++) {
        const size_t size = md_tensor_size(&a[i]);

        if (size > 0 && memcmp(a[i].data, b[i].data, size) != 0)
            fail_msg("output %u: %s in\n%s", i, what, text_of);
    }
}

static void check_net(const char *text, int64_t n)
{
    md_tensor in[NET_IO_MAX], a[NET_IO_MAX], b[NET_IO_MAX], c[NET_IO_MAX];
    md_session *s = net_open(text, NULL);
    const md_graph *g = md_session_model(s)->graph;
    md_shape shapes[NET_IO_MAX];
    md_error err = MD_ERROR_INIT;
    md_run *r = NULL;

    text_of = text;
    net_inputs(in, g, n, 5);
    for (uint32_t i = 0; i < g->n_inputs; i++)
        shapes[i] = in[i].shape;
    assert_md_ok(md_run_acquire(&r, s, shapes, &err), &err);
    execute(r, in, 0xff, a);
    check_plan(r);
    execute(r, in, 0x00, b);
    check_same(a, b, g->n_outputs, "what was in memory is seen");
    execute(r, in, -1, c);
    check_same(a, c, g->n_outputs, "inputs were overwritten");
    md_run_release(r);
    net_release(in, g->n_inputs);
    net_release(a, g->n_outputs);
    net_release(b, g->n_outputs);
    net_release(c, g->n_outputs);
    md_session_free(s);
}

static void test_lifetimes__random_graphs(void **state)
{
    static char text[RANDOM_NET_SIZE];

    (void)state;
    for (uint32_t seed = 1; seed < SEEDS; seed++) {
        random_net_make(text, seed);
        check_net(text, RANDOM_NET_BATCH);
        md_cpu_set_mask(MD_CPU_NONE); /* definitions in place of kernels */
        if (seed % 5 == 0)
            check_net(text, RANDOM_NET_BATCH);
        md_cpu_set_mask(MD_CPU_ALL);
    }
}

/* Status and outputs for a batch of n. */
static md_status run_batch(md_session *s, int64_t n, md_tensor *out)
{
    md_error err = MD_ERROR_INIT;
    md_tensor in[NET_IO_MAX];
    md_status st;

    net_inputs(in, md_session_model(s)->graph, n, 4);
    st = md_session_run(s, in, out, md_alloc_default(), &err);
    net_release(in, md_session_n_inputs(s));
    return st;
}

/* One session, many sizes: the results are those of a session that sees one
 * size only.  Where a graph adds across the batch only some sizes fit; others
 * are refused by both, and do no harm. */
static void test_lifetimes__one_session_many_sizes(void **state)
{
    static const int64_t sizes[] = { 2, 7, 1, 0, 2, 9, 1, 7, 0, 2 };
    static char text[RANDOM_NET_SIZE];
    int done = 0;

    (void)state;
    for (uint32_t seed = 3000; seed < 3080; seed++) {
        md_session *s;

        random_net_make(text, seed);
        text_of = text;
        s = net_open(text, NULL);
        for (size_t i = 0; i < MD_COUNT(sizes); i++) {
            md_tensor a[NET_IO_MAX], b[NET_IO_MAX];
            md_session *fresh = net_open(text, NULL);
            const md_status st = run_batch(s, sizes[i], a);

            assert_int_equal(st, run_batch(fresh, sizes[i], b));
            if (st == MD_OK) {
                check_same(a, b, md_session_n_outputs(s), "planned otherwise");
                net_release(a, md_session_n_outputs(s));
                net_release(b, md_session_n_outputs(s));
                done += sizes[i] != RANDOM_NET_BATCH;
            } else {
                assert_int_equal(st, MD_INVALID);
                assert_int_not_equal(sizes[i], RANDOM_NET_BATCH);
            }
            md_session_free(fresh);
        }
        md_session_free(s);
    }
    assert_true(done > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lifetimes__random_graphs),
        cmocka_unit_test(test_lifetimes__one_session_many_sizes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
