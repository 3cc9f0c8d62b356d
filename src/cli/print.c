#include "cli/print.h"

enum {
    ANSWER_MAX = 1 << 30
};

void md_cli_json_begin(md_json_writer *w, md_buf *b)
{
    md_buf_init(b, md_alloc_default(), ANSWER_MAX);
    md_json_writer_init(w, b);
    w->indent = 2;
    w->nonfinite = MD_JSON_NONFINITE_STRING;
    md_json_put_object(w);
}

void md_cli_json_str(md_json_writer *w, const char *name, const char *value)
{
    md_json_put_name(w, name);
    md_json_put_str(w, value);
}

void md_cli_json_int(md_json_writer *w, const char *name, int64_t value)
{
    md_json_put_name(w, name);
    md_json_put_i64(w, value);
}

void md_cli_json_real(md_json_writer *w, const char *name, double value)
{
    md_json_put_name(w, name);
    md_json_put_f64(w, value);
}

void md_cli_json_bool(md_json_writer *w, const char *name, bool value)
{
    md_json_put_name(w, name);
    md_json_put_bool(w, value);
}

md_status md_cli_json_end(md_json_writer *w, md_buf *b, FILE *f, md_error *err)
{
    md_status s;

    md_json_put_end(w);
    s = md_json_finish(w, err);
    if (s == MD_OK)
        s = md_buf_putc(b, '\n', err);
    if (s == MD_OK)
        md_cli_print(b, f);
    else
        md_buf_release(b);
    return s;
}

void md_cli_print(md_buf *b, FILE *f)
{
    /* Errors of the stream are looked at once, when the command is done. */
    if (b->size)
        fwrite(b->data, 1, b->size, f);
    md_buf_release(b);
}

/* Thousands as units; the first one stands for none. */
static void format_unit(char *buf, size_t size, double x,
                        const char *const *units)
{
    int i = 0;

    while (x >= 999.5 && units[i + 1]) {
        x /= 1000;
        i++;
    }
    snprintf(buf, size, i ? "%.3g%s" : "%.0f%s", x, units[i]);
}

void md_cli_format_size(char *buf, size_t size, double bytes)
{
    static const char *const units[] = {
        " B", " KB", " MB", " GB", " TB", NULL
    };

    format_unit(buf, size, bytes, units);
}

void md_cli_format_count(char *buf, size_t size, double n)
{
    static const char *const units[] = { "", " K", " M", " G", " T", NULL };

    format_unit(buf, size, n, units);
}
