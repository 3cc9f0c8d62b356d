#include "base/metrics.h"

#include <assert.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include "base/arena.h"
#include "base/num.h"
#include "base/utf8.h"

const double md_metric_seconds[] = { 0.00025, 0.0005, 0.001, 0.0025, 0.005,
                                     0.01,    0.025,  0.05,  0.1,    0.25,
                                     0.5,     1,      2.5,   5,      10 };
const uint32_t md_metric_n_seconds = MD_COUNT(md_metric_seconds);

struct md_metric {
    md_metric *next; /* of the family, in order of appearance */
    const md_metric_row *row;
    const char *values[MD_METRIC_N_LABELS_MAX];
    _Atomic double sum;     /* the value of a counter or gauge */
    _Atomic uint64_t *hits; /* of a histogram, by bound, not cumulative */
};

typedef struct md_family {
    const md_metric_row *row;
    uint32_t n_labels;
    uint32_t n_children;
    md_metric *first;
    md_metric *last;
    md_metric discard; /* takes what there is no memory for */
} md_family;

typedef struct source {
    const md_collector *collector;
    void *ctx;
} source;

struct md_metrics {
    const md_alloc *alloc;
    pthread_mutex_t lock; /* for all below, but not for the numbers */
    md_arena arena;       /* families and metrics */
    md_family **families;
    uint32_t n_families, cap_families;
    source *sources;
    uint32_t n_sources, cap_sources;
};

struct md_metrics_out {
    md_buf *buf;
    const char *name; /* of the family begun last */
};

md_status md_metrics_new(md_metrics **out, const md_alloc *alloc, md_error *err)
{
    md_metrics *m = md_calloc(alloc, 1, sizeof(*m));

    if (!m)
        return md_fail_nomem(err, sizeof(*m));
    m->alloc = alloc;
    pthread_mutex_init(&m->lock, NULL);
    md_arena_init(&m->arena, alloc, 0);
    *out = m;
    return MD_OK;
}

void md_metrics_free(md_metrics *m)
{
    if (!m)
        return;
    md_arena_release(&m->arena);
    md_free(m->alloc, m->families);
    md_free(m->alloc, m->sources);
    pthread_mutex_destroy(&m->lock);
    md_free(m->alloc, m);
}

static uint32_t count_labels(const char *labels)
{
    uint32_t n = *labels != '\0';

    for (const char *p = labels; *p; p++)
        n += *p == ',';
    return n;
}

static bool has_family(const md_metrics *m, const char *name)
{
    for (uint32_t i = 0; i < m->n_families; i++) {
        if (strcmp(m->families[i]->row->name, name) == 0)
            return true;
    }
    return false;
}

/* Counts of a histogram, all zero; NULL when out of memory. */
static bool init_metric(md_metrics *m, md_metric *metric,
                        const md_metric_row *row)
{
    metric->row = row;
    atomic_init(&metric->sum, 0);
    if (row->kind != MD_HISTOGRAM)
        return true;
    metric->hits =
        md_arena_calloc(&m->arena, row->n_bounds + 1, sizeof(*metric->hits));
    return metric->hits != NULL;
}

static md_status add_family(md_metrics *m, const md_metric_row *row,
                            md_error *err)
{
    md_family *f;

    assert(row->n_bounds <= MD_METRIC_N_BOUNDS_MAX);
    assert(count_labels(row->labels) <= MD_METRIC_N_LABELS_MAX);
    if (has_family(m, row->name))
        return md_fail(err, MD_EXISTS, "metric '%s' exists already", row->name);
    MD_TRY(md_grow(m->alloc, &m->families, &m->cap_families, m->n_families,
                   sizeof(*m->families), err));
    f = md_arena_calloc(&m->arena, 1, sizeof(*f));
    if (!f || !init_metric(m, &f->discard, row))
        return md_fail_nomem(err, sizeof(*f));
    f->row = row;
    f->n_labels = count_labels(row->labels);
    m->families[m->n_families++] = f;
    return MD_OK;
}

md_status md_metrics_add(md_metrics *m, const md_metric_row *rows, uint32_t n,
                         uint32_t *first, md_error *err)
{
    md_status s = MD_OK;

    pthread_mutex_lock(&m->lock);
    *first = m->n_families;
    for (uint32_t i = 0; s == MD_OK && i < n; i++)
        s = add_family(m, &rows[i], err);
    pthread_mutex_unlock(&m->lock);
    return s;
}

static md_metric *find(const md_family *f, const char *const *values)
{
    for (md_metric *c = f->first; c; c = c->next) {
        uint32_t i = 0;

        while (i < f->n_labels && strcmp(c->values[i], values[i]) == 0)
            i++;
        if (i == f->n_labels)
            return c;
    }
    return NULL;
}

