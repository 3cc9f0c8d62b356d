/* Files of PyTorch: torch.export programs, TorchScript and weights. */
#include "convert/convert.h"
#include "convert/torch/program.h"

enum {
    ARENA_SIZE = 1 << 30 /* what a small file can make of itself */
};

static bool probe(const void *bytes, size_t size)
{
    return md_torch_kind_of(bytes, size) != MD_TORCH_NONE;
}

static md_status convert(md_model *model, md_convert_report *report,
                         const md_convert_source *src, md_error *err)
{
    md_arena arena;
    md_torch_task t = { model, &arena, src, report };
    md_status s;

    md_arena_init(&arena, model->alloc, ARENA_SIZE);
    switch (md_torch_kind_of(src->bytes, src->size)) {
    case MD_TORCH_EXPORT:
        s = md_torch_export(&t, err);
        break;
    case MD_TORCH_SCRIPT:
        s = md_torch_script(&t, err);
        break;
    default:
        s = md_torch_state(&t, err);
        break;
    }
    md_arena_release(&arena);
    return s;
}

const md_converter md_converter_torch = { .name = "torch",
                                          .title = "PyTorch",
                                          .probe = probe,
                                          .has_plain = true,
                                          .convert = convert };
