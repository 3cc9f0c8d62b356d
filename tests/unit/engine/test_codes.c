/*
 * What quantized graphs mean, against exact numbers: codes go in, codes come
 * out, and each is the one that the scales and zero points say, computed here
 * in integers and doubles.  Only where the exact value is a tie but for the
 * rounding of the scales to float may the neighbour come out.  Every level
 * gives the same codes.
 */
#include "support/test.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/cpu.h"
#include "support/guard.h"
#include "support/net.h"

enum {
    TEXT_SIZE = 2048,
    CASES = 60 /* of each operator */
};

static const uint32_t levels[] = { MD_CPU_NONE, MD_CPU_AVX2,
                                   MD_CPU_AVX2 | MD_CPU_AVXVNNI,
                                   MD_CPU_AVX2 | MD_CPU_AVX512, MD_CPU_ALL };

/* A scale, zero point and type of codes. */
typedef struct quant {
    bool is_signed;
    int zero;
    float scale;
} quant;

typedef struct maker {
    uint32_t seed;
    quant x, y;
    bool per_channel;  /* weights */
    int act;           /* 0 none, 1 Relu, 2 Clip */
    float lo, hi;      /* of Clip */
    float w_scale[40]; /* per column or channel */
    char text[TEXT_SIZE];
    size_t size;
} maker;

static int pick(maker *m, int lo, int hi)
{
    return lo + (int)(md_guard_random(&m->seed) % (uint32_t)(hi - lo + 1));
}

static void MD_PRINTF(2, 3) put(maker *m, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    m->size +=
        (size_t)vsnprintf(m->text + m->size, TEXT_SIZE - m->size, fmt, ap);
    va_end(ap);
    assert_true(m->size < TEXT_SIZE);
}

static int code_min(const quant *q)
{
    return q->is_signed ? -128 : 0;
}

static quant quant_random(maker *m, float about)
{
    quant q = { .is_signed = pick(m, 0, 1) };

    /* zero points at both ends of the codes, too */
    q.zero =
        code_min(&q) + (pick(m, 0, 3) ? pick(m, 0, 255) : pick(m, 0, 1) * 255);
    q.scale = about * (float)pick(m, 50, 200) / 100;
    return q;
}

static const char *type_of(const quant *q)
{
    return q->is_signed ? "i8" : "u8";
}

/* "name = DequantizeLinear(from, scale, zero)" */
static void put_dq(maker *m, const char *name, const char *from, const quant *q)
{
    put(m, "%s = DequantizeLinear(%s, f32[]{%.9g}, %s[]{%d}); ", name, from,
        (double)q->scale, type_of(q), q->zero);
}

/* Activation of c and QuantizeLinear to the output y. */
static void put_end(maker *m)
{
    if (m->act == 1)
        put(m, "r = Relu(c); ");
    if (m->act == 2)
        put(m, "r = Clip(c, f32[]{%.9g}, f32[]{%.9g}); ", (double)m->lo,
            (double)m->hi);
    put(m, "y = QuantizeLinear(%s, f32[]{%.9g}, %s[]{%d}); -> y",
        m->act ? "r" : "c", (double)m->y.scale, type_of(&m->y), m->y.zero);
}

/* int8 weights of this shape, n of them along axis. */
static void put_weights(maker *m, const char *dims, int n, int axis)
{
    put(m, "w = DequantizeLinear(i8[%s]~127, f32[", dims);
    for (int i = 0; i < n; i++)
        m->w_scale[i] = m->per_channel ? 0.001f * (float)pick(m, 1, 9)
                        : i            ? m->w_scale[0]
                                       : 0.004f;
    if (!m->per_channel) {
        put(m, "]{%.9g}); ", (double)m->w_scale[0]);
        return;
    }
    put(m, "%d]{", n);
    for (int i = 0; i < n; i++)
        put(m, "%s%.9g", i ? " " : "", (double)m->w_scale[i]);
    put(m, "}) axis=%d; ", axis);
}

static void begin(maker *m, uint32_t seed, float x_scale, float y_scale)
{
    *m = (maker){ .seed = seed * 7919u + 1 };
    m->x = quant_random(m, x_scale);
    m->y = quant_random(m, y_scale);
    m->per_channel = pick(m, 0, 1);
    m->act = pick(m, 0, 2);
    m->lo = -(float)pick(m, 0, 8) * y_scale * 8;
    m->hi = (float)pick(m, 1, 9) * y_scale * 9;
}

