/* From nodes of all modes to nodes that ask x <= split. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ops/common/forest.h"

#define NONE UINT32_MAX

enum {
    NODES_MAX = 1 << 30
};

/* What is still to be put into slot `to`: a source node; or, of an equality
 * whose x <= split held, the other half; or a part of a member search. */
enum task_kind {
    WHOLE,
    NOT_BELOW,
    MEMBERS
};

/* Parts of one node are done before any branch of it, so that all slots of a
 * branch that it shares lie in front of the branch's own children. */
typedef struct tasks {
    struct task *v; /* a stack */
    uint32_t n, cap;
} tasks;

typedef struct task {
    enum task_kind kind;
    uint32_t source, to;
    uint32_t lo, hi; /* MEMBERS: those left */
} task;

/* Slot `to` is a copy of slot `from`, whose branches both then share. */
typedef struct copy {
    uint32_t to, from;
} copy;

typedef struct builder {
    md_forest *f;
    const md_forest_source *s;
    const md_alloc *alloc;
    uint32_t cap; /* of the node arrays */
    tasks wholes, parts;
    copy *copies;
    uint32_t n_copies, cap_copies;
    uint32_t *place;  /* [source nodes]: slot, NONE before it has one */
    uint32_t *parent; /* that led to it first */
} builder;

static md_status grow_array(const builder *b, void *array, size_t size,
                            uint32_t cap, md_error *err)
{
    void *old, *grown;

    memcpy(&old, array, sizeof(old));
    grown = md_resize(b->alloc, old, b->cap * size, cap * size);
    if (!grown)
        return md_fail_nomem(err, cap * size);
    memcpy(array, &grown, sizeof(grown));
    return MD_OK;
}

/* Two nodes beside each other. */
static md_status take_nodes(builder *b, uint32_t n, uint32_t *at, md_error *err)
{
    md_forest *f = b->f;

    if (f->n_nodes + n > b->cap) {
        uint32_t cap = b->cap ? 2 * b->cap : 256;

        if (cap > NODES_MAX)
            return md_fail(err, MD_TOO_LARGE, "more than %d nodes", NODES_MAX);
        MD_TRY(grow_array(b, &f->split, sizeof(*f->split), cap, err));
        MD_TRY(grow_array(b, &f->feature, sizeof(*f->feature), cap, err));
        MD_TRY(grow_array(b, &f->nan_first, sizeof(*f->nan_first), cap, err));
        MD_TRY(grow_array(b, &f->child, sizeof(*f->child), cap, err));
        MD_TRY(grow_array(b, &f->leaf, sizeof(*f->leaf), cap, err));
        b->cap = cap;
    }
    *at = f->n_nodes;
    f->n_nodes += n;
    return MD_OK;
}

static md_status push(builder *b, task t, md_error *err)
{
    tasks *to = t.kind == WHOLE ? &b->wholes : &b->parts;

    MD_TRY(md_grow(b->alloc, (void *)&to->v, &to->cap, to->n, sizeof(*to->v),
                   err));
    to->v[to->n++] = t;
    return MD_OK;
}

/* Let slot `to` be node `source`, a branch of node `parent`. */
static md_status branch(builder *b, uint32_t to, uint32_t source,
                        uint32_t parent, md_error *err)
{
    if (b->place[source] != NONE && b->s->mode[source] != MD_BRANCH_LEAF) {
        if (b->parent[source] != parent)
            return md_fail(err, MD_INVALID,
                           "two branches lead to node %u: trees expected",
                           (unsigned)source);
        MD_TRY(md_grow(b->alloc, (void *)&b->copies, &b->cap_copies,
                       b->n_copies, sizeof(*b->copies), err));
        b->copies[b->n_copies++] = (copy){ to, b->place[source] };
        return MD_OK;
    }
    b->place[source] = to;
    b->parent[source] = parent;
    return push(b, (task){ WHOLE, source, to, 0, 0 }, err);
}

/* Slot `at` asks x <= split; its children are at *pair. */
static md_status ask(builder *b, uint32_t at, uint32_t source, double split,
                     bool nan_first, uint32_t *pair, md_error *err)
{
    md_forest *f = b->f;

    MD_TRY(take_nodes(b, 2, pair, err));
    f->split[at] = split;
    f->feature[at] = b->s->feature[source];
    f->nan_first[at] = nan_first;
    f->child[at] = *pair;
    f->leaf[at] = 0;
    return MD_OK;
}

static md_status ask_once(builder *b, uint32_t at, uint32_t source,
                          double split, bool swap, bool nan_first,
                          md_error *err)
{
    uint32_t yes = b->s->yes[source], no = b->s->no[source], pair;

    MD_TRY(ask(b, at, source, split, nan_first, &pair, err));
    MD_TRY(branch(b, pair, swap ? no : yes, source, err));
    return branch(b, pair + 1, swap ? yes : no, source, err);
}

