/* Codes, types and errors: the public numbers are the project's own. */
#include <string.h>

#include "api/api.h"

#define X(name, value, http, grpc, text)                                       \
    _Static_assert(MODELD_##name == (value), "modeld.h: code " #name);
#include "base/status.def"
#undef X

#define DTYPE(id, value, bits, name, v2, npy, cls)                             \
    _Static_assert(MODELD_TYPE_##id == (value), "modeld.h: type " #id);
#include "tensor/dtypes.def"
#undef DTYPE

_Static_assert((int)MODELD_RANK_MAX == (int)MD_RANK_MAX, "modeld.h: rank");
_Static_assert((int)MODELD_MESSAGE_SIZE == (int)MD_ERROR_MSG_SIZE,
               "modeld.h: length of messages");
_Static_assert((int)MODELD_THREADS_MAX == (int)MD_POOL_WIDTH_MAX,
               "modeld.h: threads");

const char *modeld_version(void)
{
    return MODELD_VERSION;
}

const char *modeld_code_text(modeld_code code)
{
    return md_status_text((md_status)code);
}

const char *modeld_type_name(modeld_type type)
{
    return md_dtype_is_valid((int)type) ? md_dtype_name((md_dtype)type)
                                        : "unknown";
}

modeld_code md_api__give(modeld_error *err, md_status s, const md_error *e)
{
    if (s != MD_OK && err) {
        err->code = (modeld_code)s;
        memcpy(err->message, e->msg, sizeof(err->message));
    }
    return (modeld_code)s;
}
