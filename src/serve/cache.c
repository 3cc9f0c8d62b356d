#include "serve/cache.h"

#include <pthread.h>
#include <string.h>

#include "base/entropy.h"
#include "base/hash.h"
#include "base/size.h"

enum {
    N_BUCKETS = 1 << 14
};

/* One block of memory: this, the tensors, their data, the bytes of strings. */
struct md_cache_entry {
    md_cache_key key;
    md_cache_entry *same; /* of the same bucket */
    md_cache_entry *newer, *older;
    size_t size;   /* of the block */
    uint32_t refs; /* holders, and 1 while it is in the table */
    uint32_t n;
    md_tensor *outputs;
};

struct md_cache {
    const md_alloc *alloc;
    size_t size_max;
    uint64_t secret[2];
    md_cache_stats stats;
    pthread_mutex_t lock; /* of what follows, and of entries' links and refs */
    size_t size;
    md_cache_entry *newest, *oldest;
    md_cache_entry *buckets[N_BUCKETS];
};

md_status md_cache_new(md_cache **out, size_t size_max, const md_alloc *alloc,
                       md_error *err)
{
    md_cache *c = md_calloc(alloc, 1, sizeof(*c));

    if (!c)
        return md_fail_nomem(err, sizeof(*c));
    c->alloc = alloc;
    c->size_max = size_max;
    md_entropy(c->secret, sizeof(c->secret));
    pthread_mutex_init(&c->lock, NULL);
    *out = c;
    return MD_OK;
}

void md_cache_free(md_cache *c)
{
    md_cache_entry *next;

    if (!c)
        return;
    for (md_cache_entry *e = c->newest; e; e = next) {
        next = e->older;
        md_free(c->alloc, e);
    }
    pthread_mutex_destroy(&c->lock);
    md_free(c->alloc, c);
}

/* ---- keys ---- */

/* Each half is a chain of its own: the hash so far is a part of the key of the
 * next one. */
static void add(const md_cache *c, md_cache_key *k, const void *p, size_t n)
{
    for (int i = 0; i < 2; i++) {
        const uint64_t key[2] = { k->h[i], c->secret[i] };

        k->h[i] = md_hash_keyed(key, n ? p : "", n);
    }
}

void md_cache_key_begin(const md_cache *c, md_cache_key *k, uint64_t model)
{
    *k = (md_cache_key){ { 0, 1 } };
    add(c, k, &model, sizeof(model));
}

void md_cache_key_add(const md_cache *c, md_cache_key *k, const md_tensor *t)
{
    const int64_t head[2] = { (int64_t)t->dtype, t->shape.rank };
    const md_str *s = t->data;

    add(c, k, head, sizeof(head));
    add(c, k, t->shape.dim, sizeof(*t->shape.dim) * (size_t)t->shape.rank);
    if (t->dtype != MD_DTYPE_STRING) {
        add(c, k, t->data, md_tensor_size(t));
        return;
    }
    for (int64_t i = 0; i < md_tensor_n(t); i++) {
        const uint64_t size = s[i].n;

        add(c, k, &size, sizeof(size));
        add(c, k, s[i].p, s[i].n);
    }
}

/* ---- the table; under the lock ---- */

static md_cache_entry **bucket_of(md_cache *c, const md_cache_key *k)
{
    return &c->buckets[k->h[0] % N_BUCKETS];
}

static md_cache_entry *look_up(md_cache *c, const md_cache_key *k)
{
    md_cache_entry *e = *bucket_of(c, k);

    while (e && (e->key.h[0] != k->h[0] || e->key.h[1] != k->h[1]))
        e = e->same;
    return e;
}

static void link_newest(md_cache *c, md_cache_entry *e)
{
    e->newer = NULL;
    e->older = c->newest;
    *(c->newest ? &c->newest->newer : &c->oldest) = e;
    c->newest = e;
}

static void unlink_entry(md_cache *c, md_cache_entry *e)
{
    *(e->newer ? &e->newer->older : &c->newest) = e->older;
    *(e->older ? &e->older->newer : &c->oldest) = e->newer;
}

static void drop(md_cache *c, md_cache_entry *e)
{
    if (--e->refs == 0)
        md_free(c->alloc, e);
}

static void evict(md_cache *c, md_cache_entry *e)
{
    md_cache_entry **at = bucket_of(c, &e->key);

    while (*at != e)
        at = &(*at)->same;
    *at = e->same;
    unlink_entry(c, e);
    c->size -= e->size;
    atomic_store(&c->stats.bytes, c->size);
    atomic_fetch_sub(&c->stats.entries, 1);
    atomic_fetch_add(&c->stats.evictions, 1);
    drop(c, e);
}

