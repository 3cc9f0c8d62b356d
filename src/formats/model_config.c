#include "formats/model_config.h"

#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "base/text.h"
#include "formats/textpb.h"

enum {
    BATCH_MAX = 1 << 20,
    DELAY_MAX = 60 * 1000 * 1000, /* microseconds */
    INSTANCES_MAX = 1024,
    LEVELS_MAX = 256,
    LIST_MAX = 1 << 16
};

typedef struct reader {
    md_arena *ar;
    md_error *err;
} reader;

/* A field that a message may have: `take` reads it to the member at `at`. */
typedef struct field {
    const char *name;
    md_status (*take)(reader *r, const md_textpb *f, void *to);
    size_t at;
} field;

static md_status fail(const reader *r, const md_textpb *f, const char *expected)
{
    char quoted[48];

    return md_fail(
        r->err, MD_INVALID,
        "line %u: field '%.64s': %s given, %s "
        "expected",
        f->line, f->name,
        f->is_message ? "a message"
                      : md_text_quote(quoted, sizeof(quoted), f->text, f->size),
        expected);
}

/* Read the fields of a message by the list, which ends with a NULL name. */
static md_status take_message(reader *r, const md_textpb *m, const field *list,
                              void *to)
{
    if (!m->is_message)
        return fail(r, m, "a message");
    for (const md_textpb *f = m->first; f; f = f->next) {
        md_nearest near;
        const field *row = list;

        while (row->name && strcmp(row->name, f->name) != 0)
            row++;
        if (row->name) {
            MD_TRY(row->take(r, f, (char *)to + row->at));
            continue;
        }
        md_nearest_init(&near, f->name);
        for (row = list; row->name; row++)
            md_nearest_offer(&near, row->name);
        return md_fail(r->err, MD_INVALID,
                       "line %u: unknown field '%.64s'%s%s%s", f->line, f->name,
                       md_nearest_best(&near) ? ", nearest is '" : "",
                       md_nearest_best(&near) ? md_nearest_best(&near) : "",
                       md_nearest_best(&near) ? "'" : "");
    }
    return MD_OK;
}

/* ---- scalars ---- */

static md_status take_nothing(reader *r, const md_textpb *f, void *to)
{
    (void)r;
    (void)f;
    (void)to;
    return MD_OK;
}

static md_status refuse(reader *r, const md_textpb *f, void *to)
{
    (void)to;
    return md_fail(r->err, MD_UNSUPPORTED,
                   "line %u: field '%s' is not supported", f->line, f->name);
}

static md_status take_text(reader *r, const md_textpb *f, void *to)
{
    if (f->is_message || !f->quoted || strlen(f->text) != f->size)
        return fail(r, f, "a string");
    *(const char **)to = f->size ? f->text : NULL;
    return MD_OK;
}

/* A name that becomes part of a path. */
static md_status take_file_name(reader *r, const md_textpb *f, void *to)
{
    MD_TRY(take_text(r, f, to));
    if (f->size && !md_config_is_file_name(f->text))
        return fail(r, f, "the name of a file, without folders,");
    return MD_OK;
}

static md_status take_bool(reader *r, const md_textpb *f, void *to)
{
    const bool yes = strcmp(f->text, "true") == 0 ||
                     strcmp(f->text, "True") == 0 ||
                     strcmp(f->text, "t") == 0 || strcmp(f->text, "1") == 0;
    const bool no = strcmp(f->text, "false") == 0 ||
                    strcmp(f->text, "False") == 0 ||
                    strcmp(f->text, "f") == 0 || strcmp(f->text, "0") == 0;

    if (f->is_message || (!yes && !no))
        return fail(r, f, "true or false");
    *(bool *)to = yes;
    return MD_OK;
}

