/* A piece of somebody else's bytes: a pointer and a size, nothing owned. */
#ifndef MD_NET_SLICE_H
#define MD_NET_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

typedef struct md_slice {
    const char *data; /* not terminated; may be NULL when size is 0 */
    size_t size;
} md_slice;

static inline md_slice md_slice_of(const char *text)
{
    return (md_slice){ text, strlen(text) };
}

static inline bool md_slice_eq(md_slice s, const char *text)
{
    return s.size == strlen(text) &&
           (s.size == 0 || memcmp(s.data, text, s.size) == 0);
}

/* As md_slice_eq, but A-Z and a-z are the same. */
bool md_slice_eq_nocase(md_slice s, const char *text);

/* s without spaces and tabs at either end. */
md_slice md_slice_trim(md_slice s);

/* Take the next item of a comma-separated list off *list, trimmed; false at
 * the end.  Items may be empty. */
bool md_slice_next_item(md_slice *list, md_slice *item);

#endif
