/*
 * ONNX models, loaded and run once with small inputs, on the best kernels and
 * by the operators' definitions.
 *
 * What the definitions compute the engine must compute too, or say that it
 * does not support it; small models of ordinary numbers must also agree in
 * their results.  Models stay small: all memory comes from an allocator with
 * a ceiling, which bounds the time of a run as well.
 */
#include "engine/session.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/onnx.h"
#include "ops/eval.h"
#include "ops/op.h"
#include "tensor/compare.h"

enum {
    MEMORY_MAX = 1 << 20, /* bytes at a time */
    TENSOR_MAX = 1 << 14, /* elements of an input */
    NODES_MAX = 64,
    IO_MAX = 16,
    FREE_DIM = 3,
    /* Of models whose float results are compared: longer ones may make much
     * of a difference in rounding. */
    COMPARED_NODES_MAX = 4
};

/* Numbers above take sums of terms that cancel out of float's precision. */
static const double ordinary_max = 100.0;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* --- an allocator with a ceiling; one thread --- */

static size_t used;

/* The size stands in a cache line in front of each block. */
static void *take(void *ctx, size_t size, size_t align)
{
    size_t *head = NULL;

    (void)ctx;
    (void)align; /* at most a cache line */
    if (size <= MEMORY_MAX - used)
        head = md_malloc_aligned(md_alloc_default(), size + MD_CACHE_LINE);
    if (!head)
        return NULL;
    used += size;
    *head = size;
    return (char *)head + MD_CACHE_LINE;
}

static void give(void *ctx, void *p)
{
    size_t *head;

    (void)ctx;
    if (!p)
        return;
    head = (size_t *)(void *)((char *)p - MD_CACHE_LINE);
    used -= *head;
    md_free(md_alloc_default(), head);
}

static void *resize(void *ctx, void *p, size_t old, size_t size, size_t align)
{
    void *q = take(ctx, size, align);

    if (q && p) {
        memcpy(q, p, old < size ? old : size);
        give(ctx, p);
    }
    return q;
}

static const md_alloc capped = { take, resize, give, NULL };

/* --- inputs --- */

/* Small numbers with halves, of both signs; indices 0 and 1 for integers. */
static void fill(md_tensor *t, uint32_t seed)
{
    int64_t n = md_tensor_n(t);

    for (int64_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        if (t->dtype == MD_DTYPE_STRING)
            ((md_str *)t->data)[i] = (md_str){ "a", 1 };
        else if (md_dtype_is_float(t->dtype))
            md_tensor_set_f64(t, i, (double)(seed >> 28) / 4.0 - 2.0);
        else
            md_tensor_set_i64(t, i, (int64_t)(seed >> 31));
    }
}

static bool make_input(md_tensor *t, const md_value *v, uint32_t seed)
{
    md_type type = v->type;
    md_shape shape;
    int64_t n;

    if (type.kind != MD_KIND_TENSOR || type.dtype == MD_DTYPE_NONE ||
        !type.has_rank)
        return false;
    for (int i = 0; i < type.rank; i++) {
        if (!md_dim_is_const(type.dim[i]))
            type.dim[i] = MD_DIM(FREE_DIM);
    }
    if (!md_type_static(&type, &shape) ||
        md_shape_count(&n, &shape, NULL) != MD_OK || n > TENSOR_MAX ||
        md_tensor_alloc(t, type.dtype, &shape, &capped, NULL) != MD_OK)
        return false;
    fill(t, seed);
    return true;
}

/* --- comparing --- */

static bool is_ordinary(const md_tensor *t)
{
    int64_t n = md_tensor_n(t);

    if (!md_dtype_is_float(t->dtype))
        return true;
    for (int64_t i = 0; i < n; i++) {
        if (!(fabs(md_tensor_get_f64(t, i)) <= ordinary_max))
            return false;
    }
    return true;
}

/* Does a node draw random numbers?  Those of the engine and of the definitions
 * differ where there is no seed. */
static bool is_random(const md_graph *g)
{
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        const md_node *n = g->nodes[i];
        const md_op *op =
            md_op_find(n->domain, n->op, md_node_opset(g->model, n));

        if (op && (md_op_flags(op, g, n) & MD_OP_IMPURE) != 0)
            return true;
        for (uint32_t k = 0; md_node_graph(n, k); k++) {
            if (is_random(md_node_graph(n, k)))
                return true;
        }
    }
    return false;
}

