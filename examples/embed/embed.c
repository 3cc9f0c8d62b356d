/* embed MODEL: run a model with one float input on zeros, print its answer. */
#include <modeld.h>
#include <stdio.h>

static float x[1 << 20]; /* room for the input; zeros */

int main(int argc, char **argv)
{
    modeld_tensor out, in = { .type = MODELD_TYPE_F32, .data = x };
    modeld_error err = { MODELD_INVALID, "usage: embed MODEL" };
    modeld_model *model = NULL;
    const modeld_info *info;
    modeld_code code = err.code;

    if (argc == 2)
        code = modeld_model_open(&model, argv[1], NULL, &err);
    info = modeld_model_input(model, 0);
    if (info) {
        in.rank = info->rank;
        in.size = sizeof(x[0]);
        for (int d = 0; d < in.rank; d++) { /* -1: any size, so 1 */
            in.dim[d] = info->dim[d] < 0 ? 1 : info->dim[d];
            in.size *= (size_t)in.dim[d];
        }
    }
    if (in.size > sizeof(x)) {
        code = MODELD_TOO_LARGE;
        snprintf(err.message, sizeof(err.message), "the input is too large");
    }
    if (code == MODELD_OK)
        code = modeld_model_run(model, &in, 1, &out, 1, &err);
    if (code == MODELD_OK) {
        printf("output '%s': %zu numbers, the first %g\n",
               modeld_model_output(model, 0)->name, out.size / sizeof(float),
               (double)*(const float *)out.data);
        modeld_tensor_release(&out);
    } else {
        fprintf(stderr, "embed: %s\n", err.message);
    }
    modeld_model_close(model);
    return code != MODELD_OK;
}
