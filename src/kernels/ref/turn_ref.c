/* In square tiles, so that both sides are met whole cache lines at a time. */
#include "kernels/turn.h"

#include <assert.h>

#include "base/size.h"
#include "kernels/turn_edge.h"

enum {
    TILE = 16 /* 16 x 16 doubles are 2 KiB: both sides stay in L1 */
};

static void tile(const md_turn_args *a, int64_t i, int64_t j)
{
    const int64_t rows = md_min_i64(i + TILE, a->rows);
    const int64_t columns = md_min_i64(j + TILE, a->columns);

    if (a->size == 1)
        turn_edge(a, i, rows, j, columns, 1);
    else if (a->size == 2)
        turn_edge(a, i, rows, j, columns, 2);
    else if (a->size == 4)
        turn_edge(a, i, rows, j, columns, 4);
    else
        turn_edge(a, i, rows, j, columns, 8);
}

void md_turn__ref(const md_turn_args *a)
{
    assert(a->size == 1 || a->size == 2 || a->size == 4 || a->size == 8);
    for (int64_t i = 0; i < a->rows; i += TILE)
        for (int64_t j = 0; j < a->columns; j += TILE)
            tile(a, i, j);
}
