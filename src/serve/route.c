#include "serve/route.h"

#define ROUTE(id) extern const md_route md_route_##id;
#include "serve/routes.def"
#undef ROUTE

const md_route *const md_routes[MD_N_ROUTES] = {
#define ROUTE(id) &md_route_##id,
#include "serve/routes.def"
#undef ROUTE
};

const char *md_route_id(size_t i)
{
    static const char *const ids[MD_N_ROUTES] = {
#define ROUTE(id) #id,
#include "serve/routes.def"
#undef ROUTE
    };

    return ids[i];
}

static bool fits(const md_route *r, md_slice path, md_url_params *params)
{
    for (size_t i = 0; i < MD_COUNT(r->paths); i++)
        if (r->paths[i] && md_url_match(r->paths[i], path, params))
            return true;
    return false;
}

md_status md_route_find(size_t *out, md_url_params *params,
                        const char **allow_out, md_slice method, md_slice path,
                        md_error *err)
{
    static const char *const allows[] = { NULL, "GET, HEAD", "POST",
                                          "GET, HEAD, POST" };
    const char *allow;
    unsigned taken = 0; /* which of them */

    for (size_t i = 0; i < MD_N_ROUTES; i++) {
        const md_route *r = md_routes[i];
        bool is_get = md_slice_eq(md_slice_of(r->method), "GET");

        if (!fits(r, path, params))
            continue;
        if (md_slice_eq(method, r->method) ||
            (is_get && md_slice_eq(method, "HEAD"))) {
            *out = i;
            return MD_OK;
        }
        taken |= is_get ? 1 : 2;
    }
    allow = allows[taken];
    if (!allow)
        return md_fail(err, MD_NOT_FOUND,
                       "not found: no route has the path '%.*s'",
                       path.size > 64 ? 64 : (int)path.size, path.data);
    *allow_out = allow;
    return md_fail(
        err, MD_METHOD, "method not allowed: %.*s given, %s expected",
        method.size > 32 ? 32 : (int)method.size, method.data, allow);
}
