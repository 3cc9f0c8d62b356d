/* Printing what commands have to say. */
#ifndef MD_CLI_PRINT_H
#define MD_CLI_PRINT_H

#include <stdio.h>

#include "base/attr.h"
#include "base/json.h"

/* Begin a JSON answer, an object, in b: readable, numbers that are none as
 * strings. */
void md_cli_json_begin(md_json_writer *w, md_buf *b);

/* Members of the object that is open. */
void md_cli_json_str(md_json_writer *w, const char *name, const char *value);
void md_cli_json_int(md_json_writer *w, const char *name, int64_t value);
void md_cli_json_real(md_json_writer *w, const char *name, double value);
/* Seven digits, more than a measurement has. */
void md_cli_json_measured(md_json_writer *w, const char *name, double value);
void md_cli_json_bool(md_json_writer *w, const char *name, bool value);

/* End the object, print it to f and release b.  Fails with what the writer
 * met. */
md_status md_cli_json_end(md_json_writer *w, md_buf *b, FILE *f, md_error *err);

/* fprintf for lines with names from files: what a terminal would obey becomes
 * '?', but for the line ends that fmt begins and ends with. */
void md_cli_printf(FILE *f, const char *fmt, ...) MD_PRINTF(2, 3);

/* Print b to f and release it. */
void md_cli_print(md_buf *b, FILE *f);

/* "1.4 MB" (decimal units) into buf. */
void md_cli_format_size(char *buf, size_t size, double bytes);

/* "4.1 G" of a count, "850 K", "12". */
void md_cli_format_count(char *buf, size_t size, double n);

#endif
