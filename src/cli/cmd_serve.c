#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/cpu.h"
#include "base/log.h"
#include "base/notify.h"
#include "cli/model.h"
#include "cli/reload.h"
#include "cli/reread.h"
#include "registry/repository.h"
#include "serve/server.h"

#define MD_LOG_TAG "serve"

enum {
    NAME_SIZE = 129,
    OTHER_FILES = 32 + 256 /* standard streams, loop, what libraries open;
                            * segments of shared memory */
};

typedef struct serving {
    const md_args *args;
    md_server *server;
    md_pool *pool;          /* NULL: requests run on one thread each */
    const char *repository; /* NULL: none */
    int n_models;           /* named on the command line, folders too */
    bool has_tls;
    md_notify notify; /* the service manager */
} serving;

static uint32_t ms(const md_args *a, const char *name)
{
    return (uint32_t)md_opts_int(a->opts, name);
}

/* NULL when the option is empty. */
static const char *text_of(const md_args *a, const char *name)
{
    const char *text = md_opts_text(a->opts, name);

    return *text ? text : NULL;
}

static md_server_opts options(const md_args *a)
{
    md_server_opts o = MD_SERVER_OPTS_INIT;

    o.http.listen = md_opts_text(a->opts, "listen");
    o.http.grpc_listen = text_of(a, "grpc_listen");
    o.http.socket_mode =
        (uint32_t)strtoul(md_opts_text(a->opts, "socket_mode"), NULL, 8);
    o.http.handshake_timeout_ms = ms(a, "handshake_timeout");
    o.http.n_conns_max = (uint32_t)md_opts_int(a->opts, "connections_max");
    o.http.head_timeout_ms = ms(a, "head_timeout");
    o.http.body_timeout_ms = ms(a, "body_timeout");
    o.http.write_timeout_ms = ms(a, "write_timeout");
    o.http.idle_timeout_ms = ms(a, "idle_timeout");
    o.http.drain_timeout_ms = ms(a, "drain_timeout");
    o.http.limits.body_size_max = (size_t)md_opts_int(a->opts, "body_max");
    o.http.reply_size_max = (size_t)md_opts_int(a->opts, "reply_max");
    o.http.buffers_size_max = (size_t)md_opts_int(a->opts, "buffers_max");
    o.shm_prefix = text_of(a, "shm_prefix");
    o.compress_size_min = (size_t)md_opts_int(a->opts, "compress_min");
    o.trace.file = md_opts_text(a->opts, "trace_file");
    o.trace.on = strcmp(md_opts_text(a->opts, "trace_level"), "off") != 0;
    o.trace.rate = md_opts_int(a->opts, "trace_rate");
    o.cache_size = (size_t)md_opts_int(a->opts, "cache_size");
    o.n_workers = (uint32_t)md_opts_int(a->opts, "threads");
    o.queue_max = (uint32_t)md_opts_int(a->opts, "queue_max");
    o.timeout_ms = ms(a, "compute_timeout");
    o.run_width = (int)md_opts_int(a->opts, "width");
    return o;
}

/* The name of a file or folder without folders and ending: "net" of
 * "a/net.onnx". */
static md_status stem(char name[NAME_SIZE], const char *path, md_error *err)
{
    size_t end = strlen(path);
    size_t from;
    const char *dot;
    size_t n;

    while (end > 1 && path[end - 1] == '/')
        end--;
    from = end;
    while (from > 0 && path[from - 1] != '/')
        from--;
    dot = memchr(path + from, '.', end - from);
    n = dot && dot > path + from ? (size_t)(dot - path) - from : end - from;
    if (n == 0 || n >= NAME_SIZE)
        return md_fail(err, MD_INVALID,
                       "model '%.200s' needs a name, expected NAME=FILE", path);
    memcpy(name, path + from, n);
    name[n] = '\0';
    return MD_OK;
}

/* "NAME=FILE" or "FILE", which leaves name empty; a '=' behind a '/' belongs
 * to the file's name. */
static md_status split(char name[NAME_SIZE], const char **path,
                       const char *text, md_error *err)
{
    const char *equals = strchr(text, '=');
    const char *slash = strchr(text, '/');
    size_t n;

    *path = text;
    name[0] = '\0';
    if (!equals || (slash && slash < equals))
        return MD_OK;
    n = (size_t)(equals - text);
    if (n == 0 || n >= NAME_SIZE)
        return md_fail(err, MD_INVALID,
                       "model name '%.200s': %zu bytes given, expected 1 to %d",
                       text, n, NAME_SIZE - 1);
    memcpy(name, text, n);
    name[n] = '\0';
    *path = equals + 1;
    return MD_OK;
}

typedef md_status model_fn(serving *v, const char *name, const char *path,
                           md_error *err);

/* Call fn with each model of the command line, then of the option, where
 * commas separate them. */
