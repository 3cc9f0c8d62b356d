/*
 * LightGBM's models (save_model), a text: settings, then trees, each as lines
 * "name=values".
 *
 * A node asks "at most", in double precision; inputs here are float32, for
 * which that is the same as asking for the largest float32 that is at most the
 * threshold.  Children below 0 are leaves, counted from -1 downwards.
 */
#include <math.h>
#include <stdio.h>

#include <string.h>

#include "base/num.h"
#include "convert/trees/forest.h"

enum {
    ARENA_SIZE = 1 << 30,
    FEATURES_MAX = 1 << 24,
    CLASSES_MAX = 1 << 16,
    LEAVES_MAX = 1 << 24,
    NUMBER_SIZE = 64,
    /* decision_type */
    IS_CATEGORY = 1,
    MISSING_LEFT = 2,
    MISSING_SHIFT = 2,
    MISSING_NONE = 0,
    MISSING_ZERO = 1,
    MISSING_NAN = 2
};

static const char first_line[] = "tree\nversion=";

/* What is left of the text. */
typedef struct text {
    const char *p, *end;
} text;

typedef struct booster {
    md_arena *arena;
    text in;
    int64_t n_features, n_classes, per_turn, n_trees;
    char version[16], objective[64];
    bool averages;
    md_forest_link link;
    double slope;
    md_forest *forest;
    md_error *err;
} booster;

static bool probe(const void *bytes, size_t size)
{
    return size >= sizeof(first_line) - 1 &&
           memcmp(bytes, first_line, sizeof(first_line) - 1) == 0;
}

/* The next line without its end; false behind the last one. */
static bool next_line(text *line, text *in)
{
    const char *end;

    if (in->p >= in->end)
        return false;
    end = memchr(in->p, '\n', (size_t)(in->end - in->p));
    line->p = in->p;
    line->end = end ? end : in->end;
    in->p = end ? end + 1 : in->end;
    if (line->end > line->p && line->end[-1] == '\r')
        line->end--;
    return true;
}

/* Is the line "name=..."?  Then *value is what stands behind. */
static bool is_line(const text *line, const char *name, text *value)
{
    size_t n = strlen(name);

    if ((size_t)(line->end - line->p) <= n || line->p[n] != '=' ||
        memcmp(line->p, name, n) != 0)
        return false;
    *value = (text){ line->p + n + 1, line->end };
    return true;
}

/* The next number of a list; false at its end, or where there is none. */
static bool next_number(double *out, text *list)
{
    char word[NUMBER_SIZE];
    size_t n = 0;
    char *end;

    while (list->p < list->end && *list->p == ' ')
        list->p++;
    while (list->p + n < list->end && list->p[n] != ' ' && n + 1 < sizeof(word))
        n++;
    if (n == 0)
        return false;
    memcpy(word, list->p, n);
    word[n] = '\0';
    list->p += n;
    *out = md_num_strtod(word, &end);
    return *end == '\0' && end != word;
}

static int64_t to_int(text value, int64_t otherwise)
{
    double v;

    return next_number(&v, &value) && fabs(v) < 1e15 ? (int64_t)v : otherwise;
}

static void copy(char *out, size_t size, text value)
{
    snprintf(out, size, "%.*s", (int)(value.end - value.p), value.p);
}

/* --- the head --- */

typedef struct objective {
    const char *name;
    md_forest_link link;
} objective;

static const objective objectives[] = {
    { "binary", MD_FOREST_BINARY },
    { "cross_entropy", MD_FOREST_SIGMOID },
    { "custom", MD_FOREST_SUM },
    { "fair", MD_FOREST_SUM },
    { "gamma", MD_FOREST_EXP },
    { "huber", MD_FOREST_SUM },
    { "lambdarank", MD_FOREST_SUM },
    { "mape", MD_FOREST_SUM },
    { "multiclass", MD_FOREST_SOFTMAX },
    { "multiclassova", MD_FOREST_SIGMOIDS },
    { "poisson", MD_FOREST_EXP },
    { "quantile", MD_FOREST_SUM },
    { "rank_xendcg", MD_FOREST_SUM },
    { "regression", MD_FOREST_SUM },
    { "regression_l1", MD_FOREST_SUM },
    { "tweedie", MD_FOREST_EXP },
};

