#include "cli/model.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/num.h"
#include "cli/print.h"
#include "cli/progress.h"

md_convert_how md_cli_source(const md_args *a)
{
    return (md_convert_how){ .signature = md_args_text(a, "signature", NULL),
                             .inputs = md_args_text(a, "inputs", NULL),
                             .arch = md_args_text(a, "arch", NULL),
                             .architecture =
                                 md_args_text(a, "architecture", NULL) };
}

md_status md_cli_model_load(md_model **out, const char *path, md_load use,
                            const md_args *a, md_error *err)
{
    md_convert_how how;
    md_progress p;
    md_status s;

    md_progress_begin(&p, a->cli->err, "loading");
    how = md_cli_source(a);
    s = md_convert_load(out, path, use, &how, md_alloc_tagged(MD_MEM_graph),
                        err);
    md_progress_end(&p);
    return s;
}

md_precision md_cli_precision(const md_args *a)
{
    const char *name = md_args_option_text(a, "precision");
    int p = MD_PRECISION_FP32;

    while (p < MD_PRECISION_AUTO &&
           strcmp(name, md_precision_name((md_precision)p)) != 0)
        p++;
    return (md_precision)p;
}

/* The folder of this user's caches (XDG Base Directory Specification), or none:
 * relative paths in the variable are to be ignored. */
static const char *user_cache(md_arena *ar)
{
    const char *cache = getenv("XDG_CACHE_HOME");
    const char *home = getenv("HOME");

    if (cache && cache[0] == '/')
        return md_arena_printf(ar, "%s/modeld", cache);
    if (home && home[0] == '/')
        return md_arena_printf(ar, "%s/.cache/modeld", home);
    return "";
}

md_status md_cli_weight_cache(const char **out, const md_args *a, md_error *err)
{
    const char *flag = NULL;

    for (size_t i = 0; i < a->row->cmd->n_flags; i++) {
        if (strcmp(a->row->cmd->flags[i].name, "weight-cache") == 0)
            flag = md_args_text(a, "weight-cache", NULL);
    }
    *out = flag ? flag : md_opts_text(a->opts, "weight_cache");
    if (strcmp(*out, "auto") == 0)
        *out = user_cache(a->arena);
    if (!*out)
        return md_fail_nomem(err, strlen("auto"));
    if (strcmp(*out, "off") == 0 || !(*out)[0])
        *out = NULL;
    return MD_OK;
}

char *md_cli_packed_format(char *buf, size_t size, const md_session *s)
{
    const md_packed p = md_session_packed(s);
    char bytes[32];

    md_cli_format_size(bytes, sizeof(bytes), (double)p.size);
    if (p.file)
        snprintf(buf, size, "%s, mapped from %s", bytes, p.file);
    else if (p.size)
        snprintf(buf, size, "%s, packed by this process", bytes);
    else
        buf[0] = '\0';
    return buf;
}

md_status md_cli_session_new(md_session **out, md_model *model, md_pool *pool,
                             const md_args *a, md_error *err)
{
    md_session_opts opts = MD_SESSION_OPTS_INIT;
    md_progress p;
    md_status s;

    MD_TRY(md_cli_weight_cache(&opts.weight_cache, a, err));
    opts.precision = md_cli_precision(a);
    opts.pool = pool;
    md_progress_begin(&p, a->cli->err, "preparing");
    s = md_session_new(out, model, &opts, err);
    md_progress_end(&p);
    return s;
}

md_status md_cli_session_take(md_cli_session *out, md_model *model,
                              const md_args *a, md_error *err)
{
    md_status s;

    *out = (md_cli_session){ .pool = NULL };
    MD_TRY(md_pool_new(&out->pool, (int)md_args_option_int(a, "threads"),
                       md_alloc_default(), err));
    out->width = md_pool_width(out->pool);
    s = md_cli_session_new(&out->session, model, out->pool, a, err);
    if (s != MD_OK)
        md_cli_session_close(out);
    return s;
}

