/* Printing what commands have to say. */
#ifndef MD_CLI_PRINT_H
#define MD_CLI_PRINT_H

#include <stdio.h>

#include "base/json.h"

/* Begin a JSON answer in b, readable, numbers that are none as strings. */
void md_cli_json_begin(md_json_writer *w, md_buf *b);

/* Print it to f and release b.  Fails with what the writer met. */
md_status md_cli_json_end(md_json_writer *w, md_buf *b, FILE *f, md_error *err);

/* Print b to f and release it. */
void md_cli_print(md_buf *b, FILE *f);

/* "1.4 MB" (decimal units) into buf. */
void md_cli_format_size(char *buf, size_t size, double bytes);

/* "4.1 G" of a count, "850 K", "12". */
void md_cli_format_count(char *buf, size_t size, double n);

#endif
