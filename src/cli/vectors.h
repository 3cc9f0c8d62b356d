/*
 * Stored vectors: inputs with the outputs that some other program gave.
 *
 * A folder with test_data_set_0, test_data_set_1, ..., each with input_0.pb,
 * input_1.pb, ..., output_0.pb, ... (or .npy), as ONNX's backend tests have
 * them; or a folder with those files alone.
 */
#ifndef MD_CLI_VECTORS_H
#define MD_CLI_VECTORS_H

#include "base/json.h"
#include "cli/model.h"
#include "tensor/compare.h"

typedef struct md_vector_output {
    uint32_t set;
    uint32_t output;
    md_diff diff;
    bool right;
    char why[MD_ERROR_MSG_SIZE]; /* not right */
} md_vector_output;

typedef struct md_vectors {
    md_vector_output *rows; /* one for each stored output */
    uint32_t n_rows, cap_rows;
    uint32_t n_sets;
    uint32_t n_wrong;
    double abs_max; /* of all */
} md_vectors;

/*
 * Run every set through the session and compare: |got - want| <= atol + rtol *
 * max |want| of the output.  A miss is in the report and no failure; a file
 * that cannot be read or a run that fails is.  Released by the caller.
 */
md_status md_vectors_run(md_vectors *out, md_cli_session *s, const char *dir,
                         double atol, double rtol, const md_args *a,
                         md_error *err);
void md_vectors_release(md_vectors *v);

/* The table, or one member "vectors" of a JSON object. */
void md_vectors_print(const md_vectors *v, const md_session *s, FILE *f);
void md_vectors_json(const md_vectors *v, const md_session *s,
                     md_json_writer *w);

/* MD_MISMATCH, with how many missed, unless all are right. */
md_status md_vectors_verdict(const md_vectors *v, md_error *err);

#endif
