/* Does the program say what is wrong in one line and leave with its exit code,
 * and do its commands do on a small run what their help says? */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <zip.h>

#include "tests/support/folder.h"
#include "tests/support/images.h"
#include "tests/support/program.h"
#include "tests/support/run.h"

#define RECIPE SURGE_SOURCE_DIR "/benchmarks/recipes/fashion_mnist_quick.yaml"
#define SMALL                                                                  \
  " --set data.limit=64 --set data.test_limit=40 --set train.batch=32"         \
  " --set train.epochs=1 --set model.channels=[4,4,4] "

static int lines(const char *text) {
  int count = 0;
  for (; *text; text++) count += *text == '\n';
  return count;
}

Test(cli, bad_input_gives_one_line_and_its_exit_code) {
  static const struct {
    const char *name, *arguments, *needle;
    int code;
  } cases[] = {
      {"no such command", "trian", "trian", 2},
      {"no recipe", "train", "recipe", 2},
      {"unknown option", "train --colour x", "--colour", 2},
      {"abbreviated help", "bench --h", "--h", 2},
      {"no folder", "train " RECIPE SMALL "--out ''", "--out", 2},
      {"missing file", "train none.yaml", "none.yaml", 2},
      {"wrong key", "train key.yaml", "key.yaml:1:1: optin", 2},
      {"wrong type", "train type.yaml", "type.yaml:1:4: T", 2},
      {"T = 0", "train " RECIPE " -T 0", "T", 2},
      {"negative width", "train " RECIPE " --set surrogate.width=-1", "width",
       2},
      {"list that does not fit", "train fit.yaml --dry-run", "conv1", 2},
      {"batch of no size", "train " RECIPE " --set train.batch=0", "batch", 2},
      {"unknown data set", "train " RECIPE " --set data.set=mist --dry-run",
       "mist", 2},
      {"no data", "train " RECIPE " --set data.path=nowhere", "nowhere", 3},
      {"truncated data", "train " RECIPE " --set data.path=short",
       "short/train-images-idx3-ubyte", 3},
      {"swapped data", "train " RECIPE " --set data.path=swapped",
       "swapped/train-images-idx3-ubyte", 3},
      {"no cuda", "train " RECIPE " --device cuda", "cuda", 4},
      {"damaged checkpoint", "eval damaged.safetensors", "damaged.safetensors",
       3},
      {"no checkpoint", "eval nowhere", "nowhere", 3},
      {"output folder in a file", "train " RECIPE SMALL "--out key.yaml/run",
       "key.yaml", 3},
      {"full disk", "train " RECIPE SMALL "--dry-run 2>&1 > /dev/full #",
       "output", 3},
      {"existing folder", "train " RECIPE SMALL "--out short", "short", 2},
  };
  static const struct {
    const char *name, *text;
  } recipes[] = {
      {"key.yaml", "optin: {lr: 1}\n"},
      {"type.yaml", "T: four\n"},
      {"fit.yaml",
       "model: {layers: [conv: {out: 4, kernel: 99, pad: 0}, neuron, "
       "linear: {out: classes}]}\n"},
  };
  char folder[64], text[8192], name[128];
  setenv("CUDA_VISIBLE_DEVICES", "", 1); /* "no cuda" where there is a device */
  run_make_folder(folder);
  for (size_t i = 0; i < sizeof recipes / sizeof *recipes; i++)
    write_file(folder, recipes[i].name, recipes[i].text,
               strlen(recipes[i].text));
  write_file(folder, "damaged.safetensors",
             "\x10\0\0\0\0\0\0\0{\"a\":12345678}", 23);
  for (int i = 0; i < 2; i++) {
    snprintf(name, sizeof name, "%s/%s", folder, i ? "swapped" : "short");
    cr_assert_eq(mkdir(name, 0777), 0);
  }
  static const char *const parts[] = {
      "train-images-idx3-ubyte", "train-labels-idx1-ubyte",
      "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"};
  for (int i = 0; i < 4; i++) {
    snprintf(name, sizeof name, "short/%s", parts[i]);
    write_file(folder, name, "\0\0\x08\x03\0\0\0\x64\0\0\0\x1c\0\0\0\x1c..",
               18);
    snprintf(name, sizeof name, "swapped/%s", parts[i]);
    write_file(folder, name, "\0\0\x08\x01\0\0\0\x02\1\2", 10);
  }
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    int code = surge(folder, cases[i].arguments, text, sizeof text);
    cr_expect_eq(code, cases[i].code, "%s: exit code %d: %s", cases[i].name,
                 code, text);
    cr_expect_not_null(strstr(text, cases[i].needle), "%s: %s", cases[i].name,
                       text);
    cr_expect_leq(lines(text), 1, "%s: %s", cases[i].name, text);
  }
  run_remove_folder(folder);
}

