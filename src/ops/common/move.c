/* Moving elements between strided places. */
#include <string.h>

#include "kernels/reorder.h"
#include "ops/common/util.h"

void md_move_all(md_tensor *to, const md_tensor *from)
{
    size_t size = md_tensor_size(from);

    if (size && to->data != from->data)
        memcpy(to->data, from->data, size);
}

/* An element of fewer than 8 bits, through its code. */
static void move_packed(md_tensor *to, int64_t i, const md_tensor *from,
                        int64_t j)
{
    if (to->dtype == MD_DTYPE_F4E2M1)
        md_tensor_set_f64(to, i, md_tensor_get_f64(from, j));
    else
        md_tensor_set_i64(to, i, md_tensor_get_i64(from, j));
}

/* The same for all axes. */
static void move_all_packed(const md_place *to, const md_place *from,
                            const md_shape *dims)
{
    int64_t index[MD_RANK_MAX] = { 0 };

    do {
        int64_t a = to->at, b = from->at;

        for (int d = 0; d < dims->rank; d++) {
            a += index[d] * to->stride[d];
            b += index[d] * from->stride[d];
        }
        move_packed(to->t, a, from->t, b);
    } while (md_step_index(index, dims->dim, dims->rank));
}

static char *address(const md_place *p, int size)
{
    return (char *)p->t->data + p->at * size;
}

static void place_axes(md_reorder_axes *a, const md_place *to,
                       const md_place *from, const md_shape *dims)
{
    a->rank = dims->rank;
    for (int i = 0; i < dims->rank; i++) {
        a->n[i] = dims->dim[i];
        a->x[i] = from->stride[i];
        a->y[i] = to->stride[i];
    }
}

/* One row is common: no axes then. */
static bool is_row(const md_place *to, const md_place *from,
                   const md_shape *dims)
{
    return dims->rank == 0 ||
           (dims->rank == 1 && to->stride[0] == 1 && from->stride[0] == 1);
}

void md_move(const md_place *to, const md_place *from, const md_shape *dims)
{
    unsigned bits = md_dtype_bits(to->t->dtype);
    int size = (int)bits / 8;
    md_reorder_axes a;

    if (md_shape_n(dims) == 0)
        return;
    if (bits < 8) {
        move_all_packed(to, from, dims);
        return;
    }
    if (is_row(to, from, dims)) {
        memcpy(address(to, size), address(from, size),
               (size_t)(md_shape_n(dims) * size));
        return;
    }
    place_axes(&a, to, from, dims);
    md_reorder(address(to, size), address(from, size), &a, size);
}

/* Nanoseconds for so many bytes: memory's pace, both ways. */
static double move_cost(double bytes)
{
    return 0.5 + bytes / 8.0;
}

/* A copy of bytes. */
typedef struct copy {
    char *y;
    const char *x;
    size_t size;
} copy;

enum {
    COPY = 4096 /* bytes of a piece */
};

static void copy_pieces(void *ctx, int64_t from, int64_t to)
{
    const copy *c = ctx;
    const size_t at = (size_t)from * COPY, end = (size_t)to * COPY;

    memcpy(c->y + at, c->x + at, (end < c->size ? end : c->size) - at);
}

void md_exec__move_all(const md_exec *x, md_tensor *to, const md_tensor *from)
{
    copy c = { to->data, from->data, md_tensor_size(from) };

    if (c.y != c.x) /* the pace of the second cache and what is behind it */
        md_exec__share(x, md_div_up((int64_t)c.size, COPY), COPY / 24.0,
                       copy_pieces, &c);
}

/* A copy cut along one axis. */
typedef struct cut {
    md_reorder_axes a;
    char *y;
    const char *x;
    int axis, size;
} cut;

static void move_part(void *ctx, int64_t from, int64_t to)
{
    const cut *c = ctx;
    md_reorder_axes a = c->a;

    a.n[c->axis] = to - from;
    md_reorder(c->y + from * a.y[c->axis] * c->size,
               c->x + from * a.x[c->axis] * c->size, &a, c->size);
}

void md_exec__move(const md_exec *x, const md_place *to, const md_place *from,
                   const md_shape *dims)
{
    int64_t n = md_shape_n(dims);
    cut c = { .size = (int)md_dtype_bits(to->t->dtype) / 8 };

    if (n == 0 || c.size == 0) { /* packed ones share bytes */
        md_move(to, from, dims);
        return;
    }
    c.y = address(to, c.size);
    c.x = address(from, c.size);
    place_axes(&c.a, to, from, dims);
    md_reorder_merge(&c.a);
    if (c.a.rank == 0) {
        memcpy(c.y, c.x, (size_t)c.size);
        return;
    }
    for (int i = 1; i < c.a.rank - 1; i++)
        if (c.a.n[i] > c.a.n[c.axis])
            c.axis = i;
    md_exec__share(x, c.a.n[c.axis],
                   move_cost((double)(n * c.size) / (double)c.a.n[c.axis]),
                   move_part, &c);
}
