/* Pictures as input tensors. */
#ifndef MD_SERVE_IMAGE_INPUT_H
#define MD_SERVE_IMAGE_INPUT_H

#include "serve/feed.h"

/* Decode `data`, fit it to the model's one input and give it as a batch of
 * one.  MD_MEDIA_TYPE when the model takes no pictures. */
md_status md_image_input_read(md_feed *f, const void *data, size_t size,
                              md_error *err);

/* The same as a tensor of its own, [1,...], which the caller releases. */
md_status md_image_input_tensor(md_tensor *out, const md_serve_model *m,
                                const void *data, size_t size,
                                const md_alloc *alloc, md_error *err);

#endif