md_status md_cli_session_open(md_cli_session *out, const char *path,
                              const md_args *a, md_error *err)
{
    int64_t start = md_clock_ns();
    md_model *model;
    md_status s;

    MD_TRY(md_cli_model_load(&model, path, MD_LOAD_TO_RUN, a, err));
    s = md_cli_session_take(out, model, a, err);
    if (s != MD_OK) {
        md_model_free(model);
        return md_wrap(err, s, "model '%s': ", path);
    }
    out->load_ns = md_clock_ns() - start;
    return MD_OK;
}

md_status md_cli_session_serve(md_cli_session *s, md_error *err)
{
    if (s->serve)
        return MD_OK;
    return md_serve_model_from_session(&s->serve, "model", NULL, NULL,
                                       s->session, md_alloc_default(), err);
}

void md_cli_session_close(md_cli_session *s)
{
    if (s->serve)
        md_serve_model_free(s->serve);
    else
        md_session_free(s->session);
    md_pool_free(s->pool);
    *s = (md_cli_session){ .pool = NULL };
}

char *md_cli_io_format(char *buf, size_t size, const md_session *s,
                       const md_io *io)
{
    return md_type_format(buf, size, md_session_model(s), &io->type);
}

/* A value of --shape, "NAME=1,3,224,224": *n bytes of it are the name. */
static md_status parse_shape(md_shape *shape, size_t *n, const char *text,
                             md_error *err)
{
    const unsigned char *end = (const unsigned char *)text + strlen(text);
    const char *equals = strrchr(text, '=');
    const unsigned char *p = (const unsigned char *)equals;

    shape->rank = 0;
    while (p && shape->rank < MD_RANK_MAX) {
        int64_t dim;

        p++; /* '=' or ',' */
        if (md_num_i64(&dim, &p, p, end) != MD_NUM_OK || dim < 0 ||
            (p < end && *p != ','))
            break;
        shape->dim[shape->rank++] = dim;
        *n = (size_t)(equals - text);
        if (p == end)
            return MD_OK;
    }
    return md_fail(err, MD_INVALID,
                   "--shape: '%.80s' given, expected NAME=D,D,... with the "
                   "name of an input and up to %d dims",
                   text, MD_RANK_MAX);
}

md_status md_cli_check_shapes(const md_args *a, md_error *err)
{
    md_shape shape;
    const char *text;
    size_t n;

    for (int at = 0; (text = md_args_next(a, "shape", &at));)
        MD_TRY(parse_shape(&shape, &n, text, err));
    return MD_OK;
}

/* What --shape says about inputs. */
static md_status apply_flags(md_shape *shapes, const md_session *s,
                             const md_args *a, md_error *err)
{
    const char *text;

    for (int at = 0; (text = md_args_next(a, "shape", &at));) {
        md_shape shape;
        char *name;
        size_t n;
        int i;

        MD_TRY(parse_shape(&shape, &n, text, err));
        name = md_arena_strndup(a->arena, text, n);
        if (!name)
            return md_fail_nomem(err, n + 1);
        i = md_session_find_input(s, name);
        if (i < 0)
            return md_fail(err, MD_INVALID,
                           "--shape: '%.80s' given, expected NAME=D,D,... with "
                           "the name of an input",
                           text);
        shapes[i] = shape;
    }
    return MD_OK;
}

static md_status default_shape(md_shape *shape, const md_session *s,
                               const md_io *io, int64_t batch, md_error *err)
{
    char type[256];

    shape->rank = io->type.rank;
    for (int d = 0; d < io->type.rank; d++) {
        md_dim dim = io->type.dim[d];

        shape->dim[d] = md_dim_is_const(dim) ? dim.k : d == 0 ? batch : 1;
    }
    if (batch == 1 || (shape->rank > 0 && shape->dim[0] == batch))
        return MD_OK;
    return md_fail(err, MD_INVALID,
                   "--batch %lld: input '%s' is %s, whose first dim is fixed",
                   (long long)batch, io->name,
                   md_cli_io_format(type, sizeof(type), s, io));
}

md_status md_cli_shapes(md_shape *shapes, const md_cli_session *s,
                        int64_t batch, const md_args *a, md_error *err)
{
    for (uint32_t i = 0; i < md_session_n_inputs(s->session); i++)
        MD_TRY(default_shape(&shapes[i], s->session,
                             md_session_input(s->session, i), batch, err));
    return apply_flags(shapes, s->session, a, err);
}
