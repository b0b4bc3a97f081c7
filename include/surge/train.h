/* train.h - training, evaluation and one-step dumps of a recipe.
 *
 * The library prints nothing: whoever wants to see progress hands in an
 * observer. A run's folder holds recipe.yaml, metrics.csv, layers.csv, a
 * TensorBoard event file, checkpoint_last.safetensors,
 * checkpoint_best.safetensors and log.txt. */
#ifndef SURGE_TRAIN_H
#define SURGE_TRAIN_H

#include <signal.h>
#include <surge/net.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Where an epoch stands; a few times a second. */
typedef struct surge_progress {
  int32_t epoch, epochs;  /* epoch from 0                                   */
  int32_t batch, batches; /* batches done of the epoch                      */
  double loss, accuracy;  /* of the epoch so far                            */
  double samples_per_s;
  double seconds_left; /* of the whole run's training, estimated         */
} surge_progress;

/* Result over a set of images. */
typedef struct surge_evaluation {
  double loss, accuracy; /* mean task loss; share of correct, 0 to 1       */
  double pda;            /* mean over samples of sum over layers of D_l    */
  uint64_t samples;      /* 0: not evaluated                               */
  double seconds;
} surge_evaluation;

/* A row of metrics.csv. */
typedef struct surge_epoch_result {
  int32_t epoch, epochs; /* epoch from 1: so many are done                 */
  surge_evaluation train, validation, test;
  double samples_per_s; /* of training                                    */
  double learning_rate, gradient_norm;
  double wait_share; /* share of training time spent on waiting for data */
  bool best;         /* best so far, by validation or else by test     */
} surge_epoch_result;

/* What a run tells, each NULL where not wanted: progress a few times a second,
 * and the lines of log.txt (one an epoch among them). */
typedef struct surge_observer {
  void *user;
  void (*progress)(void *user, const surge_progress *progress);
  void (*message)(void *user, const char *line);
} surge_observer;

typedef struct surge_train_options {
  const char *folder; /* of the run                                     */
  bool resume;        /* go on from folder/checkpoint_last.safetensors  */
  bool force;         /* an existing folder may be overwritten          */
  bool no_graph;      /* steps are queued op by op                      */
  surge_observer observer;
  const volatile sig_atomic_t *interrupted; /* set: save and stop; or NULL    */
} surge_train_options;

/* Trains. SURGE_INTERRUPTED: saved, resumable. SURGE_ERROR_DIVERGED: names the
 * layer and step; the last good checkpoint is kept. */
surge_status surge_train(const surge_recipe *recipe,
                         const surge_train_options *options);

/* Opens what a recipe's `device` means in this program. `auto` is the registered
 * device if it opens, else the CPU; `note` then says in a line why, else "". */
#define SURGE_NOTE 512
surge_status surge_backend_open(const surge_backend **backend,
                                surge_context **context, surge_device device,
                                const surge_context_options *options,
                                char note[SURGE_NOTE]);

/* Evaluates `net` on a loader's samples, statistics included; metrics and
 * statistics are reset first and keep the whole evaluation afterwards. `step`
 * gives the seed and, for scheduled widths, the progress of the run. */
surge_status surge_evaluate(surge_net *net, surge_loader *loader,
                            const surge_step *step, surge_evaluation *result);

/* A network that is asked after each step, and one that stops by itself: as soon
 * as the largest softmax of its mean logits so far reaches a threshold (SEENN-I,
 * Li 2023, arXiv 2304.01230), at the latest after T steps. */
#define SURGE_EXITS 10
typedef struct surge_early_exit {
  double threshold;        /* of the softmax, in (0, 1) */
  uint64_t correct, steps; /* sums over the samples */
} surge_early_exit;

typedef struct surge_anytime {
  int32_t T;
  uint64_t samples;
  uint64_t correct[SURGE_MAX_T];      /* of the mean of steps 1..t */
  surge_early_exit exit[SURGE_EXITS]; /* by rising threshold */
} surge_anytime;

/* surge_evaluate, and what there is to know of each step. */
surge_status surge_evaluate_anytime(surge_net *net, surge_loader *loader,
                                    const surge_step *step,
                                    surge_evaluation *result,
                                    surge_anytime *anytime);

/* Reads a checkpoint's recipe ("--set" overrides applied on top). `path` may be
 * a run folder or a safetensors file; the file that was found is written to
 * file[size]. */
surge_status surge_checkpoint_recipe(surge_recipe *recipe, const char *path,
                                     const char *const *overrides, char *file,
                                     size_t size);

/* One forward and backward on the first batch, written to `out`; parameters
 * from checkpoint `from` or, where NULL, as initialised. With steps > 1 the
 * run's first so many training steps too: "steps.<name>", a row a step, and
 * "after.<parameter>"; their input must not be random. */
surge_status surge_gradient_dump(const surge_recipe *recipe, const char *from,
                                 bool soft, int32_t steps, const char *out);

/* Writes a contact sheet as PNG: a row for each of `count` training images; the
 * image itself, then, beside it or below a recording's frames, what a network would be shown of it in each of the first
 * epochs, after all that the recipe asks for, turned back into pixels. Mixed
 * are these images among themselves. `tell` gets a line on each row, then on
 * each epoch. */
#define SURGE_PREVIEW_EPOCHS 7
surge_status surge_preview(const surge_recipe *recipe, int32_t count,
                           const char *out, surge_tell *tell, void *user);

/* Energy of one inference at 45 nm (Horowitz 2014), as the field quotes it. */
#define SURGE_JOULE_MAC 4.6e-12 /* a multiply-accumulate: inputs not binary   */
#define SURGE_JOULE_AC 0.9e-12  /* an accumulate: input spikes                */

/* What a layer does for one inference: multiply-accumulates where its inputs are
 * real, synaptic operations (SOP: accumulates, of spikes alone) where binary. */
typedef struct surge_energy {
  double macs, acs, joules;
} surge_energy;
surge_energy surge_energy_of(const surge_work_report *work);

#ifdef __cplusplus
}
#endif
#endif