/* x == split: where x <= split, the other half is left to ask. */
static md_status ask_equal(builder *b, uint32_t at, uint32_t source,
                           double split, md_error *err)
{
    bool neq = b->s->mode[source] == MD_BRANCH_NEQ;
    bool equal_if_nan = !neq && b->s->missing[source];
    uint32_t other = neq ? b->s->yes[source] : b->s->no[source], pair;

    MD_TRY(ask(b, at, source, split, equal_if_nan, &pair, err));
    MD_TRY(branch(b, pair + 1, other, source, err));
    b->f->split[pair] = split; /* for the task */
    return push(b, (task){ NOT_BELOW, source, pair, 0, 0 }, err);
}

static md_status ask_not_below(builder *b, const task *t, md_error *err)
{
    bool neq = b->s->mode[t->source] == MD_BRANCH_NEQ;
    uint32_t yes = b->s->yes[t->source], no = b->s->no[t->source], pair;
    double below = nextafter(b->f->split[t->to], -INFINITY);

    if (b->f->split[t->to] == -INFINITY)
        below = NAN; /* nothing is below */
    MD_TRY(ask(b, t->to, t->source, below, false, &pair, err));
    MD_TRY(branch(b, pair, neq ? yes : no, t->source, err));
    return branch(b, pair + 1, neq ? no : yes, t->source, err);
}

static md_status ask_members(builder *b, const task *t, md_error *err)
{
    const double *m = b->s->member;
    uint32_t mid = t->lo + (t->hi - t->lo) / 2, pair;

    if (t->hi == t->lo) /* none: never, but of NaN */
        return ask_once(b, t->to, t->source, NAN, false,
                        b->s->missing[t->source], err);
    if (t->hi - t->lo == 1)
        return ask_equal(b, t->to, t->source, m[t->lo], err);
    MD_TRY(ask(b, t->to, t->source, m[mid - 1], false, &pair, err));
    MD_TRY(push(b, (task){ MEMBERS, t->source, pair, t->lo, mid }, err));
    return push(b, (task){ MEMBERS, t->source, pair + 1, mid, t->hi }, err);
}

/* A comparison with NaN holds for nothing, but that x differs from it. */
static md_status ask_mode(builder *b, const task *t, md_error *err)
{
    const md_forest_source *s = b->s;
    uint32_t n = t->source, k = s->member_of ? s->member_of[n] : 0;
    md_branch mode = (md_branch)s->mode[n];
    double v = s->split[n];
    double below = v == -INFINITY ? NAN : nextafter(v, -INFINITY);
    bool missing = s->missing[n];

    if (mode == MD_BRANCH_MEMBER)
        return ask_members(b,
                           &(task){ MEMBERS, n, t->to, s->member_from[k],
                                    s->member_from[k + 1] },
                           err);
    if (isnan(v) && mode != MD_BRANCH_NEQ)
        return ask_once(b, t->to, n, NAN, false, missing, err);
    switch (mode) {
    case MD_BRANCH_LT:
        return ask_once(b, t->to, n, below, false, missing, err);
    case MD_BRANCH_GTE:
        return ask_once(b, t->to, n, below, true, !missing, err);
    case MD_BRANCH_GT:
        return ask_once(b, t->to, n, v, true, !missing, err);
    case MD_BRANCH_EQ:
        return ask_equal(b, t->to, n, v, err);
    case MD_BRANCH_NEQ:
        if (isnan(v))
            return ask_once(b, t->to, n, INFINITY, false, true, err);
        return ask_equal(b, t->to, n, v, err);
    default:
        return ask_once(b, t->to, n, v, false, missing, err);
    }
}

static void put_leaf(md_forest *f, uint32_t at, uint32_t leaf)
{
    f->split[at] = INFINITY;
    f->feature[at] = 0;
    f->nan_first[at] = 1;
    f->child[at] = at;
    f->leaf[at] = leaf;
}

static md_status do_task(builder *b, const task *t, md_error *err)
{
    if (t->kind == NOT_BELOW)
        return ask_not_below(b, t, err);
    if (t->kind == MEMBERS)
        return ask_members(b, t, err);
    if (b->s->mode[t->source] != MD_BRANCH_LEAF)
        return ask_mode(b, t, err);
    put_leaf(b->f, t->to, t->source);
    return MD_OK;
}

static void do_copies(builder *b)
{
    md_forest *f = b->f;

    for (uint32_t i = 0; i < b->n_copies; i++) {
        copy c = b->copies[i];

        f->split[c.to] = f->split[c.from];
        f->feature[c.to] = f->feature[c.from];
        f->nan_first[c.to] = f->nan_first[c.from];
        f->child[c.to] = f->child[c.from];
        f->leaf[c.to] = f->leaf[c.from];
    }
    b->n_copies = 0;
}

