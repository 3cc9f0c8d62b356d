/*
 * CRC-32C (Castagnoli), the checksum of LevelDB's tables and TensorFlow's
 * checkpoints (RFC 3720, appendix B.4).
 */
#ifndef MD_BASE_CRC32C_H
#define MD_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* The checksum of bytes whose beginning has the checksum `before` (0: they
 * have no beginning). */
uint32_t md_crc32c(uint32_t before, const void *bytes, size_t n);

/* As it is stored beside data that holds checksums itself: turned right by 15
 * bits, plus a constant. */
uint32_t md_crc32c_mask(uint32_t crc);

#endif
