#include "app/options.h"

const md_opt_row md_app_options[] = {
#define OPTION(name, type, otherwise, min, max, choices, reloadable, help)     \
    { #name, MD_OPT_##type, otherwise, min, max, choices, reloadable, help },
#include "app/options.def"
#undef OPTION
};

const size_t md_app_n_options = MD_COUNT(md_app_options);
