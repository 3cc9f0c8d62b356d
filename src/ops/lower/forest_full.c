#include "ops/lower/forest_full.h"

#include <math.h>
#include <string.h>

#include "base/size.h"

/* What full trees may take: so many times their own nodes, or what any CPU has
 * in its second cache. */
enum {
    TIMES = 6,
    SMALL = 1 << 18
};

static uint32_t depth_of(const md_forest *f)
{
    uint32_t depth = 1;

    for (uint32_t t = 0; t < f->n_trees; t++)
        depth = f->depth[t] > depth ? f->depth[t] : depth;
    return depth;
}

/* Sets sizes; false: too large. */
static bool set_sizes(md_tree_f32_full *p, const md_forest *f)
{
    const uint64_t groups = (f->n_trees + MD_TREE_GROUP - 1) / MD_TREE_GROUP;
    const uint64_t n = groups * MD_TREE_GROUP;
    uint64_t own, size;

    p->n_trees = f->n_trees;
    p->depth = depth_of(f);
    if (f->n_trees == 0 || p->depth > MD_TREE_DEPTH_MAX)
        return false;
    p->head = md_tree_f32_full_head(p->depth);
    p->n_blocks = md_tree_f32_full_blocks(p->head, p->depth);
    size = n * (p->n_blocks * (uint64_t)MD_TREE_BLOCK *
                    sizeof(md_tree_f32_full_node) +
                (UINT64_C(4) << p->depth));
    own = f->n_nodes * (uint64_t)sizeof(md_tree_f32_node);
    return (size <= SMALL || size <= TIMES * own) && size < INT32_MAX;
}

/* --- leaves ------------------------------------------------------------ */

static bool is_leaf(const md_forest *f, uint32_t node)
{
    return f->child[node] == node;
}

static uint32_t tree_end(const md_forest *f, uint32_t t)
{
    return t + 1 < f->n_trees ? f->root[t + 1] : f->n_nodes;
}

/* Does tree t give at most one vote, always for one target, of a weight that
 * float32 holds? */
static bool has_weights(const md_forest *f, uint32_t t, uint32_t *target)
{
    bool any = false;

    *target = 0;
    for (uint32_t i = f->root[t]; i < tree_end(f, t); i++) {
        uint32_t from, n;

        if (!is_leaf(f, i))
            continue;
        from = f->vote[f->leaf[i]];
        n = f->vote[f->leaf[i] + 1] - from;
        if (n == 0)
            continue;
        if (n > 1 || (any && f->target[from] != *target) ||
            (double)(float)f->weight[from] != f->weight[from])
            return false;
        *target = f->target[from];
        any = true;
    }
    return true;
}

static md_status find_targets(md_forest_full *p, const md_forest *f,
                              md_arena *ar, md_error *err)
{
    p->weighted = f->aggregate == MD_AGGREGATE_SUM ||
                  f->aggregate == MD_AGGREGATE_AVERAGE;
    if (!p->weighted)
        return MD_OK;
    p->single = true;
    MD_TRY(md_exec__scratch(&p->targets, ar, f->n_trees, sizeof(*p->targets),
                            err));
    for (uint32_t t = 0; t < f->n_trees && p->weighted; t++) {
        p->weighted = has_weights(f, t, &p->targets[t]);
        p->single = p->single && p->targets[t] == p->targets[0];
    }
    p->target = p->targets[0];
    return MD_OK;
}

uint32_t md_forest_full__value(const md_forest_full *p, const md_forest *f,
                               uint32_t leaf)
{
    float w = 0.0f;
    uint32_t bits;

    if (!p->weighted)
        return leaf;
    if (f->vote[leaf + 1] > f->vote[leaf])
        w = (float)f->weight[f->vote[leaf]];
    memcpy(&bits, &w, sizeof(bits));
    return bits;
}

/* --- packing ----------------------------------------------------------- */

typedef struct packed {
    float *split;
    uint32_t *feature;
    md_tree_f32_full_node *block;
    uint32_t *leaf;
} packed;

/* The largest float that is not above v. */
static float round_down(double v)
{
    float f = (float)v;

    return (double)f > v ? nextafterf(f, -INFINITY) : f;
}

/* The node on a path of tree t; below a leaf all walks go to the first child,
 * and no other one is met. */
static void put_node(const packed *to, const md_tree_f32_full *p,
                     const md_forest *f, uint32_t t, uint32_t level,
                     uint32_t path, uint32_t node)
{
    const bool leaf = is_leaf(f, node);
    const md_tree_f32_full_node n = { leaf ? INFINITY
                                           : round_down(f->split[node]),
                                      leaf ? 0 : f->feature[node] };
    const uint32_t in = level < p->head ? level : (level - p->head) % 3;
    const uint32_t place = (1u << in) + (path & ((1u << in) - 1));

    if (level < p->head) {
        const size_t at =
            ((size_t)(t / MD_TREE_GROUP) * ((1u << p->head) - 1) + place - 1) *
                MD_TREE_GROUP +
            t % MD_TREE_GROUP;

        to->split[at] = n.split;
        to->feature[at] = n.feature;
    } else {
        const size_t block =
            md_tree_f32_full_blocks(p->head, level - in) + (path >> in);

        to->block[((size_t)t * p->n_blocks + block) * MD_TREE_BLOCK + place] =
            n;
    }
}

