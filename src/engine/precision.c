/*
 * Which precision a session computes in.  AUTO asks the model: it is lowered
 * to fp32 and to bf16, both run the same samples, and bf16 is kept when it
 * changes neither what is largest nor the whole by more than a bound.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/packs.h"
#include "engine/program.h"
#include "kernels/gemm_bf16.h"
#include "tensor/compare.h"

enum {
    N_SAMPLES = 4,
    OPEN_DIM = 32, /* dims without a size, but for the first */
};

/* bf16 rounds operands to 2^-9; nets add up to a few times that. */
static const double error_max = 0.01;

/* Samples and their results: [N_SAMPLES][n] each. */
typedef struct trial {
    md_tensor *inputs, *wants, *gots;
    uint32_t n_in, n_out;
} trial;

static void release_all(md_tensor *t, size_t n)
{
    for (size_t i = 0; i < n; i++)
        md_tensor_release(&t[i]);
}

static void trial_release(trial *t)
{
    release_all(t->inputs, (size_t)N_SAMPLES * t->n_in);
    release_all(t->wants, (size_t)N_SAMPLES * t->n_out);
    release_all(t->gots, (size_t)N_SAMPLES * t->n_out);
}

static md_status trial_init(trial *t, md_session *s, md_error *err)
{
    const size_t n_in = (size_t)N_SAMPLES * s->graph->n_inputs;
    const size_t n_out = (size_t)N_SAMPLES * s->graph->n_outputs;

    *t = (trial){ .n_in = s->graph->n_inputs, .n_out = s->graph->n_outputs };
    t->inputs = md_arena_calloc(&s->arena, n_in + 1, sizeof(md_tensor));
    t->wants = md_arena_calloc(&s->arena, n_out + 1, sizeof(md_tensor));
    t->gots = md_arena_calloc(&s->arena, n_out + 1, sizeof(md_tensor));
    if (!t->inputs || !t->wants || !t->gots) {
        *t = (trial){ 0 };
        return md_fail_nomem(err, (n_in + 2 * n_out) * sizeof(md_tensor));
    }
    return MD_OK;
}

static md_status make_inputs(trial *t, const md_session *s, md_error *err)
{
    for (uint32_t i = 0; i < (uint32_t)N_SAMPLES * t->n_in; i++) {
        const md_type *type = &s->inputs[i % t->n_in].type;
        md_shape shape = { .rank = type->rank };

        if (type->kind != MD_KIND_TENSOR)
            return md_fail(err, MD_UNSUPPORTED, "input '%s' is no tensor",
                           s->inputs[i % t->n_in].name);
        for (int d = 0; d < type->rank; d++) {
            const md_dim dim = type->dim[d];

            shape.dim[d] = md_dim_is_const(dim) ? dim.k : d ? OPEN_DIM : 1;
        }
        MD_TRY(md_tensor_alloc(&t->inputs[i], type->dtype, &shape, s->run_alloc,
                               err));
        md_session_sample(s, i % t->n_in, i + 1, &t->inputs[i]);
    }
    return MD_OK;
}

/* Lower and run every sample; leaves nothing lowered. */
static md_status run_all(md_session *s, md_precision p, const trial *t,
                         md_tensor *results, md_error *err)
{
    md_status st;

    s->precision = p;
    st = md_session__lower(s, err);
    for (size_t k = 0; k < N_SAMPLES && st == MD_OK; k++)
        st = md_session_run(s, t->inputs + k * t->n_in, results + k * t->n_out,
                            s->run_alloc, err);
    md_session__drop_runs(s);
    md_session__unlower(s);
    return st;
}

/* |got - want| / |want|; infinite where one of them is not finite. */
static double distance(const md_tensor *got, const md_tensor *want)
{
    double diff = 0, all = 0;

    for (int64_t i = 0; i < md_tensor_n(want); i++) {
        const double x = md_tensor_get_f64(want, i);
        const double d = md_tensor_get_f64(got, i) - x;

        diff += d * d;
        all += x * x;
    }
    if (diff == 0)
        return 0;
    return isfinite(diff) && all > 0 ? sqrt(diff / all) : INFINITY;
}

static int64_t largest(const md_tensor *t, int64_t from, int64_t n)
{
    int64_t at = 0;

    for (int64_t i = 1; i < n; i++) {
        if (md_tensor_get_f64(t, from + i) > md_tensor_get_f64(t, from + at))
            at = i;
    }
    return at;
}

