/* What an evaluation found, as text and as JSON. */
#ifndef MD_TRAIN_REPORT_H
#define MD_TRAIN_REPORT_H

#include "base/json.h"
#include "train/evaluate.h"

/* What was evaluated, for the report. */
typedef struct md_report_subject {
    const char *model;
    const char *original; /* NULL: none */
    const char *path;     /* of the data */
    const md_dataset *data;
} md_report_subject;

/* Append a table, a line for each figure. */
md_status md_evaluation_text(const md_evaluation *e,
                             const md_report_subject *of, md_buf *out,
                             md_error *err);

/* Members of an open JSON object; what is not defined is null. */
void md_evaluation_json(const md_evaluation *e, const md_report_subject *of,
                        md_json_writer *w);

#endif
