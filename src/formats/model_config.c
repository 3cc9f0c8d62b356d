#include "formats/model_config.h"

#include <string.h>

#include "formats/model_config_read.h"

enum {
    BATCH_MAX = 1 << 20,
    DELAY_MAX = 60 * 1000 * 1000, /* microseconds */
    INSTANCES_MAX = 1024,
    LEVELS_MAX = 256
};

/* ---- numbers ---- */

static md_status take_delay(md_config_reader *r, const md_textpb *f, void *to)
{
    return md_config__number(r, f, 0, DELAY_MAX, to);
}

static md_status take_batch(md_config_reader *r, const md_textpb *f, void *to)
{
    return md_config__number(r, f, 0, BATCH_MAX, to);
}

static md_status take_levels(md_config_reader *r, const md_textpb *f, void *to)
{
    return md_config__number(r, f, 0, LEVELS_MAX, to);
}

/* ---- inputs and outputs ---- */

static md_status take_type(md_config_reader *r, const md_textpb *f, void *to)
{
    static const char prefix[] = "TYPE_";
    md_dtype *t = to;

    *t = MD_DTYPE_NONE;
    if (!f->is_message && strcmp(f->text, "TYPE_STRING") == 0)
        *t = MD_DTYPE_STRING;
    else if (!f->is_message && strncmp(f->text, prefix, 5) == 0)
        *t = md_dtype_parse_v2(f->text + 5);
    if (*t == MD_DTYPE_NONE)
        return md_config__fail(
            r, f, "TYPE_FP32, TYPE_INT64, TYPE_STRING or the like");
    return MD_OK;
}

