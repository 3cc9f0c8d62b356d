/*
 * Options from a table.  One row gives an option its parser, its default, its
 * range, its line in --help, its environment variable and its key in the
 * configuration file; `modeld config` shows what came of it.
 *
 * Later sources win: default, file, environment, command line, whatever the
 * order in which they are read.  The set owns its values and is read-only,
 * and so safe for all threads, once it is filled.
 */
#ifndef MD_BASE_OPT_H
#define MD_BASE_OPT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

typedef enum md_opt_type {
    MD_OPT_BOOL, /* true, false; also yes/no, on/off, 1/0 */
    MD_OPT_INT,
    MD_OPT_REAL, /* 2, 0.5, 1e-4; the text is its value, md_opt_real parses */
    MD_OPT_SIZE, /* bytes: 4096, 64k, 16M, 2GiB; k, M, G and T are powers of
                      * 1024, alone or with B or iB, in any case */
    MD_OPT_DURATION, /* milliseconds: 250ms, 30s, 5m, 1h; 0 */
    MD_OPT_CHOICE,   /* one word of `choices` */
    MD_OPT_TEXT,
} md_opt_type;

typedef struct md_opt_row {
    const char *name; /* lower case, words joined by '_' */
    md_opt_type type;
    const char *otherwise; /* the default, as text */
    int64_t min, max;      /* of a number, in its unit */
    const char *choices;   /* of a choice: "a|b|c"; else NULL */
    bool reloadable;       /* takes effect without a restart */
    const char *help;
} md_opt_row;

typedef enum md_opt_source {
    MD_OPT_DEFAULT,
    MD_OPT_FILE,
    MD_OPT_ENV,
    MD_OPT_COMMAND_LINE,
} md_opt_source;

typedef struct md_opts md_opts;

/* All rows at their defaults, which must be valid.  rows is kept. */
md_status md_opts_new(md_opts **out, const md_opt_row *rows, size_t n_rows,
                      const md_alloc *alloc, md_error *err);

/* NULL is allowed. */
void md_opts_free(md_opts *o);

/*
 * Set one option ('-' and '_' in its name are alike).  `where` names the
 * place for messages ("--listen", "modeld.conf:12").  An unknown name is
 * MD_NOT_FOUND with a hint for the nearest one, a bad value MD_INVALID with
 * what was expected.  A source lower than the present one changes nothing.
 */
md_status md_opts_set(md_opts *o, const char *name, const char *value,
                      md_opt_source source, const char *where, md_error *err);

/* "key = value" lines; '#' begins a comment at the start of a line or behind
 * a space.  Errors name file and line. */
md_status md_opts_read_file(md_opts *o, const char *path, md_error *err);

/* MODELD_<NAME> of every option, from getenv.  Other variables of that form
 * are not looked at: orchestrators set some. */
md_status md_opts_read_env(md_opts *o, md_error *err);

/* The row called name, or NULL. */
const md_opt_row *md_opts_find(const md_opts *o, const char *name);

/* Values by name and type; both must be those of a row. */
bool md_opts_bool(const md_opts *o, const char *name);
int64_t md_opts_int(const md_opts *o, const char *name);      /* or size, ms */
const char *md_opts_text(const md_opts *o, const char *name); /* or choice */

md_opt_source md_opts_source(const md_opts *o, const char *name);

/* The effective set: "name = value  # source" lines, or a JSON object of
 * {"value", "source", "default", "reloadable", "help"} by name. */
md_status md_opts_print(const md_opts *o, bool json, md_buf *out,
                        md_error *err);

/* "true or false", "a size, 0 to 64k", ... of a row, into buf. */
void md_opt_expected(char *buf, size_t size, const md_opt_row *row);

/* Parse text as a value of the row's type: *num for all but real and text. */
md_status md_opt_parse(const md_opt_row *row, const char *text, int64_t *num,
                       md_error *err);

/* The number that text is, as a real option has it; false when it is none. */
bool md_opt_real(double *out, const char *text);

#endif
