#include "support/data.h"

#include "support/test.h"

md_dataset data_make(const md_model *m, const md_tensor *inputs,
                     const md_tensor *labels)
{
    md_error err = MD_ERROR_INIT;
    md_dataset d = { .alloc = NULL };

    assert_md_ok(
        md_dataset_of_tensors(&d, m, inputs, labels, md_alloc_default(), &err),
        &err);
    return d;
}