static md_metric *add_child(md_metrics *m, md_family *f,
                            const char *const *values)
{
    md_metric *c = md_arena_calloc(&m->arena, 1, sizeof(*c));

    if (!c || !init_metric(m, c, f->row))
        return NULL;
    for (uint32_t i = 0; i < f->n_labels; i++) {
        c->values[i] = md_arena_strdup(&m->arena, values[i]);
        if (!c->values[i])
            return NULL;
    }
    if (f->last)
        f->last->next = c;
    else
        f->first = c;
    f->last = c;
    f->n_children++;
    return c;
}

md_metric *md_metrics_get(md_metrics *m, uint32_t family,
                          const char *const *values)
{
    static const char *const other[MD_METRIC_N_LABELS_MAX] = { "other", "other",
                                                               "other",
                                                               "other" };
    const char *utf8[MD_METRIC_N_LABELS_MAX];
    md_family *f;
    md_metric *c;

    pthread_mutex_lock(&m->lock);
    assert(family < m->n_families);
    f = m->families[family];
    for (uint32_t i = 0; i < f->n_labels; i++)
        utf8[i] =
            md_utf8_valid(values[i], strlen(values[i])) ? values[i] : "invalid";
    values = utf8;
    c = find(f, values);
    if (!c && f->n_children >= MD_METRIC_N_CHILDREN_MAX) {
        values = other;
        c = find(f, values);
    }
    if (!c)
        c = add_child(m, f, values);
    pthread_mutex_unlock(&m->lock);
    return c ? c : &f->discard;
}

void md_metric_add(md_metric *metric, double n)
{
    double had = atomic_load_explicit(&metric->sum, memory_order_relaxed);

    while (!atomic_compare_exchange_weak_explicit(&metric->sum, &had, had + n,
                                                  memory_order_relaxed,
                                                  memory_order_relaxed)) {
    }
}

void md_metric_inc(md_metric *metric)
{
    md_metric_add(metric, 1);
}

void md_metric_set(md_metric *metric, double x)
{
    assert(metric->row->kind == MD_GAUGE);
    atomic_store_explicit(&metric->sum, x, memory_order_relaxed);
}

void md_metric_observe(md_metric *metric, double x)
{
    const md_metric_row *row = metric->row;
    uint32_t i = 0;

    assert(row->kind == MD_HISTOGRAM);
    while (i < row->n_bounds && !(x <= row->bounds[i]))
        i++;
    atomic_fetch_add_explicit(&metric->hits[i], 1, memory_order_relaxed);
    md_metric_add(metric, x);
}

double md_metric_value(const md_metric *metric)
{
    uint64_t n = 0;

    if (metric->row->kind != MD_HISTOGRAM)
        return atomic_load_explicit(&metric->sum, memory_order_relaxed);
    for (uint32_t i = 0; i <= metric->row->n_bounds; i++)
        n += atomic_load_explicit(&metric->hits[i], memory_order_relaxed);
    return (double)n;
}

md_status md_metrics_add_collector(md_metrics *m, const md_collector *c,
                                   void *ctx, md_error *err)
{
    md_status s;

    pthread_mutex_lock(&m->lock);
    s = md_grow(m->alloc, &m->sources, &m->cap_sources, m->n_sources,
                sizeof(*m->sources), err);
    if (s == MD_OK)
        m->sources[m->n_sources++] = (source){ c, ctx };
    pthread_mutex_unlock(&m->lock);
    return s;
}

/* ---- the text ---- */

/* HELP escapes backslash and newline, a label value the quote too; the format
 * is UTF-8, so a byte that is not becomes U+FFFD. */
static md_status put_escaped(md_buf *b, const char *s, bool quote,
                             md_error *err)
{
    for (size_t left = strlen(s), n; left > 0; s += n, left -= n) {
        n = md_utf8_next((const unsigned char *)s, left);
        if (n == 0) {
            MD_TRY(md_buf_puts(b, "\xef\xbf\xbd", err));
            n = 1;
        } else if (*s == '\n') {
            MD_TRY(md_buf_puts(b, "\\n", err));
        } else {
            if (*s == '\\' || (quote && *s == '"'))
                MD_TRY(md_buf_putc(b, '\\', err));
            MD_TRY(md_buf_append(b, s, n, err));
        }
    }
    return MD_OK;
}

static md_status put_number(md_buf *b, double x, md_error *err)
{
    char text[MD_NUM_SIZE];
    size_t n;

    if (!isfinite(x))
        return md_buf_puts(b, isnan(x) ? "NaN" : x > 0 ? "+Inf" : "-Inf", err);
    n = md_num_put_f64(text, x);
    if (n > 2 && memcmp(text + n - 2, ".0", 2) == 0)
        n -= 2;
    return md_buf_append(b, text, n, err);
}

static md_status put_family(md_buf *b, md_metric_kind kind, const char *name,
                            const char *help, md_error *err)
{
    static const char *const kinds[] = { [MD_COUNTER] = "counter",
                                         [MD_GAUGE] = "gauge",
                                         [MD_HISTOGRAM] = "histogram" };

    MD_TRY(md_buf_printf(b, err, "# HELP %s ", name));
    MD_TRY(put_escaped(b, help, false, err));
    return md_buf_printf(b, err, "\n# TYPE %s %s\n", name, kinds[kind]);
}

