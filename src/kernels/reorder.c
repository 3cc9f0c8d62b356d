#include "kernels/reorder.h"

#include <assert.h>
#include <string.h>

#include "base/size.h"

enum {
    LANES = 16,
    TILE = 16, /* 16 x 16 doubles are 2 KiB: both sides stay in L1 */
};

/* Two dimensions of a copy: n[k] elements at strides y[k] and x[k]. */
typedef struct grid {
    int64_t n[2], y[2], x[2];
} grid;

/* size is a constant wherever this is inlined, so that a copy is one load and
 * one store. */
__attribute__((always_inline)) static inline void copy_grid(char *y,
                                                            const char *x,
                                                            const grid *g,
                                                            const size_t size)
{
    for (int64_t i = 0; i < g->n[0]; i++) {
        char *to = y + i * g->y[0] * (int64_t)size;
        const char *from = x + i * g->x[0] * (int64_t)size;

        for (int64_t j = 0; j < g->n[1]; j++)
            memcpy(to + j * g->y[1] * (int64_t)size,
                   from + j * g->x[1] * (int64_t)size, size);
    }
}

static void copy_any(char *y, const char *x, const grid *g, int size)
{
    assert(size == 1 || size == 2 || size == 4 || size == 8);
    if (size == 1)
        copy_grid(y, x, g, 1);
    else if (size == 2)
        copy_grid(y, x, g, 2);
    else if (size == 4)
        copy_grid(y, x, g, 4);
    else
        copy_grid(y, x, g, 8);
}

/* A grid in square tiles, so that the side with long strides is read whole
 * cache lines at a time. */
static void copy_tiled(char *y, const char *x, const grid *g, int size)
{
    if (g->y[1] == 1 && g->x[1] == 1) {
        md_copy_rows(y, g->y[0] * size, x, g->x[0] * size, g->n[0],
                     (size_t)(g->n[1] * size));
        return;
    }
    for (int64_t i = 0; i < g->n[0]; i += TILE) {
        for (int64_t j = 0; j < g->n[1]; j += TILE) {
            grid t = *g;

            t.n[0] = md_min_i64(TILE, g->n[0] - i);
            t.n[1] = md_min_i64(TILE, g->n[1] - j);
            copy_any(y + (i * g->y[0] + j * g->y[1]) * size,
                     x + (i * g->x[0] + j * g->x[1]) * size, &t, size);
        }
    }
}

void md_copy_rows(void *y, int64_t y_stride, const void *x, int64_t x_stride,
                  int64_t rows, size_t row_size)
{
    if (rows == 0 || row_size == 0)
        return;
    if (y_stride == (int64_t)row_size && x_stride == (int64_t)row_size) {
        memcpy(y, x, row_size * (size_t)rows);
        return;
    }
    for (int64_t i = 0; i < rows; i++)
        memcpy((char *)y + i * y_stride, (const char *)x + i * x_stride,
               row_size);
}

/* Block of channels `part` of all images: its lanes, and where it begins in
 * the plain layout and in blocks, in bytes. */
typedef struct block {
    int64_t lanes, plain, nc16;
} block;

static block find_block(const md_nc16_args *a, int64_t part)
{
    const int64_t blocks = md_div_up(a->c, LANES);
    const int64_t n = part / blocks, b = part % blocks;

    return (block){
        .lanes = md_min_i64(LANES, a->c - b * LANES),
        .plain = (n * a->n_stride + b * LANES * a->c_stride) * a->size,
        .nc16 = part * a->pixels * LANES * a->size,
    };
}

int64_t md_nc16_n_parts(const md_nc16_args *a)
{
    return a->n * md_div_up(a->c, LANES);
}

void md_nc16_pack_part(void *nc16, const void *plain, const md_nc16_args *a,
                       int64_t part)
{
    const block b = find_block(a, part);
    const grid g = { { a->pixels, b.lanes },
                     { LANES, 1 },
                     { a->pixel_stride, a->c_stride } };
    char *y = (char *)nc16 + b.nc16;

    if (b.lanes < LANES)
        memset(y, 0, (size_t)(a->pixels * LANES * a->size));
    copy_tiled(y, (const char *)plain + b.plain, &g, a->size);
}

void md_nc16_unpack_part(void *plain, const void *nc16, const md_nc16_args *a,
                         int64_t part)
{
    const block b = find_block(a, part);
    grid g = { { b.lanes, a->pixels },
               { a->c_stride, a->pixel_stride },
               { 1, LANES } };

    if (a->c_stride == 1) /* NHWC: write along the channels */
        g = (grid){ { a->pixels, b.lanes },
                    { a->pixel_stride, 1 },
                    { LANES, 1 } };
    copy_tiled((char *)plain + b.plain, (const char *)nc16 + b.nc16, &g,
               a->size);
}

void md_nc16_pack(void *nc16, const void *plain, const md_nc16_args *a)
{
    for (int64_t i = 0; i < md_nc16_n_parts(a); i++)
        md_nc16_pack_part(nc16, plain, a, i);
}

