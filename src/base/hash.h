/*
 * A keyed hash of bytes, for tables of names that come from outside: without
 * the key nobody can prepare names that all fall into one slot.
 *
 * SipHash-2-4 (J.-P. Aumasson, D. J. Bernstein, 2012).
 */
#ifndef MD_BASE_HASH_H
#define MD_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

/* Under this process's key, which is random and never told; so the result
 * must not decide what anyone can see, such as an order. */
uint64_t md_hash(const void *p, size_t n);

/* Under a given key. */
uint64_t md_hash_keyed(const uint64_t key[2], const void *p, size_t n);

#endif
