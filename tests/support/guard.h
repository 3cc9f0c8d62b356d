/*
 * Buffers whose last byte is followed by a page that may not be touched, so
 * that a kernel that reads or writes past the end dies at once.
 */
#ifndef MD_TESTS_SUPPORT_GUARD_H
#define MD_TESTS_SUPPORT_GUARD_H

#include <stddef.h>
#include <stdint.h>

/* `size` bytes (0 is allowed), zeroed; aborts the test when out of memory.
 * Aligned only as far as `size` is.  Free with md_guard_free. */
void *md_guard_alloc(size_t size);

void md_guard_free(void *p, size_t size);

/* A reproducible number; *state is any seed. */
uint32_t md_guard_random(uint32_t *state);

/* Fill with random bytes. */
void md_guard_fill(void *p, size_t size, uint32_t *state);

/* Fill with random floats in [-range, range). */
void md_guard_fill_f32(float *p, size_t n, float range, uint32_t *state);

#endif
