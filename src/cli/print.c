#include "cli/print.h"

#include <stdarg.h>
#include <string.h>

#include "base/text.h"

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

void md_cli_json_measured(md_json_writer *w, const char *name, double value)
{
    md_json_put_name(w, name);
    md_json_put_f32(w, (float)value);
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

void md_cli_printf(FILE *f, const char *fmt, ...)
{
    const size_t n_fmt = strlen(fmt), head = strspn(fmt, "\n");
    size_t tail = 0, size;
    char *line;
    va_list ap;
    int n;

    while (tail < n_fmt - head && fmt[n_fmt - 1 - tail] == '\n')
        tail++;
    va_start(ap, fmt);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0)
        return;
    size = (size_t)n;
    line = md_malloc(md_alloc_default(), size + 1);
    if (!line) {
        fputs("(out of memory)\n", f);
        return;
    }
    va_start(ap, fmt);
    vsnprintf(line, size + 1, fmt, ap);
    va_end(ap);
    md_text_plain(line + head, size - head - tail);
    fwrite(line, 1, size, f);
    md_free(md_alloc_default(), line);
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
