/* Weights without a program. */
#include <stdio.h>
#include <string.h>

#include "convert/torch/program.h"
#include "convert/torch/weights.h"

/* What a file holds, for who wants to know why it is no model. */
static md_status tell(const md_torch_weights *w, md_error *err)
{
    char text[MD_ERROR_MSG_SIZE] = "";

    for (uint32_t i = 0; i < w->n && strlen(text) < 220; i++) {
        char shape[MD_SHAPE_TEXT];
        size_t n = strlen(text);

        snprintf(text + n, sizeof(text) - n, "%s%.60s %s%s", n ? ", " : "",
                 w->w[i].name, md_dtype_name(w->w[i].view.dtype),
                 md_shape_format(shape, sizeof(shape), &w->w[i].view.shape));
    }
    return md_fail(err, MD_UNSUPPORTED,
                   "torch: %u tensors and no program, which no known "
                   "architecture fits; export the model (torch.export). "
                   "Tensors: %s%s",
                   w->n, text, strlen(text) >= 220 ? ", ..." : "");
}

md_status md_torch_state(const md_torch_task *t, md_error *err)
{
    md_torch_weights w;
    md_status s;

    MD_TRY(
        md_torch_weights_read(&w, t->src->bytes, t->src->size, t->arena, err));
    s = tell(&w, err);
    md_torch_weights_release(&w);
    return s;
}