/* JSON writes 64-bit numbers as strings, so quotes do not matter. */
static md_status take_number(reader *r, const md_textpb *f, int64_t min,
                             int64_t max, int64_t *to)
{
    const unsigned char *p = (const unsigned char *)f->text;
    const unsigned char *end = p + f->size;
    char expected[80];

    if (!f->is_message && md_num_i64(to, &p, p, end) == MD_NUM_OK && p == end &&
        *to >= min && *to <= max)
        return MD_OK;
    (void)snprintf(expected, sizeof(expected), "a number from %lld to %lld",
                   (long long)min, (long long)max);
    return fail(r, f, expected);
}

static md_status take_count(reader *r, const md_textpb *f, void *to)
{
    return take_number(r, f, 0, INT64_MAX / 1000, to);
}

static md_status take_delay(reader *r, const md_textpb *f, void *to)
{
    return take_number(r, f, 0, DELAY_MAX, to);
}

static md_status take_batch(reader *r, const md_textpb *f, void *to)
{
    return take_number(r, f, 0, BATCH_MAX, to);
}

static md_status take_levels(reader *r, const md_textpb *f, void *to)
{
    return take_number(r, f, 0, LEVELS_MAX, to);
}

static md_status push(reader *r, md_config_ints *list, int64_t v)
{
    if (list->n >= LIST_MAX)
        return md_fail(r->err, MD_TOO_LARGE, "a list of more than %d numbers",
                       LIST_MAX);
    MD_TRY(md_arena_grow(r->ar, &list->v, &list->cap, list->n, sizeof(*list->v),
                         r->err));
    list->v[list->n++] = v;
    return MD_OK;
}

static md_status take_dims(reader *r, const md_textpb *f, void *to)
{
    int64_t v = 0;

    MD_TRY(take_number(r, f, -1, INT64_MAX, &v));
    return push(r, to, v);
}

static md_status take_positives(reader *r, const md_textpb *f, void *to)
{
    int64_t v = 0;

    MD_TRY(take_number(r, f, 1, INT64_MAX, &v));
    return push(r, to, v);
}

static md_status take_naturals(reader *r, const md_textpb *f, void *to)
{
    int64_t v = 0;

    MD_TRY(take_number(r, f, 0, INT64_MAX, &v));
    return push(r, to, v);
}

/* ---- inputs and outputs ---- */

static md_status take_type(reader *r, const md_textpb *f, void *to)
{
    static const char prefix[] = "TYPE_";
    md_dtype *t = to;

    *t = MD_DTYPE_NONE;
    if (!f->is_message && strcmp(f->text, "TYPE_STRING") == 0)
        *t = MD_DTYPE_STRING;
    else if (!f->is_message && strncmp(f->text, prefix, 5) == 0)
        *t = md_dtype_parse_v2(f->text + 5);
    if (*t == MD_DTYPE_NONE)
        return fail(r, f, "TYPE_FP32, TYPE_INT64, TYPE_STRING or the like");
    return MD_OK;
}

static md_status take_io(reader *r, const md_textpb *f, const field *list,
                         md_config_ios *ios)
{
    md_config_io *io;

    MD_TRY(md_arena_grow(r->ar, &ios->v, &ios->cap, ios->n, sizeof(*ios->v),
                         r->err));
    io = &ios->v[ios->n++];
    MD_TRY(take_message(r, f, list, io));
    if (!io->name)
        return md_fail(r->err, MD_INVALID, "line %u: field '%s' has no name",
                       f->line, f->name);
    for (uint32_t i = 0; i + 1 < ios->n; i++)
        if (strcmp(ios->v[i].name, io->name) == 0)
            return md_fail(r->err, MD_INVALID,
                           "line %u: two fields '%s' are called '%.100s'",
                           f->line, f->name, io->name);
    return MD_OK;
}

