/* One stored array, whose first axis counts samples, as an input wants it. */
#ifndef MD_DATA_ARRAY_H
#define MD_DATA_ARRAY_H

#include "data/picture.h"
#include "data/source.h"

typedef struct md_array {
    md_tensor t; /* owned, or in the map, or the caller's */
    md_map map;
    int64_t n; /* elements of a sample */
    /* Of pixels that become floats: values of each, by channel. */
    bool is_pixels;
    int n_tables;
    float (*table)[256];
    /* Where channel c of the stored pixel p of `plane` lies: sample + p *
     * pixel_step + c * channel_step; of what is only copied, unused. */
    bool moves;    /* colors change their axis */
    bool to_first; /* from the last axis to the first, else back */
    int64_t plane;
} md_array;

/* Let a->t, which is there, be read as input i, whose sample shape becomes what
 * fits the type and the data.  Tables lie in d->arena. */
md_status md_array_fit(md_array *a, md_dataset *d, uint32_t i,
                       const md_model *m, md_error *err);

/* Write a sample in the input's dtype.  MD_INVALID when it is not finite. */
md_status md_array_read(const md_array *a, const md_data_input *in,
                        int64_t sample, void *to, md_error *err);

/* The stored bytes of a sample. */
const void *md_array_bytes(const md_array *a, int64_t sample, size_t *size);

void md_array_release(md_array *a);

#endif
