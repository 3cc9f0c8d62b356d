/*
 * Resize by whole factors to the nearest pixel: out[i] = in[i / factor].
 * That is what asymmetric coordinates with floor give, and half-pixel ones
 * with either rounding, since no output centre then lies half-way.
 */
#include <math.h>
#include <string.h>

#include "base/size.h"
#include "kernels/reorder.h"
#include "ops/lower/common.h"

typedef struct state {
    int64_t factor_h, factor_w;
    bool blocked;
} state;

typedef struct args {
    md_resize_args r;
    int64_t plane_in, plane_out; /* bytes */
    int64_t planes, step;        /* in all, and of a chunk */
} args;

static bool mode_is(const md_lower *lo)
{
    const md_node *n = lo->node;
    bool old = lo->opset < 11;
    const char *coords = md_node_attr_s(n, "coordinate_transformation_mode",
                                        old ? "asymmetric" : "half_pixel");
    const char *nearest =
        md_node_attr_s(n, "nearest_mode", old ? "floor" : "round_prefer_floor");

    if (strcmp(md_node_attr_s(n, "mode", "nearest"), "nearest") != 0 ||
        md_node_attr(n, "axes"))
        return false;
    return (strcmp(coords, "asymmetric") == 0 &&
            strcmp(nearest, "floor") == 0) ||
           (strcmp(coords, "half_pixel") == 0 &&
            strncmp(nearest, "round_prefer", 12) == 0);
}

/* Whole factors for [n, c, h, w]: 1, 1, and what *h and *w receive. */
static bool whole_factors(const md_lower *lo, int64_t *h, int64_t *w)
{
    uint32_t at = lo->opset < 11 ? 1 : 2;
    const md_tensor *t = md_lower__const(lo, at, MD_DTYPE_F32);
    const float *s;

    if (!t || md_tensor_n(t) != 4)
        return false;
    s = t->data;
    if (s[0] != 1.0f || s[1] != 1.0f || !(s[2] >= 1.0f && s[2] <= 64.0f) ||
        !(s[3] >= 1.0f && s[3] <= 64.0f) || s[2] != floorf(s[2]) ||
        s[3] != floorf(s[3]))
        return false;
    *h = (int64_t)s[2];
    *w = (int64_t)s[3];
    return true;
}

static md_status lower(md_lower *lo, md_error *err)
{
    int64_t h, w;
    state *s;

    if (!lo->in[0]->has_rank || lo->in[0]->rank != 4 ||
        md_dtype_bits(lo->in[0]->dtype) % 8 != 0 || !mode_is(lo) ||
        !whole_factors(lo, &h, &w))
        return md_fail(err, MD_UNSUPPORTED,
                       "needs nearest pixels and whole factors");
    MD_TRY(md_lower__state(lo, (void *)&s, sizeof(*s), err));
    s->factor_h = h;
    s->factor_w = w;
    lo->kernel = "resize_nearest";
    if (lo->have[0] == MD_LAYOUT_NC16) {
        s->blocked = true;
        lo->want[0] = lo->give[0] = MD_LAYOUT_NC16;
    }
    return MD_OK;
}

static md_status fill_map(const int32_t **out, int64_t n, int64_t factor,
                          md_arena *arena, md_error *err)
{
    int32_t *map = md_arena_calloc(arena, (size_t)n + 1, sizeof(*map));

    if (!map)
        return md_fail_nomem(err, (size_t)n * sizeof(*map));
    for (int64_t i = 0; i < n; i++)
        map[i] = (int32_t)(i / factor);
    *out = map;
    return MD_OK;
}

static md_status plan(md_step *st, int width, md_arena *arena, md_error *err)
{
    const state *s = st->state;
    const md_shape *x = &st->in_shape[0], *y = &st->out_shape[0];
    int64_t size = md_dtype_bits(st->in_dtype[0]) / 8;
    int64_t channels = x->dim[1];
    args *a;

    MD_TRY(md_step__args(st, arena, (void *)&a, sizeof(*a), err));
    if (s->blocked) {
        channels = md_div_up(channels, MD_BLOCK);
        size *= MD_BLOCK;
    }
    a->r = (md_resize_args){ .ih = x->dim[2],
                             .iw = x->dim[3],
                             .oh = y->dim[2],
                             .ow = y->dim[3],
                             .pixel_size = (size_t)size };
    MD_TRY(fill_map(&a->r.map_h, y->dim[2], s->factor_h, arena, err));
    MD_TRY(fill_map(&a->r.map_w, y->dim[3], s->factor_w, arena, err));
    a->plane_in = x->dim[2] * x->dim[3] * size;
    a->plane_out = y->dim[2] * y->dim[3] * size;
    a->planes = x->dim[0] * channels;
    st->n_chunks =
        md_step__chunks(a->planes * a->plane_out / 32, a->planes, width);
    a->step = md_div_up(a->planes, md_max_i64(st->n_chunks, 1));
    return MD_OK;
}

static void run(const md_step *st, int64_t chunk, void *scratch)
{
    const args *a = st->args;
    const int64_t from = chunk * a->step;
    md_resize_args r = a->r;

    (void)scratch;
    r.planes = md_min_i64(a->step, a->planes - from);
    if (r.planes > 0)
        md_resize_nearest((char *)st->out[0] + from * a->plane_out,
                          (const char *)st->in[0] + from * a->plane_in, &r);
}

const md_fast md_fast_resize = { lower, plan, run, NULL, NULL };