/* name="value" behind '{' or ','. */
static md_status put_label(md_buf *b, bool *open, const char *name,
                           size_t n_name, const char *value, md_error *err)
{
    MD_TRY(md_buf_putc(b, *open ? ',' : '{', err));
    *open = true;
    MD_TRY(md_buf_append(b, name, n_name, err));
    MD_TRY(md_buf_puts(b, "=\"", err));
    MD_TRY(put_escaped(b, value, true, err));
    return md_buf_putc(b, '"', err);
}

/* The labels of a metric, and le="..." when le is not NULL. */
static md_status put_labels(md_buf *b, const md_family *f, const md_metric *c,
                            const char *le, md_error *err)
{
    const char *name = f->row->labels;
    bool open = false;

    for (uint32_t i = 0; i < f->n_labels; i++) {
        size_t n = strcspn(name, ",");

        MD_TRY(put_label(b, &open, name, n, c->values[i], err));
        name += n + 1;
    }
    if (le)
        MD_TRY(put_label(b, &open, "le", 2, le, err));
    return open ? md_buf_putc(b, '}', err) : MD_OK;
}

static md_status put_sample(md_buf *b, const md_family *f, const md_metric *c,
                            const char *suffix, double x, md_error *err)
{
    MD_TRY(md_buf_puts(b, f->row->name, err));
    MD_TRY(md_buf_puts(b, suffix, err));
    MD_TRY(put_labels(b, f, c, NULL, err));
    MD_TRY(md_buf_putc(b, ' ', err));
    MD_TRY(put_number(b, x, err));
    return md_buf_putc(b, '\n', err);
}

/* _count is the sum of the buckets as read, so that the two agree while
 * others observe. */
static md_status put_histogram(md_buf *b, const md_family *f,
                               const md_metric *c, md_error *err)
{
    uint64_t n = 0;

    for (uint32_t i = 0; i <= f->row->n_bounds; i++) {
        char le[MD_NUM_SIZE] = "+Inf";

        if (i < f->row->n_bounds)
            md_num_put_f64(le, f->row->bounds[i]);
        n += atomic_load_explicit(&c->hits[i], memory_order_relaxed);
        MD_TRY(md_buf_printf(b, err, "%s_bucket", f->row->name));
        MD_TRY(put_labels(b, f, c, le, err));
        MD_TRY(md_buf_printf(b, err, " %llu\n", (unsigned long long)n));
    }
    MD_TRY(put_sample(b, f, c, "_sum",
                      atomic_load_explicit(&c->sum, memory_order_relaxed),
                      err));
    return put_sample(b, f, c, "_count", (double)n, err);
}

static md_status write_family(const md_family *f, md_buf *b, md_error *err)
{
    if (!f->first)
        return MD_OK;
    MD_TRY(put_family(b, f->row->kind, f->row->name, f->row->help, err));
    for (const md_metric *c = f->first; c; c = c->next) {
        if (f->row->kind == MD_HISTOGRAM)
            MD_TRY(put_histogram(b, f, c, err));
        else
            MD_TRY(put_sample(b, f, c, "", md_metric_value(c), err));
    }
    return MD_OK;
}

md_status md_metrics_out_family(md_metrics_out *out, md_metric_kind kind,
                                const char *name, const char *help,
                                md_error *err)
{
    out->name = name;
    return put_family(out->buf, kind, name, help, err);
}

md_status md_metrics_out_sample(md_metrics_out *out, double value,
                                const char *const *labels, uint32_t n_labels,
                                md_error *err)
{
    md_buf *b = out->buf;
    bool open = false;

    MD_TRY(md_buf_puts(b, out->name, err));
    for (uint32_t i = 0; i < n_labels; i++, labels += 2)
        MD_TRY(
            put_label(b, &open, labels[0], strlen(labels[0]), labels[1], err));
    MD_TRY(md_buf_puts(b, open ? "} " : " ", err));
    MD_TRY(put_number(b, value, err));
    return md_buf_putc(b, '\n', err);
}

static md_status write_all(md_metrics *m, md_buf *out, md_error *err)
{
    md_metrics_out o = { .buf = out };

    for (uint32_t i = 0; i < m->n_families; i++)
        MD_TRY(write_family(m->families[i], out, err));
    for (uint32_t i = 0; i < m->n_sources; i++)
        MD_TRY(m->sources[i].collector->collect(m->sources[i].ctx, &o, err));
    return MD_OK;
}

md_status md_metrics_write(md_metrics *m, md_buf *out, md_error *err)
{
    md_status s;

    pthread_mutex_lock(&m->lock);
    s = write_all(m, out, err);
    pthread_mutex_unlock(&m->lock);
    return s;
}
