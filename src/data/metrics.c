#include "data/metrics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- outcomes ---- */

static void *room(const md_outcomes *o, int64_t n, size_t size, bool *all)
{
    void *p = md_calloc(o->alloc, (size_t)n + 1, size);

    *all = *all && p;
    return p;
}

md_status md_outcomes_init(md_outcomes *o, int64_t n, int64_t n_classes,
                           const md_alloc *alloc, md_error *err)
{
    bool all = true;

    *o = (md_outcomes){ .n = n, .n_classes = n_classes, .alloc = alloc };
    if (n_classes > 0) {
        o->truth = room(o, n, sizeof(*o->truth), &all);
        o->predicted = room(o, n, sizeof(*o->predicted), &all);
        o->place = room(o, n, sizeof(*o->place), &all);
        o->count = room(o, 3 * n_classes, sizeof(*o->count), &all);
    } else {
        o->squared = room(o, n, sizeof(*o->squared), &all);
        o->absolute = room(o, n, sizeof(*o->absolute), &all);
    }
    if (n_classes == 2) {
        o->score = room(o, n, sizeof(*o->score), &all);
        o->order = room(o, n, sizeof(*o->order), &all);
    }
    return all ? MD_OK
               : md_fail_nomem(err, (unsigned long long)n * sizeof(double));
}

void md_outcomes_release(md_outcomes *o)
{
    if (!o->alloc)
        return;
    md_free(o->alloc, o->truth);
    md_free(o->alloc, o->predicted);
    md_free(o->alloc, o->place);
    md_free(o->alloc, o->score);
    md_free(o->alloc, o->order);
    md_free(o->alloc, o->squared);
    md_free(o->alloc, o->absolute);
    md_free(o->alloc, o->count);
    *o = (md_outcomes){ .alloc = NULL };
}

void md_outcomes_take(md_outcomes *o, int64_t i, int32_t truth,
                      const float *scores)
{
    int32_t best = 0, place = 0;

    for (int32_t c = 0; c < o->n_classes; c++) {
        if (scores[c] > scores[best])
            best = c;
        place += scores[c] > scores[truth] ||
                 (scores[c] == scores[truth] && c < truth);
    }
    o->truth[i] = truth;
    o->predicted[i] = best;
    o->place[i] = place;
    if (o->score)
        o->score[i] = scores[1] - scores[0];
}

/* What is sorted, for qsort. */
typedef struct scored {
    float score;
    int64_t i;
} scored;

static int by_score(const void *a, const void *b)
{
    const scored *x = a, *y = b;

    if (x->score != y->score)
        return x->score < y->score ? -1 : 1;
    return (x->i > y->i) - (x->i < y->i);
}

md_status md_outcomes_sort(md_outcomes *o, md_error *err)
{
    scored *s = md_calloc(o->alloc, (size_t)o->n + 1, sizeof(*s));

    if (!s)
        return md_fail_nomem(err, (unsigned long long)o->n * sizeof(*s));
    for (int64_t i = 0; i < o->n; i++)
        s[i] = (scored){ o->score[i], i };
    qsort(s, (size_t)o->n, sizeof(*s), by_score);
    for (int64_t i = 0; i < o->n; i++)
        o->order[i] = s[i].i;
    md_free(o->alloc, s);
    return MD_OK;
}

/* ---- measures ---- */

static uint32_t weight_of(const uint32_t *weight, int64_t i)
{
    return weight ? weight[i] : 1;
}

double md_metric_top(const md_outcomes *o, int64_t k, const uint32_t *weight)
{
    double right = 0.0, all = 0.0;

    for (int64_t i = 0; i < o->n; i++) {
        all += weight_of(weight, i);
        right += o->place[i] < k ? weight_of(weight, i) : 0;
    }
    return right / all;
}

