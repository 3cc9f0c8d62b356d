/*
 * What can be cut out of nets, by rule, and random nets: what is left computes
 * what the whole net computes with zeros for the weights that read what is cut.
 */
#include "support/test.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "optimize/cut.h"
#include "support/fail_alloc.h"
#include "support/net.h"
#include "train/runner.h"

static void run_model(md_tensor *out, md_model *m, const md_tensor *in)
{
    md_error err = MD_ERROR_INIT;
    md_session *s;

    assert_md_ok(md_session_new(&s, m, NULL, &err), &err);
    assert_md_ok(md_session_run(s, in, out, md_alloc_default(), &err), &err);
    md_session_free(s);
}

/* Both models, which are freed, give the same for `m`'s inputs. */
static void check_same(md_model *small, md_model *masked, const md_model *m,
                       const char *text)
{
    md_tensor in[NET_IO_MAX], a[NET_IO_MAX], b[NET_IO_MAX];
    const uint32_t n_in = m->graph->n_inputs, n_out = m->graph->n_outputs;

    net_inputs(in, m->graph, 2, 5);
    run_model(a, small, in);
    run_model(b, masked, in);
    for (uint32_t i = 0; i < n_out; i++) {
        assert_true(md_shape_equal(&a[i].shape, &b[i].shape));
        for (int64_t k = 0; k < md_tensor_n(&a[i]); k++) {
            double x = md_tensor_get_f64(&a[i], k);
            double y = md_tensor_get_f64(&b[i], k);

            /* Sums of a few hundred products, in another order. */
            if (fabs(x - y) > 2e-4 * (1.0 + fabs(y)))
                fail_msg("output %u[%lld]: %g, %g in the masked net: %s", i,
                         (long long)k, x, y, text);
        }
    }
    net_release(a, n_out);
    net_release(b, n_out);
    net_release(in, n_in);
}

static void check_cut(const md_cut *c, const char *text)
{
    md_error err = MD_ERROR_INIT;
    md_model *small, *masked;

    if (md_cut_apply(&small, c, &err) != MD_OK)
        fail_msg("%s: %s", err.msg, text);
    assert_md_ok(md_cut_mask(&masked, c, &err), &err);
    check_same(small, masked, c->model, text);
}

/* Cut the first half of each group, and see what numbers of units there are:
 * "4 8" for two groups. */
static void check_groups(const char *text, const char *want)
{
    md_error err = MD_ERROR_INIT;
    md_model *m = net_parse(text);
    char got[200] = "";
    md_cut c;

    assert_md_ok(md_cut_open(&c, m, &err), &err);
    for (uint32_t i = 0; i < c.n_groups; i++) {
        snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s%u",
                 i ? " " : "", c.group[i].n);
        for (uint32_t k = 0; k < c.group[i].n / 2; k++)
            c.unit[c.group[i].first + k].out = true;
    }
    assert_string_equal(got, want);
    check_cut(&c, text);
    md_cut_release(&c);
    md_model_free(m);
}

