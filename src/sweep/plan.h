/* plan.h - a sweep: a recipe, and the points at which it is run.
 *
 *   plan.c      a sweep's file -> points and their folders' names
 *   recipes.c   points -> effective recipes; what cannot be run is told
 *   estimate.c  how long they take
 *   folder.c    the sweep's folder: what was planned, and the state of each run
 *   child.c     one process of a run
 *   run.c       all of them, some at once
 *   table.c     progress as text, results as sweep.csv
 *   slurm.c     the same as an array job */
#ifndef SURGE_SWEEP_PLAN_H
#define SURGE_SWEEP_PLAN_H

#include <surge/recipe.h>
#include <surge/train.h>

#include "src/config/document.h"

#define SURGE_SWEEP_KEYS 32     /* different keys of a sweep        */
#define SURGE_SWEEP_POINTS 4096 /* of a sweep                       */
#define SURGE_SWEEP_NAME 200    /* bytes of a run's folder name     */
#define SURGE_SWEEP_VALUE 512   /* bytes of a value written as YAML */

typedef struct surge_point {
  const yaml_node_t *value[SURGE_SWEEP_KEYS]; /* NULL: as the base has it */
  char name[SURGE_SWEEP_NAME];                /* of its folder            */
  /* recipes.c fills in: */
  char *recipe;            /* effective, as text; owned                   */
  int32_t epochs, threads; /* of the recipe                               */
  double samples; /* trained on, those evaluated counted as a third, in   */
                  /* the whole run; 0: not known before its files are read */
  size_t bytes;   /* of its network's arenas                              */
  size_t network; /* the first point that differs in nothing but its seed */
} surge_point;

typedef struct surge_plan {
  char file[SURGE_PATH]; /* the sweep's                                   */
  surge_source source;   /* values point into its document                */
  const yaml_node_t *name, *base; /* given in the file                    */
  char base_path[SURGE_PATH];     /* as seen from the working directory   */
  char keys[SURGE_SWEEP_KEYS][SURGE_WORD];
  bool varies[SURGE_SWEEP_KEYS]; /* do the points differ in it?           */
  size_t key_count;
  surge_point *points; /* [SURGE_SWEEP_POINTS]; owned */
  size_t count;
} surge_plan;

/* Reads a sweep's file: the union of (entry of `list` x `grid`), in the file's
 * order, the last key fastest, without what `exclude` matches. Values are not
 * looked at: surge_plan_recipes does. SURGE_ERROR_RECIPE: what stands
 * where. The plan must not be moved, and be freed in either case. */
surge_status surge_plan_read(surge_plan *plan, const char *path);
void surge_plan_free(surge_plan *plan);

/* Reads the recipe of every point and plans its network. What cannot be run is
 * told in a line each; then SURGE_ERROR_RECIPE or, with `keep_going`, it is left
 * out. Points that come to the same recipe are refused. */
surge_status surge_plan_recipes(surge_plan *plan, bool keep_going,
                                surge_tell *tell, void *user);

/* Names the folders by the keys that vary: "T=2_width_rule=learned_seed=1". */
surge_status surge_plan_name(surge_plan *plan);

/* A value as YAML on one line. False: too long. */
bool surge_plan_value(const surge_plan *plan, const yaml_node_t *node,
                      char text[SURGE_SWEEP_VALUE]);

/* Writes the plan as a sweep's file of listed points. */
surge_status surge_plan_write(const surge_plan *plan, FILE *file);

#endif