static int run_in(const char *folder, const char *arguments,
                  const char *needle) {
  static char text[65536];
  int code = surge(folder, arguments, text, sizeof text);
  cr_expect_eq(code, 0, "surge %s: %d: %s", arguments, code, text);
  cr_expect_not_null(strstr(text, needle), "surge %s: wanted %s in: %s",
                     arguments, needle, text);
  return code;
}

Test(cli, a_run_from_recipe_to_prediction) {
  static const char *const files[] = {"run/recipe.yaml",
                                      "run/metrics.csv",
                                      "run/layers.csv",
                                      "run/histograms.csv",
                                      "run/log.txt",
                                      "run/checkpoint_last.safetensors",
                                      "run/checkpoint_best.safetensors"};
  char folder[64], text[8192];
  run_needs_data();
  run_make_folder(folder);
  run_in(folder, "train " RECIPE SMALL "--dry-run",
         "data: fashion_mnist is there");
  run_in(folder, "train " RECIPE SMALL "--out run", "epoch 1/1");
  for (size_t i = 0; i < sizeof files / sizeof *files; i++)
    cr_expect(exists(folder, files[i]), "%s", files[i]);
  run_in(folder, "eval run -T 1,2", "T 2 (as trained): test accuracy");
  run_in(folder, "eval run --anytime", "early exit");
  run_in(folder, "eval run --checkpoint best", "total");
  run_in(folder, "info run", "conv1.weight");
  run_in(folder,
         "predict run /usr/share/datasets/fashion-mnist/"
         "t10k-images-idx3-ubyte.gz --out scores.csv",
         "10000");
  cr_expect(exists(folder, "scores.csv"));
  run_in(folder, "grad " RECIPE SMALL "--out one_step.safetensors --soft", "");
  run_in(folder, "info one_step.safetensors", "grad.neuron1.rho");
  run_in(folder,
         "grad " RECIPE SMALL
         "--out steps.safetensors --soft --steps 2 "
         "--set data.flip=false",
         "");
  run_in(folder, "info steps.safetensors", "steps.state.neuron1.rho");
  cr_expect_eq(surge(folder,
                     "grad " RECIPE SMALL "--out x.safetensors --steps 2 "
                     "--set data.flip=false --set data.cutout=4",
                     text, sizeof text),
               2, "steps that the images alone do not determine: %s", text);
  run_in(folder, "train --resume run --set train.epochs=2", "epoch 2/2");
  run_in(folder, "train --resume run", "after 2 epochs");
  run_in(folder, "train " RECIPE SMALL "--out run --force", "epoch 1/1");
  run_in(folder, "bench train " RECIPE SMALL "--steps 2 --warmup 1",
         "library_ms");
  cr_expect_eq(surge(folder,
                     "bench train " RECIPE SMALL "--set train.batch=128 "
                     "--steps 1 --warmup 0",
                     text, sizeof text),
               2, "%s", text);
  cr_expect_not_null(strstr(text, "128, found 64"),
                     "fewer images than a batch: %s", text);
  run_in(folder, "bench train --set train.batch=4 --steps 1 --warmup 0",
         "step,");
  run_in(folder, "bench ops " RECIPE SMALL "--steps 1 --warmup 1", "neuron1");
  run_in(folder,
         "bench tradeoff " RECIPE
         " --set data.limit=32 --set train.batch=8 "
         "-T 1,3 --steps 2 --warmup 0",
         ",3,8,");
  cr_expect_eq(
      surge(folder, "train " RECIPE SMALL "--out run", text, sizeof text), 2);
  cr_expect_eq(surge(folder, "train --resume run --seed 9", text, sizeof text),
               2, "another recipe resumed: %s", text);
  run_remove_folder(folder);
}

/* As a terminal's Ctrl-C does: 130, and what was done is not lost. */
Test(cli, an_interrupted_run_is_saved) {
  char folder[64], command[512], text[8192];
  run_needs_data();
  run_make_folder(folder);
  snprintf(command, sizeof command,
           "cd %s && timeout --preserve-status -s INT 5 %s train " RECIPE
           " --out run > out.txt 2>&1",
           folder, SURGE_BINARY);
  int status = system(command);
  cr_expect(WIFEXITED(status));
  cr_expect_eq(WEXITSTATUS(status), 130, "exit code %d", WEXITSTATUS(status));
  cr_assert(exists(folder, "run/checkpoint_last.safetensors"));
  cr_expect_eq(surge(folder, "info run", text, sizeof text), 0, "%s", text);
  cr_expect_not_null(strstr(text, "epoch            0"), "%s", text);
  run_remove_folder(folder);
}

/* As a batch system does, which tells every process of a job, and a sweep tells
 * its runs: the second SIGTERM comes before the batch ends. */