/* node[path] of a level, level by level; a level takes the place of the one
 * before from its end on. */
static void pack_tree(const packed *to, const md_forest_full *full,
                      const md_forest *f, uint32_t t, uint32_t *node)
{
    const md_tree_f32_full *p = &full->f;

    node[0] = f->root[t];
    for (uint32_t level = 0; level < p->depth; level++) {
        for (uint32_t path = 1u << level; path-- > 0;) {
            const uint32_t n = node[path], child = f->child[n];
            uint32_t *pair = node + 2 * (size_t)path;

            put_node(to, p, f, t, level, path, n);
            pair[0] = child;
            pair[1] = is_leaf(f, n) ? child : child + 1;
        }
    }
    for (uint32_t path = 0; path < 1u << p->depth; path++)
        to->leaf[((size_t)t << p->depth) + path] =
            md_forest_full__value(full, f, f->leaf[node[path]]);
}

/* Zeroed, on a cache line. */
static md_status take(void *out, const md_lower *lo, size_t n, size_t size,
                      md_error *err)
{
    size_t bytes;
    char *p = NULL;

    if (md_mul_size(&bytes, n, size) &&
        md_add_size(&bytes, bytes, MD_CACHE_LINE))
        p = md_arena_calloc(lo->arena, bytes, 1);
    if (!p)
        return md_fail_nomem(err, n * size);
    p += (MD_CACHE_LINE - (uintptr_t)p % MD_CACHE_LINE) % MD_CACHE_LINE;
    memcpy(out, &p, sizeof(p)); /* out is the address of a T * */
    return MD_OK;
}

md_status md_forest_full__make(md_forest_full *out, const md_forest *f,
                               const md_lower *lo, md_error *err)
{
    md_tree_f32_full *p = &out->f;
    size_t n = ((size_t)f->n_trees + MD_TREE_GROUP - 1) / MD_TREE_GROUP *
               MD_TREE_GROUP;
    uint32_t *node;
    packed to;

    *out = (md_forest_full){ .fits = false };
    if (!set_sizes(p, f))
        return MD_OK;
    MD_TRY(find_targets(out, f, lo->arena, err));
    MD_TRY(take(&to.split, lo, n << p->head, sizeof(*to.split), err));
    MD_TRY(take(&to.feature, lo, n << p->head, sizeof(*to.feature), err));
    MD_TRY(take(&to.block, lo, n * p->n_blocks,
                MD_TREE_BLOCK * sizeof(*to.block), err));
    MD_TRY(take(&to.leaf, lo, n << p->depth, sizeof(*to.leaf), err));
    MD_TRY(take(&node, lo, (size_t)1 << p->depth, sizeof(*node), err));
    for (uint32_t t = 0; t < f->n_trees; t++)
        pack_tree(&to, out, f, t, node);
    p->split = to.split;
    p->feature = to.feature;
    p->block = to.block;
    p->leaf = to.leaf;
    out->fits = true;
    return MD_OK;
}

/* --- sums -------------------------------------------------------------- */

int64_t md_forest_full__n_leaves(const md_forest_full *p)
{
    return md_div_up(p->f.n_trees, MD_TREE_GROUP) * MD_TREE_GROUP;
}

/* Sums of every 8th weight, then those in pairs: additions wait for one
 * another less. */
static double add_up(const float *w, uint32_t n)
{
    double part[MD_FOREST_PARTS] = { 0 };
    uint32_t i = 0;

    for (; i + MD_FOREST_PARTS <= n; i += MD_FOREST_PARTS) {
        for (int k = 0; k < MD_FOREST_PARTS; k++)
            part[k] += w[i + (uint32_t)k];
    }
    for (int k = 0; i < n; i++, k++)
        part[k] += w[i];
    for (int k = MD_FOREST_PARTS / 2; k > 0; k /= 2) {
        for (int j = 0; j < k; j++)
            part[j] += part[j + k];
    }
    return part[0];
}

void md_forest_full__add(const md_forest_full *p, const md_forest *f,
                         const uint32_t *leaf, double *sum, uint8_t *has)
{
    const float *w = (const float *)leaf;

    if (p->weighted && p->single) {
        sum[p->target] += add_up(w, p->f.n_trees);
        return;
    }
    for (uint32_t t = 0; t < p->f.n_trees; t++) {
        if (p->weighted)
            sum[p->targets[t]] += w[t];
        else
            md_forest__vote(f, leaf[t], sum, has);
    }
}
