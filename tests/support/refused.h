/* refused.h - how tests see that a call was refused. */
#ifndef SURGE_TESTS_REFUSED_H
#define SURGE_TESTS_REFUSED_H

#include <surge/status.h>

/* Fails unless `status` is a fault of the caller and its message has both the
 * op and the text. */
void test_expect_refused(surge_status status, const char *op, const char *text);

#endif