double md_metric_f1(const md_outcomes *o, const uint32_t *weight)
{
    int64_t *right = o->count, *said = right + o->n_classes,
            *are = said + o->n_classes;
    double sum = 0.0, n = 0.0;

    memset(o->count, 0, 3 * (size_t)o->n_classes * sizeof(*o->count));
    for (int64_t i = 0; i < o->n; i++) {
        right[o->truth[i]] +=
            o->truth[i] == o->predicted[i] ? weight_of(weight, i) : 0;
        said[o->predicted[i]] += weight_of(weight, i);
        are[o->truth[i]] += weight_of(weight, i);
    }
    for (int64_t c = 0; c < o->n_classes; c++) {
        if (said[c] + are[c] == 0)
            continue;
        sum += 2.0 * (double)right[c] / (double)(said[c] + are[c]);
        n += 1.0;
    }
    return sum / n;
}

double md_metric_auc(const md_outcomes *o, const uint32_t *weight)
{
    double pairs = 0.0, below = 0.0, ones = 0.0;

    for (int64_t at = 0; at < o->n;) {
        const float score = o->score[o->order[at]];
        double same[2] = { 0.0, 0.0 };

        for (; at < o->n && o->score[o->order[at]] == score; at++)
            same[o->truth[o->order[at]]] += weight_of(weight, o->order[at]);
        pairs += same[1] * (below + 0.5 * same[0]);
        below += same[0];
        ones += same[1];
    }
    return below * ones > 0.0 ? pairs / (below * ones) : NAN;
}

double md_metric_mean(const double *v, int64_t n, const uint32_t *weight)
{
    double sum = 0.0, all = 0.0;

    for (int64_t i = 0; i < n; i++) {
        sum += v[i] * weight_of(weight, i);
        all += weight_of(weight, i);
    }
    return sum / all;
}

md_class_share md_metric_worst(const md_outcomes *o)
{
    int64_t *right = o->count, *are = right + o->n_classes;
    md_class_share worst = { -1, 0, 0 };

    memset(o->count, 0, 2 * (size_t)o->n_classes * sizeof(*o->count));
    for (int64_t i = 0; i < o->n; i++) {
        are[o->truth[i]]++;
        right[o->truth[i]] += o->truth[i] == o->predicted[i];
    }
    for (int64_t c = 0; c < o->n_classes; c++) {
        if (are[c] > 0 &&
            (worst.label < 0 || (double)right[c] * (double)worst.n <
                                    (double)worst.right * (double)are[c]))
            worst = (md_class_share){ c, right[c], are[c] };
    }
    return worst;
}

/* ---- distributions ---- */

void md_probabilities(double *p, const float *scores, int64_t n, bool are)
{
    double top = -INFINITY, sum = 0.0;

    for (int64_t i = 0; i < n; i++)
        top = fmax(top, scores[i]);
    for (int64_t i = 0; i < n; i++) {
        p[i] = are ? (double)scores[i] : exp(scores[i] - top);
        sum += p[i];
    }
    for (int64_t i = 0; i < n && sum > 0.0; i++)
        p[i] /= sum;
}

bool md_are_probabilities(const float *scores, int64_t rows, int64_t n)
{
    for (int64_t r = 0; r < rows; r++, scores += n) {
        double sum = 0.0;

        for (int64_t i = 0; i < n; i++) {
            if (!(scores[i] >= 0.0f))
                return false;
            sum += scores[i];
        }
        /* Sums of floats, and of quantized outputs in steps of 1/256. */
        if (!(fabs(sum - 1.0) < 0.02))
            return false;
    }
    return true;
}

double md_divergence(const double *p, const double *q, int64_t n)
{
    /* The least q: below, a float's softmax is 0. */
    const double least = 1e-38;
    double sum = 0.0;

    for (int64_t i = 0; i < n; i++) {
        if (p[i] > 0.0)
            sum += p[i] * log(p[i] / fmax(q[i], least));
    }
    return fmax(sum, 0.0);
}
