#include "data/subset.h"

#include <stdlib.h>
#include <string.h>

#include "base/rng.h"

static md_status make(md_subset *out, int64_t room, const md_alloc *alloc,
                      md_error *err)
{
    *out = (md_subset){ .alloc = alloc };
    out->at = md_calloc(alloc, (size_t)room + 1, sizeof(*out->at));
    return out->at ? MD_OK
                   : md_fail_nomem(err, (size_t)room * sizeof(*out->at));
}

md_status md_subset_all(md_subset *out, const md_dataset *d, md_error *err)
{
    MD_TRY(make(out, d->n, d->alloc, err));
    for (; out->n < d->n; out->n++)
        out->at[out->n] = out->n;
    return MD_OK;
}

md_status md_subset_copy(md_subset *out, const md_subset *s, md_error *err)
{
    MD_TRY(make(out, s->n, s->alloc, err));
    memcpy(out->at, s->at, (size_t)s->n * sizeof(*s->at));
    out->n = s->n;
    return MD_OK;
}

static md_status divide(md_subset *rest, md_subset *held, const md_dataset *d,
                        double share, uint64_t seed, md_error *err)
{
    for (int64_t i = 0; i < d->n; i++) {
        md_subset *side = rest;
        uint64_t h;

        MD_TRY(md_dataset_hash(d, i, seed, &h, err));
        if ((double)(h >> 11) * 0x1p-53 < share)
            side = held;
        side->at[side->n++] = i;
    }
    return MD_OK;
}

md_status md_subset_split(md_subset *rest, md_subset *held, const md_dataset *d,
                          double share, uint64_t seed, md_error *err)
{
    md_status s;

    *held = (md_subset){ .alloc = d->alloc };
    MD_TRY(make(rest, d->n, d->alloc, err));
    s = make(held, d->n, d->alloc, err);
    if (s == MD_OK)
        s = divide(rest, held, d, share, seed, err);
    if (s != MD_OK) {
        md_subset_release(rest);
        md_subset_release(held);
    }
    return s;
}

static int by_number(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

void md_subset_shuffle(md_subset *s, uint64_t seed, uint64_t epoch)
{
    md_rng r = md_rng_make(seed, epoch);

    if (s->n < 2)
        return;
    qsort(s->at, (size_t)s->n, sizeof(*s->at), by_number);
    /* R. Fisher, F. Yates; from the end, as D. Knuth has it. */
    for (int64_t i = s->n - 1; i > 0; i--) {
        int64_t k = (int64_t)md_rng_below(&r, (uint64_t)i + 1), t = s->at[i];

        s->at[i] = s->at[k];
        s->at[k] = t;
    }
}

void md_subset_release(md_subset *s)
{
    if (s->at)
        md_free(s->alloc, s->at);
    *s = (md_subset){ .alloc = s->alloc };
}