static void test_cut__groups(void **state)
{
    static const struct {
        const char *text, *want;
    } rows[] = {
        /* A chain, with a normalization, and a table behind Flatten. */
        { "x f32[N,3,6,6]; w = f32[8,3,3,3]~0.3; a = Conv(x, w); s = f32[8]~1;"
          " b = f32[8]~1; m = f32[8]~1; v = f32[8]{=2}; c = "
          "BatchNormalization(a, s, b, m, v); r = Relu(c); f = Flatten(r); w2 "
          "= f32[128,5]~0.2; g = Gemm(f, w2); w3 = f32[5,4]~0.3; y = MatMul(g,"
          " w3); -> y",
          "8 5" },
        /* A residual sum: its two inputs go together. */
        { "x f32[N,3,5,5]; w = f32[6,3,1,1]~0.3; a = Conv(x, w); w2 = "
          "f32[6,6,3,3]~0.3; b = Conv(a, w2) pads=[1,1,1,1]; c = Add(a, b); d "
          "= Sigmoid(c); w3 = f32[2,6,1,1]~0.3; y = Conv(d, w3); -> y",
          "6" },
        /* Concat and Split: each part is its own. */
        { "x f32[N,3,5,5]; w = f32[6,3,1,1]~0.3; a = Conv(x, w); w2 = "
          "f32[4,3,1,1]~0.3; b = Conv(x, w2); c = Concat(a, b) axis=1; d, e = "
          "Split(c) axis=1 num_outputs=2; w3 = f32[2,5,1,1]~0.3; f = Conv(d, "
          "w3); g = Conv(e, w3); y = Add(f, g); -> y",
          "1 4" },
        /* Depthwise, with two outputs of each channel. */
        { "x f32[N,3,5,5]; w = f32[6,3,1,1]~0.3; b = f32[6]~1; a = Conv(x, w, "
          "b); w2 = f32[12,1,3,3]~0.3; d = Conv(a, w2) group=6; w3 = "
          "f32[2,12,1,1]~0.3; y = Conv(d, w3); -> y",
          "6" },
        /* Groups: the same places of all. */
        { "x f32[N,4,5,5]; w = f32[8,4,1,1]~0.3; a = Conv(x, w); w2 = "
          "f32[12,4,3,3]~0.3; d = Conv(a, w2) group=2; w3 = f32[2,12,1,1]~0.3;"
          " y = Conv(d, w3); -> y",
          "4 6" },
        { "x f32[N,4,5,5]; w = f32[8,4,1,1]~0.3; a = Conv(x, w); w2 = "
          "f32[8,3,3,3]~0.3; d = ConvTranspose(a, w2) group=2; w3 = "
          "f32[2,6,1,1]~0.3; y = Conv(d, w3); -> y",
          "4 3" },
        { "x f32[N,4,5,5]; w = f32[8,4,1,1]~0.3; a = Conv(x, w); w2 = "
          "f32[8,3,3,3]~0.3; b2 = f32[3]~1; d = ConvTranspose(a, w2, b2) "
          "strides=[2,2]; w3 = f32[2,3,1,1]~0.3; y = Conv(d, w3); -> y",
          "8 3" },
        /* Heads: whole ones, behind the projections; a feed-forward layer; what
         * LayerNormalization sums over stays. */
        { "x f32[N,5,8]; wq = f32[8,8]~0.3; bq = f32[8]~1; q0 = MatMul(x, wq);"
          " q1 = Add(bq, q0); wk = f32[8,8]~0.3; k1 = MatMul(x, wk); wv = "
          "f32[8,8]~0.3; v1 = MatMul(x, wv); h = i64[4]{0 5 4 2}; q2 = "
          "Reshape(q1, h); k2 = Reshape(k1, h); v2 = Reshape(v1, h); q = "
          "Transpose(q2) perm=[0,2,1,3]; k = Transpose(k2) perm=[0,2,3,1]; v ="
          " Transpose(v2) perm=[0,2,1,3]; s = MatMul(q, k); p = Softmax(s); o "
          "= MatMul(p, v); o2 = Transpose(o) perm=[0,2,1,3]; h2 = i64[3]{0 -1 "
          "8}; o3 = Reshape(o2, h2); wo = f32[8,8]~0.3; o4 = MatMul(o3, wo); "
          "r = Add(o4, x); g = f32[8]~1; n = LayerNormalization(r, g); w1 = "
          "f32[8,16]~0.3; f = MatMul(n, w1); e = Gelu(f); w2 = f32[16,8]~0.3; "
          "f2 = MatMul(e, w2); y = Add(f2, r); -> y",
          "4 16" },
        /* Squeeze and excitation; GroupNormalization; a slope by channel. */
        { "x f32[N,3,5,5]; w = f32[8,3,1,1]~0.3; a = Conv(x, w); s = f32[8]~1;"
          " b = f32[8]~1; n = GroupNormalization(a, s, b) num_groups=4; p = "
          "f32[8,1,1]~0.2; q = PRelu(n, p); m = GlobalAveragePool(q); w2 = "
          "f32[3,8,1,1]~0.3; z = Conv(m, w2); r = Relu(z); w3 = "
          "f32[8,3,1,1]~0.3; t = Conv(r, w3); u = HardSigmoid(t); v = Mul(q, "
          "u); w4 = f32[2,8,1,1]~0.3; y = Conv(v, w4); -> y",
          "4 3" },
        /* Slice, Pad, Resize, ReduceMean, Unsqueeze and what is read by LSTM. */
        { "x f32[N,3,5,5]; w = f32[8,3,1,1]~0.3; a = Conv(x, w); st = i64[1]"
          "{2}; en = i64[1]{100}; ax = i64[1]{1}; c = Slice(a, st, en, ax); pd "
          "= i64[8]{0 0 1 1 0 0 1 1}; d = Pad(c, pd); sc = f32[4]{1 1 2 2}; e "
          "= Resize(d, _, sc); ra = i64[2]{2 3}; f = ReduceMean(e, ra) "
          "keepdims=0; ua = i64[1]{0}; u = Unsqueeze(f, ua); wl = "
          "f32[1,16,6]~0.3; rl = f32[1,16,4]~0.3; o, hh = LSTM(u, wl, rl) "
          "hidden_size=4; -> hh",
          "2 6" },
        /* Weights that two products share are tied by them. */
        { "x f32[N,4]; w = f32[4,4]~0.4; a = MatMul(x, w); b = Tanh(a); c = "
          "MatMul(b, w); d = f32[4,3]~0.4; y = MatMul(c, d); -> y",
          "" },
        /* Operators without a rule. */
        { "x f32[N,3,5,5]; w = f32[6,3,1,1]~0.3; a = Conv(x, w); b = LRN(a) "
          "size=3; w2 = f32[2,6,1,1]~0.3; y = Conv(b, w2); -> y",
          "" },
        /* A size that is looked at, and one that is not. */
        { "x f32[N,3,5,5]; w = f32[6,3,1,1]~0.3; a = Conv(x, w); b = Shape(a);"
          " i = i64[1]{0}; c = Gather(b, i); k = i64[1]{-1}; e = Concat(c, k) "
          "axis=0; f = Reshape(a, e); w2 = f32[150,2]~0.2; y = MatMul(f, w2);"
          " -> y",
          "6" },
        { "x f32[N,3,5,5]; w = f32[6,3,1,1]~0.3; a = Conv(x, w); b = Shape(a);"
          " c = Cast(b) to=1; w2 = f32[2,6,1,1]~0.3; d = Conv(a, w2); e = "
          "Mul(d, d); -> e, c",
          "" },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(rows); i++)
        check_groups(rows[i].text, rows[i].want);
}

