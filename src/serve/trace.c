#include "serve/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/entropy.h"
#include "base/log.h"
#include "base/size.h"

#define MD_LOG_TAG "serve.trace"

enum {
    MODELS_MAX = 4096,
    RECORD_SIZE_MAX = 16 * 1024,
    PATH_SIZE = 4096,
    NUMBER_SIZE = 24,
    TRACE_ID_SIZE = 33, /* hex, terminated */
    SPAN_ID_SIZE = 17
};

/* Settings of all models, or what a model has of its own. */
typedef struct setting {
    char *model; /* NULL: of all */
    bool told[MD_TRACE_N_MEMBERS];
    int64_t v[MD_TRACE_N_MEMBERS];
    uint64_t n_seen; /* calls, since the rate was last set */
} setting;

struct md_trace {
    const md_alloc *alloc;
    const char *file;
    _Atomic bool on; /* of all models, or of any */

    pthread_mutex_t lock; /* of what follows */
    setting first;        /* as the server began */
    setting all;
    setting *models;
    uint32_t n, cap;
    uint64_t n_traces;
    int fd;
    off_t size; /* of the file, without the bracket at its end */
    uint64_t n_in_file;
    uint64_t n_files;
    bool numbered; /* the file that is open is */
    bool failed;   /* which has been logged */
};

md_status md_trace_new(md_trace **out, const md_trace_opts *opts,
                       const md_alloc *alloc, md_error *err)
{
    md_trace *t;

    if (opts->on && (!opts->file || !*opts->file))
        return md_fail(err, MD_INVALID,
                       "trace_level is given, but no trace_file");
    t = md_calloc(alloc, 1, sizeof(*t));
    if (!t)
        return md_fail_nomem(err, sizeof(*t));
    t->alloc = alloc;
    t->file = opts->file ? opts->file : "";
    t->fd = -1;
    t->first.v[MD_TRACE_ON] = opts->on;
    t->first.v[MD_TRACE_RATE] = opts->rate;
    t->first.v[MD_TRACE_COUNT] = opts->count;
    t->all = t->first;
    atomic_store(&t->on, t->first.v[MD_TRACE_ON]);
    pthread_mutex_init(&t->lock, NULL);
    *out = t;
    return MD_OK;
}

void md_trace_free(md_trace *t)
{
    if (!t)
        return;
    if (t->fd >= 0)
        (void)close(t->fd);
    for (uint32_t i = 0; i < t->n; i++)
        md_free(t->alloc, t->models[i].model);
    md_free(t->alloc, t->models);
    pthread_mutex_destroy(&t->lock);
    md_free(t->alloc, t);
}

/* ---- settings ---- */

static md_status take_level(md_trace_change *c, const md_setting *s,
                            md_error *err)
{
    if (s->kind != MD_SETTING_TEXTS || s->n_texts == 0)
        return md_setting_fail(s, "a list of OFF or TIMESTAMPS", err);
    c->v[MD_TRACE_ON] = false;
    for (uint32_t i = 0; i < s->n_texts; i++) {
        if (strcmp(s->texts[i], "TIMESTAMPS") == 0)
            c->v[MD_TRACE_ON] = true;
        else if (strcmp(s->texts[i], "TENSORS") == 0)
            return md_fail(err, MD_UNSUPPORTED,
                           "trace_level 'TENSORS' is not supported, OFF or "
                           "TIMESTAMPS expected");
        else if (strcmp(s->texts[i], "OFF") != 0)
            return md_setting_fail(s, "a list of OFF or TIMESTAMPS", err);
    }
    return MD_OK;
}

md_status md_trace_change_take(void *ctx, const md_setting *s, md_error *err)
{
    static const struct {
        const char *name;
        int64_t min;
    } list[] = { [MD_TRACE_ON] = { "trace_level", 0 },
                 [MD_TRACE_RATE] = { "trace_rate", 1 },
                 [MD_TRACE_COUNT] = { "trace_count", -1 },
                 [MD_TRACE_FREQUENCY] = { "log_frequency", 0 } };
    md_trace_change *c = ctx;
    size_t i = 0;

    while (i < MD_COUNT(list) && strcmp(list[i].name, s->name) != 0)
        i++;
    if (i == MD_COUNT(list)) {
        const bool fixed = strcmp(s->name, "trace_file") == 0 ||
                           strcmp(s->name, "trace_mode") == 0;

        return md_fail(err, fixed ? MD_UNSUPPORTED : MD_INVALID,
                       fixed ? "%.64s can not be updated through network "
                               "protocol"
                             : "unknown trace setting '%.64s', expected "
                               "trace_level, trace_rate, trace_count or "
                               "log_frequency",
                       s->name);
    }
    c->n++;
    c->told[i] = true;
    c->clear[i] = s->kind == MD_SETTING_CLEAR;
    if (c->clear[i])
        return MD_OK;
    if (i == MD_TRACE_ON)
        return take_level(c, s, err);
    return md_setting_number(s, list[i].min, UINT32_MAX, &c->v[i], err);
}