static bool same_bits(const md_tensor *a, const md_tensor *b)
{
    return md_tensor_compare(NULL, a, b, 0, 0, NULL) == MD_OK;
}

static void compare(md_precision_choice *c, const md_tensor *got,
                    const md_tensor *want)
{
    const int rank = want->shape.rank;
    const int64_t width = rank > 0 ? want->shape.dim[rank - 1] : 1;

    if (!md_shape_equal(&got->shape, &want->shape) ||
        (want->kind != MD_KIND_TENSOR && !same_bits(got, want))) {
        c->error = INFINITY;
        return;
    }
    if (want->kind != MD_KIND_TENSOR)
        return;
    if (!md_dtype_is_float(want->dtype)) { /* what was made of numbers */
        c->n_top++;
        c->n_same += same_bits(got, want);
        return;
    }
    c->error = fmax(c->error, distance(got, want));
    for (int64_t i = 0; rank <= 2 && width > 1 && i < md_tensor_n(want);
         i += width) {
        c->n_top++;
        c->n_same += largest(got, i, width) == largest(want, i, width);
    }
}

static md_status explain(md_session *s, const char *why, md_error *err)
{
    s->choice.why = md_arena_strdup(&s->arena, why);
    return s->choice.why ? MD_OK : md_fail_nomem(err, strlen(why));
}

/* What the trial says. */
static md_status judge(md_session *s, const trial *t, md_error *err)
{
    md_precision_choice *c = &s->choice;
    char why[MD_ERROR_MSG_SIZE];

    c->n_samples = N_SAMPLES;
    for (uint32_t i = 0; i < (uint32_t)N_SAMPLES * t->n_out; i++)
        compare(c, &t->gots[i], &t->wants[i]);
    if (c->error <= error_max && c->n_same == c->n_top)
        c->used = MD_PRECISION_BF16;
    snprintf(why, sizeof(why),
             "auto is %s: with bf16 the error is %.2g (at most %.2g allowed) "
             "and the largest output the same in %lld of %lld rows",
             md_precision_name(c->used), c->error, error_max,
             (long long)c->n_same, (long long)c->n_top);
    return explain(s, why, err);
}

/* A model that cannot run the samples is no failure: it stays fp32. */
static md_status try_bf16(md_session *s, md_error *err)
{
    md_error why = MD_ERROR_INIT;
    md_status st;
    trial t;

    MD_TRY(trial_init(&t, s, err));
    s->keeps_constants = true;
    st = make_inputs(&t, s, &why);
    if (st == MD_OK)
        st = run_all(s, MD_PRECISION_FP32, &t, t.wants, &why);
    if (st == MD_OK)
        st = run_all(s, MD_PRECISION_BF16, &t, t.gots, &why);
    s->keeps_constants = false;
    if (st == MD_OK) {
        st = judge(s, &t, err);
    } else if (st == MD_NOMEM) {
        if (err)
            *err = why;
    } else {
        (void)md_wrap(&why, st, "auto is fp32: samples do not run: ");
        st = explain(s, why.msg, err);
    }
    trial_release(&t);
    return st;
}

/* Lower for good, with what an earlier load packed. */
static md_status lower_kept(md_session *s, md_error *err)
{
    if (!s->reference)
        MD_TRY(md_packs_open(&s->packs, s->weight_cache, s->model, s->cpu,
                             s->precision, s->pool, s->alloc, err));
    for (md_session *b = s->bodies; b; b = b->next_body)
        b->packs = s->packs;
    MD_TRY(md_session__lower(s, err));
    if (s->packs)
        md_packs_settle(s->packs);
    return MD_OK;
}

md_status md_session__choose(md_session *s, md_error *err)
{
    md_precision_choice *c = &s->choice;

    c->used = c->asked;
    if (c->asked == MD_PRECISION_AUTO) {
        c->used = MD_PRECISION_FP32;
        if (s->reference)
            c->why = "auto is fp32: reference mode";
        else if (md_gemm_bf16_select(s->cpu)->required == MD_CPU_NONE)
            c->why = "auto is fp32: this CPU has no bf16 products";
        else
            MD_TRY(try_bf16(s, err));
    }
    s->precision = c->used;
    return lower_kept(s, err);
}