static bool has_bodies(const md_graph *g)
{
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        if (md_node_graph(g->nodes[i], 0))
            return true;
    }
    return false;
}

static bool is_comparable(const md_graph *g)
{
    if (is_random(g))
        return false;
    for (uint32_t i = 0; i < g->n_values; i++) {
        if (g->values[i].cdata && !is_ordinary(g->values[i].cdata))
            return false;
    }
    return g->n_nodes <= COMPARED_NODES_MAX;
}

static void die(const char *what, const md_error *err)
{
    fprintf(stderr, "fuzz_run: %s: %s\n", what, err->msg);
    abort();
}

/* Codes and truncated numbers may fall to the other side of a step. */
static void compare(const md_tensor *got, const md_tensor *want)
{
    md_error err = MD_ERROR_INIT;
    md_diff diff;

    if (got->dtype != want->dtype || !md_shape_equal(&got->shape, &want->shape))
        die("the result is of another type or shape",
            (md_tensor_compare(NULL, got, want, 0, 0, &err), &err));
    if (!is_ordinary(want) || want->dtype == MD_DTYPE_BOOL)
        return;
    if (md_tensor_compare(&diff, got, want,
                          md_dtype_is_float(want->dtype) ? 1e-3 : 1.0, 1e-3,
                          &err) != MD_OK)
        die("results differ", &err);
}

/* --- one model --- */

typedef struct scene {
    md_tensor in[IO_MAX], want[IO_MAX], got[IO_MAX];
    uint32_t n_in, n_out;
    md_status defined; /* what the definitions said */
    bool comparable;
    bool bodies; /* graphs in nodes, which may not run at all */
} scene;

static void release(md_tensor *t, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        md_tensor_release(&t[i]);
}

static bool prepare(scene *sc, const md_graph *g)
{
    const md_tensor *in[IO_MAX];

    if (g->n_inputs > IO_MAX || g->n_outputs > IO_MAX || g->n_nodes > NODES_MAX)
        return false;
    for (; sc->n_in < g->n_inputs; sc->n_in++) {
        if (!make_input(&sc->in[sc->n_in], &g->values[g->inputs[sc->n_in]],
                        sc->n_in + 1))
            return false;
        in[sc->n_in] = &sc->in[sc->n_in];
    }
    sc->comparable = is_comparable(g);
    sc->bodies = has_bodies(g);
    sc->defined = md_graph_eval(sc->want, g, in, &capped, NULL, NULL);
    if (sc->defined == MD_OK)
        sc->n_out = g->n_outputs;
    return true;
}

/* Limits and what is openly missing are no faults; nor is it that the engine
 * looks into a body that the definitions do not come to. */
static bool is_fault(const scene *sc, md_status s)
{
    if (sc->bodies && (s == MD_INVALID || s == MD_CORRUPT))
        return false;
    return sc->defined == MD_OK && s != MD_OK && s != MD_NOMEM &&
           s != MD_UNSUPPORTED && s != MD_TOO_LARGE;
}

static void run(scene *sc, md_model *m)
{
    md_session_opts o = MD_SESSION_OPTS_INIT;
    md_error err = MD_ERROR_INIT;
    md_session *s = NULL;
    md_status st;

    o.alloc = &capped;
    st = md_session_new(&s, m, &o, &err);
    if (st != MD_OK)
        md_model_free(m);
    else
        st = md_session_run(s, sc->in, sc->got, &capped, &err);
    if (is_fault(sc, st))
        die("the definitions can, the engine cannot", &err);
    if (st == MD_OK) {
        for (uint32_t i = 0; sc->comparable && i < sc->n_out; i++) {
            /* Of no trips there is only what the body declares to go by. */
            if (sc->bodies && md_tensor_n(&sc->want[i]) == 0)
                continue;
            compare(&sc->got[i], &sc->want[i]);
        }
        release(sc->got, md_session_n_outputs(s));
    }
    md_session_free(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    md_onnx_opts opts = MD_ONNX_OPTS_INIT;
    md_model *m = NULL;
    scene sc = { 0 };

    opts.dense_limit = (size_t)1 << 16;
    opts.keep = true;
    if (md_onnx_parse(&m, data, size, &opts, &capped, NULL) != MD_OK)
        return 0;
    if (prepare(&sc, m->graph))
        run(&sc, m);
    else
        md_model_free(m);
    release(sc.in, sc.n_in);
    release(sc.want, sc.n_out);
    if (used != 0)
        abort(); /* something was kept */
    return 0;
}
