/* preview.c - a contact sheet of what a network is shown (see train.h).
 *
 * It is the training of a recipe with `count` samples, one batch an epoch, up to
 * where the network would begin: loader, policy, the CPU's augment. The frames
 * of a recording stand side by side. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "src/data/image.h"
#include "src/train/session.h"

#define COLUMNS (1 + SURGE_PREVIEW_EPOCHS)
#define GAP 2   /* pixels around each image                                  */
#define TILE 64 /* an image is enlarged by whole factors up to about so many  */

typedef struct preview {
  surge_session session;
  surge_augment augment; /* as the recipe has it */
  float *x;              /* [T, count, H, W, C]: the network's input         */
  uint8_t *image;        /* [T, H, W, C]: a sample                           */
  uint8_t *sheet;        /* [h, w, 3]                                        */
  int32_t h, w, zoom;
} preview;

/* --- painting ------------------------------------------------------------- */

/* A pixel: grey is red, green and blue; of events OFF is blue, ON red, both are
 * violet, more events darker, `most` of them full. */
static void colour(const surge_dataset_info *d, const uint8_t *from,
                   int32_t most, uint8_t rgb[3]) {
  for (int c = 0; c < 3; c++) rgb[c] = from[d->c == 3 ? c : 0];
  if (!d->steps) return;
  int32_t off = 255 * from[0] / most, on = 255 * from[d->c - 1] / most;
  rgb[0] = (uint8_t)(255 - off * (255 - on) / 255);
  rgb[1] = (uint8_t)(255 - (off > on ? off : on));
  rgb[2] = (uint8_t)(255 - on * (255 - off) / 255);
}

/* Of one frame of a sample at (left, top). */
static void paint_frame(preview *p, int32_t left, int32_t top,
                        const uint8_t *image, int32_t most) {
  const surge_dataset_info *d = &p->session.info;
  for (int32_t y = 0; y < d->h * p->zoom; y++)
    for (int32_t x = 0; x < d->w * p->zoom; x++) {
      size_t to = (size_t)(top + y) * (size_t)p->w + (size_t)(left + x);
      colour(d, image + (y / p->zoom * d->w + x / p->zoom) * d->c, most,
             p->sheet + 3 * to);
    }
}

/* Width of a sample in the sheet. An image's epochs stand beside it, in columns;
 * a recording, which is wide, has them below it, in strips. */
static int32_t sample_width(const preview *p) {
  const surge_dataset_info *d = &p->session.info;
  return surge_sample_steps(d) * (d->w * p->zoom + 1) - 1;
}

/* Puts a sample at its place in the sheet. */
static void paint(preview *p, int32_t row, int32_t column,
                  const uint8_t *image) {
  const surge_dataset_info *d = &p->session.info;
  size_t frame = (size_t)d->h * (size_t)d->w * (size_t)d->c;
  int32_t down = d->steps ? row * COLUMNS + column : row, most = 1;
  int32_t top = GAP + down * (d->h * p->zoom + GAP);
  int32_t left = GAP + (d->steps ? 0 : column) * (sample_width(p) + GAP);
  for (size_t i = 0; i < surge_sample_bytes(d); i++)
    most = image[i] > most ? image[i] : most;
  for (int32_t t = 0; t < surge_sample_steps(d); t++)
    paint_frame(p, left + t * (d->w * p->zoom + 1), top,
                image + (size_t)t * frame, most);
}

/* The bytes of which the op made sample n of N. */
static void denormalize(const preview *p, size_t n, size_t N, uint8_t *image) {
  const surge_augment *a = &p->augment;
  size_t frame = surge_map_elements(&a->map), C = (size_t)a->map.c;
  for (size_t t = 0; t < (size_t)a->T; t++)
    for (size_t i = 0; i < frame; i++) {
      float x = p->x[(t * N + n) * frame + i];
      float value = rintf((x * a->std[i % C] + a->mean[i % C]) * a->unit);
      image[t * frame + i] = (uint8_t)fminf(fmaxf(value, 0), 255);
    }
}

/* --- the columns ---------------------------------------------------------- */

static surge_status paint_originals(preview *p, surge_tell *tell, void *user) {
  static const surge_data_pass pass = {.train = false};
  const surge_session *s = &p->session;
  for (int32_t row = 0; row < s->train_count; row++) {
    char line[256];
    uint32_t sample = s->train_samples[row];
    int32_t label = s->train.labels[sample];
    const char *name = surge_dataset_class(&s->train, label);
    SURGE_TRY(surge_dataset_image(&s->train, sample, &pass, p->image));
    paint(p, row, 0, p->image);
    snprintf(line, sizeof line, "row %d: training %s %u, class %d%s%s", row + 1,
             s->info.steps ? "recording" : "image", (unsigned)sample, label,
             name ? ", " : "", name ? name : "");
    SURGE_TRY(tell(user, line));
  }
  return SURGE_OK;
}