static md_status each_model(serving *v, model_fn *fn, md_error *err)
{
    const char *p = md_opts_text(v->args->opts, "models");
    char name[NAME_SIZE];
    const char *path;

    for (int i = 0; i < v->args->n_pos; i++) {
        MD_TRY(split(name, &path, v->args->pos[i], err));
        MD_TRY(fn(v, name, path, err));
    }
    while (*p) {
        size_t n = strcspn(p, ",");
        const char *text = md_arena_strndup(v->args->arena, p, n);

        if (!text)
            return md_fail_nomem(err, n + 1);
        if (n) {
            MD_TRY(split(name, &path, text, err));
            MD_TRY(fn(v, name, path, err));
        }
        p += n + (p[n] == ',');
    }
    return MD_OK;
}

/* A folder of models without a name of its own is the repository. */
static md_status find_repository(serving *v, const char *name, const char *path,
                                 md_error *err)
{
    v->n_models++;
    if (*name || !md_repo_is_repository(path))
        return MD_OK;
    if (v->repository)
        return md_fail(err, MD_INVALID,
                       "folders of models '%.200s' and '%.200s' given, one "
                       "expected",
                       v->repository, path);
    v->repository = path;
    return MD_OK;
}

static md_status add_model(serving *v, const char *name, const char *path,
                           md_error *err)
{
    char own[NAME_SIZE];

    if (v->repository && !*name && strcmp(path, v->repository) == 0)
        return MD_OK;
    if (*name)
        return md_server_add_path(v->server, name, path, err);
    MD_TRY(stem(own, path, err));
    return md_server_add_path(v->server, own, path, err);
}

/* From a signal handler. */
static void stop(void *ctx)
{
    serving *v = ctx;

    md_notify_tell(&v->notify, "STOPPING=1");
    md_server_stop(v->server);
}

/* A line for each address; the first one is where a client may begin. */
static void tell_addresses(const serving *v)
{
    md_http_place p;

    for (uint32_t i = 0; md_server_listener(v->server, i, &p); i++) {
        const char *scheme = p.is_unix    ? ""
                             : v->has_tls ? "https://"
                                          : "http://";

        fprintf(v->args->cli->out, "serving %son %s%s\n",
                p.grpc_only ? "gRPC " : "", scheme, p.address);
        MD_LOG(MD_LOG_INFO, "listening", md_log_str("address", p.address),
               md_log_uint("models", md_server_n_models(v->server)));
    }
    fflush(v->args->cli->out);
}

/* *out stays NULL when no certificate is given. */
static md_status load_tls(md_tls_context **out, const md_args *a, md_error *err)
{
    const md_tls_files files = { text_of(a, "tls_cert"), text_of(a, "tls_key"),
                                 text_of(a, "tls_client_ca") };

    if (!files.cert && !files.key && !files.client_ca)
        return MD_OK;
    if (!files.cert || !files.key)
        return md_fail(err, MD_INVALID,
                       "TLS needs a certificate and its key: both tls_cert and "
                       "tls_key expected");
    return md_tls_context_new(out, &files, md_alloc_default(), err);
}

/* SIGHUP, on a thread of its own: files may be slow. */
static void reload(void *ctx)
{
    serving *v = ctx;
    md_tls_context *tls = NULL;
    md_error err = MD_ERROR_INIT;

    if (md_cli_reread(v->args, &err) != MD_OK)
        MD_LOG(MD_LOG_ERROR, "configuration not reloaded, the old one stays",
               md_log_error(&err));
    err = (md_error)MD_ERROR_INIT;
    if (load_tls(&tls, v->args, &err) != MD_OK) {
        MD_LOG(MD_LOG_ERROR, "certificate not reloaded, the old one stays",
               md_log_error(&err));
        return;
    }
    if (!tls)
        return;
    md_server_set_tls(v->server, tls);
    MD_LOG(MD_LOG_INFO, "certificate reloaded",
           md_log_str("file", text_of(v->args, "tls_cert")));
}

static md_status serve(serving *v, md_error *err)
{
    const md_cli *cli = v->args->cli;
    md_reload *reloads = NULL;
    md_status s;

    MD_TRY(each_model(v, add_model, err));
    MD_TRY(md_server_load(v->server, err));
    MD_TRY(md_reload_start(&reloads, cli, reload, v, err));
    if (cli->on_stop)
        cli->on_stop(stop, v);
    tell_addresses(v);
    md_notify_tell(&v->notify, "READY=1");
    s = md_server_run(v->server, err);
    if (cli->on_stop)
        cli->on_stop(NULL, NULL);
    md_reload_stop(reloads);
    MD_LOG(MD_LOG_INFO, "stopped", md_log_bool("clean", s == MD_OK));
    return s;
}

/* Descriptors for every connection, as far as this user may have them: the
 * soft limit of a shell is often the same 1024 as connections_max. */
