/*
 * XGBoost's models (save_model): `.json` and `.ubj`, of gbtree and dart.
 *
 * A node asks "less than", in float32; leaves keep their value where others
 * keep what they compare with.
 */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "convert/trees/forest.h"
#include "convert/trees/ubjson.h"

enum {
    ARENA_SIZE = 1 << 30,
    FEATURES_MAX = 1 << 24,
    TARGETS_MAX = 1 << 20,
    PROBED = 64 /* bytes that tell what a file is */
};

/* How a constant score becomes one of the sums. */
typedef enum base_kind {
    BASE_AS_IT_IS,
    BASE_LOGIT,
    BASE_LOG
} base_kind;

typedef struct objective {
    const char *name;
    md_forest_link link;
    base_kind base;
} objective;

static const objective objectives[] = {
    { "reg:squarederror", MD_FOREST_SUM, BASE_AS_IT_IS },
    { "reg:linear", MD_FOREST_SUM, BASE_AS_IT_IS },
    { "reg:squaredlogerror", MD_FOREST_SUM, BASE_AS_IT_IS },
    { "reg:pseudohubererror", MD_FOREST_SUM, BASE_AS_IT_IS },
    { "reg:absoluteerror", MD_FOREST_SUM, BASE_AS_IT_IS },
    { "reg:quantileerror", MD_FOREST_SUM, BASE_AS_IT_IS },
    { "reg:logistic", MD_FOREST_SIGMOID, BASE_LOGIT },
    { "reg:gamma", MD_FOREST_EXP, BASE_LOG },
    { "reg:tweedie", MD_FOREST_EXP, BASE_LOG },
    { "count:poisson", MD_FOREST_EXP, BASE_LOG },
    { "survival:cox", MD_FOREST_EXP, BASE_LOG },
    { "survival:aft", MD_FOREST_EXP, BASE_LOG },
    { "binary:logistic", MD_FOREST_BINARY, BASE_LOGIT },
    { "binary:logitraw", MD_FOREST_SUM, BASE_AS_IT_IS },
    { "binary:hinge", MD_FOREST_SIGN, BASE_AS_IT_IS },
    { "multi:softmax", MD_FOREST_SOFTMAX, BASE_AS_IT_IS },
    { "multi:softprob", MD_FOREST_SOFTMAX, BASE_AS_IT_IS },
    { "rank:pairwise", MD_FOREST_SUM, BASE_AS_IT_IS },
    { "rank:ndcg", MD_FOREST_SUM, BASE_AS_IT_IS },
    { "rank:map", MD_FOREST_SUM, BASE_AS_IT_IS },
};

typedef struct booster {
    md_arena *arena;
    const json_t *learner, *model; /* model: of the trees */
    const json_t *weights;         /* of dart's trees; NULL: 1 */
    const objective *objective;
    int64_t n_features, n_targets;
    double *base;
    md_forest *forest;
    md_error *err;
} booster;

/* Does the text `"learner"` stand behind `{`, or its UBJSON? */
static bool probe(const void *bytes, size_t size)
{
    const unsigned char *p = bytes;
    size_t n = size < PROBED ? size : PROBED;
    size_t at = 1;

    if (n < 12 || p[0] != '{')
        return false;
    while (at < n &&
           (p[at] == ' ' || p[at] == '\n' || p[at] == '\r' || p[at] == '\t'))
        at++;
    if (n - at >= 9 && memcmp(p + at, "\"learner\"", 9) == 0)
        return true;
    return (p[1] == 'L' && n > 17 &&
            memcmp(p + 2, "\0\0\0\0\0\0\0\7learner", 15) == 0) ||
           (p[1] == 'i' && memcmp(p + 2, "\7learner", 8) == 0);
}

static const json_t *at(const json_t *o, const char *a, const char *b)
{
    return json_object_get(json_object_get(o, a), b);
}

/* XGBoost writes numbers of its settings as texts. */
static int64_t setting(const json_t *o, int64_t otherwise)
{
    const char *s = json_string_value(o);
    long long v;

    if (json_is_integer(o))
        return json_integer_value(o);
    return s && sscanf(s, "%lld", &v) == 1 ? v : otherwise;
}

