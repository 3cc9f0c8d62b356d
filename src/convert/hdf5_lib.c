#include "convert/hdf5_lib.h"

#include <dlfcn.h>
#include <string.h>

#define TEXT(x) #x
#define EXPANDED(x) TEXT(x) /* versions of hdf5.h rename by macros */

/* Names, and where their addresses go. */
static const struct {
    const char *name;
    size_t offset;
} symbols[] = {
#define FUNCTION(name) { EXPANDED(H5##name), offsetof(md_hdf5_lib, name) },
#define ID(name) { EXPANDED(H5##name##_g), offsetof(md_hdf5_lib, name) },
#include "convert/hdf5_lib.def"
#undef FUNCTION
#undef ID
};

static md_status fail(md_error *err)
{
    return md_fail(err, MD_UNAVAILABLE,
                   "hdf5: %.200s: the library that reads such files is "
                   "expected (Debian 12: apt-get install libhdf5-103-1)",
                   dlerror());
}

md_status md_hdf5_lib_load(md_hdf5_lib *out, const char *soname, md_error *err)
{
    void *handle = dlopen(soname, RTLD_NOW | RTLD_LOCAL);

    if (!handle)
        return fail(err);
    for (size_t i = 0; i < sizeof(symbols) / sizeof(symbols[0]); i++) {
        void *address = dlsym(handle, symbols[i].name);

        if (!address)
            return fail(err);
        memcpy((char *)out + symbols[i].offset, &address, sizeof(address));
    }
    return MD_OK;
}
