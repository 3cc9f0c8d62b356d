#include "ops/common/random.h"

#include <math.h>

#include "base/entropy.h"
#include "base/rng.h"
#include "tensor/float.h"

enum {
    HALF = 397 /* distance of the words that are combined */
};

void md_random__seed(md_random *r, uint32_t seed)
{
    r->word[0] = seed;
    for (uint32_t i = 1; i < MD_RANDOM_WORDS; i++) {
        uint32_t last = r->word[i - 1];

        r->word[i] = UINT32_C(1812433253) * (last ^ last >> 30) + i;
    }
    r->at = MD_RANDOM_WORDS;
    r->has_next = false;
}

/* 64 bits of entropy become the whole state, where a 32-bit seed would meet
 * itself after some 2^16. */
static void start_afresh(md_random *r)
{
    md_rng rng;

    md_entropy(&rng.state, sizeof(rng.state));
    for (int i = 0; i < MD_RANDOM_WORDS; i++)
        r->word[i] = (uint32_t)(md_rng_next(&rng) >> 32);
    r->at = MD_RANDOM_WORDS;
    r->has_next = false;
}

void md_random__start(md_random *r, const md_node *n)
{
    const md_attr *seed = md_node_attr(n, "seed");

    if (!seed)
        start_afresh(r);
    else if (seed->type == MD_ATTR_INT)
        md_random__seed(r, (uint32_t)seed->v.i);
    else
        md_random__seed(r, (uint32_t)md_f64_to_i64(seed->v.f));
}

static uint32_t twist(uint32_t a, uint32_t b)
{
    uint32_t y = (a & UINT32_C(0x80000000)) | (b & UINT32_C(0x7fffffff));

    return y >> 1 ^ (b & 1 ? UINT32_C(0x9908b0df) : 0);
}

static void renew(md_random *r)
{
    uint32_t *w = r->word;
    int i = 0;

    for (; i < MD_RANDOM_WORDS - HALF; i++)
        w[i] = w[i + HALF] ^ twist(w[i], w[i + 1]);
    for (; i < MD_RANDOM_WORDS - 1; i++)
        w[i] = w[i + HALF - MD_RANDOM_WORDS] ^ twist(w[i], w[i + 1]);
    w[i] = w[HALF - 1] ^ twist(w[i], w[0]);
    r->at = 0;
}

static uint32_t draw_word(md_random *r)
{
    uint32_t y;

    if (r->at == MD_RANDOM_WORDS)
        renew(r);
    y = r->word[r->at++];
    y ^= y >> 11;
    y ^= y << 7 & UINT32_C(0x9d2c5680);
    y ^= y << 15 & UINT32_C(0xefc60000);
    return y ^ y >> 18;
}

double md_random__uniform(md_random *r)
{
    double high = draw_word(r) >> 5, low = draw_word(r) >> 6;

    return (high * 0x1p26 + low) * 0x1p-53;
}

/* Of v in (0, 1].  v = m * 2^e with m around 1; log m = 2 atanh s for
 * s = (m - 1) / (m + 1), where s^2 < 0.03 makes eleven terms enough. */
static double log_of(double v)
{
    double m, s, z, sum = 0.0;
    int e;

    m = frexp(v, &e);
    if (m < 0.70710678118654752) {
        m *= 2.0;
        e--;
    }
    s = (m - 1.0) / (m + 1.0);
    z = s * s;
    for (int k = 21; k >= 3; k -= 2)
        sum = (sum + 1.0 / k) * z;
    /* log 2 in two parts, the first with room for e. */
    return e * 0x1.62e42feep-1 +
           (2.0 * s + (2.0 * s * sum + e * 0x1.a39ef35793c76p-33));
}

/* 2^k times the series of what is left, at most half a log 2. */
double md_random__exp(double v)
{
    double k = floor(v * 1.4426950408889634 + 0.5), sum = 1.0;
    double rest = v - k * 0x1.62e42feep-1 - k * 0x1.a39ef35793c76p-33;

    if (!(v > -745.0))
        return 0.0;
    for (int i = 14; i > 0; i--)
        sum = 1.0 + sum * rest / i;
    return ldexp(sum, (int)k);
}

