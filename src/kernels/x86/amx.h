/*
 * AMX tile registers: eight of 16 rows x 64 bytes, the same for all kernels.
 * A kernel takes them (md_amx_use(true)) before its first tile and gives them
 * back after its last, so that no thread carries 8 KiB of state along.
 *
 *   0 .. 3  sums; 2 x 2 of them are 32 rows x 32 columns
 *   4 .. 7  operands
 *
 * gcc 12's _tile_loadconfig declares eight bytes of its argument as read, so
 * that stores to the rest may go; hence the asm.
 */
#ifndef MD_KERNELS_X86_AMX_H
#define MD_KERNELS_X86_AMX_H

#include <immintrin.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    AMX_TILES = 8,
    AMX_ROWS = 16,
    AMX_ROW_SIZE = 64,
    AMX_TILE_SIZE = 1024,
};

/* Intel SDM vol. 1, 18.3: the memory operand of ldtilecfg. */
typedef struct amx_config {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_size[16];
    uint8_t rows[16];
} amx_config;

static inline void amx_use(bool on)
{
    static const amx_config config = {
        .palette = 1,
        .row_size = { 64, 64, 64, 64, 64, 64, 64, 64 },
        .rows = { 16, 16, 16, 16, 16, 16, 16, 16 },
    };

    _Static_assert(sizeof(config) == 64, "as ldtilecfg reads it");
    if (on)
        __asm__ volatile("ldtilecfg %0" : : "m"(config));
    else
        _tile_release();
}

#endif
