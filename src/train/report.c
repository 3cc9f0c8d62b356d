#include "train/report.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
    NAME_SIZE = 32
};

/* "top_k" with its number; others as they are. */
static const char *name_of(const md_evaluation *e, const md_figure *f,
                           char buf[NAME_SIZE])
{
    if (strcmp(f->name, "top_k") != 0)
        return f->name;
    snprintf(buf, NAME_SIZE, "top_%lld", (long long)e->top_k);
    return buf;
}

/* The name of a class, NULL where it has none. */
static const char *class_name(const md_dataset *d, int64_t label)
{
    return label >= 0 && label < d->n_classes ? d->classes[label] : NULL;
}

/* ---- text ---- */

static md_status put_figures(const md_evaluation *e, md_buf *out, md_error *err)
{
    char name[NAME_SIZE];

    for (int i = 0; i < e->n_figures; i++) {
        const md_figure *f = &e->figure[i];

        MD_TRY(md_buf_printf(out, err, "%-12s %9.5f", name_of(e, f, name),
                             f->value));
        if (e->rounds > 0)
            MD_TRY(md_buf_printf(out, err, "  [%.5f, %.5f]", f->interval.low,
                                 f->interval.high));
        if (e->compared)
            MD_TRY(md_buf_printf(out, err, "  original %.5f, difference %+.5f",
                                 f->original, f->difference));
        if (e->compared && e->rounds > 0)
            MD_TRY(md_buf_printf(out, err, " [%+.5f, %+.5f]",
                                 f->difference_interval.low,
                                 f->difference_interval.high));
        MD_TRY(md_buf_putc(out, '\n', err));
    }
    return MD_OK;
}

static md_status put_worst(const md_evaluation *e, const md_dataset *d,
                           md_buf *out, md_error *err)
{
    const char *name = class_name(d, e->worst.label);

    if (e->worst.label < 0)
        return MD_OK;
    return md_buf_printf(
        out, err, "%-12s %9.5f  class %lld%s%s, %lld of %lld right\n",
        "worst class", (double)e->worst.right / (double)e->worst.n,
        (long long)e->worst.label, name ? " " : "", name ? name : "",
        (long long)e->worst.right, (long long)e->worst.n);
}

static md_status put_comparison(const md_evaluation *e, md_buf *out,
                                md_error *err)
{
    if (e->task != MD_TASK_NUMBERS)
        MD_TRY(md_buf_printf(out, err, "%-12s %9.5f  %lld of %lld the same\n",
                             "agreement", (double)e->n_same / (double)e->n,
                             (long long)e->n_same, (long long)e->n));
    if (!isnan(e->divergence))
        MD_TRY(md_buf_printf(out, err, "%-12s %9.3g  nats, from the original\n",
                             "KL", e->divergence));
    MD_TRY(md_buf_printf(out, err,
                         "%-12s %9.3g  mean |difference| of outputs\n",
                         "distance", e->distance));
    if (e->task != MD_TASK_CLASSES)
        return MD_OK;
    return md_buf_printf(out, err,
                         "%-12s %9.4f  mid-p %.4f; right alone: model %lld, "
                         "original %lld\n",
                         "McNemar p", e->p_exact, e->p_mid,
                         (long long)e->only_this, (long long)e->only_original);
}

md_status md_evaluation_text(const md_evaluation *e,
                             const md_report_subject *of, md_buf *out,
                             md_error *err)
{
    MD_TRY(
        md_buf_printf(out, err, "%s on %s: %lld samples, %lld %s\n", of->model,
                      of->path, (long long)e->n, (long long)e->n_classes,
                      e->task == MD_TASK_NUMBERS ? "numbers each" : "classes"));
    if (of->original)
        MD_TRY(md_buf_printf(out, err, "against %s\n", of->original));
    MD_TRY(put_figures(e, out, err));
    MD_TRY(put_worst(e, of->data, out, err));
    if (e->compared)
        MD_TRY(put_comparison(e, out, err));
    if (e->rounds == 0)
        return MD_OK;
    return md_buf_printf(out, err,
                         "intervals of 95 %%: %lld rounds of the bootstrap, "
                         "seed %llu%s\n",
                         (long long)e->rounds, (unsigned long long)e->seed,
                         e->task == MD_TASK_CLASSES ? "; accuracy by Wilson"
                                                    : "");
}

