/* predict.c - `surge predict`: classes and scores of image files as CSV. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "src/cli/cli.h"
#include "src/train/schedule.h"
#include "src/train/session.h"

typedef struct predictor {
  surge_session session;
  float *scores; /* [batch, classes] */
  FILE *out;
  int64_t written;
} predictor;

static void write_row(predictor *p, const char *path, uint32_t index,
                      const float *scores) {
  int32_t classes = p->session.info.classes, best = 0;
  for (int32_t k = 1; k < classes; k++)
    if (scores[k] > scores[best]) best = k;
  fprintf(p->out, "%s,%u,%d", path, index, best);
  for (int32_t k = 0; k < classes; k++)
    fprintf(p->out, ",%.9g", (double)scores[k]);
  fputc('\n', p->out);
  p->written++;
}

static surge_status predict_set(predictor *p, const char *path,
                                surge_loader *loader) {
  surge_session *s = &p->session;
  surge_step step = surge_step_at(s->recipe, 0, 0, 1, false);
  SURGE_TRY(surge_loader_start(loader, &(surge_data_pass){.train = false}, 0));
  for (;;) {
    surge_batch batch;
    SURGE_TRY(surge_loader_next(loader, &batch));
    if (batch.n == 0) return SURGE_OK;
    SURGE_TRY(surge_net_load(s->net, &batch, &step));
    SURGE_TRY(surge_net_evaluate(s->net, false));
    SURGE_TRY(surge_net_scores(s->net, p->scores));
    for (int32_t i = 0; i < batch.n; i++)
      write_row(p, path, batch.sample[i], p->scores + i * s->info.classes);
  }
}

static surge_status predict_file(predictor *p, const char *path) {
  surge_dataset set;
  surge_loader *loader = NULL;
  SURGE_TRY(surge_dataset_open_file(&set, &p->session.info, path));
  uint32_t *all = malloc((size_t)set.count * sizeof *all);
  surge_status status = all ? SURGE_OK
                            : SURGE_FAIL(SURGE_ERROR_DEVICE,
                                         "no memory for %d "
                                         "indices",
                                         set.count);
  for (int32_t i = 0; all && i < set.count; i++) all[i] = (uint32_t)i;
  if (status == SURGE_OK)
    status = surge_loader_create(&loader, &set, all, set.count,
                                 p->session.recipe->train.batch, 1);
  if (status == SURGE_OK) status = predict_set(p, path, loader);
  if (loader) surge_loader_destroy(loader);
  free(all);
  surge_dataset_close(&set);
  return status;
}

static surge_status predict_all(predictor *p, const surge_recipe *recipe,
                                const char *checkpoint, const cli_options *o) {
  surge_net_options options = {0};
  SURGE_TRY(surge_session_open(&p->session, recipe, &options));
  SURGE_TRY(surge_session_restore(&p->session, checkpoint, false));
  int32_t classes = p->session.info.classes;
  p->scores =
      malloc((size_t)recipe->train.batch * (size_t)classes * sizeof(float));
  if (!p->scores) return SURGE_FAIL(SURGE_ERROR_DEVICE, "no memory for scores");
  fprintf(p->out, "file,index,class");
  for (int32_t k = 0; k < classes; k++) fprintf(p->out, ",score_%d", k);
  fputc('\n', p->out);
  for (int i = 1; i < o->positionals; i++)
    SURGE_TRY(predict_file(p, o->positional[i]));
  return SURGE_OK;
}

/* Opens and closes the CSV around the work; a disk that fills is told. */
static surge_status predict_into(const surge_recipe *recipe,
                                 const char *checkpoint, const cli_options *o) {
  predictor p = {.out = o->out ? fopen(o->out, "w") : stdout};
  if (!p.out)
    return SURGE_FAIL(SURGE_ERROR_DATA, "%s: wanted to write it, found: %s",
                      o->out, strerror(errno));
  surge_status status = predict_all(&p, recipe, checkpoint, o);
  bool written = fflush(p.out) == 0 && !ferror(p.out);
  if (o->out && fclose(p.out) != 0) written = false;
  if (status == SURGE_OK && !written)
    status = SURGE_FAIL(SURGE_ERROR_DATA, "%s: wanted to write it, found: %s",
                        o->out ? o->out : "standard output", strerror(errno));
  if (status == SURGE_OK && o->out)
    printf("%lld rows in %s\n", (long long)p.written, o->out);
  free(p.scores);
  surge_session_close(&p.session);
  return status;
}

surge_status cli_predict(int argc, char **argv) {
  cli_options o;
  surge_recipe recipe;
  char checkpoint[SURGE_PATH];
  SURGE_TRY(cli_parse(&o, argc, argv, "out T threads device set", 2, CLI_MAX));
  surge_status status = surge_checkpoint_recipe(
      &recipe, o.positional[0], o.overrides, checkpoint, sizeof checkpoint);
  if (status == SURGE_OK) status = predict_into(&recipe, checkpoint, &o);
  surge_recipe_free(&recipe);
  return status;
}
