/* refused.c - see refused.h. */
#include "tests/support/refused.h"

#include <criterion/criterion.h>
#include <string.h>

void test_expect_refused(surge_status status, const char *op,
                         const char *text) {
  const char *found = surge_last_error();
  cr_expect_eq(status, SURGE_ERROR_INTERNAL, "%s: \"%s\": wanted a refusal", op,
               text);
  cr_expect(strstr(found, op) && strstr(found, text),
            "wanted \"%s\" and \"%s\", found \"%s\"", op, text, found);
}
