/* Does every backend fill every slot of the table? */
#include <criterion/criterion.h>
#include <string.h>

#include "tests/support/support.h"

Test(ops, complete) {
  const surge_backend *backend = test_backend();
  const size_t first = offsetof(surge_backend, open);
  const size_t slots = (sizeof *backend - first) / sizeof(void (*)(void));
  for (size_t i = 0; i < slots; i++) {
    void (*slot)(void);
    memcpy(&slot, (const char *)backend + first + i * sizeof slot, sizeof slot);
    cr_expect(slot, "%s: slot %zu behind `open` is empty", backend->name, i);
  }
  cr_expect_geq(slots, 40);
}
