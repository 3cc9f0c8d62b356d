/*
 * One md_dot_tile with AMX.  Whoever includes this defines AMX_DOT(sums, a, b),
 * the instruction that multiplies 16 rows x 64 bytes by 64 bytes x 16 columns.
 * Tiles are 32 rows x 32 columns, so that each operand that is loaded is used
 * twice, or 16 x 64 for few rows.  B's packing [quad][16][4] is the layout
 * that the instructions take.
 */
#ifndef MD_KERNELS_X86_DOT_AMX_H
#define MD_KERNELS_X86_DOT_AMX_H

#include "base/attr.h"
#include "kernels/dot_tile.h"
#include "kernels/x86/amx.h"

#if !defined(AMX_DOT)
#define AMX_DOT _tile_dpbusd
#endif

enum {
    LINE = AMX_ROW_SIZE
};

/* Every row begins with the same sums: a tile of stride 0. */
#define START(tile, c) _tile_loadd(tile, (const char *)t->start + (c)*LINE, 0)
#define STORE(tile, r, c)                                                      \
    _tile_stored(tile, acc + (r)*AMX_ROWS * LINE * blocks + (c)*LINE,          \
                 (long)LINE * blocks)

/* One or two times 16 rows, one or two blocks; constants where inlined. */
static MD_ALWAYS_INLINE void square(const md_dot_tile *t, const int halves,
                                    const int blocks)
{
    const int8_t *b = t->b;
    const int64_t stride = t->a_stride, lower = AMX_ROWS * stride;
    char *acc = (char *)t->acc;

    START(0, 0);
    if (blocks > 1)
        START(1, 1);
    if (halves > 1)
        START(2, 0);
    if (halves > 1 && blocks > 1)
        START(3, 1);
    for (int64_t k = 0; k < t->n_taps; k++) {
        const uint8_t *a = t->a + t->taps[k];

        for (int64_t i = 0; i < t->n_quads; i += AMX_ROWS) {
            _tile_stream_loadd(6, b, LINE);
            _tile_loadd(4, a, stride);
            AMX_DOT(0, 4, 6);
            if (halves > 1) {
                _tile_loadd(5, a + lower, stride);
                AMX_DOT(2, 5, 6);
            }
            if (blocks > 1) {
                _tile_stream_loadd(7, b + t->b_stride, LINE);
                AMX_DOT(1, 4, 7);
            }
            if (halves > 1 && blocks > 1)
                AMX_DOT(3, 5, 7);
            a += LINE, b += AMX_TILE_SIZE;
        }
    }
    STORE(0, 0, 0);
    if (blocks > 1)
        STORE(1, 0, 1);
    if (halves > 1)
        STORE(2, 1, 0);
    if (halves > 1 && blocks > 1)
        STORE(3, 1, 1);
}

/* 16 rows, three or four blocks. */
static MD_ALWAYS_INLINE void wide(const md_dot_tile *t, const int blocks)
{
    const int8_t *b = t->b;
    const int64_t stride = t->a_stride;
    char *acc = (char *)t->acc;

    START(0, 0);
    START(1, 1);
    START(2, 2);
    if (blocks > 3)
        START(3, 3);
    for (int64_t k = 0; k < t->n_taps; k++) {
        const uint8_t *a = t->a + t->taps[k];

        for (int64_t i = 0; i < t->n_quads; i += AMX_ROWS) {
            _tile_stream_loadd(5, b, LINE);
            _tile_loadd(4, a, stride);
            AMX_DOT(0, 4, 5);
            _tile_stream_loadd(6, b + t->b_stride, LINE);
            AMX_DOT(1, 4, 6);
            _tile_stream_loadd(7, b + 2 * t->b_stride, LINE);
            AMX_DOT(2, 4, 7);
            if (blocks > 3) {
                _tile_stream_loadd(5, b + 3 * t->b_stride, LINE);
                AMX_DOT(3, 4, 5);
            }
            a += LINE, b += AMX_TILE_SIZE;
        }
    }
    STORE(0, 0, 0);
    STORE(1, 0, 1);
    STORE(2, 0, 2);
    if (blocks > 3)
        STORE(3, 0, 3);
}

static inline void amx_dot_tile(const md_dot_tile *t)
{
    const bool tall = t->rows > AMX_ROWS;

    if (t->blocks == 4)
        wide(t, 4);
    else if (t->blocks == 3)
        wide(t, 3);
    else if (t->blocks == 2 && tall)
        square(t, 2, 2);
    else if (t->blocks == 2)
        square(t, 1, 2);
    else if (tall)
        square(t, 2, 1);
    else
        square(t, 1, 1);
}

#endif