static md_status take_input(reader *r, const md_textpb *f, void *to)
{
    static const field list[] = {
        { "name", take_text, offsetof(md_config_io, name) },
        { "data_type", take_type, offsetof(md_config_io, dtype) },
        { "dims", take_dims, offsetof(md_config_io, dims) },
        { "format", take_nothing, 0 },
        { "reshape", refuse, 0 },
        { "is_shape_tensor", take_nothing, 0 },
        { "allow_ragged_batch", take_nothing, 0 },
        { "optional", take_nothing, 0 },
        { "is_non_linear_format_io", take_nothing, 0 },
        { NULL, NULL, 0 }
    };

    return take_io(r, f, list, to);
}

static md_status take_output(reader *r, const md_textpb *f, void *to)
{
    static const field list[] = {
        { "name", take_text, offsetof(md_config_io, name) },
        { "data_type", take_type, offsetof(md_config_io, dtype) },
        { "dims", take_dims, offsetof(md_config_io, dims) },
        { "label_filename", take_file_name,
          offsetof(md_config_io, label_filename) },
        { "reshape", refuse, 0 },
        { "is_shape_tensor", take_nothing, 0 },
        { "is_non_linear_format_io", take_nothing, 0 },
        { NULL, NULL, 0 }
    };

    return take_io(r, f, list, to);
}

/* ---- versions ---- */

static md_status take_latest(reader *r, const md_textpb *f, void *to)
{
    static const field list[] = { { "num_versions", take_count,
                                    offsetof(md_model_config, n_latest) },
                                  { NULL, NULL, 0 } };
    md_model_config *c = to;

    c->which = MD_VERSIONS_LATEST;
    MD_TRY(take_message(r, f, list, c));
    if (c->n_latest < 1)
        return md_fail(r->err, MD_INVALID,
                       "line %u: num_versions 0 given, 1 or more expected",
                       f->line);
    return MD_OK;
}

static md_status take_all(reader *r, const md_textpb *f, void *to)
{
    static const field list[] = { { NULL, NULL, 0 } };

    ((md_model_config *)to)->which = MD_VERSIONS_ALL;
    return take_message(r, f, list, to);
}

static md_status take_specific(reader *r, const md_textpb *f, void *to)
{
    static const field list[] = { { "versions", take_naturals,
                                    offsetof(md_model_config, versions) },
                                  { NULL, NULL, 0 } };

    ((md_model_config *)to)->which = MD_VERSIONS_SPECIFIC;
    return take_message(r, f, list, to);
}

static md_status take_policy(reader *r, const md_textpb *f, void *to)
{
    static const field list[] = { { "latest", take_latest, 0 },
                                  { "all", take_all, 0 },
                                  { "specific", take_specific, 0 },
                                  { NULL, NULL, 0 } };

    return take_message(r, f, list, to);
}

/* ---- scheduling ---- */

static md_status take_action(reader *r, const md_textpb *f, void *to)
{
    const bool delay = strcmp(f->text, "DELAY") == 0;

    if (f->is_message || (!delay && strcmp(f->text, "REJECT") != 0))
        return fail(r, f, "REJECT or DELAY");
    *(bool *)to = delay;
    return MD_OK;
}

static md_status take_queue(reader *r, const md_textpb *f, void *to)
{
    static const field list[] = {
        { "timeout_action", take_action, offsetof(md_config_queue, delay) },
        { "default_timeout_microseconds", take_count,
          offsetof(md_config_queue, timeout_us) },
        { "allow_timeout_override", take_bool,
          offsetof(md_config_queue, allow_override) },
        { "max_queue_size", take_count, offsetof(md_config_queue, size_max) },
        { NULL, NULL, 0 }
    };

    return take_message(r, f, list, to);
}

/* One level and its queue: {key: 1 value: {...}}, in JSON "1": {...}. */
static md_status take_level(reader *r, const md_textpb *key,
                            const md_textpb *value, md_config_batching *b)
{
    md_config_priority *p;

    MD_TRY(md_arena_grow(r->ar, &b->levels, &b->cap_level_queues,
                         b->n_level_queues, sizeof(*b->levels), r->err));
    p = &b->levels[b->n_level_queues++];
    MD_TRY(take_number(r, key, 1, LEVELS_MAX, &p->level));
    return value ? take_queue(r, value, &p->queue) : MD_OK;
}

