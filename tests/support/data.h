/* Data sets from memory, for tests. */
#ifndef MD_TESTS_SUPPORT_DATA_H
#define MD_TESTS_SUPPORT_DATA_H

#include "data/dataset.h"

/* A set of these inputs (one tensor for each of the model's) and labels, which
 * may be NULL; to be released.  Faults end the test. */
md_dataset data_make(const md_model *m, const md_tensor *inputs,
                     const md_tensor *labels);

#endif
