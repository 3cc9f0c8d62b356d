/*
 * Parts of the interface that only clients may use which know a word, as
 * Triton's --http-restricted-api and --grpc-restricted-protocol have it: the
 * word is the value of a field of the request's head, over gRPC with
 * "triton-grpc-protocol-" before the field's name.
 */
#ifndef MD_SERVE_RESTRICT_H
#define MD_SERVE_RESTRICT_H

#include "net/http_server.h"

typedef enum md_api {
    MD_API_FREE, /* cannot be restricted */
    MD_API_HEALTH,
    MD_API_METADATA,
    MD_API_INFERENCE,
    MD_API_SHARED_MEMORY,
    MD_API_MODEL_CONFIG,
    MD_API_MODEL_REPOSITORY,
    MD_API_STATISTICS,
    MD_API_TRACE,
    MD_API_LOGGING,
    MD_N_APIS
} md_api;

/* "model-repository" */
const char *md_api_name(md_api api);

typedef struct md_restrict_rule {
    const char *field; /* NULL: anybody may */
    const char *grpc_field;
    const char *value;
} md_restrict_rule;

typedef struct md_restrict {
    md_restrict_rule rule[MD_N_APIS];
} md_restrict;

/*
 * Read "API,...:FIELD=VALUE", several of them separated by ';'.  All is the
 * arena's.  MD_INVALID quotes what is wrong, but never a value; an API may be
 * restricted once.
 */
md_status md_restrict_parse(md_restrict *out, const char *text, md_arena *ar,
                            md_error *err);

/* MD_DENIED, with the name of the field that was expected. */
md_status md_restrict_check(const md_restrict *r, md_api api,
                            const md_http_request *req, md_error *err);

#endif