static void raise_open_files(uint32_t n_conns_max)
{
    const rlim_t want = (rlim_t)n_conns_max + OTHER_FILES;
    struct rlimit lim;

    if (getrlimit(RLIMIT_NOFILE, &lim) != 0 || lim.rlim_cur >= want)
        return;
    lim.rlim_cur = want < lim.rlim_max ? want : lim.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &lim) != 0 || lim.rlim_cur < want)
        MD_LOG(MD_LOG_WARN, "fewer files may be open than connections_max asks",
               md_log_uint("open_files", lim.rlim_cur),
               md_log_uint("connections_max", n_conns_max));
}

/* Which models, and who changes them. */
static md_loader_opts model_options(const serving *v)
{
    static const char *const controls[] = { "none", "poll", "explicit" };
    const md_args *a = v->args;
    const char *control = md_opts_text(a->opts, "model_control");
    md_loader_opts o = MD_LOADER_OPTS_INIT;

    for (size_t i = 0; i < MD_COUNT(controls); i++)
        if (strcmp(controls[i], control) == 0)
            o.control = (md_model_control)i;
    o.repository = v->repository;
    o.poll_ms = (uint32_t)md_opts_int(a->opts, "poll_seconds") * 1000;
    o.at_start = md_opts_text(a->opts, "load_model");
    o.load.pool = v->pool;
    o.load.precision = md_cli_precision(a);
    o.load.max_batch = md_opts_int(a->opts, "batch_max");
    o.load.delay_us = md_opts_int(a->opts, "batch_delay_us");
    o.load.how = md_cli_source(a);
    return o;
}

static md_status run_restricted(const md_args *a, const md_restrict *restricted,
                                md_error *err)
{
    md_server_opts o = options(a);
    serving v = { .args = a };
    md_inherited inherited;
    md_status s;

    if (o.n_workers == 0)
        o.n_workers = (uint32_t)md_cpu_count();
    /* A client, or a reader of the log, that has gone does not end it. */
    signal(SIGPIPE, SIG_IGN);
    raise_open_files(o.http.n_conns_max);
    MD_TRY(each_model(&v, find_repository, err));
    if (v.n_models == 0)
        return md_fail(err, MD_INVALID,
                       "no model given, expected [NAME=]FILE or the option "
                       "'models'");
    o.restricted = restricted;
    MD_TRY(md_inherited_take(&inherited, err));
    o.http.inherited = &inherited;
    s = md_trust_parse(&o.http.proxies, md_opts_text(a->opts, "proxy_from"),
                       err);
    if (s != MD_OK)
        return md_wrap(err, s, "proxy_from: ");
    if (o.run_width > 1)
        MD_TRY(md_pool_new(&v.pool, o.run_width, md_alloc_default(), err));
    o.models = model_options(&v);
    s = md_cli_weight_cache(&o.models.load.weight_cache, a, err);
    if (s == MD_OK)
        s = load_tls(&o.http.tls, a, err);
    v.has_tls = o.http.tls != NULL;
    /* The socket first: a port that is taken shows before models load. */
    if (s == MD_OK)
        s = md_server_new(&v.server, &o, md_alloc_default(), err);
    if (s == MD_OK) {
        md_notify_open(&v.notify);
        s = serve(&v, err);
        md_notify_close(&v.notify);
    } else {
        md_tls_context_unref(o.http.tls);
    }
    md_server_free(v.server);
    md_pool_free(v.pool);
    return s;
}

static md_status run(const md_args *a, md_error *err)
{
    md_restrict restricted;
    md_status s;

    s = md_restrict_parse(&restricted, md_opts_text(a->opts, "restricted_api"),
                          a->arena, err);
    if (s != MD_OK)
        return md_wrap(err, s, "restricted_api: ");
    return run_restricted(a, &restricted, err);
}

static const md_flag flags[] = {
    MD_FLAGS_SOURCE,
    { .name = "config",
      .type = MD_OPT_TEXT,
      .arg = "FILE",
      .help = "read options from FILE too" },
};

const md_cmd md_cmd_serve = {
    .usage = "[NAME=]MODEL... [--models DIR] [--listen ADDR:PORT] [--config "
             "FILE] [--OPTION VALUE]...",
    .text = "Serves models over HTTP: POST /predict for the first one, the "
            "Open Inference\nProtocol under /v2 for all, /metrics, "
            "/openapi.json, and a page to try them at /.\nDIR is a folder of "
            "models as Triton and TensorFlow Serving have it,\n"
            "NAME/VERSION/model.onnx with an optional NAME/config.pbtxt, or "
            "NAME.onnx.\nSIGTERM ends it once open requests are answered, "
            "SIGHUP reads the files of TLS again.",
    .example = "modeld serve fashion=net.onnx --listen 127.0.0.1:8080",
    .flags = flags,
    .n_flags = MD_COUNT(flags),
    .n_max = -1,
    .takes_options = true,
    .run = run,
};