/* ---- JSON ---- */

static void put_real(md_json_writer *w, const char *name, double v)
{
    md_json_put_name(w, name);
    if (isfinite(v))
        md_json_put_f64(w, v);
    else
        md_json_put_null(w);
}

static void put_int(md_json_writer *w, const char *name, int64_t v)
{
    md_json_put_name(w, name);
    md_json_put_i64(w, v);
}

static void put_text(md_json_writer *w, const char *name, const char *v)
{
    md_json_put_name(w, name);
    md_json_put_str(w, v);
}

static void put_interval(md_json_writer *w, const char *name, md_interval v)
{
    md_json_put_name(w, name);
    md_json_put_array(w);
    for (int i = 0; i < 2; i++) {
        double x = i == 0 ? v.low : v.high;

        if (isfinite(x))
            md_json_put_f64(w, x);
        else
            md_json_put_null(w);
    }
    md_json_put_end(w);
}

static void figure_json(const md_evaluation *e, const md_figure *f,
                        md_json_writer *w)
{
    char name[NAME_SIZE];

    md_json_put_name(w, name_of(e, f, name));
    md_json_put_object(w);
    put_real(w, "value", f->value);
    if (e->rounds > 0)
        put_interval(w, "interval", f->interval);
    if (e->compared) {
        put_real(w, "original", f->original);
        put_real(w, "difference", f->difference);
        if (e->rounds > 0)
            put_interval(w, "difference_interval", f->difference_interval);
    }
    md_json_put_end(w);
}

static void worst_json(const md_evaluation *e, const md_dataset *d,
                       md_json_writer *w)
{
    const char *name = class_name(d, e->worst.label);

    if (e->worst.label < 0)
        return;
    md_json_put_name(w, "worst_class");
    md_json_put_object(w);
    put_int(w, "class", e->worst.label);
    if (name)
        put_text(w, "name", name);
    put_int(w, "right", e->worst.right);
    put_int(w, "n", e->worst.n);
    md_json_put_end(w);
}

static void comparison_json(const md_evaluation *e, md_json_writer *w)
{
    md_json_put_name(w, "comparison");
    md_json_put_object(w);
    if (e->task != MD_TASK_NUMBERS) {
        put_real(w, "agreement", (double)e->n_same / (double)e->n);
        put_real(w, "kl", e->divergence);
    }
    put_real(w, "distance", e->distance);
    if (e->task == MD_TASK_CLASSES) {
        put_int(w, "only_model_right", e->only_this);
        put_int(w, "only_original_right", e->only_original);
        put_real(w, "mcnemar_exact", e->p_exact);
        put_real(w, "mcnemar_mid_p", e->p_mid);
    }
    md_json_put_end(w);
}

void md_evaluation_json(const md_evaluation *e, const md_report_subject *of,
                        md_json_writer *w)
{
    put_text(w, "model", of->model);
    if (of->original)
        put_text(w, "against", of->original);
    put_text(w, "data", of->path);
    put_text(w, "task", md_task_name(e->task));
    put_int(w, "n", e->n);
    put_int(w, e->task == MD_TASK_NUMBERS ? "n_numbers" : "n_classes",
            e->n_classes);
    md_json_put_name(w, "metrics");
    md_json_put_object(w);
    for (int i = 0; i < e->n_figures; i++)
        figure_json(e, &e->figure[i], w);
    md_json_put_end(w);
    worst_json(e, of->data, w);
    if (e->compared)
        comparison_json(e, w);
    if (e->rounds > 0) {
        md_json_put_name(w, "seed");
        md_json_put_u64(w, e->seed);
        put_int(w, "bootstrap_rounds", e->rounds);
    }
}