/* "binary sigmoid:1", "regression sqrt"; none: the sums. */
static md_status read_objective(booster *b)
{
    const char *slope = strstr(b->objective, " sigmoid:");
    size_t n = strcspn(b->objective, " ");

    b->slope = slope ? md_num_strtod(slope + 9, NULL) : 1;
    if (!(b->slope > 0))
        return md_fail(b->err, MD_CORRUPT, "lightgbm: objective '%s'",
                       b->objective);
    if (n == 0)
        return MD_OK;
    for (size_t i = 0; i < MD_COUNT(objectives); i++) {
        if (strlen(objectives[i].name) != n ||
            memcmp(objectives[i].name, b->objective, n) != 0)
            continue;
        b->link = strstr(b->objective, " sqrt") ? MD_FOREST_SQUARE
                                                : objectives[i].link;
        return MD_OK;
    }
    return md_fail(b->err, MD_UNSUPPORTED, "lightgbm: objective '%s'",
                   b->objective);
}

static md_status read_head(booster *b, text *tree)
{
    text line, value;

    *tree = (text){ NULL, NULL };
    b->n_classes = b->per_turn = 1;
    while (!tree->p && next_line(&line, &b->in)) {
        if (is_line(&line, "version", &value))
            copy(b->version, sizeof(b->version), value);
        else if (is_line(&line, "num_class", &value))
            b->n_classes = to_int(value, 0);
        else if (is_line(&line, "num_tree_per_iteration", &value))
            b->per_turn = to_int(value, 0);
        else if (is_line(&line, "max_feature_idx", &value))
            b->n_features = to_int(value, -1) + 1;
        else if (is_line(&line, "objective", &value))
            copy(b->objective, sizeof(b->objective), value);
        else if (line.end - line.p == 14 &&
                 memcmp(line.p, "average_output", 14) == 0)
            b->averages = true;
        else if (is_line(&line, "Tree", &value))
            *tree = value;
    }
    if (b->n_features < 1 || b->n_features > FEATURES_MAX || b->per_turn < 1 ||
        b->per_turn > CLASSES_MAX || b->n_classes > b->per_turn)
        return md_fail(b->err, MD_CORRUPT,
                       "lightgbm: %lld features, %lld trees for %lld classes",
                       (long long)b->n_features, (long long)b->per_turn,
                       (long long)b->n_classes);
    return read_objective(b);
}

/* --- trees --- */

/* The lists of one tree. */
typedef struct lists {
    text feature, threshold, decision, left, right, value;
    int64_t leaves, categories, linear;
} lists;

static void read_lists(lists *l, booster *b)
{
    const struct {
        const char *name;
        text *to;
    } texts[] = {
        { "split_feature", &l->feature },  { "threshold", &l->threshold },
        { "decision_type", &l->decision }, { "left_child", &l->left },
        { "right_child", &l->right },      { "leaf_value", &l->value },
    };
    text line, value;

    *l = (lists){ .leaves = 0 };
    while (b->in.p < b->in.end && *b->in.p != '\n' && *b->in.p != '\r') {
        (void)next_line(&line, &b->in);
        if (is_line(&line, "num_leaves", &value))
            l->leaves = to_int(value, 0);
        else if (is_line(&line, "num_cat", &value))
            l->categories = to_int(value, 0);
        else if (is_line(&line, "is_linear", &value))
            l->linear = to_int(value, 0);
        for (size_t i = 0; i < MD_COUNT(texts); i++) {
            if (is_line(&line, texts[i].name, &value))
                *texts[i].to = value;
        }
    }
}

/* The largest float32 that is at most v. */
static double below(double v)
{
    float f = (float)v;

    return (double)f > v ? (double)nextafterf(f, -INFINITY) : (double)f;
}

/* Where NaN goes: where the tree says so, or where 0 does. */
static md_status set_missing(md_forest_node *n, const booster *b, int64_t type)
{
    int64_t kind = type >> MISSING_SHIFT & 3;
    bool left = (type & MISSING_LEFT) != 0;
    bool zero_left = n->value >= 0;

    if (kind == MISSING_ZERO && left != zero_left)
        return md_fail(b->err, MD_UNSUPPORTED,
                       "lightgbm: tree %lld: zeros that are missing "
                       "(zero_as_missing)",
                       (long long)b->n_trees);
    n->nan_yes = kind == MISSING_NAN ? left : zero_left;
    return MD_OK;
}

/* Leaves come behind the nodes that ask. */
static int64_t child(double v, int64_t n_inner)
{
    return v >= 0 ? (int64_t)v : n_inner - 1 - (int64_t)v;
}