/* "5E-1" or "[1E-1,2E-1]": one for all targets, or one for each. */
static md_status read_base(booster *b)
{
    const json_t *given = at(b->learner, "learner_model_param", "base_score");
    const char *text = json_string_value(given);
    json_t *v = text ? json_loads(text, JSON_DECODE_ANY, NULL)
                     : json_incref((json_t *)(uintptr_t)given);
    md_status s = MD_OK;

    for (int64_t i = 0; i < b->n_targets && s == MD_OK; i++) {
        const json_t *one = v;
        double x;

        if (json_is_array(v))
            one = json_array_get(v, json_array_size(v) == 1 ? 0 : (size_t)i);
        x = json_number_value(one);
        if (!json_is_number(one) ||
            (b->objective->base == BASE_LOGIT && !(x > 0 && x < 1)) ||
            (b->objective->base == BASE_LOG && !(x > 0)))
            s = md_fail(b->err, MD_CORRUPT, "xgboost: base_score '%.60s'",
                        text ? text : "");
        b->base[i] = b->objective->base == BASE_LOGIT ? log(x / (1 - x))
                     : b->objective->base == BASE_LOG ? log(x)
                                                      : x;
    }
    json_decref(v);
    return s;
}

static md_status read_objective(booster *b)
{
    const char *name = json_string_value(at(b->learner, "objective", "name"));

    for (size_t i = 0; name && i < MD_COUNT(objectives); i++) {
        if (strcmp(objectives[i].name, name) == 0)
            b->objective = &objectives[i];
    }
    if (b->objective)
        return MD_OK;
    return md_fail(b->err, MD_UNSUPPORTED, "xgboost: objective '%.60s'",
                   name ? name : "");
}

/* The trees, below dart's weights where there are such. */
static md_status find_model(booster *b)
{
    const json_t *g = json_object_get(b->learner, "gradient_booster");
    const char *name = json_string_value(json_object_get(g, "name"));

    if (name && strcmp(name, "dart") == 0) {
        b->weights = json_object_get(g, "weight_drop");
        g = json_object_get(g, "gbtree");
    } else if (name && strcmp(name, "gbtree") != 0) {
        return md_fail(b->err, MD_UNSUPPORTED,
                       "xgboost: booster '%.40s', gbtree or dart expected",
                       name);
    }
    b->model = json_object_get(g, "model");
    if (json_is_array(json_object_get(b->model, "trees")))
        return MD_OK;
    return md_fail(b->err, MD_CORRUPT, "xgboost: no trees");
}

static md_status read_header(booster *b)
{
    const json_t *p = json_object_get(b->learner, "learner_model_param");
    int64_t classes = setting(json_object_get(p, "num_class"), 0);
    int64_t targets = setting(json_object_get(p, "num_target"), 1);

    b->n_features = setting(json_object_get(p, "num_feature"), 0);
    b->n_targets = classes > targets ? classes : targets;
    if (b->n_features < 1 || b->n_features > FEATURES_MAX || b->n_targets < 1 ||
        b->n_targets > TARGETS_MAX)
        return md_fail(b->err, MD_CORRUPT,
                       "xgboost: %lld features and %lld targets",
                       (long long)b->n_features, (long long)b->n_targets);
    b->base = md_arena_calloc(b->arena, (size_t)b->n_targets, sizeof(*b->base));
    if (!b->base)
        return md_fail_nomem(b->err, (size_t)b->n_targets);
    MD_TRY(read_objective(b));
    if (b->n_targets > 1 && (b->objective->link == MD_FOREST_BINARY ||
                             b->objective->link == MD_FOREST_SIGN))
        return md_fail(b->err, MD_UNSUPPORTED, "xgboost: %s of %lld targets",
                       b->objective->name, (long long)b->n_targets);
    return read_base(b);
}

/* The lists of a tree, all of one length. */
typedef struct lists {
    const json_t *left, *right, *feature, *value, *missing, *kind;
    size_t n;
} lists;

static md_status find_lists(lists *l, booster *b, const json_t *tree, size_t i)
{
    const json_t *all[6] = { NULL };
    static const char *const names[] = { "left_children", "right_children",
                                         "split_indices", "split_conditions",
                                         "default_left",  "split_type" };

    for (size_t k = 0; k < MD_COUNT(names); k++) {
        all[k] = json_object_get(tree, names[k]);
        if (k == 5 && !all[k]) /* before categories */
            break;
        if (!json_is_array(all[k]) ||
            json_array_size(all[k]) != json_array_size(all[0]))
            return md_fail(b->err, MD_CORRUPT,
                           "xgboost: tree %zu: '%s' is no list of as many "
                           "nodes",
                           i, names[k]);
    }
    *l = (lists){
        all[0], all[1], all[2], all[3], all[4], all[5], json_array_size(all[0])
    };
    if (setting(at(tree, "tree_param", "size_leaf_vector"), 0) > 1)
        return md_fail(b->err, MD_UNSUPPORTED,
                       "xgboost: tree %zu: leaves of several values "
                       "(multi_output_tree)",
                       i);
    return MD_OK;
}

