#include "cli/model.h"
#include "cli/print.h"
#include "cli/vectors.h"

enum {
    TOLERANCE_MAX = 1000000
};

static md_status check(const md_args *a, md_cli_session *cli, double atol,
                       double rtol, md_error *err)
{
    const md_session *s = cli->session;
    md_vectors v;
    md_json_writer w;
    md_buf b;
    md_status st = MD_OK;

    MD_TRY(md_vectors_run(&v, cli, a->pos[1], atol, rtol, a, err));
    if (md_args_has(a, "json")) {
        md_cli_json_begin(&w, &b);
        md_vectors_json(&v, s, &w);
        st = md_cli_json_end(&w, &b, a->cli->out, err);
    } else {
        md_vectors_print(&v, s, a->cli->out);
    }
    if (st == MD_OK)
        st = md_vectors_verdict(&v, err);
    md_vectors_release(&v);
    return st;
}

static md_status run(const md_args *a, md_error *err)
{
    md_cli_session s;
    double atol = md_args_real(a, "atol", 1e-5);
    double rtol = md_args_real(a, "rtol", 1e-4);
    md_status st;

    MD_TRY(md_cli_session_open(&s, a->pos[0], a, err));
    st = check(a, &s, atol, rtol, err);
    md_cli_session_close(&s);
    return st;
}

static const md_flag flags[] = {
    { .name = "atol",
      .type = MD_OPT_REAL,
      .arg = "X",
      .max = TOLERANCE_MAX,
      .help = "error that is allowed (1e-5), plus" },
    { .name = "rtol",
      .type = MD_OPT_REAL,
      .arg = "X",
      .max = TOLERANCE_MAX,
      .help = "this times the output's greatest value (1e-4)" },
    MD_FLAG_THREADS,
    MD_FLAG_PRECISION,
    MD_FLAG_WEIGHT_CACHE,
    MD_FLAGS_SOURCE,
    MD_FLAG_JSON,
};

const md_cmd md_cmd_check = {
    .usage = "MODEL DIR [--atol X] [--rtol X] [--json]",
    .text = "Runs the vectors in DIR (test_data_set_N/input_I.pb and "
            "output_I.pb, or .npy) and\nprints how far the outputs are from "
            "the stored ones; exit status 1 on a miss.",
    .example = "modeld check net.onnx net.vectors",
    .flags = flags,
    .n_flags = MD_COUNT(flags),
    .n_min = 2,
    .n_max = 2,
    .run = run,
};
