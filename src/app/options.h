/* The options of the program, from options.def. */
#ifndef MD_APP_OPTIONS_H
#define MD_APP_OPTIONS_H

#include "base/opt.h"

extern const md_opt_row md_app_options[];
extern const size_t md_app_n_options;

#endif
