/*
 * modeld as a library: open a trained model, run it.
 *
 *   modeld_model *model;
 *   modeld_error err;
 *
 *   if (modeld_model_open(&model, "net.onnx", NULL, &err) != MODELD_OK)
 *       fprintf(stderr, "%s\n", err.message);
 *
 * Who owns what: a model is the caller's from open to close.  What functions
 * return by pointer belongs to the model.  Inputs stay the caller's and are
 * only read.  Outputs of a run are the caller's until modeld_tensor_release.
 *
 * Errors: functions that can fail return a modeld_code and take a modeld_error
 * last, which may be NULL, is written only on failure, and then says what was
 * given and what was expected.  Nothing that a file, an option or a tensor
 * holds ends the process; running out of memory is MODELD_NOMEM.
 *
 * Threads: any number of threads may use one model at once, running it
 * included.  Opening may happen on any thread; closing must be the last use.
 * A model does not survive fork() in the child.
 *
 * Stability: numbers of enums never change, structs that the library fills
 * and options grow at their end only.
 */
#ifndef MODELD_H
#define MODELD_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The version that this header is of; modeld_version() tells that of the
 * library. */
#define MODELD_VERSION_MAJOR 0
#define MODELD_VERSION_MINOR 1
#define MODELD_VERSION_PATCH 0

#if defined(__GNUC__)
#define MODELD_API __attribute__((visibility("default")))
#else
#define MODELD_API
#endif

/* What became of a call. */
typedef enum modeld_code {
    MODELD_OK = 0,
    MODELD_INVALID = 1,     /* an argument or tensor that does not fit */
    MODELD_NOT_FOUND = 2,   /* no such file */
    MODELD_UNSUPPORTED = 3, /* a sound model that modeld cannot run */
    MODELD_NOMEM = 4,
    MODELD_CORRUPT = 5, /* a broken model file */
    MODELD_IO = 6,
    MODELD_TOO_LARGE = 7, /* over a limit, or a size that overflows */
    MODELD_TIMEOUT = 8,
    MODELD_CANCELLED = 9,
    MODELD_BUSY = 10,
    MODELD_UNAVAILABLE = 11, /* the system gives no thread or process */
    MODELD_EXISTS = 12,
    MODELD_DENIED = 13, /* no permission, or data outside the model's folder */
    MODELD_METHOD = 14,
    MODELD_MEDIA_TYPE = 15,
    MODELD_HEADER_TOO_LARGE = 16,
    MODELD_MISMATCH = 17, /* a converted model that fails its check */
    MODELD_INTERNAL = 18
} modeld_code;

/* Element types; the numbers are those of ONNX. */
typedef enum modeld_type {
    MODELD_TYPE_F32 = 1,
    MODELD_TYPE_U8 = 2,
    MODELD_TYPE_I8 = 3,
    MODELD_TYPE_U16 = 4,
    MODELD_TYPE_I16 = 5,
    MODELD_TYPE_I32 = 6,
    MODELD_TYPE_I64 = 7,
    MODELD_TYPE_STRING = 8, /* elements are modeld_string */
    MODELD_TYPE_BOOL = 9,   /* one byte, 0 or 1 */
    MODELD_TYPE_F16 = 10,
    MODELD_TYPE_F64 = 11,
    MODELD_TYPE_U32 = 12,
    MODELD_TYPE_U64 = 13,
    MODELD_TYPE_C64 = 14, /* real and imaginary part, float each */
    MODELD_TYPE_C128 = 15,
    MODELD_TYPE_BF16 = 16,
    MODELD_TYPE_F8E4M3FN = 17,
    MODELD_TYPE_F8E4M3FNUZ = 18,
    MODELD_TYPE_F8E5M2 = 19,
    MODELD_TYPE_F8E5M2FNUZ = 20,
    MODELD_TYPE_U4 = 21, /* packed, first element in the lowest bits, as */
    MODELD_TYPE_I4 = 22, /* all types below eight bits are */
    MODELD_TYPE_F4E2M1 = 23,
    MODELD_TYPE_F8E8M0 = 24,
    MODELD_TYPE_U2 = 25,
    MODELD_TYPE_I2 = 26
} modeld_type;

/* How exactly float models are computed. */
typedef enum modeld_precision {
    MODELD_PRECISION_FP32 = 0,   /* any kernel whose error is at most 3 times
                                  * that of fp32 multiply and add */
    MODELD_PRECISION_STRICT = 1, /* fp32 multiply and add only; results of
                                  * float16 and bfloat16 nodes are rounded */
    MODELD_PRECISION_BF16 = 2,   /* bfloat16 products, fp32 sums, where the
                                  * CPU has instructions for them */
    MODELD_PRECISION_AUTO = 3    /* BF16 when made-up samples, run while the
                                  * model is opened, show next to no
                                  * difference; else FP32 */
} modeld_precision;

enum {
    MODELD_RANK_MAX = 8,
    MODELD_MESSAGE_SIZE = 512,
    MODELD_THREADS_MAX = 256
};

