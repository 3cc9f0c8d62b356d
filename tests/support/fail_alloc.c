#include "support/fail_alloc.h"

static bool fails(fail_alloc *f)
{
    int64_t left = atomic_load(&f->left);

    if (left < 0 || atomic_fetch_sub(&f->left, 1) != 0)
        return false;
    atomic_store(&f->failed, true);
    return true;
}

static void *do_alloc(void *ctx, size_t size, size_t align)
{
    fail_alloc *f = ctx;
    const md_alloc *a = md_alloc_default();
    void *p = fails(f) ? NULL : a->alloc(a->ctx, size, align);

    if (p)
        atomic_fetch_add(&f->n_live, 1);
    return p;
}

static void *do_resize(void *ctx, void *p, size_t old, size_t size,
                       size_t align)
{
    fail_alloc *f = ctx;
    const md_alloc *a = md_alloc_default();
    void *q = fails(f) ? NULL : a->resize(a->ctx, p, old, size, align);

    if (q && !p)
        atomic_fetch_add(&f->n_live, 1);
    return q;
}

static void do_free(void *ctx, void *p)
{
    fail_alloc *f = ctx;
    const md_alloc *a = md_alloc_default();

    if (p)
        atomic_fetch_sub(&f->n_live, 1);
    a->free(a->ctx, p);
}

void fail_alloc_init(fail_alloc *f)
{
    f->alloc = (md_alloc){ do_alloc, do_resize, do_free, f };
    atomic_init(&f->left, -1);
    atomic_init(&f->n_live, 0);
    atomic_init(&f->failed, false);
}

void fail_alloc_arm(fail_alloc *f, int64_t n)
{
    atomic_store(&f->failed, false);
    atomic_store(&f->left, n);
}

bool fail_alloc_disarm(fail_alloc *f)
{
    atomic_store(&f->left, -1);
    return atomic_load(&f->failed);
}