static md_status read_inner(md_forest_node *n, booster *b, lists *l,
                            int64_t n_inner)
{
    double feature, threshold, decision, left, right;

    if (!next_number(&feature, &l->feature) ||
        !next_number(&threshold, &l->threshold) ||
        !next_number(&decision, &l->decision) ||
        !next_number(&left, &l->left) || !next_number(&right, &l->right) ||
        fabs(left) > LEAVES_MAX || fabs(right) > LEAVES_MAX ||
        fabs(feature) > FEATURES_MAX || fabs(decision) > 255)
        return md_fail(b->err, MD_CORRUPT,
                       "lightgbm: tree %lld: lists of fewer than %lld numbers",
                       (long long)b->n_trees, (long long)n_inner);
    if ((int64_t)decision & IS_CATEGORY)
        return md_fail(b->err, MD_UNSUPPORTED,
                       "lightgbm: tree %lld asks for categories",
                       (long long)b->n_trees);
    *n = (md_forest_node){ .feature = (int64_t)feature,
                           .value = below(threshold),
                           .yes = child(left, n_inner),
                           .no = child(right, n_inner) };
    return set_missing(n, b, (int64_t)decision);
}

static md_status read_tree(booster *b)
{
    md_forest_node *nodes;
    int64_t n_inner;
    lists l;

    read_lists(&l, b);
    if (l.leaves < 1 || l.leaves > LEAVES_MAX)
        return md_fail(b->err, MD_CORRUPT, "lightgbm: tree %lld: %lld leaves",
                       (long long)b->n_trees, (long long)l.leaves);
    if (l.linear)
        return md_fail(b->err, MD_UNSUPPORTED,
                       "lightgbm: tree %lld has linear leaves",
                       (long long)b->n_trees);
    n_inner = l.leaves - 1;
    nodes =
        md_arena_calloc(b->arena, (size_t)(n_inner + l.leaves), sizeof(*nodes));
    if (!nodes)
        return md_fail_nomem(b->err, (size_t)l.leaves);
    for (int64_t i = 0; i < n_inner; i++)
        MD_TRY(read_inner(&nodes[i], b, &l, n_inner));
    for (int64_t i = n_inner; i < n_inner + l.leaves; i++) {
        nodes[i].yes = nodes[i].no = -1;
        if (!next_number(&nodes[i].value, &l.value))
            return md_fail(b->err, MD_CORRUPT,
                           "lightgbm: tree %lld: fewer values than leaves",
                           (long long)b->n_trees);
    }
    MD_TRY(md_forest_add(b->forest, nodes, (uint32_t)(n_inner + l.leaves),
                         (uint32_t)(b->n_trees % b->per_turn), 1,
                         (uint32_t)b->n_features, b->err));
    b->n_trees++;
    return MD_OK;
}

static md_status read_booster(booster *b)
{
    static const char last[] = "end of trees";
    text line, tree;

    MD_TRY(read_head(b, &tree));
    b->forest = md_forest_new(b->arena, "BRANCH_LEQ");
    if (!b->forest)
        return md_fail_nomem(b->err, 1);
    while (tree.p) {
        MD_TRY(read_tree(b));
        tree = (text){ NULL, NULL };
        while (!tree.p && next_line(&line, &b->in)) {
            if ((size_t)(line.end - line.p) == sizeof(last) - 1 &&
                memcmp(line.p, last, sizeof(last) - 1) == 0)
                return MD_OK;
            (void)is_line(&line, "Tree", &tree);
        }
    }
    return md_fail(b->err, MD_CORRUPT,
                   "lightgbm: the file ends behind tree %lld, '%s' expected",
                   (long long)b->n_trees, last);
}

static md_status convert(md_model *model, md_convert_report *report,
                         const md_convert_source *src, md_error *err)
{
    booster b = { .err = err, .version = "", .objective = "" };
    double *base;
    md_arena arena;
    md_status s;

    md_arena_init(&arena, model->alloc, ARENA_SIZE);
    b.arena = &arena;
    b.in = (text){ src->bytes, (const char *)src->bytes + src->size };
    MD_GOTO(read_booster(&b));
    base = md_arena_calloc(&arena, (size_t)b.per_turn, sizeof(*base));
    if (!base) {
        s = md_fail_nomem(err, (size_t)b.per_turn);
        goto out;
    }
    s = md_forest_emit(model, report, b.forest,
                       &(md_forest_about){ .source = "lightgbm",
                                           .version = b.version,
                                           .n_features = (uint32_t)b.n_features,
                                           .n_targets = (uint32_t)b.per_turn,
                                           .base = base,
                                           .link = b.link,
                                           .slope = b.slope,
                                           .plain = src->plain,
                                           .share = b.averages && b.n_trees > 0
                                                        ? (double)b.per_turn /
                                                              (double)b.n_trees
                                                        : 1 },
                       err);
out:
    md_arena_release(&arena);
    return s;
}

const md_converter md_converter_lightgbm = { .name = "lightgbm",
                                             .title = "LightGBM .txt",
                                             .probe = probe,
                                             .has_plain = true,
                                             .convert = convert };