/* ---- the oracle ---- */

static int64_t code_at(const md_tensor *t, int64_t i)
{
    return md_tensor_get_i64(t, i);
}

/* Is `got` the code of `value` (the exact result, before the activation),
 * whose rounding errors in float are at most `slack`? */
static void check_code(const maker *m, int64_t got, double value, double slack,
                       int64_t at)
{
    const double lo = m->act == 1 ? 0 : m->act == 2 ? m->lo : -INFINITY;
    const double hi = m->act == 2 ? m->hi : INFINITY;
    const int least = code_min(&m->y);
    bool ok = false;
    double want = 0;

    value = fmin(fmax(value, lo), hi);
    for (int side = -1; side <= 1; side++) {
        /* a clamp is done in codes: its bound is rounded, too */
        want = nearbyint(value / m->y.scale + side * slack / m->y.scale) +
               m->y.zero;
        want = fmin(fmax(want, least), least + 255);
        ok |= (double)got == want;
    }
    if (!ok)
        fail_msg("[%d]: %d, expected %g (exactly %.9g steps) of\n%s", (int)at,
                 (int)got, want, value / m->y.scale, m->text);
}

/* Codes in, codes out, for one level; the explained text must have `op`. */
static void run(const maker *m, uint32_t level, const char *op,
                const md_tensor *in, md_tensor *out)
{
    md_error err = MD_ERROR_INIT;
    md_session *s;
    char *text;

    md_cpu_set_mask(level);
    s = net_open(m->text, NULL);
    text = net_explain(s);
    if (!strstr(text, op) || strstr(text, "DequantizeLinear"))
        fail_msg("%s expected:\n%sof\n%s", op, text, m->text);
    md_free(md_alloc_default(), text);
    assert_md_ok(md_session_run(s, in, out, md_alloc_default(), &err), &err);
    md_session_free(s);
    md_cpu_set_mask(MD_CPU_ALL);
}

typedef void check_fn(const maker *m, const md_graph *g, const md_tensor *in,
                      const md_tensor *y);

static void check_net(const maker *m, const char *op, check_fn *check)
{
    md_model *model = net_parse(m->text);
    md_tensor in[NET_IO_MAX], first, y;

    net_inputs(in, model->graph, 2, m->seed);
    for (size_t i = 0; i < MD_COUNT(levels); i++) {
        run(m, levels[i], op, in, i ? &y : &first);
        if (i == 0) {
            check(m, model->graph, in, &first);
            continue;
        }
        assert_int_equal(y.dtype, first.dtype);
        assert_memory_equal(y.data, first.data, md_tensor_size(&first));
        md_tensor_release(&y);
    }
    md_tensor_release(&first);
    net_release(in, model->graph->n_inputs);
    md_model_free(model);
}

/* The codes that w stands for. */
static const md_tensor *weights_of(const md_graph *g)
{
    const md_value_id w = md_graph_find(g, "w");

    assert_true(w != MD_VALUE_NONE);
    return g->values[g->values[w].def->in[0]].cdata;
}

/* The float bias b, when the net has one. */
static double bias_at(const md_graph *g, int64_t i)
{
    const md_value_id id = md_graph_find(g, "b");

    return id == MD_VALUE_NONE ? 0 : md_tensor_get_f64(g->values[id].cdata, i);
}

/* Sum of products of codes, in units of the scales' product: the result is
 * (sum + round(bias / unit)) * unit, off by the rounding of unit / y scale to
 * float (three roundings) and of the product. */
static void check_sum(const maker *m, const md_graph *g, int64_t got,
                      int64_t sum, int64_t column, int64_t at)
{
    const double unit = (double)m->x.scale * (double)m->w_scale[column];
    const double whole = (double)sum + nearbyint(bias_at(g, column) / unit);
    const double value = whole * unit;

    check_code(m, got, value, fabs(value) * 4 / (1 << 24), at);
}

/* ---- products ---- */

