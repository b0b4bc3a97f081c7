/* Is a table read back as it was written, and is one that is not whole, or not
 * SURGE's, refused with its file and line? */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "src/report/csv.h"
#include "tests/support/folder.h"

TestSuite(csv, .init = test_folder_make, .fini = test_folder_remove);

static surge_status read(surge_csv *csv, const char *text, const char *wanted) {
  const char *path = test_path("table.csv");
  test_write_file(path, text, strlen(text));
  return surge_csv_read(csv, path, wanted);
}

Test(csv, cells) {
  surge_csv csv;
  cr_assert_eq(read(&csv, "epoch,split,loss,more\n1,train,0.5,\n2,test,,x y\n",
                    "loss epoch split$"),
               SURGE_OK, "%s", surge_last_error());
  cr_expect(csv.rows == 2 && csv.columns == 4);
  cr_expect_str_eq(surge_csv_text(&csv, 1, 3), "x y");
  cr_expect_eq(surge_csv_number(&csv, 0, surge_csv_column(&csv, "loss")), 0.5);
  cr_expect(isnan(surge_csv_number(&csv, 1, surge_csv_column(&csv, "loss"))));
  cr_expect_eq(surge_csv_column(&csv, "los"), -1);
  surge_csv_free(&csv);
}

/* As a run's are before its first epoch has ended. */
Test(csv, no_row_yet) {
  surge_csv csv;
  cr_assert_eq(read(&csv, "epoch,loss\n", "epoch loss"), SURGE_OK, "%s",
               surge_last_error());
  cr_expect(csv.rows == 0 && csv.columns == 2);
  surge_csv_free(&csv);
}

Test(csv, refused) {
  static const struct {
    const char *text, *needle;
  } cases[] = {
      {"", "table.csv: wanted a table, found nothing"},
      {"epoch,split,loss\n1,train,0.5\n2,test,0.",
       "table.csv:3: wanted the end"},
      {"epoch,split,loss\n1,train\n", "table.csv:2: wanted 3 cells, found 2"},
      {"epoch,split,loss\n1,a,2\n1,a,2,3\n",
       "table.csv:3: wanted 3 cells, found 4"},
      {"epoch,split,loss\n1,a,2\n\n", "table.csv:3: wanted 3 cells, found 1"},
      {"step,split,loss\n1,a,2\n", "table.csv:1: wanted a column epoch"},
      {"epoch,split,loss\n1,a,2\n1,a,high\n",
       "table.csv:3: loss: wanted a number, found high"},
      {"epoch,split,loss\n1,,2\n", "table.csv:2: split: wanted a word"},
      {"epoch,split,loss\n1,a,2\r\n", "table.csv:2: loss: wanted a number"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    surge_csv csv;
    cr_expect_eq(read(&csv, cases[i].text, "epoch split$ loss"),
                 SURGE_ERROR_DATA, "%zu", i);
    cr_expect_not_null(strstr(surge_last_error(), cases[i].needle), "%zu: %s",
                       i, surge_last_error());
    surge_csv_free(&csv);
  }
}

Test(csv, no_file) {
  surge_csv csv;
  cr_expect_eq(surge_csv_read(&csv, test_path("none.csv"), "epoch"),
               SURGE_ERROR_DATA);
  cr_expect_not_null(strstr(surge_last_error(), "none.csv"));
  surge_csv_free(&csv);
  cr_expect_eq(surge_csv_read(&csv, test_folder(), "epoch"), SURGE_ERROR_DATA);
  cr_expect_not_null(strstr(surge_last_error(), "a folder"));
  surge_csv_free(&csv);
  test_write_file(test_path("zero.csv"), "epoch\n1\0\n", 9);
  cr_expect_eq(surge_csv_read(&csv, test_path("zero.csv"), "epoch"),
               SURGE_ERROR_DATA);
  surge_csv_free(&csv);
}