static void test_cut__sizes_and_costs_shrink(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_model *m = net_parse(
        "x f32[N,4,8,8]; w = f32[8,4,3,3]~0.3; a = Conv(x, w) pads=[1,1,1,1]; "
        "r = Relu(a); w2 = f32[8,1,3,3]~0.3; b = Conv(r, w2) pads=[1,1,1,1] "
        "group=8; w3 = f32[2,8,1,1]~0.3; y = Conv(b, w3); -> y");
    md_model *small;
    md_cut c;

    (void)state;
    assert_md_ok(md_cut_open(&c, m, &err), &err);
    assert_int_equal(c.n_groups, 1);
    assert_true(c.group[0].is_channels);
    assert_string_equal(c.group[0].name, "w");
    assert_int_equal(md_cut_macs(&c), 64 * (8 * 36 + 8 * 9 + 16));
    c.unit[1].out = c.unit[4].out = true;
    assert_int_equal(md_cut_macs(&c), 64 * (6 * 36 + 6 * 9 + 12));
    assert_md_ok(md_cut_apply(&small, &c, &err), &err);
    for (uint32_t i = 0; i < small->graph->n_nodes; i++) {
        const md_node *n = small->graph->nodes[i];
        const md_tensor *w;

        if (strcmp(n->op, "Conv") != 0)
            continue;
        w = small->graph->values[n->in[1]].cdata;
        assert_non_null(w);
        if (md_node_attr_i(n, "group", 1) != 1)
            assert_int_equal(md_node_attr_i(n, "group", 1), 6);
        assert_true(w && (w->shape.dim[0] == 6 || w->shape.dim[1] == 6));
    }
    md_model_free(small);
    md_cut_release(&c);
    md_model_free(m);
}