/* Under the lock. */
static setting *find_setting(md_trace *t, const char *model)
{
    for (uint32_t i = 0; model && i < t->n; i++)
        if (strcmp(t->models[i].model, model) == 0)
            return &t->models[i];
    return NULL;
}

static md_status add_setting(md_trace *t, setting **out, const char *model,
                             md_error *err)
{
    if (t->n == MODELS_MAX)
        return md_fail(err, MD_TOO_LARGE,
                       "more than %d models have trace settings of their own",
                       MODELS_MAX);
    MD_TRY(
        md_grow(t->alloc, &t->models, &t->cap, t->n, sizeof(*t->models), err));
    *out = &t->models[t->n];
    **out = (setting){ .model = md_strndup(t->alloc, model, strlen(model)) };
    if (!(*out)->model)
        return md_fail_nomem(err, strlen(model));
    t->n++;
    return MD_OK;
}

/* What counts for a model: its own, or that of all. */
static int64_t *value_of(md_trace *t, setting *own, md_trace_member i)
{
    return own && own->told[i] ? &own->v[i] : &t->all.v[i];
}

static bool any_on(const md_trace *t)
{
    bool on = t->all.v[MD_TRACE_ON];

    for (uint32_t i = 0; i < t->n; i++)
        on = on ||
             (t->models[i].told[MD_TRACE_ON] && t->models[i].v[MD_TRACE_ON]);
    return on;
}

md_status md_trace_apply(md_trace *t, const char *model,
                         const md_trace_change *c, md_error *err)
{
    md_status s = MD_OK;
    setting *to = &t->all;

    if (c->n == 0)
        return MD_OK;
    if (c->told[MD_TRACE_ON] && c->v[MD_TRACE_ON] && !*t->file)
        return md_fail(err, MD_UNSUPPORTED,
                       "there is no file for traces: the server's option "
                       "trace_file is not set");
    pthread_mutex_lock(&t->lock);
    if (model) {
        to = find_setting(t, model);
        if (!to)
            s = add_setting(t, &to, model, err);
    }
    for (int i = 0; s == MD_OK && i < MD_TRACE_N_MEMBERS; i++) {
        if (!c->told[i])
            continue;
        to->told[i] = !c->clear[i];
        to->v[i] = c->clear[i] ? t->first.v[i] : c->v[i];
        if (i == MD_TRACE_RATE)
            to->n_seen = 0;
    }
    atomic_store(&t->on, any_on(t));
    pthread_mutex_unlock(&t->lock);
    return s;
}

void md_trace_each(md_trace *t, const char *model,
                   void (*put)(void *ctx, const md_setting *s), void *ctx)
{
    char numbers[MD_TRACE_N_MEMBERS][NUMBER_SIZE];
    const char *names[] = { "trace_level",   "trace_rate", "trace_count",
                            "log_frequency", "trace_file", "trace_mode" };
    const char *values[] = { NULL,
                             numbers[MD_TRACE_RATE],
                             numbers[MD_TRACE_COUNT],
                             numbers[MD_TRACE_FREQUENCY],
                             t->file,
                             "triton" };
    setting *own;

    pthread_mutex_lock(&t->lock);
    own = find_setting(t, model);
    values[0] = *value_of(t, own, MD_TRACE_ON) ? "TIMESTAMPS" : "OFF";
    for (int i = 0; i < MD_TRACE_N_MEMBERS; i++)
        (void)snprintf(numbers[i], NUMBER_SIZE, "%lld",
                       (long long)*value_of(t, own, (md_trace_member)i));
    pthread_mutex_unlock(&t->lock);
    for (size_t i = 0; i < MD_COUNT(names); i++) {
        const md_setting s = { .name = names[i],
                               .kind = MD_SETTING_TEXTS,
                               .texts = { values[i] },
                               .n_texts = 1 };

        put(ctx, &s);
    }
}

