#include "net/openssl_lib.h"

#include "base/dynlib.h"

static const md_symbol symbols[] = {
#define FUNCTION(name) { #name, offsetof(md_openssl_lib, name) },
#include "net/openssl_lib.def"
#undef FUNCTION
};

md_status md_openssl_lib_load(md_openssl_lib *out, const char *soname,
                              md_error *err)
{
    md_error why = MD_ERROR_INIT;

    if (md_dynlib_load(out, soname, symbols, MD_COUNT(symbols), &why) == MD_OK)
        return MD_OK;
    return md_fail(err, MD_UNAVAILABLE,
                   "tls: %s: OpenSSL 3 is expected (Debian 12: apt-get install "
                   "libssl3)",
                   why.msg);
}
