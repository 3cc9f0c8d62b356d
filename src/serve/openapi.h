/* The OpenAPI document of routes.def. */
#ifndef MD_SERVE_OPENAPI_H
#define MD_SERVE_OPENAPI_H

#include "base/json.h"

void md_openapi_write(md_json_writer *w);

#endif
