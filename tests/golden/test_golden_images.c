/* test_golden_images.c - are images decoded, cut and resized as Pillow and
 * torchvision do it, to the bit? */
#include <string.h>

#include "src/data/image.h"
#include "tests/golden/golden.h"
#include "tests/support/folder.h"

TestSuite(images, .init = test_folder_make, .fini = test_folder_remove);

static const surge_named_tensor *tensor_of(const surge_safetensors *file,
                                           const char *name, const char *key) {
  char full[64];
  snprintf(full, sizeof full, "%s%s", name, key);
  const surge_named_tensor *tensor = surge_safetensors_find(file, full);
  cr_assert_not_null(tensor, "golden file: no %s", full);
  return tensor;
}

static int different(const uint8_t *a, const uint8_t *b, size_t count) {
  int wrong = 0;
  for (size_t i = 0; i < count; i++) wrong += a[i] != b[i];
  return wrong;
}

Test(images, decode_as_pillow) {
  static const char *const names[] = {
      "jpeg",      "jpeg progressive", "jpeg grey",  "jpeg cmyk",
      "png",       "png grey",         "png bits",   "png palette",
      "png alpha", "png grey alpha",   "png 16 bits"};
  surge_safetensors file = golden_open("images");
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    const surge_named_tensor *bytes = tensor_of(&file, names[i], ".file");
    const surge_named_tensor *rgb = tensor_of(&file, names[i], ".rgb");
    surge_image image;
    /* the content tells the format, not the name */
    test_write_file(test_path("image.dat"), bytes->data,
                    surge_named_tensor_bytes(bytes));
    cr_assert_eq(surge_image_read(&image, test_path("image.dat")), SURGE_OK,
                 "%s: %s", names[i], surge_last_error());
    cr_assert(image.h == rgb->shape[0] && image.w == rgb->shape[1], "%s: size",
              names[i]);
    int wrong = different(image.rgb, rgb->data, surge_named_tensor_bytes(rgb));
    cr_expect_eq(wrong, 0, "%s: %d bytes are wrong", names[i], wrong);
    surge_image_free(&image);
  }
  surge_safetensors_free(&file);
}

Test(images, resize_as_pillow) {
  static const char *const names[] = {"same",  "larger",    "smaller",
                                      "flat",  "one pixel", "to one pixel",
                                      "window"};
  surge_safetensors file = golden_open("images");
  const surge_named_tensor *pixels = tensor_of(&file, "image", "");
  surge_image image = {.h = (int32_t)pixels->shape[0],
                       .w = (int32_t)pixels->shape[1],
                       .rgb = (uint8_t *)(uintptr_t)pixels->data};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    const int32_t *v = tensor_of(&file, names[i], ".view")->data;
    const surge_named_tensor *want = tensor_of(&file, names[i], ".out");
    surge_part part = {v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7], v[8]};
    size_t bytes = surge_named_tensor_bytes(want);
    uint8_t *out = malloc(bytes);
    cr_assert_eq(surge_image_resize(&image, &part, out), SURGE_OK);
    int wrong = different(out, want->data, bytes);
    cr_expect_eq(wrong, 0, "%s: %d of %zu bytes are wrong", names[i], wrong,
                 bytes);
    free(out);
  }
  surge_safetensors_free(&file);
}

Test(images, random_part_as_torchvision) {
  surge_safetensors file = golden_open("images");
  const surge_named_tensor *parts = tensor_of(&file, "parts", "");
  const int32_t *p = parts->data;
  for (int64_t i = 0; i < parts->shape[0]; i++, p += 9) {
    surge_data_pass pass = {
        .train = true, .seed = (uint64_t)p[2], .epoch = (uint32_t)p[3]};
    surge_part v = surge_part_random(p[0], p[1], 11, &pass, (uint32_t)p[4]);
    cr_expect(v.top == p[5] && v.left == p[6] && v.h == p[7] && v.w == p[8],
              "part %lld of %d x %d: wanted %d %d %d %d, found %d %d %d %d",
              (long long)i, p[0], p[1], p[5], p[6], p[7], p[8], v.top, v.left,
              v.h, v.w);
    cr_expect(v.scaled_h == 11 && v.scaled_w == 11 && v.size == 11 &&
              v.y == 0 && v.x == 0);
  }
  surge_safetensors_free(&file);
}

/* Resize and CenterCrop by hand: int(resize * longer / shorter), and halves of
 * a pixel to the even number. */
Test(images, centre_as_torchvision) {
  static const struct {
    int32_t h, w, resize, size, scaled_h, scaled_w, y, x;
  } cases[] = {{500, 375, 256, 224, 341, 256, 58, 16}, /* 58.5 */
               {375, 500, 256, 224, 256, 341, 16, 58},
               {501, 334, 256, 225, 384, 256, 80, 16}, /* 79.5, 15.5 */
               {224, 224, 224, 224, 224, 224, 0, 0},
               {10, 20, 256, 224, 256, 512, 16, 144}, /* made larger */
               {1, 1, 8, 8, 8, 8, 0, 0},
               {3, 1000, 32, 28, 32, 10666, 2, 5319}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    surge_part v = surge_part_centre(cases[i].h, cases[i].w, cases[i].resize,
                                     cases[i].size);
    cr_expect(v.top == 0 && v.left == 0 && v.h == cases[i].h &&
                  v.w == cases[i].w && v.size == cases[i].size,
              "case %zu", i);
    cr_expect(v.scaled_h == cases[i].scaled_h &&
                  v.scaled_w == cases[i].scaled_w && v.y == cases[i].y &&
                  v.x == cases[i].x,
              "case %zu: found %d x %d from (%d, %d)", i, v.scaled_h,
              v.scaled_w, v.y, v.x);
  }
}