/* The polar method (G. Marsaglia, T. Bray, 1964). */
double md_random__normal(md_random *r)
{
    double a, b, square, f;

    if (r->has_next) {
        r->has_next = false;
        return r->next;
    }
    do {
        a = 2.0 * md_random__uniform(r) - 1.0;
        b = 2.0 * md_random__uniform(r) - 1.0;
        square = a * a + b * b;
    } while (square >= 1.0 || square == 0.0);
    f = sqrt(-2.0 * log_of(square) / square);
    r->next = f * a;
    r->has_next = true;
    return f * b;
}

/* --- the operators ----------------------------------------------------- */

/* bfloat16 is of opset 22; Bernoulli alone had it before. */
static md_status check_dtype(const md_infer *c, int64_t dtype, uint32_t types,
                             md_error *err)
{
    if (c->opset < 22 && types == MD_TYPES_FLOAT)
        types &= ~MD_T(BF16);
    if (dtype > 0 && dtype < MD_DTYPE_N && types >> dtype & 1)
        return MD_OK;
    return md_fail(err, MD_INVALID,
                   "dtype is %lld, which %s does not give in opset %lld",
                   (long long)dtype, c->node->op, (long long)c->opset);
}

md_status md_random__infer_shape(const md_infer *c, md_error *err)
{
    int64_t dtype = md_node_attr_i(c->node, "dtype", MD_DTYPE_F32);
    md_type t = { 0 };
    md_ints dims;

    MD_TRY(check_dtype(c, dtype, MD_TYPES_FLOAT, err));
    MD_TRY(md_infer__attr_ints(c->node, "shape", &dims, err));
    if (!dims.given)
        return md_fail(err, MD_INVALID, "attribute 'shape' is missing");
    MD_TRY(md_infer__check_shape(&dims, err));
    t.dtype = (md_dtype)dtype;
    return md_infer__give_shape(c, &t, &dims, err);
}

md_status md_random__infer_like(const md_infer *c, uint32_t types,
                                md_error *err)
{
    int64_t dtype = md_node_attr_i(c->node, "dtype", MD_DTYPE_NONE);

    MD_TRY(md_infer__need(c, 0, MD_TYPES_ANY, err));
    if (!md_node_attr(c->node, "dtype")) {
        dtype = c->in[0]->dtype;
        if (dtype != MD_DTYPE_NONE && !(types >> dtype & 1))
            return md_fail(err, MD_INVALID,
                           "input 0 has element type %s and there is no "
                           "attribute 'dtype'",
                           md_dtype_name((md_dtype)dtype));
    } else {
        MD_TRY(check_dtype(c, dtype, types, err));
    }
    md_infer__like(c, 0, 0, (md_dtype)dtype);
    return MD_OK;
}

md_status md_random__fill(md_exec *x, md_infer_fn *infer,
                          double (*draw)(md_random *), double scale, double add,
                          md_error *err)
{
    double v[MD_CHUNK];
    md_tensor *out;
    md_random r;
    int64_t n;

    MD_TRY(md_exec__outputs(x, infer, &out, 1, err));
    if (!out)
        return MD_OK;
    md_random__start(&r, x->node);
    n = md_tensor_n(out);
    for (int64_t at = 0; at < n; at += MD_CHUNK) {
        int64_t m = n - at < MD_CHUNK ? n - at : MD_CHUNK;

        for (int64_t i = 0; i < m; i++)
            v[i] = draw(&r) * scale + add;
        md_store_f64(out, at, v, m);
    }
    return MD_OK;
}

md_status md_random__run_normal(md_exec *x, md_infer_fn *infer, md_error *err)
{
    return md_random__fill(x, infer, md_random__normal,
                           md_node_attr_f(x->node, "scale", 1.0f),
                           md_node_attr_f(x->node, "mean", 0.0f), err);
}

md_status md_random__run_uniform(md_exec *x, md_infer_fn *infer, md_error *err)
{
    double low = md_node_attr_f(x->node, "low", 0.0f);
    double high = md_node_attr_f(x->node, "high", 1.0f);

    return md_random__fill(x, infer, md_random__uniform, high - low, low, err);
}
