/*
 * Any bytes as ModelInferRequest and as TensorFlow Serving's requests, for
 * models of every type, and as a gRPC body and its fields: prefix, timeout, both
 * compressions.  The first byte chooses.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "net/http_conn.h"
#include "serve/grpc.h"
#include "serve/proto.h"
#include "serve/server_impl.h"
#include "serve/v2.h"

enum {
    SIZE_MAX_OUT = 1 << 20,
    SCRATCH_MAX = 1 << 22
};

static void require(bool ok)
{
    if (!ok)
        abort();
}

static void fuzz_body(uint8_t choice, const uint8_t *data, size_t size)
{
    const md_slice bytes = { (const char *)data, size };
    md_grpc_message m;
    md_buf plain;
    md_buf coded;
    bool there = false;
    int64_t ns;

    (void)md_grpc_prefix(&m, &there, bytes, SIZE_MAX_OUT, NULL);
    if (md_grpc_timeout(&ns, bytes, NULL) == MD_OK)
        require(ns >= 0);
    require(md_coding_choose(bytes) < MD_N_CODINGS);
    md_buf_init(&plain, md_alloc_default(), SIZE_MAX_OUT);
    md_buf_init(&coded, md_alloc_default(), (size_t)2 * SIZE_MAX_OUT);
    if (md_coding_decode(&plain,
                         choice & 1 ? MD_CODING_GZIP : MD_CODING_DEFLATE, bytes,
                         NULL) == MD_OK) {
        const md_slice text = { (const char *)plain.data, plain.size };
        md_buf again;

        md_buf_init(&again, md_alloc_default(), SIZE_MAX_OUT);
        require(md_coding_encode(&coded, MD_CODING_GZIP, text, NULL) == MD_OK);
        require(
            md_coding_decode(&again, MD_CODING_GZIP,
                             (md_slice){ (const char *)coded.data, coded.size },
                             NULL) == MD_OK);
        require(again.size == plain.size &&
                (plain.size == 0 ||
                 memcmp(again.data, plain.data, plain.size) == 0));
        md_buf_release(&again);
    }
    md_buf_release(&plain);
    md_buf_release(&coded);
}

/* ---- a model that gives its inputs back ---- */

enum {
    N_IOS = 14
};

typedef struct run {
    md_tensor t[N_IOS];
} run;

static const md_dtype TYPES[N_IOS] = {
    MD_DTYPE_BOOL, MD_DTYPE_I8,  MD_DTYPE_I16,    MD_DTYPE_I32, MD_DTYPE_I64,
    MD_DTYPE_U8,   MD_DTYPE_U16, MD_DTYPE_U32,    MD_DTYPE_U64, MD_DTYPE_F16,
    MD_DTYPE_F32,  MD_DTYPE_F64, MD_DTYPE_STRING, MD_DTYPE_BF16
};
static const md_serve_model *the_model; /* of this input */

static md_status acquire(void *ctx, void **run_out, const md_shape *shapes,
                         md_error *err)
{
    run *r = ctx;

    (void)err;
    for (uint32_t i = 0; i < the_model->n_inputs; i++) {
        r->t[i].dtype = the_model->inputs[i].dtype;
        r->t[i].shape = shapes[i];
    }
    *run_out = r;
    return MD_OK;
}

static void take(void *r, uint32_t i, const void *data)
{
    ((run *)r)->t[i].data = (void *)data; /* only read */
}

static md_status execute(void *r, int width, md_error *err)
{
    (void)r;
    (void)width;
    (void)err;
    return MD_OK;
}

static const md_tensor *output(const void *r, uint32_t i)
{
    return &((const run *)r)->t[i];
}

static void release(void *r)
{
    (void)r;
}

static const md_serve_engine ENGINE = { .acquire = acquire,
                                        .bind = take,
                                        .execute = execute,
                                        .output = output,
                                        .release = release };

/* One type of input, or two when the choice is odd. */
static const char *const LABELS[] = { "no", "yes" };

