/* Reading a model's structure: what net.c and calls.c share. */
#ifndef MD_CONVERT_KERAS_PARSE_H
#define MD_CONVERT_KERAS_PARSE_H

#include "convert/keras/net.h"

/* What stands in the way, gathered over all layers. */
typedef struct md_keras_refusal {
    const char *cls, *why;
    const char *first; /* name of the first such layer */
    uint32_t n;
    struct md_keras_refusal *next;
} md_keras_refusal;

typedef struct md_keras_parser {
    const md_keras_file *file;
    md_arena *ar;
    md_error *err;
    md_keras_refusal *refusals;
    uint32_t n_refused;
    uint32_t n_calls;
    int depth;
} md_keras_parser;

md_status md_keras_parse__nomem(const md_keras_parser *p, size_t size);

/* The layer cannot be converted, for this reason; reading goes on. */
md_status md_keras_parse__refuse(md_keras_parser *p, md_keras_layer *l,
                                 const char *why);

/* The same because of a value, which is shown as JSON. */
md_status md_keras_parse__refuse_value(md_keras_parser *p, md_keras_layer *l,
                                       const char *what, const json_t *v,
                                       const char *where);

/* Room for n calls of a layer. */
md_status md_keras_parse__alloc_calls(md_keras_layer *l, md_keras_parser *p,
                                      size_t n);

/* The calls of all layers, in the net's order; items are their JSON. */
md_status md_keras_parse__calls(md_keras_parser *p, md_keras_net *net,
                                const json_t *items);

/* A net's inputs or outputs, by the key of its config. */
md_status md_keras_parse__ends(md_keras_ref **out, uint32_t *n,
                               const md_keras_parser *p,
                               const md_keras_net *net, const json_t *config,
                               const char *key);

#endif