static void check_product(const maker *m, const md_graph *g,
                          const md_tensor *in, const md_tensor *y)
{
    const md_tensor *w = weights_of(g);
    const int64_t k = w->shape.dim[0], n = w->shape.dim[1];

    for (int64_t i = 0; i < md_tensor_n(y); i++) {
        int64_t sum = 0;

        for (int64_t l = 0; l < k; l++)
            sum += (code_at(in, i / n * k + l) - m->x.zero) *
                   code_at(w, l * n + i % n);
        check_sum(m, g, code_at(y, i), sum, i % n, i);
    }
}

static void put_product(maker *m, uint32_t seed, const char *op)
{
    static const int sizes[] = { 1, 3, 4, 15, 16, 17, 33 };
    const bool gemm = op[0] == 'G';
    char dims[32];
    int k, n;

    begin(m, seed, 0.02f, 0.05f);
    k = sizes[pick(m, 0, 6)], n = sizes[pick(m, 0, 6)];
    snprintf(dims, sizeof(dims), "%d,%d", k, n);
    put(m, "q %s[N,%s%d]; ", type_of(&m->x), gemm ? "" : "3,", k);
    put_dq(m, "d", "q", &m->x);
    put_weights(m, dims, n, 1);
    if (gemm && pick(m, 0, 1))
        put(m, "b = f32[%d]~0.5; c = Gemm(d, w, b); ", n);
    else
        put(m, "c = %s(d, w); ", op);
    put_end(m);
}

static void test_codes__gemm(void **state)
{
    maker m;

    (void)state;
    for (uint32_t seed = 0; seed < CASES; seed++) {
        put_product(&m, seed, "Gemm");
        check_net(&m, "QGemm", check_product);
    }
}

static void test_codes__mat_mul(void **state)
{
    maker m;

    (void)state;
    for (uint32_t seed = 0; seed < CASES; seed++) {
        put_product(&m, seed, "MatMul");
        check_net(&m, "QLinearMatMul", check_product);
    }
}

/* ---- convolutions ---- */

static void check_conv(const maker *m, const md_graph *g, const md_tensor *in,
                       const md_tensor *y)
{
    const md_tensor *w = weights_of(g);
    const int64_t *wd = w->shape.dim, *xd = in->shape.dim, *yd = y->shape.dim;
    const int64_t pad = wd[2] / 2, stride = (xd[2] - 1) / yd[2] ? 2 : 1;
    const int64_t groups = xd[1] / wd[1];

    for (int64_t i = 0; i < md_tensor_n(y); i++) {
        const int64_t oc = i / (yd[2] * yd[3]) % yd[1];
        const int64_t n = i / (yd[2] * yd[3]) / yd[1];
        const int64_t c0 = oc / (yd[1] / groups) * wd[1];
        int64_t sum = 0;

        for (int64_t t = 0; t < wd[1] * wd[2] * wd[3]; t++) {
            const int64_t c = c0 + t / (wd[2] * wd[3]);
            const int64_t iy =
                i / yd[3] % yd[2] * stride - pad + t / wd[3] % wd[2];
            const int64_t ix = i % yd[3] * stride - pad + t % wd[3];

            if (iy < 0 || iy >= xd[2] || ix < 0 || ix >= xd[3])
                continue; /* outside is a real zero */
            sum += (code_at(in, ((n * xd[1] + c) * xd[2] + iy) * xd[3] + ix) -
                    m->x.zero) *
                   code_at(w, oc * wd[1] * wd[2] * wd[3] + t);
        }
        check_sum(m, g, code_at(y, i), sum, oc, i);
    }
}

static void put_conv(maker *m, uint32_t seed)
{
    static const int channels[] = { 1, 3, 4, 5, 16, 20, 33 };
    char dims[48];
    int ic, oc, k, stride, group;

    begin(m, seed, 0.02f, 0.08f);
    ic = channels[pick(m, 0, 6)], oc = channels[pick(m, 0, 6)];
    k = 1 + 2 * pick(m, 0, 1), stride = pick(m, 1, 2);
    group = pick(m, 0, 3) == 0 ? ic : 1;
    oc = group > 1 ? ic : oc;
    snprintf(dims, sizeof(dims), "%d,%d,%d,%d", oc, ic / group, k, k);
    put(m, "q %s[N,%d,7,6]; ", type_of(&m->x), ic);
    put_dq(m, "d", "q", &m->x);
    put_weights(m, dims, oc, 0);
    if (pick(m, 0, 1))
        put(m, "b = f32[%d]~0.5; c = Conv(d, w, b)", oc);
    else
        put(m, "c = Conv(d, w)");
    put(m, " pads=[%d,%d,%d,%d] strides=[%d,%d] group=%d; ", k / 2, k / 2,
        k / 2, k / 2, stride, stride, group);
    put_end(m);
}

