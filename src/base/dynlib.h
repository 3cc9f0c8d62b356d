/*
 * Shared libraries that are opened when they are needed (docs/adr/0024), so
 * that a process which never needs them has neither their start-up time nor
 * their code.
 */
#ifndef MD_BASE_DYNLIB_H
#define MD_BASE_DYNLIB_H

#include <stddef.h>

#include "base/error.h"

typedef struct md_symbol {
    const char *name;
    size_t offset; /* of its address in the table */
} md_symbol;

/* Open the library `soname` and put the addresses of n symbols, its own or
 * those of libraries it brings, into table.  It stays loaded.  MD_UNAVAILABLE
 * with the system's reason; table may be filled in part then. */
md_status md_dynlib_load(void *table, const char *soname,
                         const md_symbol *symbols, size_t n, md_error *err);

#endif
