/* Models of XGBoost and LightGBM from memory: converted, freed. */
#include <stdint.h>

#include "convert/convert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    md_convert_opts opts = MD_CONVERT_OPTS_INIT;
    md_model *m = NULL;

    opts.no_self_check = true;
    if ((!md_converter_xgboost.probe(data, size) &&
         !md_converter_lightgbm.probe(data, size)) ||
        md_convert_bytes(&m, data, size, "fuzz", &opts, NULL,
                         md_alloc_default(), NULL) != MD_OK)
        return 0;
    md_model_free(m);
    return 0;
}