/* Lies with the caller, usually on the stack; needs no initialization. */
typedef struct modeld_error {
    modeld_code code;
    char message[MODELD_MESSAGE_SIZE]; /* lower case, terminated */
} modeld_error;

/*
 * How to open a model.  Start from MODELD_OPTIONS_INIT, which is what NULL
 * stands for.  `size` tells the library which members this program knows:
 * those that came later have their defaults; an older library refuses
 * members that it does not know unless they are zero.
 */
typedef struct modeld_options {
    size_t size;                /* sizeof(modeld_options) */
    int threads;                /* of this model, the caller's included:
                                 * 0..MODELD_THREADS_MAX; 0: one per CPU */
    modeld_precision precision; /* of float models */
} modeld_options;

#define MODELD_OPTIONS_INIT                                                    \
    {                                                                          \
        sizeof(modeld_options), 0, MODELD_PRECISION_FP32                       \
    }

/* A model, ready to run. */
typedef struct modeld_model modeld_model;

/* An input or output of a model. */
typedef struct modeld_info {
    const char *name;
    modeld_type type;
    int rank;                     /* -1: known only after a run */
    int64_t dim[MODELD_RANK_MAX]; /* -1: any size */
} modeld_info;

/* An element of a string tensor: n bytes, not terminated. */
typedef struct modeld_string {
    const char *p;
    size_t n;
} modeld_string;

/* Elements in row-major order without gaps. */
typedef struct modeld_tensor {
    modeld_type type;
    int rank; /* 0: a single element */
    int64_t dim[MODELD_RANK_MAX];
    void *data;  /* aligned for its type; of an input only read; may be NULL
                 * when there are no elements */
    size_t size; /* bytes at data */
    const void *owner; /* the library's; NULL in tensors of the caller */
} modeld_tensor;

/* The library's version, "0.1.0". */
MODELD_API const char *modeld_version(void);

/* A few words for a code ("not found"), the name of a type ("float32";
 * "unknown" for other numbers).  Never NULL; they live for ever. */
MODELD_API const char *modeld_code_text(modeld_code code);
MODELD_API const char *modeld_type_name(modeld_type type);

/*
 * Open the model file at `path`: ONNX, whose external data must lie in its
 * folder, or Keras .keras and .h5, which are converted in memory (by a child
 * process, which cannot do anything else).  opts may be NULL.  The file must
 * not be cut short while the model is open, since its weights are mapped.
 *
 * On success *out is to be closed with modeld_model_close; on failure it is
 * NULL and err says why: MODELD_NOT_FOUND, MODELD_DENIED, MODELD_IO,
 * MODELD_CORRUPT, MODELD_TOO_LARGE, MODELD_UNSUPPORTED (naming the operators
 * that are missing), MODELD_INVALID (arguments), MODELD_UNAVAILABLE (no
 * thread), MODELD_NOMEM.
 */
MODELD_API modeld_code modeld_model_open(modeld_model **out, const char *path,
                                         const modeld_options *opts,
                                         modeld_error *err);

/* The same for the contents of a model file in memory, which need not outlive
 * the call.  A model with external data is MODELD_DENIED. */
MODELD_API modeld_code modeld_model_open_memory(modeld_model **out,
                                                const void *bytes, size_t size,
                                                const modeld_options *opts,
                                                modeld_error *err);

/* Free the model; no run may be in progress.  Outputs of earlier runs stay
 * valid.  NULL is allowed. */
MODELD_API void modeld_model_close(modeld_model *model);

/* Inputs and outputs, in the model's order: how many, and number i, which
 * belongs to the model; NULL when there is no such one (or no model). */
MODELD_API size_t modeld_model_n_inputs(const modeld_model *model);
MODELD_API size_t modeld_model_n_outputs(const modeld_model *model);
MODELD_API const modeld_info *modeld_model_input(const modeld_model *model,
                                                 size_t i);
MODELD_API const modeld_info *modeld_model_output(const modeld_model *model,
                                                  size_t i);

/*
 * Run the model once.  `inputs` are all of its inputs in order, with concrete
 * shapes; `outputs` has room for all of its outputs and is only written.
 * Memory for a set of input shapes is planned when it is first met and kept.
 *
 * On success each output is to be released with modeld_tensor_release; on
 * failure there is nothing to release and every output is zeroed.
 * MODELD_INVALID names what does not fit: a count, or a type, shape, size,
 * alignment or value of an input; further MODELD_TOO_LARGE, MODELD_NOMEM and
 * MODELD_UNSUPPORTED.
 */
MODELD_API modeld_code modeld_model_run(modeld_model *model,
                                        const modeld_tensor *inputs,
                                        size_t n_inputs, modeld_tensor *outputs,
                                        size_t n_outputs, modeld_error *err);

/* Free the data of an output and zero the tensor.  Does nothing to data of
 * the caller; a zeroed tensor and NULL are allowed. */
MODELD_API void modeld_tensor_release(modeld_tensor *tensor);

#ifdef __cplusplus
}
#endif

#endif
