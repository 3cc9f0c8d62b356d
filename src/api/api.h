/*
 * What the files of the public interface share.
 *
 * include/modeld.h is a language of its own, free of the project's types, so
 * that those can change: everything is translated here, nothing is cast.
 */
#ifndef MD_API_API_H
#define MD_API_API_H

#include "engine/session.h"
#include "modeld.h"

struct modeld_model {
    const md_alloc *alloc;
    md_pool *pool; /* its own; NULL: the caller's thread alone */
    md_session *session;
    modeld_info *inputs;
    modeld_info *outputs;
};

/* Hand e's text to the caller; returns s as a public code. */
modeld_code md_api__give(modeld_error *err, md_status s, const md_error *e);

#endif
