/* Runs over examples, and what is told of them. */
#include "serve/proto.h"
#include "serve/tfs_pb.h"

md_status md_tfs_pb_parse_examples(void *request, md_call *call, void *ctx,
                                   md_error *err)
{
    md_tfs_messages *messages = ctx;
    md_pb in = messages->request;
    md_pb input = md_pb_init(NULL, 0);
    md_pb_field f;

    (void)call;
    for (;;) {
        MD_TRY(md_pb_next(&f, &in, err));
        if (f.number == 0)
            return md_tfs_pb_read_examples(request, input, err);
        if (f.number == MD_PB_ClassificationRequest_input)
            MD_TRY(md_pb_message(&input, &f, err));
    }
}

md_status md_tfs_pb_put_classes(md_pb_writer *w, uint32_t number,
                                const md_tfs_request *r, md_error *err)
{
    const md_serve_model *m = r->feed.model;
    const md_tensor *t;
    md_pb_mark result;

    MD_TRY(md_tfs_scores(r, &t, err));
    result = md_pb_begin(w, number);
    for (int64_t row = 0; row < r->batch; row++) {
        md_pb_mark list =
            md_pb_begin(w, MD_PB_ClassificationResult_classifications);

        for (uint32_t i = 0; i < m->n_labels; i++) {
            md_pb_mark class = md_pb_begin(w, MD_PB_Classifications_classes);

            md_pb_put_text(w, MD_PB_Class_label, m->labels[i]);
            md_pb_put_float(w, MD_PB_Class_score,
                            (float)md_tensor_get_f64(
                                t, row * (int64_t)m->n_labels + (int64_t)i));
            md_pb_end(w, class);
        }
        md_pb_end(w, list);
    }
    md_pb_end(w, result);
    return MD_OK;
}

md_status md_tfs_pb_put_values(md_pb_writer *w, uint32_t number,
                               const md_tfs_request *r, md_error *err)
{
    const md_tensor *t;
    md_pb_mark result;

    MD_TRY(md_tfs_values(r, &t, err));
    result = md_pb_begin(w, number);
    for (int64_t row = 0; row < r->batch; row++) {
        md_pb_mark value = md_pb_begin(w, MD_PB_RegressionResult_regressions);

        md_pb_put_float(w, MD_PB_Regression_value,
                        (float)md_tensor_get_f64(t, row));
        md_pb_end(w, value);
    }
    md_pb_end(w, result);
    return MD_OK;
}