/* ---- random nets ---- */

enum {
    TEXT_MAX = 1 << 14,
    LIVE_MAX = 24
};

/* A value [N, c, h, h]. */
typedef struct live {
    int id, c, h;
} live;

typedef struct maker {
    char text[TEXT_MAX];
    size_t used;
    md_rng r;
    live at[LIVE_MAX];
    int n, next;
} maker;

static void say(maker *m, const char *fmt, ...) MD_PRINTF(2, 3);

static void say(maker *m, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    m->used +=
        (size_t)vsnprintf(m->text + m->used, TEXT_MAX - m->used, fmt, ap);
    va_end(ap);
    assert_true(m->used < TEXT_MAX);
}

static int below(maker *m, int n)
{
    return (int)md_rng_below(&m->r, (uint64_t)n);
}

static void put(maker *m, int id, int c, int h)
{
    m->at[m->n < LIVE_MAX ? m->n++ : below(m, LIVE_MAX)] = (live){ id, c, h };
}

static void make_conv(maker *m, live v)
{
    const int groups[] = { 1, 1, 2, v.c };
    int g = groups[below(m, 4)], out, k = below(m, 2) ? 3 : 1, y = m->next++;

    g = v.c % g == 0 ? g : 1;
    out = g * (1 + below(m, g > 2 ? 2 : 6));
    say(m,
        "w%d = f32[%d,%d,%d,%d]~0.3; b%d = f32[%d]~0.5; v%d = Conv(v%d, "
        "w%d%s) pads=[%d,%d,%d,%d] group=%d; ",
        y, out, v.c / g, k, k, y, out, y, v.id, y, "", k / 2, k / 2, k / 2,
        k / 2, g);
    put(m, y, out, v.h);
}

static void make_norm(maker *m, live v)
{
    const int y = m->next++;

    say(m,
        "s%d = f32[%d]~1; t%d = f32[%d]~1; m%d = f32[%d]~1; u%d = "
        "f32[%d]{=2}; ",
        y, v.c, y, v.c, y, v.c, y, v.c);
    if (below(m, 2))
        say(m, "v%d = BatchNormalization(v%d, s%d, t%d, m%d, u%d); ", y, v.id,
            y, y, y, y);
    else
        say(m, "v%d = GroupNormalization(v%d, s%d, t%d) num_groups=%d; ", y,
            v.id, y, y, v.c % 2 == 0 ? 2 : 1);
    put(m, y, v.c, v.h);
}

static void make_unary(maker *m, live v)
{
    static const char *const ops[] = { "Relu", "Sigmoid", "Tanh", "HardSwish",
                                       "Softplus" };
    const int y = m->next++;

    say(m, "v%d = %s(v%d); ", y, ops[below(m, 5)], v.id);
    put(m, y, v.c, v.h);
}

/* With another value of its sizes; or with a row of numbers. */
static void make_sum(maker *m, live v)
{
    static const char *const ops[] = { "Add", "Mul", "Max" };
    const int y = m->next++;
    live w = m->at[below(m, m->n)];

    if (w.c == v.c && w.h == v.h)
        say(m, "v%d = %s(v%d, v%d); ", y, ops[below(m, 3)], v.id, w.id);
    else
        say(m, "p%d = f32[%d,1,1]~1; v%d = %s(p%d, v%d); ", y, v.c, y,
            ops[below(m, 3)], y, v.id);
    put(m, y, v.c, v.h);
}

