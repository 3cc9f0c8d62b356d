/* What a program does with modeld.h, in the words that C99 and each C++ have
 * in common.  It is only compiled. */
#include "modeld.h"

static modeld_code run_once(const char *path, float *x)
{
    modeld_options opts = MODELD_OPTIONS_INIT;
    modeld_model *model = NULL;
    modeld_tensor in, out;
    modeld_error err;
    modeld_code code;

    opts.threads = 1;
    opts.precision = MODELD_PRECISION_STRICT;
    code = modeld_model_open(&model, path, &opts, &err);
    if (code != MODELD_OK)
        return err.code;
    in.type = modeld_model_input(model, 0)->type;
    in.rank = 1;
    in.dim[0] = 1;
    in.data = x;
    in.size = sizeof(*x);
    in.owner = NULL;
    code = modeld_model_run(model, &in, 1, &out, 1, NULL);
    modeld_tensor_release(&out);
    modeld_model_close(model);
    return code;
}

int main(int argc, char **argv)
{
    static const int versions[] = { MODELD_VERSION_MAJOR, MODELD_VERSION_MINOR,
                                    MODELD_VERSION_PATCH };
    float x = 1;

    return run_once(argv[argc - 1], &x) == MODELD_OK ? versions[0] : 1;
}
