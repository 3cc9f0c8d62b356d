/* Paths of requests: percent-decoding and templates (RFC 3986). */
#ifndef MD_NET_URL_H
#define MD_NET_URL_H

#include <stdint.h>

#include "net/slice.h"

enum {
    MD_URL_PARAMS_MAX = 4,
    MD_URL_STORE_SIZE = 512 /* all decoded parameters of one path */
};

typedef struct md_url_param {
    md_slice name;  /* in the template */
    md_slice value; /* decoded, NUL-terminated, in store */
} md_url_param;

/* Points into itself: do not copy. */
typedef struct md_url_params {
    uint32_t n;
    md_url_param at[MD_URL_PARAMS_MAX];
    size_t used;
    char store[MD_URL_STORE_SIZE];
} md_url_params;

/*
 * Decode %XX of s into out[size] and terminate it.  False when it does not
 * fit, on a bad escape, and on a decoded NUL, which would cut names short
 * for whoever takes them as strings.
 */
bool md_url_decode(char *out, size_t size, md_slice s, size_t *decoded_size);

/*
 * Does `path` (still encoded) fit the template "/v2/models/{model}/infer"?
 * A parameter takes what is left of its segment, at least one byte; a literal
 * may follow it ("{name}:predict").  Segments are cut before they are
 * decoded, so an encoded slash never makes a new one.
 */
bool md_url_match(const char *template, md_slice path, md_url_params *out);

/* Value of a parameter, or NULL. */
const char *md_url_param_get(const md_url_params *params, const char *name);

#endif