Test(cli, a_run_that_is_told_twice_is_saved) {
  char folder[64], command[512];
  run_needs_data();
  run_make_folder(folder);
  snprintf(
      command, sizeof command,
      "cd %s && { %s train " RECIPE
      " --threads 1 --out run > out.txt 2>&1 & }; "
      "until grep -q training out.txt || ! kill -0 $!; do sleep .1; done; sleep 1; "
      "kill -TERM $!; sleep .01; kill -TERM $!; wait $!",
      folder, SURGE_BINARY);
  int status = system(command);
  cr_expect(WIFEXITED(status));
  cr_expect_eq(WEXITSTATUS(status), 130, "exit code %d", WEXITSTATUS(status));
  cr_expect(exists(folder, "run/checkpoint_last.safetensors"));
  run_remove_folder(folder);
}

/* A disk that fills up: the limit on a file's size stands in for it. */
Test(cli, a_full_disk_is_told_and_the_old_checkpoint_stays) {
  char folder[64], command[1024];
  run_needs_data();
  run_make_folder(folder);
  run_in(folder, "train " RECIPE SMALL "--out run", "results: run");
  snprintf(
      command, sizeof command,
      "cd %s && cp run/checkpoint_last.safetensors old && "
      "(trap '' XFSZ; ulimit -f 8; %s train --resume run --set train.epochs=2"
      " > out.txt 2> err.txt); code=$?; "
      "cmp old run/checkpoint_last.safetensors && exit $code",
      folder, SURGE_BINARY);
  int status = system(command);
  cr_expect(WIFEXITED(status));
  cr_expect_eq(WEXITSTATUS(status), 3, "exit code %d", WEXITSTATUS(status));
  run_remove_folder(folder);
}

/* "1" may be what is left of epoch 12. */
Test(cli, a_row_that_was_cut_off_is_dropped) {
  char folder[64], text[8192];
  run_needs_data();
  run_make_folder(folder);
  run_in(folder, "train " RECIPE SMALL "--out run", "results: run");
  surge(folder, "help > /dev/null; printf 1 >> run/metrics.csv #", text,
        sizeof text);
  run_in(folder, "train --resume run --set train.epochs=2", "epoch 2/2");
  surge(folder, "help > /dev/null; cut -d, -f1 run/metrics.csv #", text,
        sizeof text);
  cr_expect_str_eq(text, "epoch\n1\n2\n", "%s", text);
  run_remove_folder(folder);
}

/* --- a contact sheet ------------------------------------------------------ */

/* Columns, and the sides of a set's tiles, enlarged by `zoom`, with gaps of 2. */
enum { SHEET_COLUMNS = 8, SHEET_GAP = 2 };
typedef struct sheet {
  uint8_t *rgb;
  int h, w, side, zoom;
} sheet;

static sheet read_sheet(const char *folder, int rows, int side, int zoom) {
  char path[128];
  sheet s = {.side = side, .zoom = zoom};
  snprintf(path, sizeof path, "%s/sheet.png", folder);
  s.rgb = test_read_png(path, &s.h, &s.w);
  cr_assert_eq(s.h, SHEET_GAP + rows * (side * zoom + SHEET_GAP), "%d", s.h);
  cr_assert_eq(s.w, SHEET_GAP + SHEET_COLUMNS * (side * zoom + SHEET_GAP), "%d",
               s.w);
  return s;
}

/* Pixel (y, x) of a tile, [3]: of each enlarged pixel the last. */
static const uint8_t *tile_pixel(const sheet *s, int row, int column, int y,
                                 int x) {
  int step = s->side * s->zoom + SHEET_GAP;
  int at_y = SHEET_GAP + row * step + y * s->zoom + s->zoom - 1;
  int at_x = SHEET_GAP + column * step + x * s->zoom + s->zoom - 1;
  return s->rgb + 3 * (at_y * s->w + at_x);
}

/* Tiles of a row that differ from its first in a pixel. */
static int changed_tiles(const sheet *s, int row) {
  int changed = 0;
  for (int column = 1; column < SHEET_COLUMNS; column++) {
    bool same = true;
    for (int i = 0; i < s->side * s->side; i++)
      same = same &&
             !memcmp(tile_pixel(s, row, 0, i / s->side, i % s->side),
                     tile_pixel(s, row, column, i / s->side, i % s->side), 3);
    changed += !same;
  }
  return changed;
}

/* Are the first tiles the raw images, whose numbers and classes the lines say? */
static void expect_originals(const sheet *s, int rows, const char *text,
                             const surge_dataset *set) {
  for (int row = 0; row < rows; row++) {
    char line[64];
    unsigned sample;
    int class, wrong = 0;
    snprintf(line, sizeof line, "row %d: ", row + 1);
    const char *found = strstr(text, line);
    cr_assert(found && sscanf(found, "row %*d: training image %u, class %d,",
                              &sample, &class) == 2,
              "%s", text);
    cr_expect_eq(class, set->labels[sample]);
    cr_expect_not_null(strstr(found, surge_dataset_class(set, class)));
    for (int i = 0; i < 28 * 28; i++)
      wrong += *tile_pixel(s, row, 0, i / 28, i % 28) !=
               set->images[sample * 28 * 28 + (unsigned)i];
    cr_expect_eq(wrong, 0, "row %d: %d pixels", row, wrong);
  }
}