static void make_model(md_serve_model *m, md_serve_io ios[2], run *r,
                       uint8_t choice)
{
    static const char *const names[] = { "a", "b" };

    for (int i = 0; i < 2; i++)
        ios[i] = (md_serve_io){
            names[i], TYPES[(choice / 2 + i) % N_IOS], { 2, { -1, 2 } }, true
        };
    *m = (md_serve_model){ .name = "m",
                           .version = "1",
                           .platform = "fuzz",
                           .inputs = ios,
                           .outputs = ios,
                           .n_inputs = 1 + choice % 2,
                           .n_outputs = 1 + choice % 2,
                           .labels = LABELS,
                           .n_labels = 2,
                           .engine = &ENGINE,
                           .ctx = r };
    the_model = m;
}

/* ---- a call without a connection ---- */

static void check_reply(const md_buf *body)
{
    md_pb in = md_pb_init(body->data + MD_GRPC_PREFIX_SIZE,
                          body->size - MD_GRPC_PREFIX_SIZE);
    uint32_t n_outputs = 0;
    uint32_t n_raw = 0;
    md_pb_field f;

    do {
        require(md_pb_next(&f, &in, NULL) == MD_OK);
        n_outputs += f.number == MD_PB_ModelInferResponse_outputs;
        n_raw += f.number == MD_PB_ModelInferResponse_raw_output_contents;
    } while (f.number);
    require(n_outputs == n_raw && n_outputs > 0);
}

/* A table with m alone, which its end gives back. */
static md_models *put_in_service(md_serve_model *m)
{
    md_models *models = NULL;
    md_models_new_one one = { 1, NULL };

    md_arena_init(&m->arena, md_alloc_default(), 0);
    require(md_models_new(&models, NULL, NULL, 0, md_alloc_default(), NULL) ==
            MD_OK);
    require(md_served_new(&one.served, models, m, NULL) == MD_OK);
    require(md_models_begin(models, m->name, 1, NULL) == MD_OK);
    md_models_install(models, m->name, &one, 1, true);
    return models;
}

/* Call one method with the message, or V2's inference itself (NULL). */
static void fuzz_method(uint8_t choice, const md_grpc_method *method,
                        const uint8_t *data, size_t size)
{
    md_http_server http = { .alloc = md_alloc_default(),
                            .opts = MD_HTTP_SERVER_OPTS_INIT };
    md_server srv = { .alloc = md_alloc_default(),
                      .request_alloc = md_alloc_default(),
                      .opts = MD_SERVER_OPTS_INIT };
    md_http_request req = { .grpc.on = true };
    const md_pb message = md_pb_init(data, size);
    md_serve_io ios[2];
    md_serve_model m;
    md_models *models = NULL;
    md_buf scratch;
    run r = { 0 };
    md_call call = { .http = &req, .server = &srv };
    md_pb_writer w;
    md_v2_messages messages = { message, &w, false };

    make_model(&m, ios, &r, choice);
    md_shm_init(&srv.shm, "/", md_alloc_default()); /* no region is there */
    md_http__request_init(&req, &http, "fuzz");
    md_buf_init(&scratch, md_alloc_default(), SCRATCH_MAX);
    md_pb_writer_init(&w, md_alloc_default(), SCRATCH_MAX);
    call.scratch = &scratch;
    if (method) {
        models = put_in_service(&m);
        srv.models = models;
        (void)method->handle(&call, message, &w, NULL);
    } else {
        call.model = &m;
        if (md_infer_call(&call, &md_v2_grpc, &messages, NULL) == MD_OK)
            check_reply(&req.body);
    }
    md_infer_release(&call);
    md_call_drop_model(&call);
    md_models_free(models);
    md_pb_writer_release(&w);
    md_shm_release(&srv.shm);
    md_buf_release(&scratch);
    md_http__request_release(&req);
}

static void fuzz_message(uint8_t choice, const uint8_t *data, size_t size)
{
    static const int methods[] = {
        MD_GRPC_tfs_predict,         MD_GRPC_tfs_classify, MD_GRPC_tfs_regress,
        MD_GRPC_tfs_multi_inference, MD_GRPC_tfs_metadata, MD_GRPC_tfs_status,
        MD_GRPC_shm_register
    };

    fuzz_method(choice, NULL, data, size);
    for (size_t i = 0; i < MD_COUNT(methods); i++)
        fuzz_method(choice, md_grpc_methods[methods[i]], data, size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    fuzz_body(data[0], data + 1, size - 1);
    fuzz_message(data[0], data + 1, size - 1);
    return 0;
}
