/* Concat and QLinearConcat. */
#ifndef MD_OPS_COMMON_CONCAT_H
#define MD_OPS_COMMON_CONCAT_H

#include "ops/common/util.h"

/* Output 0: inputs first, first + step, ... one behind the other on the axis
 * of attribute `axis`.  Their element types have been checked. */
md_status md_concat__infer(const md_infer *c, uint32_t first, uint32_t step,
                           md_error *err);

#endif