/* Nothing asked for: nothing changes, also not by the way back from the op's
 * floats. Every augmentation shows in (nearly) every epoch that it should. */
Test(cli, a_preview_shows_what_the_recipe_turns_on) {
  static const struct {
    const char *override;
    int least, most; /* of 4 rows and 7 epochs that are not the original */
  } cases[] = {{"data.flip=false", 0, 0},
               {"data.flip=true", 5, 23},
               {"data.crop_pad=4", 20, 28},
               {"data.cutout=9", 20, 28},
               {"data.random_erasing=1", 28, 28},
               {"data.policy=autoaugment", 8, 28},
               {"data.policy=trivialaugment", 8, 28},
               {"data.mixup=1", 28, 28},
               {"data.cutmix=1", 8, 28}};
  char folder[64], text[8192], arguments[512];
  struct surge_data_recipe data = {.set = "fashion_mnist"};
  surge_dataset_info info;
  surge_dataset set;
  run_needs_data();
  cr_assert_eq(surge_dataset_describe(&info, &data, 4), SURGE_OK);
  cr_assert_eq(surge_dataset_open(&set, &info, &data, SURGE_TRAIN), SURGE_OK);
  run_make_folder(folder);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    snprintf(arguments, sizeof arguments,
             "data preview " RECIPE
             " --set data.flip=false --set data.crop_pad=0"
             " --set %s --out sheet.png --count 4",
             cases[i].override);
    cr_assert_eq(surge(folder, arguments, text, sizeof text), 0, "%s", text);
    sheet s = read_sheet(folder, 4, 28, 2);
    expect_originals(&s, 4, text, &set);
    int changed = 0;
    for (int row = 0; row < 4; row++) changed += changed_tiles(&s, row);
    cr_expect(changed >= cases[i].least && changed <= cases[i].most,
              "%s: %d of 28 changed", cases[i].override, changed);
    free(s.rgb);
  }
  surge_dataset_close(&set);
  run_remove_folder(folder);
}

Test(cli, previews_that_cannot_be_made) {
  static const struct {
    const char *arguments, *needle;
    int code;
  } cases[] = {
      {"data", "wanted preview, check or convert, found nothing", 2},
      {"data show " RECIPE, "wanted preview, check or convert, found show", 2},
      {"data preview", "wanted 2 to 2 arguments", 2},
      {"data preview " RECIPE, "wanted --out FILE.png", 2},
      {"data preview " RECIPE " --out x.png --count 0", "--count: wanted 1", 2},
      {"data preview nowhere.yaml --out x.png", "nowhere.yaml", 2},
      {"data preview " RECIPE " --out x.png --set data.path=nowhere", "nowhere",
       3},
  };
  char folder[64], text[8192];
  run_make_folder(folder);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    int code = surge(folder, cases[i].arguments, text, sizeof text);
    cr_expect_eq(code, cases[i].code, "%s: %d: %s", cases[i].arguments, code,
                 text);
    cr_expect_not_null(strstr(text, cases[i].needle), "%s", text);
    cr_expect_leq(lines(text), 1, "%s", text);
  }
  run_remove_folder(folder);
}

/* --- recordings of events ------------------------------------------------- */

#define SEEDS SURGE_SOURCE_DIR "/tests/fuzz/seeds/"