/* ---- trace context ---- */

typedef struct context {
    char trace_id[TRACE_ID_SIZE];
    char parent[SPAN_ID_SIZE]; /* "": none */
    char span[SPAN_ID_SIZE];
    bool sampled; /* by who called */
} context;

/* n lower-case hex digits that are not all zero. */
static bool is_id(const char *p, size_t n)
{
    return strspn(p, "0123456789abcdef") >= n && strspn(p, "0") < n;
}

/* "00-<trace>-<span>-<flags>"; later versions may go on behind a dash. */
static void read_parent(context *c, md_slice field)
{
    char text[56];
    unsigned flags;

    if (field.size < 55 || (field.size > 55 && field.data[55] != '-'))
        return;
    memcpy(text, field.data, 55);
    text[55] = '\0';
    if (memcmp(text, "ff", 2) == 0 || strspn(text, "0123456789abcdef") != 2 ||
        text[2] != '-' || !is_id(text + 3, 32) || text[35] != '-' ||
        !is_id(text + 36, 16) || text[52] != '-' ||
        strspn(text + 53, "0123456789abcdef") != 2 ||
        (memcmp(text, "00", 2) == 0 && field.size != 55))
        return;
    (void)snprintf(c->trace_id, sizeof(c->trace_id), "%.32s", text + 3);
    (void)snprintf(c->parent, sizeof(c->parent), "%.16s", text + 36);
    flags = (unsigned)(text[54] <= '9' ? text[54] - '0' : text[54] - 'a' + 10);
    c->sampled = flags & 1;
}

