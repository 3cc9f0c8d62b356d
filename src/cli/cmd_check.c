#include <string.h>

#include "base/num.h"
#include "cli/model.h"
#include "cli/print.h"
#include "cli/vectors.h"

static md_status read_number(double *out, const md_args *a, const char *name,
                             double otherwise, md_error *err)
{
    const char *text = md_args_text(a, name, NULL);
    const unsigned char *p = (const unsigned char *)text;
    const unsigned char *end;

    *out = otherwise;
    if (!text)
        return MD_OK;
    end = p + strlen(text);
    if (md_num_f64(out, &p, p, end) != MD_NUM_OK || p != end || *out < 0)
        return md_fail(err, MD_INVALID,
                       "--%s: '%.80s' given, expected a number of at least 0",
                       name, text);
    return MD_OK;
}

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
        md_json_put_object(&w);
        md_vectors_json(&v, s, &w);
        md_json_put_end(&w);
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
    double atol, rtol;
    md_status st;

    MD_TRY(read_number(&atol, a, "atol", 1e-5, err));
    MD_TRY(read_number(&rtol, a, "rtol", 1e-4, err));
    MD_TRY(md_cli_session_open(&s, a->pos[0], a, err));
    st = check(a, &s, atol, rtol, err);
    md_cli_session_close(&s);
    return st;
}

static const md_flag flags[] = {
    { .name = "atol",
      .type = MD_OPT_TEXT,
      .arg = "X",
      .help = "error that is allowed (1e-5), plus" },
    { .name = "rtol",
      .type = MD_OPT_TEXT,
      .arg = "X",
      .help = "this times the output's greatest value (1e-4)" },
    MD_FLAG_THREADS,
    MD_FLAG_PRECISION,
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