/* Every file of a folder and of those in it, but hidden ones. */
Test(cli, check_of_recordings) {
  char folder[64], text[8192], path[512];
  int h, w;
  run_make_folder(folder);
  snprintf(path, sizeof path,
           "mkdir -p %s/all/below && cp " SEEDS
           "hdf5/shd.h5 %s/all && cp " SEEDS "aedat4/lz4.aedat4 %s/all/below",
           folder, folder, folder);
  cr_assert_eq(system(path), 0);
  write_file(folder, "all/.hidden", "?", 1);
  cr_expect_eq(
      surge(folder, "data check all --out picture.png", text, sizeof text), 0,
      "%s", text);
  cr_expect_str_eq(
      text,
      "all/below/lz4.aedat4: aedat4, 5 events, 0.000100 to 1.000000 s, sensor "
      "640x480 stated, 60.0 % ON, 0 outside, 0 steps back, 5.0 events/s\n"
      "  |█                                                            ▂| 62 bins "
      "of 16.384 ms, at most 4 events\n"
      "all/shd.h5: hdf5, 3 events, 2 recordings, 0.250000 to 1.000000 s, sensor "
      "700x1 seen, 100.0 % ON, 0 outside, 0 steps back, 12.0 events/s\n"
      "  |█              █                              █| 47 bins of 16.384 ms, at "
      "most 1 events\n"
      "2 files, 3 recordings, 8 events, 75.0 % ON, 0 outside, 0 steps back; 0 "
      "files could not be read\n");
  snprintf(path, sizeof path, "%s/picture.png", folder);
  uint8_t *rgb = test_read_png(path, &h, &w);
  cr_expect(h == 8 + 2 * 488 && w == 8 + 2 * 648, "%d x %d", h, w);
  const uint8_t *first = rgb + 3 * (8 * w + 8 + 648); /* events of (0, 0) */
  cr_expect(first[0] == 255 && first[3] == 0, "%d %d", first[0], first[3]);
  const uint8_t *last = first + 3 * (479 * w + 639); /* and of (639, 479) */
  cr_expect(last[0] == 255 && last[-3] == 0, "%d %d", last[0], last[-3]);
  free(rgb);
  run_remove_folder(folder);
}

/* Files that cannot be read are named, the others are checked, the exit code
 * says it. */
Test(cli, check_of_what_is_no_recording) {
  char folder[64], text[8192];
  run_make_folder(folder);
  write_file(folder, "empty.bin", "", 0);
  write_file(folder, "other.txt", "of no format known", 18);
  write_file(folder, "good.bin", "\x12\x10\x80\x03\x7d", 5);
  cr_expect_eq(surge(folder, "data check . nowhere", text, sizeof text), 3,
               "%s", text);
  cr_expect_not_null(strstr(text, "empty.bin: wanted events, found 0 bytes"));
  cr_expect_not_null(strstr(text, "other.txt: wanted a recording in one of"));
  cr_expect_not_null(strstr(text, "nowhere: No such file"), "%s", text);
  cr_expect_not_null(strstr(text, "good.bin: nmnist, 1 events, "));
  cr_expect_not_null(strstr(text, "4 files, 1 recordings, 1 events"), "%s",
                     text);
  cr_expect_not_null(strstr(text, "; 3 files could not be read"), "%s", text);
  cr_expect_eq(
      surge(folder, "data check other.txt --out p.png", text, sizeof text), 3);
  cr_expect(!exists(folder, "p.png"));
  run_remove_folder(folder);
}

/* `frames` of FOLDER/name, its header left out. */
static void read_frames(const char *folder, const char *name, int32_t *frames,
                        size_t count) {
  char path[160], bytes[4096];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  zip_t *zip = zip_open(path, ZIP_RDONLY, NULL);
  cr_assert_not_null(zip);
  zip_file_t *file = zip_fopen(zip, "frames.npy", 0);
  cr_assert_not_null(file);
  zip_int64_t size = zip_fread(file, bytes, sizeof bytes);
  cr_assert(size > (zip_int64_t)(count * sizeof *frames));
  memcpy(frames, bytes + size - count * sizeof *frames, count * sizeof *frames);
  zip_fclose(file);
  zip_discard(zip);
}

/* [2, 2, 2, 3]: frame, OFF and ON, row, column. */
Test(cli, convert_to_frames) {
  static const int32_t sums[24] = {0, 0, 1, 0, 0, 0, /* OFF */
                                   2, 0, 0, 0, 0, 0, /* ON */
                                   0, 0, 0, 0, 1, 0, /* OFF */
                                   0, 0, 0, 2, 0, 0};
  char folder[64], path[128];
  int32_t frames[24];
  run_make_folder(folder);
  snprintf(path, sizeof path, "%s/a.txt", folder);
  FILE *file = fopen(path, "w");
  fputs("x y t p\n0 0 1 1\n0 0 2 1\n2 0 3 0\n1 1 4 0\n0 1 5 1\n0 1 9 1\n",
        file);
  fclose(file);
  for (int binary = 0; binary < 2; binary++) {
    char command[256];
    snprintf(command, sizeof command,
             "data convert a.txt f.npz --frames -T 2 --set data.sensor=[3,2] "
             "--set data.counts=%s",
             binary ? "binary" : "sum");
    run_in(folder, command, "f.npz: 2 frames of 3 x 2, 6 events");
    read_frames(folder, "f.npz", frames, 24);
    for (int i = 0; i < 24; i++)
      cr_expect_eq(frames[i], binary ? sums[i] > 0 : sums[i], "%d: %d", i,
                   (int)frames[i]);
  }
  run_remove_folder(folder);
}

