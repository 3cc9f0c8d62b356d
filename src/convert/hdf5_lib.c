#include "convert/hdf5_lib.h"

#include "base/dynlib.h"

#define TEXT(x) #x
#define EXPANDED(x) TEXT(x) /* versions of hdf5.h rename by macros */

/* Names, and where their addresses go. */
static const md_symbol symbols[] = {
#define FUNCTION(name) { EXPANDED(H5##name), offsetof(md_hdf5_lib, name) },
#define ID(name) { EXPANDED(H5##name##_g), offsetof(md_hdf5_lib, name) },
#include "convert/hdf5_lib.def"
#undef FUNCTION
#undef ID
};

md_status md_hdf5_lib_load(md_hdf5_lib *out, const char *soname, md_error *err)
{
    md_error why = MD_ERROR_INIT;

    if (md_dynlib_load(out, soname, symbols, MD_COUNT(symbols), &why) == MD_OK)
        return MD_OK;
    return md_fail(err, MD_UNAVAILABLE,
                   "hdf5: %s: the library that reads such files is expected "
                   "(Debian 12: apt-get install libhdf5-103-1)",
                   why.msg);
}