static md_status take_level_queue(reader *r, const md_textpb *f, void *to)
{
    const md_textpb *key = NULL;
    const md_textpb *value = NULL;

    if (!f->is_message)
        return fail(r, f, "a message");
    for (const md_textpb *e = f->first; e; e = e->next) {
        md_textpb name = { .name = f->name,
                           .line = e->line,
                           .text = e->name,
                           .size = strlen(e->name) };

        if (strcmp(e->name, "key") == 0)
            key = e;
        else if (strcmp(e->name, "value") == 0)
            value = e;
        else
            MD_TRY(take_level(r, &name, e, to));
    }
    return key ? take_level(r, key, value, to) : MD_OK;
}

static md_status check_batching(const reader *r, const md_textpb *f,
                                const md_config_batching *b)
{
    if (b->default_level > b->n_levels ||
        (b->n_levels > 0 && b->default_level == 0))
        return md_fail(r->err, MD_INVALID,
                       "line %u: default_priority_level %lld given, 1 to "
                       "priority_levels (%lld) expected",
                       f->line, (long long)b->default_level,
                       (long long)b->n_levels);
    for (uint32_t i = 0; i < b->n_level_queues; i++)
        if (b->levels[i].level > b->n_levels)
            return md_fail(r->err, MD_INVALID,
                           "line %u: priority_queue_policy of level %lld, "
                           "there are %lld levels",
                           f->line, (long long)b->levels[i].level,
                           (long long)b->n_levels);
    return MD_OK;
}

static md_status take_batching(reader *r, const md_textpb *f, void *to)
{
    static const field list[] = {
        { "preferred_batch_size", take_positives,
          offsetof(md_config_batching, preferred) },
        { "max_queue_delay_microseconds", take_delay,
          offsetof(md_config_batching, delay_us) },
        { "preserve_ordering", take_bool,
          offsetof(md_config_batching, preserve_ordering) },
        { "priority_levels", take_levels,
          offsetof(md_config_batching, n_levels) },
        { "default_priority_level", take_levels,
          offsetof(md_config_batching, default_level) },
        { "default_queue_policy", take_queue,
          offsetof(md_config_batching, queue) },
        { "priority_queue_policy", take_level_queue, 0 },
        { NULL, NULL, 0 }
    };
    md_config_batching *b = to;

    b->on = true;
    MD_TRY(take_message(r, f, list, b));
    return check_batching(r, f, b);
}

static md_status take_group(reader *r, const md_textpb *f, void *to)
{
    static const field list[] = { { "count", take_count, 0 },
                                  { "name", take_nothing, 0 },
                                  { "kind", take_nothing, 0 },
                                  { "gpus", take_nothing, 0 },
                                  { "profile", take_nothing, 0 },
                                  { "passive", take_nothing, 0 },
                                  { "host_policy", take_nothing, 0 },
                                  { "rate_limiter", take_nothing, 0 },
                                  { "secondary_devices", take_nothing, 0 },
                                  { NULL, NULL, 0 } };
    int64_t count = 1;
    int64_t *sum = to;

    MD_TRY(take_message(r, f, list, &count));
    if (count < 1 || count > INSTANCES_MAX || *sum + count > INSTANCES_MAX)
        return md_fail(r->err, MD_INVALID,
                       "line %u: instance_group of %lld instances given, 1 to "
                       "%d expected",
                       f->line, (long long)count, INSTANCES_MAX);
    *sum += count;
    return MD_OK;
}

static md_status take_cache(reader *r, const md_textpb *f, void *to)
{
    static const field list[] = { { "enable", take_bool, 0 },
                                  { NULL, NULL, 0 } };

    return take_message(r, f, list, to);
}

