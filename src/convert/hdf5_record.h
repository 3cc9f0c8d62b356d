/*
 * What the child writes: records that start at multiples of 8 bytes, numbers
 * in this machine's order.
 *
 *   head, path with its NUL, padding
 *   DATA: uint64 dims[rank], uint64 size, bytes, padding
 *   ATTR: uint32 name_len, name with NUL, uint32 n, n x { uint32 len, bytes },
 *         padding
 *
 * The last record is END.
 */
#ifndef MD_CONVERT_HDF5_RECORD_H
#define MD_CONVERT_HDF5_RECORD_H

#include <stdint.h>

enum {
    MD_HDF5_MAGIC = 0x3548444d, /* "MDH5" */
    MD_HDF5_ALIGN = 8
};

enum md_hdf5_kind {
    MD_HDF5_GROUP = 1,
    MD_HDF5_DATA = 2,
    MD_HDF5_ATTR = 3,
    MD_HDF5_END = 4,
};

typedef struct md_hdf5_head {
    uint32_t magic;
    uint8_t kind;
    uint8_t dtype; /* DATA */
    uint8_t rank;  /* DATA */
    uint8_t zero;
    uint32_t path_size; /* with the NUL */
    uint32_t zero2;
} md_hdf5_head;

#endif
