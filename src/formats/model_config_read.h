/* How the messages of a model configuration are read: by lists of the fields
 * that they may have. */
#ifndef MD_FORMATS_MODEL_CONFIG_READ_H
#define MD_FORMATS_MODEL_CONFIG_READ_H

#include "formats/model_config.h"
#include "formats/textpb.h"

typedef struct md_config_reader {
    md_arena *ar;
    md_error *err;
} md_config_reader;

/* A field that a message may have: `take` reads it to the member at `at`. */
typedef struct md_config_field {
    const char *name;
    md_status (*take)(md_config_reader *r, const md_textpb *f, void *to);
    size_t at;
} md_config_field;

/* MD_INVALID: the line, the field, what is given and what was expected. */
md_status md_config__fail(const md_config_reader *r, const md_textpb *f,
                          const char *expected);

/* Read the fields of a message by the list, which ends with a NULL name. */
md_status md_config__message(md_config_reader *r, const md_textpb *m,
                             const md_config_field *list, void *to);

/*
 * Call fn for each entry of a map that the field has: {key: K value: V}, in
 * JSON "K": V.  value is NULL when there is none.
 */
md_status md_config__map(md_config_reader *r, const md_textpb *f,
                         md_status (*fn)(md_config_reader *r,
                                         const md_textpb *key,
                                         const md_textpb *value, void *to),
                         void *to);

/* ---- values of fields ---- */

md_status md_config__nothing(md_config_reader *r, const md_textpb *f, void *to);
md_status md_config__refuse(md_config_reader *r, const md_textpb *f, void *to);

/* const char *; NULL when it is empty. */
md_status md_config__text(md_config_reader *r, const md_textpb *f, void *to);

/* The same, a name that becomes part of a path. */
md_status md_config__file_name(md_config_reader *r, const md_textpb *f,
                               void *to);

md_status md_config__bool(md_config_reader *r, const md_textpb *f, void *to);

/* int64_t */
md_status md_config__number(md_config_reader *r, const md_textpb *f,
                            int64_t min, int64_t max, int64_t *to);
md_status md_config__count(md_config_reader *r, const md_textpb *f, void *to);

/* md_config_ints; from -1, 1 and 0 up. */
md_status md_config__dims(md_config_reader *r, const md_textpb *f, void *to);
md_status md_config__positives(md_config_reader *r, const md_textpb *f,
                               void *to);
md_status md_config__naturals(md_config_reader *r, const md_textpb *f,
                              void *to);

/* ---- messages with files of their own ---- */

/* ensemble_scheduling: an md_config_steps. */
md_status md_config__ensemble(md_config_reader *r, const md_textpb *f,
                              void *to);

#endif