static void make_concat(maker *m, live v)
{
    live w = m->at[below(m, m->n)];
    int y;

    if (w.h != v.h || w.c + v.c > 24)
        return;
    y = m->next++;
    say(m, "v%d = Concat(v%d, v%d) axis=1; ", y, v.id, w.id);
    put(m, y, v.c + w.c, v.h);
}

static void make_parts(maker *m, live v)
{
    const int y = m->next++, k = v.c > 1 ? 1 + below(m, v.c - 1) : 1;

    if (v.c < 2) {
        say(m, "v%d = Identity(v%d); ", y, v.id);
        put(m, y, v.c, v.h);
    } else if (below(m, 2)) {
        const int z = m->next++;

        say(m, "l%d = i64[2]{%d %d}; v%d, v%d = Split(v%d, l%d) axis=1; ", y, k,
            v.c - k, y, z, v.id, y);
        put(m, y, k, v.h);
        put(m, z, v.c - k, v.h);
    } else {
        say(m,
            "f%d = i64[1]{%d}; e%d = i64[1]{%d}; a%d = i64[1]{1}; v%d = "
            "Slice(v%d, f%d, e%d, a%d); ",
            y, -k, y, v.c, y, y, v.id, y, y, y);
        put(m, y, k, v.h);
    }
}

static void make_pool(maker *m, live v)
{
    const int y = m->next++;

    say(m, "v%d = %s(v%d) kernel_shape=[3,3] pads=[1,1,1,1]; ", y,
        below(m, 2) ? "MaxPool" : "AveragePool", v.id);
    put(m, y, v.c, v.h);
}

/* Shuffled: [N,c,h,h] -> [N,g,c/g,h,h] -> [N,c/g,g,h,h] -> [N,c,h,h]. */
static void make_shuffle(maker *m, live v)
{
    const int y = m->next++, g = v.c % 2 == 0 ? 2 : 1;

    say(m,
        "h%d = i64[5]{0 %d %d %d %d}; i%d = i64[4]{0 %d %d %d}; j%d = "
        "Reshape(v%d, h%d); k%d = Transpose(j%d) perm=[0,2,1,3,4]; v%d = "
        "Reshape(k%d, i%d); ",
        y, g, v.c / g, v.h, v.h, y, v.c, v.h, v.h, y, v.id, y, y, y, y, y, y);
    put(m, y, v.c, v.h);
}

/* Scaled by what a small net makes of the means. */
static void make_gate(maker *m, live v)
{
    const int y = m->next++, k = 1 + below(m, 4);

    say(m,
        "g%d = GlobalAveragePool(v%d); w%d = f32[%d,%d,1,1]~0.5; q%d = "
        "Conv(g%d, w%d); o%d = Relu(q%d); x%d = f32[%d,%d,1,1]~0.5; z%d = "
        "Conv(o%d, x%d); n%d = Sigmoid(z%d); v%d = Mul(v%d, n%d); ",
        y, v.id, y, k, v.c, y, y, y, y, y, y, v.c, k, y, y, y, y, y, y, v.id,
        y);
    put(m, y, v.c, v.h);
}

/* The end: a layer behind Flatten, of all that is left or of a part. */
static void make_end(maker *m)
{
    const live v = m->at[m->n - 1], w = m->at[below(m, m->n)];
    const int n = v.c * v.h * v.h;

    say(m,
        "ff = Flatten(v%d); wf = f32[%d,7]~0.2; bf = f32[7]~1; hf = Gemm(ff,"
        " wf, bf); rf = Relu(hf); wg = f32[3,7]~0.4; y = Gemm(rf, wg) "
        "transB=1; wz = f32[2,%d,1,1]~0.4; z = Conv(v%d, wz); -> y, z",
        v.id, n, w.c, w.id);
}