/* A recording is the same behind its conversion, to the byte: no clock is in it. */
Test(cli, convert_to_npz) {
  char folder[64], text[8192], command[256];
  run_make_folder(folder);
  run_in(folder, "data convert " SEEDS "aedat4/zstd.aedat4 a.npz",
         "a.npz: 5 events");
  run_in(folder, "data convert " SEEDS "hdf5/table.h5 b.npz",
         "b.npz: 5 events");
  run_in(folder, "data check a.npz",
         "a.npz: npz, 5 events, 0.000100 to 1.000000 s");
  snprintf(command, sizeof command, "cmp %s/a.npz %s/b.npz", folder, folder);
  cr_expect_eq(system(command), 0);
  run_in(folder, "data convert " SEEDS "hdf5/shd.h5 c.npz --recording 1",
         "c.npz: 1 events");
  run_in(folder,
         "data convert a.npz e.npz --frames -T 3 --set data.sensor=[640,480] "
         "--set data.size=64 --set data.split_by=time",
         "e.npz: 3 frames of 64 x 64, 5 events");
  static const struct {
    const char *arguments, *needle;
    int code;
  } cases[] = {
      {"data convert a.npz d.npz -T 3", "wanted --frames beside them", 2},
      {"data convert a.npz d.npz --frames", "data.sensor: wanted", 2},
      {"data convert a.npz d.npz --frames --set data.roll=5",
       "wanted T, data.split_by, duration_us, size, counts or sensor, found "
       "data.roll=5",
       2},
      {"data convert a.npz d.npz --frames --set data.sensor=[640,479]",
       "a.npz: event 1", 3},
      {"data convert a.npz", "wanted 3 to 3 arguments", 2},
      {"data convert " SEEDS "hdf5/shd.h5 d.npz",
       "wanted --recording n, one of "
       "its 2",
       2},
      {"data convert " SEEDS "hdf5/shd.h5 d.npz --recording 2",
       "wanted recording 2, found 2", 3},
      {"data convert nowhere d.npz", "nowhere: No such file", 3},
      {"data convert a.npz no/d.npz", "no/d.npz: wanted to write it", 3},
      {"data check a.npz --recording 0", "not an option of `surge data`", 2},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    int code = surge(folder, cases[i].arguments, text, sizeof text);
    cr_expect_eq(code, cases[i].code, "%s: %d: %s", cases[i].arguments, code,
                 text);
    cr_expect_not_null(strstr(text, cases[i].needle), "%s", text);
    cr_expect_leq(lines(text), 1, "%s", text);
    cr_expect(!exists(folder, "d.npz"), "%s", cases[i].arguments);
  }
  run_remove_folder(folder);
}

/* --- a folder of images --------------------------------------------------- */

#define IMAGES "train images.yaml --out "

/* Image i of class k: 0 to 7 are trained on, 8 to 10 are the test's. */
static const char *image_name(int k, int i) {
  static char name[64];
  snprintf(name, sizeof name, "images/%s/%s/%d.jpg", i < 8 ? "train" : "val",
           k ? "bee" : "ant", i);
  return name;
}

static void write_image(const char *folder, int k, int i) {
  const uint8_t rgb[3] = {(uint8_t)(200 * k), (uint8_t)(20 * i), 90};
  char path[160];
  snprintf(path, sizeof path, "%s/%s", folder, image_name(k, i));
  test_write_jpeg(path, 15, 20 + i, rgb);
}

static void damage_image(const char *folder, int k, int i) {
  char path[160];
  snprintf(path, sizeof path, "%s/%s", folder, image_name(k, i));
  test_cut_file(path, 200);
}

/* Two classes, and a recipe. */
static void make_images(const char *folder) {
  static const char recipe[] =
      "data: {set: image_folder, path: images, size: 12}\nT: 2\n"
      "model: {channels: [4], pool: [true]}\n"
      "train: {epochs: 2, batch: 4}\n";
  char command[256];
  write_file(folder, "images.yaml", recipe, sizeof recipe - 1);
  snprintf(command, sizeof command,
           "cd %s && mkdir -p images/train/ant images/train/bee "
           "images/val/ant images/val/bee",
           folder);
  cr_assert_eq(system(command), 0);
  for (int k = 0; k < 2; k++)
    for (int i = 0; i < 11; i++) write_image(folder, k, i);
}

static void rename_in(const char *folder, const char *from, const char *to) {
  char command[256];
  snprintf(command, sizeof command, "cd %s && mv %s %s", folder, from, to);
  cr_assert_eq(system(command), 0);
}

/* How often `needle` stands in a run's log. */
static int logged(const char *folder, const char *run, const char *needle) {
  char command[256], text[64];
  snprintf(command, sizeof command, "grep -c '%s' %s/%s/log.txt", needle,
           folder, run);
  FILE *pipe = popen(command, "r");
  cr_assert_not_null(fgets(text, sizeof text, pipe));
  pclose(pipe);
  return atoi(text);
}

