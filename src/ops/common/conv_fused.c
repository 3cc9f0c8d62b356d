#include "ops/common/conv_fused.h"

#include <float.h>
#include <string.h>

#include "ops/common/util.h"

static const char *const attributes[] = {
    "auto_pad", "dilations", "group", "kernel_shape", "pads", "strides", NULL
};

/* activation_params are those of the activation, in its own order. */
static md_status activate(md_compose *m, md_part x, md_part *y, md_error *err)
{
    const char *name = md_node_attr_s(m->node, "activation", "");
    uint32_t n, want = strcmp(name, "LeakyRelu") == 0     ? 1
                       : strcmp(name, "Clip") == 0        ? 2
                       : strcmp(name, "HardSigmoid") == 0 ? 2
                                                          : 0;
    const float *p = md_node_attr_fs(m->node, "activation_params", &n);

    if (n != want)
        return md_fail(err, MD_INVALID,
                       "activation_params has %u elements, %u expected for "
                       "activation '%s'",
                       (unsigned)n, (unsigned)want, name);
    return md_compose_activation(m, name, n > 0 ? p[0] : 0.0f,
                                 n > 1 ? p[1] : 0.0f, x, y, err);
}

md_status md_conv_fused__emit(md_compose *m, md_part x, md_part z, md_part *y,
                              md_error *err)
{
    MD_TRY(md_compose_emit(m,
                           &(md_compose_step){ .op = "Conv",
                                               .in = { x, md_compose_in(m, 1),
                                                       md_compose_in(m, 2) },
                                               .n_in = 3,
                                               .keep = attributes },
                           y, err));
    if (z != MD_PART_NONE) {
        MD_TRY(md_compose_alike(m, *y, z, "Z", err));
        MD_TRY(md_compose_binary(m, "Add", *y, z, y, err));
    }
    return activate(m, *y, y, err);
}
