/* add.c - the sum of one or two inputs outside a neuron, and what they receive:
 * a thread takes a piece through all steps, as in the neuron op (inputs.h). */
#include <string.h>

#include "kernels/cpu/inputs.h"
#include "kernels/shared/add.h"
#include "src/backend/checks.h"

/* A call in steps: nothing here is static but what moves along. */
typedef struct add_call {
  surge_add a;
  surge_cpu_inputs in;
  surge_cpu_receiver to[2];
} add_call;

static void call_start(add_call *b, const surge_add *a) {
  b->a = surge_add_in_steps(a);
  b->in = surge_cpu_inputs_of(b->a.input, a->inputs, &a->map, b->a.T, a->N,
                              SURGE_ROW);
}

static size_t bind(add_call *b) {
  surge_cpu_scratch scratch = {b->a.workspace, 0};
  for (int which = 0; which < b->in.count; which++)
    b->to[which] = (surge_cpu_receiver){
        .da = b->a.da[which],
        .mode = b->a.mode[which],
        .sums = b->a.sums[which],
        .partial =
            surge_cpu_take(&scratch, surge_cpu_partial_bytes(&b->in, which))};
  return scratch.used;
}

size_t surge_cpu_add_workspace(surge_context *context, const surge_add *a) {
  (void)context;
  add_call b;
  call_start(&b, a);
  b.a.workspace = NULL;
  return bind(&b);
}

/* --- forward -------------------------------------------------------------- */

static void forward_group(const add_call *b, size_t g) {
  const surge_cpu_inputs *in = &b->in;
  surge_cpu_affine rows;
  rows.filled = (surge_cpu_piece){0};
  for (size_t p = surge_cpu_first(in->cut.count, in->groups, g);
       p < surge_cpu_first(in->cut.count, in->groups, g + 1); p++) {
    surge_cpu_piece piece = surge_cpu_piece_at(&in->cut, p);
    (void)surge_cpu_affine_fill(&rows, in, &piece);
    for (size_t t = 0; t < (size_t)in->T; t++) {
      float *y = surge_cpu_to(b->a.y, t * in->M + piece.offset);
      const float *sum = surge_cpu_input_sum(y, &rows, in, &piece, t);
      if (sum != y) memcpy(y, sum, piece.length * sizeof *y);
    }
  }
}

surge_status surge_cpu_add_forward(surge_context *context, const surge_add *a) {
  SURGE_TRY(surge_check_add_forward(a));
  add_call b;
  call_start(&b, a);
#pragma omp parallel for num_threads(context->threads) schedule(static)
  for (size_t g = 0; g < b.in.groups; g++) forward_group(&b, g);
  return SURGE_OK;
}

/* --- backward ------------------------------------------------------------- */

#define EACH_INPUT for (int which = 0; which < in->count; which++)

/* One thread's rows; pieces that share sums do so for both inputs. */
typedef struct backward_rows {
  surge_cpu_received input[2];
  surge_cpu_chain chain;
} backward_rows;

static void settle_sums(backward_rows *rows, const add_call *b, size_t g) {
  const surge_cpu_inputs *in = &b->in;
  EACH_INPUT surge_cpu_receive_settle(&rows->input[which], &b->to[which], in,
                                      which, g, &rows->chain.piece);
  rows->chain = (surge_cpu_chain){0};
}

static void backward_piece(backward_rows *rows, const add_call *b, size_t g,
                           const surge_cpu_piece *piece) {
  const surge_cpu_inputs *in = &b->in;
  size_t T = (size_t)in->T, count;
  EACH_INPUT surge_cpu_receive_piece(&rows->input[which], &b->to[which], in,
                                     which, piece);
  for (size_t t = 0; t < T; t += count) {
    const float *dy = surge_cpu_from(b->a.dy, t * in->M + piece->offset);
    count = surge_cpu_receive_stride(in, T - t);
    EACH_INPUT surge_cpu_receive_steps(&rows->input[which], &b->to[which], in,
                                       which, g, piece, dy, in->M, t, count);
  }
  EACH_INPUT surge_cpu_receive_end(&rows->input[which], &b->to[which], in,
                                   which, piece);
}

static void backward_group(const add_call *b, size_t g) {
  const surge_cpu_inputs *in = &b->in;
  backward_rows rows;
  rows.chain = (surge_cpu_chain){0};
  EACH_INPUT surge_cpu_receive_group(&rows.input[which], &b->to[which], in,
                                     which, g);
  for (size_t p = surge_cpu_first(in->cut.count, in->groups, g);
       p < surge_cpu_first(in->cut.count, in->groups, g + 1); p++) {
    surge_cpu_piece piece = surge_cpu_piece_at(&in->cut, p);
    if (!surge_cpu_chain_takes(&rows.chain, &piece, in->T))
      settle_sums(&rows, b, g);
    surge_cpu_chain_join(&rows.chain, &piece, in->T);
    backward_piece(&rows, b, g, &piece);
  }
  settle_sums(&rows, b, g);
}

surge_status surge_cpu_add_backward(surge_context *context,
                                    const surge_add *a) {
  SURGE_TRY(surge_check_add_backward(a));
  add_call b;
  call_start(&b, a);
  bind(&b);
#pragma omp parallel for num_threads(context->threads) schedule(static)
  for (size_t g = 0; g < b.in.groups; g++) backward_group(&b, g);
  for (int which = 0; which < b.in.count; which++)
    surge_cpu_receive_finish(&b.to[which], &b.in, which);
  return SURGE_OK;
}