Test(cli, a_folder_of_images_from_training_to_prediction) {
  char folder[64];
  run_make_folder(folder);
  make_images(folder);
  run_in(folder, IMAGES "none --dry-run", "data: image_folder is there");
  run_in(folder, IMAGES "one --set data.workers=1",
         "16 training, 0 validation, 6 test");
  run_in(folder, IMAGES "three --set data.workers=3", "epoch 2/2");
  run_same_checkpoints(folder, "one", "three");
  run_same_metrics(folder, "one", "three");
  run_in(folder, "train --resume one --set train.epochs=3 --set data.workers=2",
         "epoch 3/3");
  run_in(folder, "eval one", "6 images");
  run_in(folder, "predict one images/val/bee/9.jpg", "images/val/bee/9.jpg,0,");
  rename_in(folder, "images/train", "images/elsewhere");
  run_in(folder, "eval one", "6 images");
  rename_in(folder, "images/elsewhere", "images/train");
  run_in(folder, "grad images.yaml --out steps.safetensors --steps 3", "");
  run_in(folder, "info steps.safetensors", "steps.images");
  run_in(folder,
         "data preview images.yaml --out sheet.png --set "
         "data.policy=trivialaugment --count 16",
         "class 1, bee");
  sheet s = read_sheet(folder, 16, 12, 5);
  cr_expect_gt(changed_tiles(&s, 0), 0);
  free(s.rgb);
  run_in(folder,
         "train images.yaml --out policy --set data.policy=autoaugment "
         "--set data.mixup=0.2 --set data.workers=3",
         "epoch 2/2");
  run_in(folder,
         "train images.yaml --out again --set data.policy=autoaugment "
         "--set data.mixup=0.2 --set data.workers=1",
         "epoch 2/2");
  run_same_checkpoints(folder, "policy", "again");
  run_in(folder, "bench train images.yaml --steps 5 --warmup 0", "library_ms");
  run_remove_folder(folder);
}

/* --- recordings ----------------------------------------------------------- */

#define EVENTS "train events.yaml --force --out "
static const char *const events_recipe =
    "T: 3\n"
    "data: {set: event_folder, path: events, sensor: [9, 7], roll: 1,\n"
    "  crop_pad: 1, cache: kept}\n"
    "model: {arch: convnet, channels: [8], pool: [true]}\n"
    "train: {epochs: 2, batch: 4}\n";

/* Recording i of class k in .bin's records: 60 events, left or right. */
static void write_recording(const char *folder, int k, int i) {
  char path[128];
  uint8_t bytes[60][5];
  for (int e = 0; e < 60; e++) {
    const uint8_t event[5] = {(uint8_t)(4 * k + (e + i) % 4), (uint8_t)(e % 7),
                              (uint8_t)(e % 2 << 7), (uint8_t)(e * 3), 0};
    memcpy(bytes[e], event, 5);
  }
  snprintf(path, sizeof path, "%s/events/%s/%s/%02d.bin", folder,
           i < 8 ? "train" : "test", k ? "right" : "left", i);
  test_write_file(path, bytes, sizeof bytes);
}

static void make_recordings(const char *folder) {
  char command[256], path[128];
  snprintf(command, sizeof command,
           "cd %s && mkdir -p events/train/left events/train/right "
           "events/test/left events/test/right",
           folder);
  cr_assert_eq(system(command), 0);
  for (int k = 0; k < 2; k++)
    for (int i = 0; i < 11; i++) write_recording(folder, k, i);
  snprintf(path, sizeof path, "%s/events.yaml", folder);
  test_write_file(path, events_recipe, strlen(events_recipe));
}

Test(cli, recordings_from_training_to_prediction) {
  char folder[64], text[8192];
  run_make_folder(folder);
  make_recordings(folder);
  run_in(folder, EVENTS "none --dry-run",
         "7x9x2          7x9x8              3");
  cr_expect_eq(surge(folder,
                     "train events.yaml --dry-run --set model.coding=poisson "
                     "--set data.normalize=false",
                     text, sizeof text),
               2);
  cr_expect_not_null(strstr(text, "model.coding: wanted direct"), "%s", text);
  run_in(folder, EVENTS "one --set data.workers=1",
         "16 training, 0 validation, 6 test recordings");
  run_in(folder, EVENTS "three --set data.workers=3 --set data.cache=again",
         "training set: 16 samples of 2 classes, 8 to 8 each");
  run_same_checkpoints(folder, "one", "three");
  run_same_metrics(folder, "one", "three");
  run_in(folder, "train --resume one --set train.epochs=3", "epoch 3/3");
  run_in(folder, "eval one -T 1,3,5", "T 5: test accuracy");
  run_in(folder, "predict one events/test/left/08.bin",
         "events/test/left/08.bin,0,");
  run_in(
      folder,
      "grad events.yaml --out steps.safetensors --steps 2 --set data.crop_pad=0",
      "");
  run_in(folder, "info steps.safetensors", "8x3x7x9x2");
  run_in(folder, "data preview events.yaml --out sheet.png --count 2",
         "strip 8: epoch 7");
  run_in(folder, "bench train events.yaml --steps 5 --warmup 0", "library_ms");
  run_remove_folder(folder);
}

