/* TorchScript files. */
#include "convert/torch/script.h"

#include "convert/torch/program.h"

struct md_torch_object {
    md_tv *at;
};

md_tv md_torch_object_at(const md_torch_object *o, uint32_t slot)
{
    return o->at[slot];
}

void md_torch_object_put(md_torch_object *o, uint32_t slot, md_tv v)
{
    o->at[slot] = v;
}

md_status md_torch_script(const md_torch_task *t, md_error *err)
{
    (void)t;
    return md_fail(err, MD_UNSUPPORTED,
                   "torch: a TorchScript program, torch.export expected");
}