static void test_codes__conv(void **state)
{
    maker m;

    (void)state;
    for (uint32_t seed = 0; seed < 3 * CASES; seed++) {
        put_conv(&m, seed);
        check_net(&m, "QLinearConv", check_conv);
    }
}

/* ---- sums of two, averages ---- */

static void check_add(const maker *m, const md_graph *g, const md_tensor *in,
                      const md_tensor *y)
{
    /* the second operand's parameters were stored behind the weights' */
    const double b_scale = (double)m->w_scale[0];
    const int64_t b_zero = (int64_t)m->w_scale[1];
    const int64_t row = md_tensor_n(&in[1]);

    (void)g;
    for (int64_t i = 0; i < md_tensor_n(y); i++) {
        const double a =
            (double)(code_at(&in[0], i) - m->x.zero) * (double)m->x.scale;
        const double b = (double)(code_at(&in[1], i % row) - b_zero) * b_scale;

        /* each factor is rounded twice, each product and the sum once */
        check_code(m, code_at(y, i), a + b, (fabs(a) + fabs(b)) * 4 / (1 << 24),
                   i);
    }
}

static void test_codes__add(void **state)
{
    maker m;

    (void)state;
    for (uint32_t seed = 0; seed < CASES; seed++) {
        quant b;

        begin(&m, seed, 0.02f, 0.05f);
        b = quant_random(&m, 0.03f);
        b.is_signed = m.y.is_signed = m.x.is_signed;
        b.zero = code_min(&b) + pick(&m, 0, 255);
        m.y.zero = code_min(&b) + pick(&m, 0, 255);
        m.w_scale[0] = b.scale;
        m.w_scale[1] = (float)b.zero;
        put(&m, "q %s[N,5,4]; p %s[%s]; ", type_of(&m.x), type_of(&b),
            pick(&m, 0, 1) ? "4" : "N,5,4");
        put_dq(&m, "d", "q", &m.x);
        put_dq(&m, "e", "p", &b);
        put(&m, "c = Add(d, e); ");
        put_end(&m);
        check_net(&m, "QLinearAdd", check_add);
    }
}

static void check_average(const maker *m, const md_graph *g,
                          const md_tensor *in, const md_tensor *y)
{
    const int64_t plane = in->shape.dim[2] * in->shape.dim[3];

    (void)g;
    for (int64_t i = 0; i < md_tensor_n(y); i++) {
        int64_t sum = 0;
        double value;

        for (int64_t j = 0; j < plane; j++)
            sum += code_at(in, i * plane + j) - m->x.zero;
        value = (double)sum * (double)m->x.scale / (double)plane;
        check_code(m, code_at(y, i), value, fabs(value) * 5 / (1 << 24), i);
    }
}

static void test_codes__global_average(void **state)
{
    maker m;

    (void)state;
    for (uint32_t seed = 0; seed < CASES; seed++) {
        begin(&m, seed, 0.02f, 0.01f);
        m.act = 0;
        m.y.is_signed = m.x.is_signed;
        m.y.zero = code_min(&m.y) + pick(&m, 0, 255);
        put(&m, "q %s[N,%d,%d,5]; ", type_of(&m.x), pick(&m, 1, 40),
            pick(&m, 1, 9));
        put_dq(&m, "d", "q", &m.x);
        put(&m, "c = GlobalAveragePool(d); ");
        put_end(&m);
        check_net(&m, "QLinearGlobalAveragePool", check_average);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_codes__gemm),
        cmocka_unit_test(test_codes__mat_mul),
        cmocka_unit_test(test_codes__conv),
        cmocka_unit_test(test_codes__add),
        cmocka_unit_test(test_codes__global_average),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
