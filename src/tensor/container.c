#include "tensor/container.h"

#include <stdatomic.h>

#include "base/size.h"

/* A container's data is an array of pointers to these. */
typedef struct item {
    _Atomic uint32_t refs;
    const md_alloc *alloc; /* frees the item */
    md_tensor t;
} item;

static item **items_of(const md_tensor *c)
{
    return c->data;
}

const char *md_kind_name(md_kind kind)
{
    static const char *const names[] = { "tensor", "sequence", "optional",
                                         "map" };

    return names[kind];
}

md_status md_container_alloc(md_tensor *out, const md_tensor *like, int64_t n,
                             const md_alloc *alloc, md_error *err)
{
    md_tensor c = { .dtype = like->dtype,
                    .shape = { 1, { n } },
                    .kind = like->kind,
                    .of = like->of,
                    .key = like->key };

    if (n > MD_ITEMS_MAX)
        return md_fail(err, MD_TOO_LARGE,
                       "%s of %lld items, at most %d allowed",
                       md_kind_name(like->kind), (long long)n, MD_ITEMS_MAX);
    if (n > 0) {
        c.data = md_calloc(alloc, (size_t)n, sizeof(item *));
        if (!c.data)
            return md_fail_nomem(err, (size_t)n * sizeof(item *));
        c.owner = alloc;
    }
    *out = c;
    return MD_OK;
}

md_status md_container_give(md_tensor *c, int64_t i, md_tensor *t,
                            md_error *err)
{
    item *it = md_malloc(c->owner, sizeof(*it));

    if (!it)
        return md_fail_nomem(err, sizeof(*it));
    atomic_init(&it->refs, 1);
    it->alloc = c->owner;
    it->t = *t;
    items_of(c)[i] = it;
    *t = (md_tensor)MD_TENSOR_INIT;
    return MD_OK;
}

md_status md_container_put(md_tensor *c, int64_t i, const md_tensor *t,
                           md_error *err)
{
    md_tensor copy;
    md_status s;

    MD_TRY(md_tensor_copy(&copy, t, c->owner, err));
    s = md_container_give(c, i, &copy, err);
    if (s != MD_OK)
        md_tensor_release(&copy);
    return s;
}

void md_container_share(md_tensor *c, int64_t i, const md_tensor *from,
                        int64_t j)
{
    item *it = items_of(from)[j];

    atomic_fetch_add_explicit(&it->refs, 1, memory_order_relaxed);
    items_of(c)[i] = it;
}

md_status md_container_clone(md_tensor *out, const md_tensor *c,
                             const md_alloc *alloc, md_error *err)
{
    int64_t n = md_tensor_n(c);

    MD_TRY(md_container_alloc(out, c, n, alloc, err));
    for (int64_t i = 0; i < n; i++)
        md_container_share(out, i, c, i);
    return MD_OK;
}

md_status md_container_map(md_tensor *out, md_tensor *keys, md_tensor *values,
                           const md_alloc *alloc, md_error *err)
{
    const md_tensor like = { .kind = MD_KIND_MAP,
                             .key = keys->dtype,
                             .dtype = values->dtype };
    md_tensor map, own = *keys;
    md_status s;

    MD_TRY(md_container_alloc(&map, &like, 2, alloc, err));
    s = md_container_give(&map, 0, &own, err);
    if (s == MD_OK) {
        own = *values;
        s = md_container_give(&map, 1, &own, err);
        if (s == MD_OK) {
            *keys = *values = (md_tensor)MD_TENSOR_INIT;
            *out = map;
            return MD_OK;
        }
        items_of(&map)[0]->t = (md_tensor)MD_TENSOR_INIT; /* the caller's */
    }
    md_tensor_release(&map);
    return s;
}

const md_tensor *md_container_item(const md_tensor *c, int64_t i)
{
    const item *it = items_of(c)[i];

    return it ? &it->t : NULL;
}

md_status md_container__copy(md_tensor *out, const md_tensor *c,
                             const md_alloc *alloc, md_error *err)
{
    int64_t n = md_tensor_n(c);
    md_status s = MD_OK;
    md_tensor copy;

    MD_TRY(md_container_alloc(&copy, c, n, alloc, err));
    for (int64_t i = 0; i < n && s == MD_OK; i++)
        s = md_container_put(&copy, i, md_container_item(c, i), err);
    if (s != MD_OK)
        md_tensor_release(&copy);
    else
        *out = copy;
    return s;
}

void md_container__drop(md_tensor *c)
{
    int64_t n = md_tensor_n(c);

    for (int64_t i = 0; i < n; i++) {
        item *it = items_of(c)[i];

        if (!it ||
            atomic_fetch_sub_explicit(&it->refs, 1, memory_order_acq_rel) > 1)
            continue;
        md_tensor_release(&it->t);
        md_free(it->alloc, it);
    }
}
