#include "base/dynlib.h"

#include <dlfcn.h>
#include <string.h>

static md_status fail(md_error *err)
{
    return md_fail(err, MD_UNAVAILABLE, "%.200s", dlerror());
}

md_status md_dynlib_load(void *table, const char *soname,
                         const md_symbol *symbols, size_t n, md_error *err)
{
    void *handle = dlopen(soname, RTLD_NOW | RTLD_LOCAL);

    if (!handle)
        return fail(err);
    for (size_t i = 0; i < n; i++) {
        void *address = dlsym(handle, symbols[i].name);

        if (!address)
            return fail(err);
        memcpy((char *)table + symbols[i].offset, &address, sizeof(address));
    }
    return MD_OK;
}