static int64_t int_at(const json_t *list, size_t i)
{
    const json_t *v = json_array_get(list, i);

    return json_is_boolean(v) ? json_is_true(v) : json_integer_value(v);
}

static md_status read_tree(booster *b, const json_t *tree, size_t i)
{
    int64_t target = int_at(json_object_get(b->model, "tree_info"), i);
    const json_t *weight = json_array_get(b->weights, i);
    md_forest_node *nodes;
    lists l = { .n = 0 };

    MD_TRY(find_lists(&l, b, tree, i));
    if (target < 0 || target >= b->n_targets)
        return md_fail(b->err, MD_CORRUPT, "xgboost: tree %zu: target %lld", i,
                       (long long)target);
    nodes = md_arena_calloc(b->arena, l.n + 1, sizeof(*nodes));
    if (!nodes)
        return md_fail_nomem(b->err, l.n);
    for (size_t k = 0; k < l.n; k++) {
        bool leaf = int_at(l.left, k) < 0;

        if (!leaf && int_at(l.kind, k) != 0)
            return md_fail(b->err, MD_UNSUPPORTED,
                           "xgboost: tree %zu asks for categories", i);
        nodes[k] = (md_forest_node){
            .feature = int_at(l.feature, k),
            .yes = leaf ? -1 : int_at(l.left, k),
            .no = leaf ? -1 : int_at(l.right, k),
            .value = json_number_value(json_array_get(l.value, k)),
            .nan_yes = int_at(l.missing, k) != 0,
        };
    }
    return md_forest_add(b->forest, nodes, (uint32_t)l.n, (uint32_t)target,
                         json_is_number(weight) ? json_number_value(weight) : 1,
                         (uint32_t)b->n_features, b->err);
}

static md_status read_booster(booster *b)
{
    const json_t *trees;

    MD_TRY(find_model(b));
    MD_TRY(read_header(b));
    b->forest = md_forest_new(b->arena, "BRANCH_LT");
    if (!b->forest)
        return md_fail_nomem(b->err, 1);
    trees = json_object_get(b->model, "trees");
    for (size_t i = 0; i < json_array_size(trees); i++)
        MD_TRY(read_tree(b, json_array_get(trees, i), i));
    return MD_OK;
}

static md_status load(json_t **out, const md_convert_source *src, md_error *err)
{
    const char *text = src->bytes;
    json_error_t e;

    if (text[1] == 'L' || text[1] == 'i')
        return md_ubjson_read(out, src->bytes, src->size, err);
    *out = json_loadb(text, src->size, JSON_REJECT_DUPLICATES, &e);
    if (*out)
        return MD_OK;
    return md_fail(err, MD_CORRUPT, "xgboost: line %d: %s", e.line, e.text);
}

/* "3.2.0" of [3, 2, 0] */
static void set_version(char out[32], const json_t *v)
{
    snprintf(out, 32, "%lld.%lld.%lld", (long long)int_at(v, 0),
             (long long)int_at(v, 1), (long long)int_at(v, 2));
}

static md_status convert(md_model *model, md_convert_report *report,
                         const md_convert_source *src, md_error *err)
{
    booster b = { .err = err };
    char version[32];
    json_t *whole = NULL;
    md_arena arena;
    md_status s;

    md_arena_init(&arena, model->alloc, ARENA_SIZE);
    b.arena = &arena;
    MD_GOTO(load(&whole, src, err));
    b.learner = json_object_get(whole, "learner");
    MD_GOTO(read_booster(&b));
    set_version(version, json_object_get(whole, "version"));
    s = md_forest_emit(model, report, b.forest,
                       &(md_forest_about){ .source = "xgboost",
                                           .version = version,
                                           .n_features = (uint32_t)b.n_features,
                                           .n_targets = (uint32_t)b.n_targets,
                                           .base = b.base,
                                           .link = b.objective->link,
                                           .slope = 1,
                                           .plain = src->plain,
                                           .share = 1 },
                       err);
out:
    json_decref(whole);
    md_arena_release(&arena);
    return s;
}

const md_converter md_converter_xgboost = { .name = "xgboost",
                                            .title = "XGBoost .json and .ubj",
                                            .probe = probe,
                                            .has_plain = true,
                                            .convert = convert };
