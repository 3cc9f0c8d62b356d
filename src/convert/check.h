/* Parts of the self-check, for convert/ only. */
#ifndef MD_CONVERT_CHECK_H
#define MD_CONVERT_CHECK_H

#include "convert/convert.h"
#include "engine/session.h"

/* What an input is filled with. */
typedef struct md_check_fill {
    double from, to; /* numbers, that depend on seed */
    uint32_t seed;
    int64_t whole; /* integers */
    bool missing;  /* some numbers are NaN */
} md_check_fill;

/* An input of that type, free sizes chosen (the first one `batch`). */
md_status md_check__input(md_tensor *out, const md_type *t, int64_t batch,
                          const md_check_fill *fill, const md_alloc *alloc,
                          md_error *err);

/* Run the session and the import form on the same inputs.  MD_MISMATCH when
 * they part; text tells how far apart they are. */
md_status md_check__compare(md_session *s, const md_model *plain,
                            const md_convert_trial *trial, bool *ran,
                            char text[MD_CONVERT_TEXT], md_error *err);

/* Does it give the same each time? */
bool md_check__is_repeatable(const md_model *m);

#endif
