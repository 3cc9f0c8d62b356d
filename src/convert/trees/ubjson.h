/*
 * UBJSON (draft 12) as XGBoost writes it, to JSON: objects with typed arrays.
 */
#ifndef MD_CONVERT_TREES_UBJSON_H
#define MD_CONVERT_TREES_UBJSON_H

#include <jansson.h>

#include "base/error.h"

/* The value in bytes, the caller's; MD_CORRUPT with the place, MD_NOMEM. */
md_status md_ubjson_read(json_t **out, const void *bytes, size_t size,
                         md_error *err);

#endif