static md_status take_io(md_config_reader *r, const md_textpb *f,
                         const md_config_field *list, md_config_ios *ios)
{
    md_config_io *io;

    MD_TRY(md_arena_grow(r->ar, &ios->v, &ios->cap, ios->n, sizeof(*ios->v),
                         r->err));
    io = &ios->v[ios->n++];
    MD_TRY(md_config__message(r, f, list, io));
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

static md_status take_input(md_config_reader *r, const md_textpb *f, void *to)
{
    static const md_config_field list[] = {
        { "name", md_config__text, offsetof(md_config_io, name) },
        { "data_type", take_type, offsetof(md_config_io, dtype) },
        { "dims", md_config__dims, offsetof(md_config_io, dims) },
        { "format", md_config__nothing, 0 },
        { "reshape", md_config__refuse, 0 },
        { "is_shape_tensor", md_config__nothing, 0 },
        { "allow_ragged_batch", md_config__nothing, 0 },
        { "optional", md_config__nothing, 0 },
        { "is_non_linear_format_io", md_config__nothing, 0 },
        { NULL, NULL, 0 }
    };

    return take_io(r, f, list, to);
}

static md_status take_output(md_config_reader *r, const md_textpb *f, void *to)
{
    static const md_config_field list[] = {
        { "name", md_config__text, offsetof(md_config_io, name) },
        { "data_type", take_type, offsetof(md_config_io, dtype) },
        { "dims", md_config__dims, offsetof(md_config_io, dims) },
        { "label_filename", md_config__file_name,
          offsetof(md_config_io, label_filename) },
        { "reshape", md_config__refuse, 0 },
        { "is_shape_tensor", md_config__nothing, 0 },
        { "is_non_linear_format_io", md_config__nothing, 0 },
        { NULL, NULL, 0 }
    };

    return take_io(r, f, list, to);
}

/* ---- versions ---- */

static md_status take_latest(md_config_reader *r, const md_textpb *f, void *to)
{
    static const md_config_field list[] = { { "num_versions", md_config__count,
                                              offsetof(md_model_config,
                                                       n_latest) },
                                            { NULL, NULL, 0 } };
    md_model_config *c = to;

    c->which = MD_VERSIONS_LATEST;
    MD_TRY(md_config__message(r, f, list, c));
    if (c->n_latest < 1)
        return md_fail(r->err, MD_INVALID,
                       "line %u: num_versions 0 given, 1 or more expected",
                       f->line);
    return MD_OK;
}

static md_status take_all(md_config_reader *r, const md_textpb *f, void *to)
{
    static const md_config_field list[] = { { NULL, NULL, 0 } };

    ((md_model_config *)to)->which = MD_VERSIONS_ALL;
    return md_config__message(r, f, list, to);
}

static md_status take_specific(md_config_reader *r, const md_textpb *f,
                               void *to)
{
    static const md_config_field list[] = { { "versions", md_config__naturals,
                                              offsetof(md_model_config,
                                                       versions) },
                                            { NULL, NULL, 0 } };

    ((md_model_config *)to)->which = MD_VERSIONS_SPECIFIC;
    return md_config__message(r, f, list, to);
}

static md_status take_policy(md_config_reader *r, const md_textpb *f, void *to)
{
    static const md_config_field list[] = { { "latest", take_latest, 0 },
                                            { "all", take_all, 0 },
                                            { "specific", take_specific, 0 },
                                            { NULL, NULL, 0 } };

    return md_config__message(r, f, list, to);
}

/* ---- scheduling ---- */

static md_status take_action(md_config_reader *r, const md_textpb *f, void *to)
{
    const bool delay = strcmp(f->text, "DELAY") == 0;

    if (f->is_message || (!delay && strcmp(f->text, "REJECT") != 0))
        return md_config__fail(r, f, "REJECT or DELAY");
    *(bool *)to = delay;
    return MD_OK;
}

static md_status take_queue(md_config_reader *r, const md_textpb *f, void *to)
{
    static const md_config_field list[] = {
        { "timeout_action", take_action, offsetof(md_config_queue, delay) },
        { "default_timeout_microseconds", md_config__count,
          offsetof(md_config_queue, timeout_us) },
        { "allow_timeout_override", md_config__bool,
          offsetof(md_config_queue, allow_override) },
        { "max_queue_size", md_config__count,
          offsetof(md_config_queue, size_max) },
        { NULL, NULL, 0 }
    };

    return md_config__message(r, f, list, to);
}

static md_status take_level(md_config_reader *r, const md_textpb *key,
                            const md_textpb *value, void *to)
{
    md_config_batching *b = to;
    md_config_priority *p;

    MD_TRY(md_arena_grow(r->ar, &b->levels, &b->cap_level_queues,
                         b->n_level_queues, sizeof(*b->levels), r->err));
    p = &b->levels[b->n_level_queues++];
    MD_TRY(md_config__number(r, key, 1, LEVELS_MAX, &p->level));
    return value ? take_queue(r, value, &p->queue) : MD_OK;
}

static md_status take_level_queue(md_config_reader *r, const md_textpb *f,
                                  void *to)
{
    return md_config__map(r, f, take_level, to);
}

static md_status check_batching(const md_config_reader *r, const md_textpb *f,
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

static md_status take_batching(md_config_reader *r, const md_textpb *f,
                               void *to)
{
    static const md_config_field list[] = {
        { "preferred_batch_size", md_config__positives,
          offsetof(md_config_batching, preferred) },
        { "max_queue_delay_microseconds", take_delay,
          offsetof(md_config_batching, delay_us) },
        { "preserve_ordering", md_config__bool,
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
    MD_TRY(md_config__message(r, f, list, b));
    return check_batching(r, f, b);
}

static md_status take_group(md_config_reader *r, const md_textpb *f, void *to)
{
    static const md_config_field list[] = {
        { "count", md_config__count, 0 },
        { "name", md_config__nothing, 0 },
        { "kind", md_config__nothing, 0 },
        { "gpus", md_config__nothing, 0 },
        { "profile", md_config__nothing, 0 },
        { "passive", md_config__nothing, 0 },
        { "host_policy", md_config__nothing, 0 },
        { "rate_limiter", md_config__nothing, 0 },
        { "secondary_devices", md_config__nothing, 0 },
        { NULL, NULL, 0 }
    };
    int64_t count = 1;
    int64_t *sum = to;

    MD_TRY(md_config__message(r, f, list, &count));
    if (count < 1 || count > INSTANCES_MAX || *sum + count > INSTANCES_MAX)
        return md_fail(r->err, MD_INVALID,
                       "line %u: instance_group of %lld instances given, 1 to "
                       "%d expected",
                       f->line, (long long)count, INSTANCES_MAX);
    *sum += count;
    return MD_OK;
}

static md_status take_cache(md_config_reader *r, const md_textpb *f, void *to)
{
    static const md_config_field list[] = { { "enable", md_config__bool, 0 },
                                            { NULL, NULL, 0 } };

    return md_config__message(r, f, list, to);
}

static md_status take_transactions(md_config_reader *r, const md_textpb *f,
                                   void *to)
{
    static const md_config_field list[] = { { "decoupled", md_config__bool, 0 },
                                            { NULL, NULL, 0 } };
    bool decoupled = false;

    (void)to;
    MD_TRY(md_config__message(r, f, list, &decoupled));
    if (decoupled)
        return md_fail(r->err, MD_UNSUPPORTED,
                       "line %u: a decoupled model is not supported", f->line);
    return MD_OK;
}

/* ---- the whole ---- */

#define AT(member) offsetof(md_model_config, member)

static const md_config_field CONFIG[] = {
    { "name", md_config__text, AT(name) },
    { "platform", md_config__text, AT(platform) },
    { "backend", md_config__text, AT(backend) },
    { "default_model_filename", md_config__file_name,
      AT(default_model_filename) },
    { "version_policy", take_policy, 0 },
    { "max_batch_size", take_batch, AT(max_batch_size) },
    { "input", take_input, AT(inputs) },
    { "output", take_output, AT(outputs) },
    { "instance_group", take_group, AT(n_instances) },
    { "dynamic_batching", take_batching, AT(batching) },
    { "response_cache", take_cache, AT(response_cache) },
    { "model_transaction_policy", take_transactions, 0 },
    { "sequence_batching", md_config__refuse, 0 },
    { "ensemble_scheduling", md_config__ensemble, AT(ensemble) },
    { "batch_input", md_config__refuse, 0 },
    { "batch_output", md_config__refuse, 0 },
    { "optimization", md_config__nothing, 0 },
    { "cc_model_filenames", md_config__nothing, 0 },
    { "metric_tags", md_config__nothing, 0 },
    { "parameters", md_config__nothing, 0 },
    { "model_warmup", md_config__nothing, 0 }, /* every model is warmed up */
    { "model_operations", md_config__nothing, 0 },
    { "model_repository_agents", md_config__nothing, 0 },
    { "runtime", md_config__nothing, 0 },
    { "model_metrics", md_config__nothing, 0 },
    { NULL, NULL, 0 }
};

void md_model_config_init(md_model_config *c)
{
    *c = (md_model_config){ .which = MD_VERSIONS_LATEST, .n_latest = 1 };
}

/* One thing or the other. */
static md_status check_ensemble(const md_model_config *c, md_error *err)
{
    static const char name[] = "ensemble";
    const bool told = c->platform && strcmp(c->platform, name) == 0;

    if (c->ensemble.n == 0 && !told)
        return MD_OK;
    if (c->ensemble.n == 0)
        return md_fail(err, MD_INVALID,
                       "platform 'ensemble' is given, but no step of "
                       "ensemble_scheduling");
    if (c->platform && !told)
        return md_fail(err, MD_INVALID,
                       "ensemble_scheduling: platform '%.64s' given, "
                       "'ensemble' expected",
                       c->platform);
    if (c->batching.on || c->n_instances)
        return md_fail(err, MD_INVALID,
                       "ensemble_scheduling: %s is for the models of the "
                       "steps",
                       c->batching.on ? "dynamic_batching" : "instance_group");
    return MD_OK;
}

static md_status read_config(md_model_config *out, const md_textpb *root,
                             md_arena *ar, md_error *err)
{
    md_config_reader r = { ar, err };

    md_model_config_init(out);
    MD_TRY(md_config__message(&r, root, CONFIG, out));
    MD_TRY(check_ensemble(out, err));
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
