#include "kernels/reorder.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include "base/cpu.h"
#include "base/size.h"
#include "kernels/turn.h"

enum {
    LANES = 16,
    TILE = 16, /* 16 x 16 doubles are 2 KiB: both sides stay in L1 */
    LINE = 64, /* bytes */
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
    assert(size == 1 || size == 2 || size == 4 || size == 8 || size == 16);
    if (size == 1)
        copy_grid(y, x, g, 1);
    else if (size == 2)
        copy_grid(y, x, g, 2);
    else if (size == 4)
        copy_grid(y, x, g, 4);
    else if (size == 8)
        copy_grid(y, x, g, 8);
    else
        copy_grid(y, x, g, 16);
}

/* The element at x n > 0 times. */
static void fill(char *y, const char *x, int64_t n, int size)
{
    const size_t total = (size_t)n * (size_t)size;
    size_t done = (size_t)size;

    memcpy(y, x, done);
    while (done < total) {
        const size_t more = done < total - done ? done : total - done;

        memcpy(y + done, y, more);
        done += more;
    }
}

/* A grid that is a matrix turned.  False for any other. */
static bool copy_turned(char *y, const char *x, const grid *g, int size)
{
    const int row = g->x[0] == 1 ? 0 : 1, column = 1 - row;

    if (size > 8 || g->x[row] != 1 || g->y[column] != 1)
        return false;
    md_turn_select(md_cpu_flags())
        ->run(&(md_turn_args){ .y = y,
                               .x = x,
                               .y_stride = g->y[row],
                               .x_stride = g->x[column],
                               .rows = g->n[row],
                               .columns = g->n[column],
                               .size = size });
    return true;
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
    if (copy_turned(y, x, g, size))
        return;
    if (g->y[1] == 1 && g->x[1] == 0 && g->n[1] * size > LINE) {
        for (int64_t i = 0; i < g->n[0]; i++)
            fill(y + i * g->y[0] * size, x + i * g->x[0] * size, g->n[1], size);
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

void md_reorder_merge(md_reorder_axes *a)
{
    int n = 0;

    for (int i = 0; i < a->rank; i++) {
        int64_t steps = a->n[i];

        if (steps == 1)
            continue;
        if (n > 0 && a->x[n - 1] == a->x[i] * steps &&
            a->y[n - 1] == a->y[i] * steps)
            steps *= a->n[--n];
        a->n[n] = steps;
        a->x[n] = a->x[i];
        a->y[n++] = a->y[i];
    }
    a->rank = n;
}

/* Move axis `from` to place `to`, those between forward. */
static void move_axis(md_reorder_axes *a, int from, int to)
{
    const int64_t n = a->n[from], x = a->x[from], y = a->y[from];

    for (int i = from; i < to; i++) {
        a->n[i] = a->n[i + 1];
        a->x[i] = a->x[i + 1];
        a->y[i] = a->y[i + 1];
    }
    a->n[to] = n;
    a->x[to] = x;
    a->y[to] = y;
}

/* The last two axes make the tiled grid: beside the last one, the one along
 * which that side is dense along which the last is not. */
static void choose_grid(md_reorder_axes *a)
{
    const int last = a->rank - 1;
    int best = last - 1;

    for (int i = 0; i < last; i++) {
        if ((a->x[last] != 1 && a->x[i] == 1) ||
            (a->y[last] != 1 && a->y[i] == 1))
            best = i;
    }
    move_axis(a, best, last - 1);
}

/* Step the outer indices; false when all are done. */
static bool next_index(const md_reorder_axes *a, int64_t *at, int64_t *y,
                       int64_t *x)
{
    for (int i = a->rank - 3; i >= 0; i--) {
        *y += a->y[i];
        *x += a->x[i];
        if (++at[i] < a->n[i])
            return true;
        *y -= a->y[i] * a->n[i];
        *x -= a->x[i] * a->n[i];
        at[i] = 0;
    }
    return false;
}

void md_reorder(void *y, const void *x, const md_reorder_axes *axes, int size)
{
    int64_t at[MD_TRANSPOSE_RANK] = { 0 }, to = 0, from = 0;
    md_reorder_axes a = *axes;
    grid g;

    assert(a.rank >= 0 && a.rank <= MD_TRANSPOSE_RANK);
    for (int i = 0; i < a.rank; i++)
        if (a.n[i] == 0)
            return;
    md_reorder_merge(&a);
    while (a.rank < 2) { /* the inner grid has two axes */
        a.n[a.rank] = 1;
        a.x[a.rank] = a.y[a.rank] = 0;
        move_axis(&a, 0, a.rank++);
    }
    choose_grid(&a);
    for (int i = 0; i < 2; i++) {
        g.n[i] = a.n[a.rank - 2 + i];
        g.y[i] = a.y[a.rank - 2 + i];
        g.x[i] = a.x[a.rank - 2 + i];
    }
    do {
        copy_tiled((char *)y + to * size, (const char *)x + from * size, &g,
                   size);
    } while (next_index(&a, at, &to, &from));
}

void md_transpose(void *y, const void *x, int rank, const int64_t *dims,
                  const int64_t *strides, int size)
{
    md_reorder_axes a = { .rank = rank };
    int64_t stride = 1;

    for (int i = rank; i-- > 0; stride *= dims[i]) {
        a.n[i] = dims[i];
        a.x[i] = strides[i];
        a.y[i] = stride;
    }
    md_reorder(y, x, &a, size);
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

/* Is each pixel of a row there twice? */
static bool is_doubled(const md_resize_args *a)
{
    bool so = a->ow == 2 * a->iw && a->pixel_size == 4;

    for (int64_t i = 0; i < a->ow && so; i++)
        so = a->map_w[i] == i / 2;
    return so;
}

/* A row joined with itself: a matrix of which both columns are the row. */
static void double_pixels(md_turn_fn *turn, char *to, const char *row,
                          int64_t n)
{
    turn(&(md_turn_args){
        .y = to, .x = row, .y_stride = 2, .rows = n, .columns = 2, .size = 4 });
}

/* Rows that are equal are picked once. */
void md_resize_nearest(void *y, const void *x, const md_resize_args *a)
{
    const size_t size = a->pixel_size, row_size = (size_t)a->ow * size;
    md_turn_fn *turn =
        is_doubled(a) ? md_turn_select(md_cpu_flags())->run : NULL;
    char *to = y;

    for (int64_t p = 0; p < a->planes; p++) {
        for (int64_t i = 0; i < a->oh; i++, to += row_size) {
            const char *row =
                (const char *)x +
                (size_t)((p * a->ih + a->map_h[i]) * a->iw) * size;

            if (i > 0 && a->map_h[i] == a->map_h[i - 1])
                memcpy(to, to - row_size, row_size);
            else if (turn)
                double_pixels(turn, to, row, a->iw);
            else
                pick_pixels(to, row, a->map_w, a->ow, size);
        }
    }
}