/* n random bytes as hex; n is at most 16. */
static void make_id(char *out, size_t n)
{
    unsigned char bytes[16];

    md_entropy(bytes, n);
    bytes[0] |= 1; /* never all zero */
    for (size_t i = 0; i < n; i++)
        (void)snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

/* ---- writing; under the lock ---- */

static md_status open_file(md_trace *t, bool numbered, md_error *err)
{
    char path[PATH_SIZE];
    int n = numbered ? snprintf(path, sizeof(path), "%s.%llu", t->file,
                                (unsigned long long)t->n_files)
                     : snprintf(path, sizeof(path), "%s", t->file);

    if (n >= (int)sizeof(path))
        return md_fail(err, MD_INVALID, "trace_file: its name is too long");
    t->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    if (t->fd < 0)
        return md_fail(err, MD_IO, "cannot write '%.150s': %s", path,
                       strerror(errno));
    t->size = 0;
    t->n_in_file = 0;
    t->numbered = numbered;
    return MD_OK;
}

static void close_file(md_trace *t)
{
    (void)close(t->fd);
    t->fd = -1;
    t->n_files += t->numbered;
}

/* The record goes over the bracket at the end, and another one behind it. */
static md_status append(md_trace *t, md_buf *record, int64_t frequency,
                        md_error *err)
{
    if (t->fd >= 0 && t->numbered != (frequency > 0))
        close_file(t);
    if (t->fd < 0)
        MD_TRY(open_file(t, frequency > 0, err));
    record->data[0] = t->size ? ',' : '[';
    MD_TRY(md_buf_append(record, "]\n", 2, err));
    if (pwrite(t->fd, record->data, record->size, t->size) !=
        (ssize_t)record->size) {
        const int why = errno;

        (void)ftruncate(t->fd, t->size);
        return md_fail(err, MD_IO, "cannot write '%.150s': %s", t->file,
                       strerror(why));
    }
    t->size += (off_t)record->size - 2;
    if (frequency > 0 && ++t->n_in_file >= (uint64_t)frequency)
        close_file(t);
    return MD_OK;
}

static void put_time(md_json_writer *w, const char *name, int64_t ns)
{
    md_json_put_object(w);
    md_json_put_name(w, "name");
    md_json_put_str(w, name);
    md_json_put_name(w, "ns");
    md_json_put_i64(w, ns);
    md_json_put_end(w);
}

static void put_times(md_json_writer *w, const md_call *c)
{
    static const char *const names[MD_CALL_N_PARTS] = { "COMPUTE_START",
                                                        "COMPUTE_INPUT_END",
                                                        "COMPUTE_OUTPUT_START",
                                                        "COMPUTE_END" };
    int64_t at = c->start_ns;

    md_json_put_array(w);
    put_time(w, "REQUEST_START", at);
    put_time(w, "QUEUE_START", at);
    for (int i = 0; i < MD_CALL_N_PARTS; i++) {
        at += c->part_ns[i];
        put_time(w, names[i], at);
    }
    put_time(w, "REQUEST_END", c->marked_ns);
    md_json_put_end(w);
}

static void put_text(md_json_writer *w, const char *name, const char *text)
{
    md_json_put_name(w, name);
    md_json_put_str(w, text);
}

/* Two objects behind one byte, which append sets. */
static md_status make_record(md_buf *out, const md_call *c, const context *ids,
                             uint64_t number, const char *request_id,
                             md_error *err)
{
    md_json_writer w;

    MD_TRY(md_buf_append(out, " ", 1, err));
    md_json_writer_init(&w, out);
    md_json_put_object(&w);
    md_json_put_name(&w, "id");
    md_json_put_u64(&w, number);
    put_text(&w, "model_name", c->model->name);
    put_text(&w, "model_version", c->model->version);
    put_text(&w, "request_id", request_id);
    put_text(&w, "trace_id", ids->trace_id);
    put_text(&w, "span_id", ids->span);
    if (*ids->parent)
        put_text(&w, "parent_span_id", ids->parent);
    md_json_put_end(&w);
    MD_TRY(md_json_finish(&w, err));
    MD_TRY(md_buf_append(out, ",", 1, err));
    md_json_writer_init(&w, out);
    md_json_put_object(&w);
    md_json_put_name(&w, "id");
    md_json_put_u64(&w, number);
    md_json_put_name(&w, "timestamps");
    put_times(&w, c);
    md_json_put_end(&w);
    return md_json_finish(&w, err);
}

/* Is it this call's turn?  *frequency is its setting's. */
static bool sample(md_trace *t, const char *model, bool asked,
                   int64_t *frequency)
{
    setting *own = find_setting(t, model);
    setting *counts = own && own->told[MD_TRACE_RATE] ? own : &t->all;
    int64_t *count = value_of(t, own, MD_TRACE_COUNT);

    *frequency = *value_of(t, own, MD_TRACE_FREQUENCY);
    if (!*value_of(t, own, MD_TRACE_ON) || *count == 0)
        return false;
    if (!asked && ++counts->n_seen % (uint64_t)counts->v[MD_TRACE_RATE] != 0)
        return false;
    if (*count > 0)
        --*count;
    return true;
}

static void write_trace(md_trace *t, const md_call *c, const context *ids,
                        const char *request_id, int64_t frequency)
{
    md_error err = MD_ERROR_INIT;
    md_buf record;
    md_status s;

    md_buf_init(&record, t->alloc, RECORD_SIZE_MAX);
    s = make_record(&record, c, ids, ++t->n_traces, request_id, &err);
    if (s == MD_OK)
        s = append(t, &record, frequency, &err);
    if (s != MD_OK && !t->failed)
        MD_LOG(MD_LOG_ERROR, "traces are lost", md_log_error(&err));
    t->failed = s != MD_OK;
    md_buf_release(&record);
}

bool md_trace_is_on(const md_trace *t)
{
    return atomic_load_explicit(&t->on, memory_order_relaxed);
}

void md_trace_call(md_trace *t, md_call *c, const char *id)
{
    context ids = { .sampled = false };
    int64_t frequency;
    char field[64];
    bool turn;

    read_parent(&ids, md_http_request_field(c->http, "traceparent"));
    if (!*ids.trace_id)
        make_id(ids.trace_id, 16);
    make_id(ids.span, 8);
    pthread_mutex_lock(&t->lock);
    turn = sample(t, c->model->name, ids.sampled, &frequency);
    if (turn)
        write_trace(t, c, &ids, id, frequency);
    pthread_mutex_unlock(&t->lock);
    if (!turn)
        return;
    (void)snprintf(field, sizeof(field), "00-%s-%s-01", ids.trace_id, ids.span);
    (void)md_http_reply_field(c->http, "traceparent", field, NULL);
}