/* The row of each of the batch's samples, which are in the epoch's order. */
static void paint_batch(preview *p, const surge_batch *batch, int32_t column) {
  const surge_session *s = &p->session;
  for (int32_t n = 0; n < batch->n; n++) {
    denormalize(p, (size_t)n, (size_t)batch->n, p->image);
    for (int32_t row = 0; row < s->train_count; row++)
      if (s->train_samples[row] == batch->sample[n])
        paint(p, row, column, p->image);
  }
}

static surge_status tell_epoch(const preview *p, uint32_t epoch,
                               const surge_mix *mix, surge_tell *tell,
                               void *user) {
  char line[128], how[64] = "";
  if (mix->share < 1)
    snprintf(how, sizeof how, ", %s, share of its own %.2f",
             mix->pasted.h > 0 ? "cutmix" : "mixup", (double)mix->share);
  snprintf(line, sizeof line, "%s %u: epoch %u%s",
           p->session.info.steps ? "strip" : "column", (unsigned)epoch + 2,
           (unsigned)epoch + 1, how);
  return tell(user, line);
}

static surge_status paint_epoch(preview *p, uint32_t epoch, surge_tell *tell,
                                void *user) {
  surge_session *s = &p->session;
  uint64_t seed = (uint64_t)s->recipe->seed;
  surge_data_pass pass = {.train = true, .seed = seed, .epoch = epoch};
  surge_step step = {.seed = seed, .epoch = epoch};
  surge_batch batch;
  SURGE_TRY(surge_loader_start(s->train_loader, &pass, 0));
  SURGE_TRY(surge_loader_next(s->train_loader, &batch));
  step.mix = surge_mix_draw(&s->recipe->data, &s->info, seed, epoch, 0);
  surge_augment augment = p->augment;
  augment.images = batch.images ? batch.images : s->train.mirror_images;
  augment.gather = !batch.images;
  augment.sample = batch.sample;
  augment.step = &step;
  augment.N = batch.n;
  SURGE_TRY(s->backend->augment(s->context, &augment));
  paint_batch(p, &batch, (int32_t)epoch + 1);
  return tell_epoch(p, epoch, &step.mix, tell, user);
}

/* --- the sheet ------------------------------------------------------------ */

static surge_status open_sheet(preview *p) {
  surge_session *s = &p->session;
  const surge_dataset_info *d = &s->info;
  size_t elements = surge_sample_bytes(d);
  void *x;
  SURGE_TRY(s->backend->allocate(
      s->context, &x, (size_t)s->train_count * elements * sizeof(float)));
  p->augment = surge_augment_of(s->recipe, d, true);
  p->augment.x = p->x = x;
  p->augment.map = (surge_map){d->h, d->w, d->c, SURGE_CHANNELS_LAST};
  p->zoom = d->w < TILE ? TILE / d->w : 1;
  int32_t wide = d->steps ? 1 : COLUMNS, high = COLUMNS / wide;
  p->h = GAP + s->train_count * high * (d->h * p->zoom + GAP);
  p->w = GAP + wide * (sample_width(p) + GAP);
  size_t bytes = (size_t)p->h * (size_t)p->w * 3;
  p->image = malloc(elements);
  p->sheet = malloc(bytes);
  if (!p->image || !p->sheet)
    return SURGE_FAIL(SURGE_ERROR_DEVICE,
                      "preview: wanted memory for a sheet of %d x %d pixels, "
                      "found less",
                      p->h, p->w);
  memset(p->sheet, 255, bytes);
  return SURGE_OK;
}

static surge_status make_sheet(preview *p, const char *out, surge_tell *tell,
                               void *user) {
  surge_session *s = &p->session;
  SURGE_TRY(surge_dataset_describe(&s->info, &s->recipe->data, s->recipe->T));
  SURGE_TRY(surge_session_device(s, false));
  SURGE_TRY(surge_session_open_train(s));
  SURGE_TRY(open_sheet(p));
  SURGE_TRY(paint_originals(p, tell, user));
  for (uint32_t epoch = 0; epoch < SURGE_PREVIEW_EPOCHS; epoch++)
    SURGE_TRY(paint_epoch(p, epoch, tell, user));
  return surge_png_write(out, p->sheet, p->h, p->w);
}

surge_status surge_preview(const surge_recipe *original, int32_t count,
                           const char *out, surge_tell *tell, void *user) {
  surge_recipe recipe = *original;
  int32_t limit = recipe.data.limit;
  recipe.device = SURGE_DEVICE_CPU;
  recipe.data.limit = limit > 0 && limit < count ? limit : count;
  recipe.train.batch = recipe.data.limit;
  preview p = {.session = {.recipe = &recipe}};
  surge_status status = make_sheet(&p, out, tell, user);
  if (p.x) p.session.backend->release(p.session.context, p.x);
  free(p.image);
  free(p.sheet);
  surge_session_close(&p.session);
  return status;
}