static md_status take_transactions(reader *r, const md_textpb *f, void *to)
{
    static const field list[] = { { "decoupled", take_bool, 0 },
                                  { NULL, NULL, 0 } };
    bool decoupled = false;

    (void)to;
    MD_TRY(take_message(r, f, list, &decoupled));
    if (decoupled)
        return md_fail(r->err, MD_UNSUPPORTED,
                       "line %u: a decoupled model is not supported", f->line);
    return MD_OK;
}

/* ---- the whole ---- */

#define AT(member) offsetof(md_model_config, member)

static const field CONFIG[] = {
    { "name", take_text, AT(name) },
    { "platform", take_text, AT(platform) },
    { "backend", take_text, AT(backend) },
    { "default_model_filename", take_file_name, AT(default_model_filename) },
    { "version_policy", take_policy, 0 },
    { "max_batch_size", take_batch, AT(max_batch_size) },
    { "input", take_input, AT(inputs) },
    { "output", take_output, AT(outputs) },
    { "instance_group", take_group, AT(n_instances) },
    { "dynamic_batching", take_batching, AT(batching) },
    { "response_cache", take_cache, AT(response_cache) },
    { "model_transaction_policy", take_transactions, 0 },
    { "sequence_batching", refuse, 0 },
    { "ensemble_scheduling", refuse, 0 },
    { "batch_input", refuse, 0 },
    { "batch_output", refuse, 0 },
    { "optimization", take_nothing, 0 },
    { "cc_model_filenames", take_nothing, 0 },
    { "metric_tags", take_nothing, 0 },
    { "parameters", take_nothing, 0 },
    { "model_warmup", take_nothing, 0 }, /* every model is warmed up */
    { "model_operations", take_nothing, 0 },
    { "model_repository_agents", take_nothing, 0 },
    { "runtime", take_nothing, 0 },
    { "model_metrics", take_nothing, 0 },
    { NULL, NULL, 0 }
};

void md_model_config_init(md_model_config *c)
{
    *c = (md_model_config){ .which = MD_VERSIONS_LATEST, .n_latest = 1 };
}

static md_status read_config(md_model_config *out, const md_textpb *root,
                             md_arena *ar, md_error *err)
{
    reader r = { ar, err };

    md_model_config_init(out);
    MD_TRY(take_message(&r, root, CONFIG, out));
    for (uint32_t i = 0; i < out->batching.preferred.n; i++)
        if (out->batching.preferred.v[i] > out->max_batch_size)
            return md_fail(err, MD_INVALID,
                           "preferred_batch_size %lld given, at most "
                           "max_batch_size (%lld) expected",
                           (long long)out->batching.preferred.v[i],
                           (long long)out->max_batch_size);
    return MD_OK;
}

md_status md_model_config_parse(md_model_config *out, const char *text,
                                size_t n, md_arena *ar, md_error *err)
{
    md_textpb *root;

    MD_TRY(md_textpb_parse(&root, text, n, ar, err));
    return read_config(out, root, ar, err);
}

md_status md_model_config_from_json(md_model_config *out, const char *text,
                                    size_t n, md_arena *ar, md_error *err)
{
    md_textpb *root;

    MD_TRY(md_textpb_from_json(&root, text, n, ar, err));
    return read_config(out, root, ar, err);
}

const md_config_io *md_config_find(const md_config_ios *ios, const char *name)
{
    for (uint32_t i = 0; i < ios->n; i++)
        if (strcmp(ios->v[i].name, name) == 0)
            return &ios->v[i];
    return NULL;
}

const md_config_queue *md_config_queue_of(const md_config_batching *b,
                                          int64_t level)
{
    for (uint32_t i = 0; i < b->n_level_queues; i++)
        if (b->levels[i].level == level)
            return &b->levels[i].queue;
    return &b->queue;
}

bool md_config_is_file_name(const char *name)
{
    return *name && !strchr(name, '/') && strcmp(name, ".") != 0 &&
           strcmp(name, "..") != 0;
}