md_cache_entry *md_cache_find(md_cache *c, const md_cache_key *k)
{
    md_cache_entry *e;

    pthread_mutex_lock(&c->lock);
    e = look_up(c, k);
    if (e) {
        e->refs++;
        unlink_entry(c, e);
        link_newest(c, e);
    }
    pthread_mutex_unlock(&c->lock);
    atomic_fetch_add(e ? &c->stats.hits : &c->stats.misses, 1);
    return e;
}

const md_tensor *md_cache_outputs(const md_cache_entry *e, uint32_t *n_out)
{
    *n_out = e->n;
    return e->outputs;
}

void md_cache_let_go(md_cache *c, md_cache_entry *e)
{
    if (!e)
        return;
    pthread_mutex_lock(&c->lock);
    drop(c, e);
    pthread_mutex_unlock(&c->lock);
}

/* ---- copies ---- */

/* Bytes of a tensor's data in an entry, a multiple of a cache line; false when
 * there are too many. */
static bool data_size(size_t *out, const md_tensor *t)
{
    const md_str *s = t->data;
    size_t n = md_tensor_size(t);

    for (int64_t i = 0; t->dtype == MD_DTYPE_STRING && i < md_tensor_n(t); i++)
        if (!md_add_size(&n, n, s[i].n))
            return false;
    if (!md_add_size(&n, n, MD_CACHE_LINE))
        return false;
    *out = md_round_up(n - MD_CACHE_LINE, MD_CACHE_LINE);
    return true;
}

static bool entry_size(size_t *out, const md_tensor *const *outputs, uint32_t n)
{
    size_t size = md_round_up(sizeof(md_cache_entry) + n * sizeof(md_tensor),
                              MD_CACHE_LINE);

    for (uint32_t i = 0; i < n; i++) {
        size_t more;

        if (!data_size(&more, outputs[i]) || !md_add_size(&size, size, more))
            return false;
    }
    *out = size;
    return true;
}

/* Copy t's data to p; strings' bytes follow the strings. */
static void copy_data(unsigned char *p, const md_tensor *t)
{
    const md_str *from = t->data;
    const size_t size = md_tensor_size(t);
    md_str *to = (md_str *)(void *)p;

    if (size)
        memcpy(p, t->data, size);
    if (t->dtype != MD_DTYPE_STRING)
        return;
    p += size;
    for (int64_t i = 0; i < md_tensor_n(t); i++) {
        to[i] = (md_str){ (const char *)p, from[i].n };
        if (from[i].n)
            memcpy(p, from[i].p, from[i].n);
        p += from[i].n;
    }
}

static md_cache_entry *new_entry(const md_cache *c, const md_cache_key *k,
                                 const md_tensor *const *outputs, uint32_t n)
{
    md_cache_entry *e;
    unsigned char *p;
    size_t size;

    if (!entry_size(&size, outputs, n) || size > c->size_max)
        return NULL;
    e = md_malloc_aligned(c->alloc, size);
    if (!e)
        return NULL;
    *e = (md_cache_entry){ .key = *k, .size = size, .refs = 1, .n = n };
    e->outputs = (md_tensor *)(void *)(e + 1);
    p = (unsigned char *)e +
        md_round_up(sizeof(*e) + n * sizeof(*e->outputs), MD_CACHE_LINE);
    for (uint32_t i = 0; i < n; i++) {
        size_t more = 0;

        e->outputs[i] = (md_tensor){ .dtype = outputs[i]->dtype,
                                     .shape = outputs[i]->shape };
        e->outputs[i].data = p;
        copy_data(p, outputs[i]);
        (void)data_size(&more, outputs[i]);
        p += more;
    }
    return e;
}

void md_cache_put(md_cache *c, const md_cache_key *k,
                  const md_tensor *const *outputs, uint32_t n)
{
    md_cache_entry *e = new_entry(c, k, outputs, n);

    if (!e)
        return;
    pthread_mutex_lock(&c->lock);
    if (look_up(c, k)) { /* someone else was asked the same meanwhile */
        drop(c, e);
    } else {
        while (c->size > c->size_max - e->size)
            evict(c, c->oldest);
        e->same = *bucket_of(c, k);
        *bucket_of(c, k) = e;
        link_newest(c, e);
        c->size += e->size;
        atomic_store(&c->stats.bytes, c->size);
        atomic_fetch_add(&c->stats.entries, 1);
    }
    pthread_mutex_unlock(&c->lock);
}

const md_cache_stats *md_cache_stats_get(const md_cache *c)
{
    return &c->stats;
}