static md_status build_tree(builder *b, uint32_t tree, md_error *err)
{
    md_forest *f = b->f;

    uint32_t root = b->s->root[tree];

    if (b->place[root] != NONE)
        return md_fail(err, MD_INVALID,
                       "node %u, a root, belongs to another tree already",
                       (unsigned)root);
    MD_TRY(take_nodes(b, 1, &f->root[tree], err));
    MD_TRY(branch(b, f->root[tree], root, NONE, err));
    while (b->parts.n || b->wholes.n) {
        tasks *from = b->parts.n ? &b->parts : &b->wholes;
        task t = from->v[--from->n];

        MD_TRY(do_task(b, &t, err));
    }
    do_copies(b);
    return MD_OK;
}

/* Children stand behind their parents: heights from the end. */
static md_status find_depths(const md_forest *f, const md_alloc *alloc,
                             md_error *err)
{
    uint32_t *height = md_malloc(alloc, f->n_nodes * sizeof(*height));

    if (!height)
        return f->n_nodes ? md_fail_nomem(err, f->n_nodes) : MD_OK;
    for (uint32_t i = f->n_nodes; i-- > 0;) {
        uint32_t c = f->child[i];

        height[i] = 0;
        if (c != i)
            height[i] =
                1 + (height[c] > height[c + 1] ? height[c] : height[c + 1]);
    }
    for (uint32_t t = 0; t < f->n_trees; t++)
        f->depth[t] = height[f->root[t]];
    md_free(alloc, height);
    return MD_OK;
}

/* An array from the heap into the arena. */
static md_status settle(const md_forest *f, void *array, size_t size,
                        md_arena *ar, md_error *err)
{
    void *from, *to;

    memcpy(&from, array, sizeof(from));
    MD_TRY(md_exec__scratch(&to, ar, f->n_nodes, size, err));
    if (f->n_nodes)
        memcpy(to, from, f->n_nodes * size);
    memcpy(array, &to, sizeof(to));
    return MD_OK;
}

static md_status settle_all(md_forest *f, md_arena *ar, md_error *err)
{
    MD_TRY(settle(f, &f->split, sizeof(*f->split), ar, err));
    MD_TRY(settle(f, &f->feature, sizeof(*f->feature), ar, err));
    MD_TRY(settle(f, &f->nan_first, sizeof(*f->nan_first), ar, err));
    MD_TRY(settle(f, &f->child, sizeof(*f->child), ar, err));
    return settle(f, &f->leaf, sizeof(*f->leaf), ar, err);
}

static md_status build_all(builder *b, md_arena *ar, md_error *err)
{
    md_forest *f = b->f;

    f->n_trees = b->s->n_trees;
    f->n_features = 0;
    MD_TRY(md_exec__scratch(&f->root, ar, f->n_trees, sizeof(*f->root), err));
    MD_TRY(md_exec__scratch(&f->depth, ar, f->n_trees, sizeof(*f->depth), err));
    memset(b->place, 0xff, (b->s->n + 1u) * sizeof(*b->place));
    for (uint32_t t = 0; t < f->n_trees; t++)
        MD_TRY(build_tree(b, t, err));
    for (uint32_t i = 0; i < b->s->n; i++) {
        if (b->place[i] == NONE && b->s->mode[i] != MD_BRANCH_LEAF)
            return md_fail(err, MD_INVALID,
                           "no root leads to node %u: a cycle, or none of a "
                           "tree",
                           (unsigned)i);
    }
    for (uint32_t i = 0; i < f->n_nodes; i++) {
        if (f->child[i] != i && f->feature[i] >= f->n_features)
            f->n_features = (int64_t)f->feature[i] + 1;
    }
    return find_depths(f, b->alloc, err);
}

md_status md_forest__build(md_forest *f, const md_forest_source *s,
                           const md_alloc *alloc, md_arena *ar, md_error *err)
{
    builder b = { .f = f, .s = s, .alloc = alloc };
    void *heap[5];
    md_status st;

    f->n_nodes = 0;
    f->split = NULL;
    f->feature = f->child = f->leaf = NULL;
    f->nan_first = NULL;
    b.place = md_malloc(alloc, (s->n + 1u) * sizeof(*b.place));
    b.parent = md_malloc(alloc, (s->n + 1u) * sizeof(*b.parent));
    st = b.place && b.parent ? build_all(&b, ar, err)
                             : md_fail_nomem(err, s->n * sizeof(*b.place));
    heap[0] = f->split;
    heap[1] = f->feature;
    heap[2] = f->nan_first;
    heap[3] = f->child;
    heap[4] = f->leaf;
    if (st == MD_OK)
        st = settle_all(f, ar, err);
    for (size_t i = 0; i < MD_COUNT(heap); i++)
        md_free(alloc, heap[i]);
    md_free(alloc, b.wholes.v);
    md_free(alloc, b.parts.v);
    md_free(alloc, b.copies);
    md_free(alloc, b.place);
    md_free(alloc, b.parent);
    return st;
}