/* Exit code 3 and the file's name; the run goes on where it stopped once the
 * file is whole again, whether training or the evaluation had found it. */
static void expect_stop(const char *folder, int i, const char *run) {
  char text[8192], arguments[128];
  damage_image(folder, 1, i);
  snprintf(arguments, sizeof arguments, IMAGES "%s", run);
  cr_expect_eq(surge(folder, arguments, text, sizeof text), 3, "%s", text);
  snprintf(arguments, sizeof arguments, "%s: wanted a whole JPEG",
           image_name(1, i));
  cr_expect_not_null(strstr(text, arguments), "%s", text);
  write_image(folder, 1, i);
  snprintf(arguments, sizeof arguments, "train --resume %s", run);
  run_in(folder, arguments, "epoch 2/2");
  run_same_checkpoints(folder, "whole", run);
}

Test(cli, an_image_that_cannot_be_read_stops_a_run) {
  char folder[64];
  run_make_folder(folder);
  make_images(folder);
  run_in(folder, IMAGES "whole", "epoch 2/2");
  expect_stop(folder, 2, "train");
  expect_stop(folder, 9, "test");
  run_remove_folder(folder);
}

Test(cli, images_that_cannot_be_read_are_skipped) {
  char folder[64], text[8192];
  run_make_folder(folder);
  make_images(folder);
  damage_image(folder, 0, 2);
  damage_image(folder, 1, 9);
  cr_expect_eq(surge(folder, IMAGES "run", text, sizeof text), 3, "%s", text);
  run_in(folder, "train --resume run --set data.on_error=skip", "epoch 2/2");
  cr_expect_eq(logged(folder, "run", "skipped: images/train/ant/2.jpg"), 1);
  cr_expect_eq(logged(folder, "run", "skipped: images/val/bee/9.jpg"), 1);
  cr_expect_eq(
      logged(folder, "run", "1 of 16 images in the files of the train"), 1);
  cr_expect_eq(logged(folder, "run", "1 of 6 images in the files of the test"),
               1);
  run_in(folder, "eval run", "5 images");
  run_in(folder, "eval run", "skipped: images/val/bee/9.jpg");
  cr_expect_eq(
      surge(folder, "predict run images/val/bee/9.jpg", text, sizeof text), 3,
      "%s", text);
  for (int i = 8; i < 11; i++)
    for (int k = 0; k < 2; k++) damage_image(folder, k, i);
  cr_expect_eq(surge(folder, "eval run", text, sizeof text), 3, "%s", text);
  run_remove_folder(folder);
}

Test(cli, image_sizes_and_folders_that_do_not_fit) {
  static const struct {
    const char *arguments, *needle;
    int code;
  } cases[] = {
      {"--set data.resize=11",
       "data.resize: wanted 0 or at least data.size, 12", 2},
      {"--set data.crop_pad=12", "data.crop_pad: wanted less than", 2},
      {"--set data.size=-1", "data.size", 2},
      {"--set data.on_error=ignore", "data.on_error", 2},
      {"--set data.path=nowhere", "nowhere: wanted a folder train", 3},
      {"--set data.path=nowhere --dry-run", "nowhere: wanted a folder train",
       3},
      {"--set data.path=images/train", "images/train: wanted a folder train",
       3},
      {"--set data.set=cifar10 --set data.path=images", "data_batch_1.bin", 3},
  };
  char folder[64], text[8192], arguments[256];
  run_make_folder(folder);
  make_images(folder);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    snprintf(arguments, sizeof arguments, IMAGES "run %s", cases[i].arguments);
    int code = surge(folder, arguments, text, sizeof text);
    cr_expect_eq(code, cases[i].code, "%s: %d: %s", cases[i].arguments, code,
                 text);
    cr_expect_not_null(strstr(text, cases[i].needle), "%s: %s",
                       cases[i].arguments, text);
    cr_expect_leq(lines(text), 1, "%s", text);
  }
  run_remove_folder(folder);
}

Test(cli, help_tells_every_command_and_code) {
  static const char *const needles[] = {"train",        "eval", "predict",
                                        "info",         "grad", "bench",
                                        "data preview", "130"};
  char text[16384];
  cr_assert_eq(surge("/", "--help", text, sizeof text), 0);
  for (size_t i = 0; i < sizeof needles / sizeof *needles; i++)
    cr_expect_not_null(strstr(text, needles[i]), "%s", needles[i]);
  run_in("/", "help recipe", "surrogate.width_rule");
  run_in("/", "help train", "--resume");
}