static void make_net(maker *m, uint64_t seed)
{
    static void (*const steps[])(maker *, live) = {
        make_conv, make_conv,   make_conv,  make_norm, make_unary,   make_sum,
        make_sum,  make_concat, make_parts, make_pool, make_shuffle, make_gate
    };
    const int n = 4;

    m->used = 0;
    m->n = m->next = 0;
    m->r = md_rng_make(seed, 1);
    say(m, "x f32[N,3,%d,%d]; v0 = Identity(x); ", n, n);
    put(m, m->next++, 3, n);
    for (int k = 5 + below(m, 14); k > 0; k--) {
        /* The newest most often. */
        const live v = m->at[below(m, 3) ? m->n - 1 : below(m, m->n)];

        steps[k % 4 == 0 ? 0 : below(m, (int)MD_COUNT(steps))](m, v);
    }
    make_end(m);
}

/* Returns how many units were cut. */
static uint32_t check_random(maker *k, uint64_t seed)
{
    uint32_t n_out = 0;
    md_error err = MD_ERROR_INIT;
    md_model *m;
    md_cut c;
    double share;

    make_net(k, seed);
    share = md_rng_uniform(&k->r);
    m = net_parse(k->text);
    if (md_cut_open(&c, m, &err) != MD_OK)
        fail_msg("%s: %s", err.msg, k->text);
    for (uint32_t i = 0; i < c.n_groups; i++) {
        uint32_t left = c.group[i].n;

        for (uint32_t u = 0; u < c.group[i].n && left > 1; u++) {
            c.unit[c.group[i].first + u].out = md_rng_uniform(&k->r) < share;
            left -= c.unit[c.group[i].first + u].out;
            n_out += c.unit[c.group[i].first + u].out;
        }
    }
    check_cut(&c, k->text);
    md_cut_release(&c);
    md_model_free(m);
    return n_out;
}

/* CUT_CASES nets (a few): `CUT_CASES=1000 build/dev/...` for many. */
static void test_cut__random_nets(void **state)
{
    static maker k;
    const char *text = getenv("CUT_CASES");
    const long n = text ? strtol(text, NULL, 10) : 60;

    uint32_t n_out = 0;

    (void)state;
    for (long seed = 0; seed < n; seed++)
        n_out += check_random(&k, (uint64_t)seed);
    if (n_out < 2 * n) /* several in most nets, not nothing at all */
        fail_msg("%u units cut in %ld nets", n_out, n);
}

static void test_cut__out_of_memory(void **state)
{
    static const char text[] =
        "x f32[N,3,5,5]; w = f32[6,3,1,1]~0.3; a = Conv(x, w); d, e = Split(a) "
        "axis=1 num_outputs=2; f = Concat(e, d) axis=1; w2 = f32[2,6,1,1]~0.3;"
        " y = Conv(f, w2); -> y";
    md_error err = MD_ERROR_INIT;
    md_status s = MD_NOMEM;

    (void)state;
    for (int64_t n = 0; s != MD_OK; n++) {
        fail_alloc f;
        md_model *m, *small = NULL;
        md_cut c;

        fail_alloc_init(&f);
        m = net_load(text, &f.alloc);
        fail_alloc_arm(&f, n);
        s = md_cut_open(&c, m, &err);
        if (s == MD_OK) {
            c.unit[0].out = true;
            s = md_cut_apply(&small, &c, &err);
            md_cut_release(&c);
        }
        if (fail_alloc_disarm(&f))
            assert_int_equal(s, MD_NOMEM);
        else
            assert_md_ok(s, &err);
        md_model_free(small);
        md_model_free(m);
        assert_int_equal(f.n_live, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cut__groups),
        cmocka_unit_test(test_cut__sizes_and_costs_shrink),
        cmocka_unit_test(test_cut__random_nets),
        cmocka_unit_test(test_cut__out_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
