#include "train/teacher.h"

#include <math.h>
#include <string.h>

#include "train/runner.h"
#include "train/step.h"

enum {
    BATCH = 64 /* samples in one execution */
};

#define SIZE_LIMIT ((uint64_t)4 << 30)

static md_status visit(void *ctx, const md_run *r, int64_t from, int64_t n,
                       md_error *err)
{
    md_teacher *t = ctx;
    const md_tensor *y = md_run_output(r, 0);
    float *to = t->scores + from * t->width;

    if (md_tensor_n(y) != n * t->width)
        return md_fail(err, MD_INVALID,
                       "the teacher gives %lld scores for %lld samples, %lld "
                       "expected",
                       (long long)md_tensor_n(y), (long long)n,
                       (long long)(n * t->width));
    memcpy(to, y->data, md_tensor_size(y));
    for (int64_t i = 0; i < n * t->width; i++) {
        if (!isfinite(to[i]))
            return md_fail(err, MD_INVALID,
                           "the teacher's scores for sample %lld hold %g",
                           (long long)(from + i / t->width), (double)to[i]);
    }
    return MD_OK;
}

static md_status make(md_teacher *t, md_session *s, const md_dataset *data,
                      md_pool *pool, md_error *err)
{
    const md_sweep sweep = { .data = data, .batch = BATCH, .pool = pool };
    const uint64_t n = (uint64_t)t->n * (uint64_t)t->width;

    if (t->width < 2)
        return md_fail(err, MD_INVALID,
                       "the teacher gives %lld value for each sample, scores "
                       "of classes expected",
                       (long long)t->width);
    if (n > SIZE_LIMIT / sizeof(*t->scores))
        return md_fail(err, MD_TOO_LARGE,
                       "%lld scores for each of %lld samples take more than "
                       "4 GiB",
                       (long long)t->width, (long long)t->n);
    t->scores = md_malloc(t->alloc, (size_t)n * sizeof(*t->scores));
    if (!t->scores)
        return md_fail_nomem(err, n * sizeof(*t->scores));
    return md_run_over(s, &sweep, visit, t, err);
}

md_status md_teacher_make(md_teacher *out, const md_model *model,
                          const md_dataset *data, md_pool *pool, md_error *err)
{
    const md_session_opts o = { .pool = pool };
    md_teacher t = { .n = data->n, .alloc = data->alloc };
    md_session *session;
    md_model *scores;
    md_status s;

    MD_TRY(md_step_scores(&scores, &t.width, model, err));
    s = md_session_new(&session, scores, &o, err);
    if (s != MD_OK) {
        md_model_free(scores);
        return s;
    }
    s = make(&t, session, data, pool, err);
    md_session_free(session);
    if (s != MD_OK) {
        md_teacher_release(&t);
        return s;
    }
    *out = t;
    return MD_OK;
}

void md_teacher_release(md_teacher *t)
{
    if (t->alloc)
        md_free(t->alloc, t->scores);
    *t = (md_teacher){ .scores = NULL };
}

void md_teacher_row(const md_teacher *t, int64_t sample, double temperature,
                    float *row)
{
    const float *z = t->scores + sample * t->width;
    double max = z[0], sum = 0.0;

    for (int64_t c = 1; c < t->width; c++)
        max = fmax(max, z[c]);
    for (int64_t c = 0; c < t->width; c++)
        sum += exp((z[c] - max) / temperature);
    for (int64_t c = 0; c < t->width; c++)
        row[c] = (float)(exp((z[c] - max) / temperature) / sum);
}