void md_nc16_unpack(void *plain, const void *nc16, const md_nc16_args *a)
{
    for (int64_t i = 0; i < md_nc16_n_parts(a); i++)
        md_nc16_unpack_part(plain, nc16, a, i);
}

/* Dimensions of y with the strides of x, merged where neighbours are one. */
typedef struct walk {
    int rank;
    int64_t n[MD_TRANSPOSE_RANK + 2];
    int64_t x[MD_TRANSPOSE_RANK + 2];
    int64_t y[MD_TRANSPOSE_RANK + 2];
} walk;

static void merge(walk *w, int rank, const int64_t *dims,
                  const int64_t *strides)
{
    int64_t y = 1;

    w->rank = 0;
    for (int i = 0; i < rank; i++) {
        const int last = w->rank - 1;

        if (dims[i] == 1)
            continue;
        if (last >= 0 && w->x[last] == strides[i] * dims[i]) {
            w->n[last] *= dims[i];
            w->x[last] = strides[i];
            continue;
        }
        w->n[w->rank] = dims[i];
        w->x[w->rank++] = strides[i];
    }
    while (w->rank < 2) { /* the inner grid has two dimensions */
        memmove(w->n + 1, w->n, sizeof(*w->n) * (size_t)w->rank);
        memmove(w->x + 1, w->x, sizeof(*w->x) * (size_t)w->rank);
        w->n[0] = 1;
        w->x[0] = 0;
        w->rank++;
    }
    for (int i = w->rank; i-- > 0; y *= w->n[i])
        w->y[i] = y;
}

/* Move the dimension that x is densest in (other than the last) next to the
 * last: the two make the tiled grid. */
static void choose_grid(walk *w)
{
    int best = w->rank - 2;
    int64_t n, x, y;

    for (int i = 0; i < w->rank - 1; i++)
        if (w->x[w->rank - 1] != 1 && w->x[i] == 1)
            best = i;
    n = w->n[best], x = w->x[best], y = w->y[best];
    for (int i = best; i < w->rank - 2; i++) {
        w->n[i] = w->n[i + 1];
        w->x[i] = w->x[i + 1];
        w->y[i] = w->y[i + 1];
    }
    w->n[w->rank - 2] = n;
    w->x[w->rank - 2] = x;
    w->y[w->rank - 2] = y;
}

/* Step the outer indices; 0 when all are done. */
static int next_index(const walk *w, int64_t *at, int64_t *y, int64_t *x)
{
    for (int i = w->rank - 3; i >= 0; i--) {
        *y += w->y[i];
        *x += w->x[i];
        if (++at[i] < w->n[i])
            return 1;
        *y -= w->y[i] * w->n[i];
        *x -= w->x[i] * w->n[i];
        at[i] = 0;
    }
    return 0;
}

void md_transpose(void *y, const void *x, int rank, const int64_t *dims,
                  const int64_t *strides, int size)
{
    int64_t at[MD_TRANSPOSE_RANK] = { 0 };
    int64_t to = 0, from = 0;
    walk w;
    grid g;

    assert(rank >= 0 && rank <= MD_TRANSPOSE_RANK);
    for (int i = 0; i < rank; i++)
        if (dims[i] == 0)
            return;
    merge(&w, rank, dims, strides);
    choose_grid(&w);
    for (int i = 0; i < 2; i++) {
        g.n[i] = w.n[w.rank - 2 + i];
        g.y[i] = w.y[w.rank - 2 + i];
        g.x[i] = w.x[w.rank - 2 + i];
    }
    do {
        copy_tiled((char *)y + to * size, (const char *)x + from * size, &g,
                   size);
    } while (next_index(&w, at, &to, &from));
}

/* One row; a constant size makes a pixel a load and a store. */
static void pick_pixels(char *to, const char *row, const int32_t *map,
                        int64_t n, size_t size)
{
#define PICK(constant)                                                         \
    case constant:                                                             \
        for (int64_t j = 0; j < n; j++)                                        \
            memcpy(to + j * (constant), row + (int64_t)map[j] * (constant),    \
                   constant);                                                  \
        break;
    switch (size) {
        PICK(1)
        PICK(2)
        PICK(4)
        PICK(8)
        PICK(64)
    default:
        for (int64_t j = 0; j < n; j++)
            memcpy(to + (size_t)j * size, row + (size_t)map[j] * size, size);
        break;
    }
#undef PICK
}

/* Rows that are equal are picked once. */
void md_resize_nearest(void *y, const void *x, const md_resize_args *a)
{
    const size_t size = a->pixel_size, row_size = (size_t)a->ow * size;
    char *to = y;

    for (int64_t p = 0; p < a->planes; p++) {
        for (int64_t i = 0; i < a->oh; i++, to += row_size) {
            const char *row =
                (const char *)x +
                (size_t)((p * a->ih + a->map_h[i]) * a->iw) * size;

            if (i > 0 && a->map_h[i] == a->map_h[i - 1])
                memcpy(to, to - row_size, row_size);
            else
                pick_pixels(to, row, a->map_w, a->ow, size);
        }
    }
}
