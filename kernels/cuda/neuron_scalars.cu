/* neuron_scalars.cu - decay, gain, PDA's target and the widths of a layer: one
 * block, once a step, in double, rounded once. */
#include "kernels/cuda/neuron.cuh"

/* Mean of a norm's gamma, as every thread gets it. */
static __device__ __forceinline__ double mean_gamma(const float *gamma,
                                                    int32_t C) {
  double sum = 0;
  for (int32_t c = (int32_t)threadIdx.x; c < C; c += (int32_t)blockDim.x)
    sum += (double)gamma[c];
  SURGE_SHARED double mean;
  sum = combine<double, NEURON_THREADS>(sum, blockDim.x, 1);
  if (threadIdx.x == 0) mean = sum / C;
  __syncthreads();
  return mean;
}

static __device__ double gamma_of(const surge_neuron_scalars &a) {
  double first = mean_gamma(a.gamma[0], a.C);
  return surge_joint_gamma(first,
                           a.gamma[1] ? mean_gamma(a.gamma[1], a.C) : first);
}

__global__ void neuron_scalars_kernel(const surge_neuron_scalars a) {
  const surge_neuron_spec &spec = a.spec;
  double d = surge_decay_factor(&spec, a.decay_logit), g = 1, progress = 0;
  if (spec.width_rule == SURGE_WIDTH_NORM) g = gamma_of(a);
  if (spec.width_rule == SURGE_WIDTH_SCHEDULE)
    progress = (double)a.step->schedule;
  int32_t parts = spec.granularity == SURGE_PER_CHANNEL ? a.C : 1;
  for (int later = 0; later < 2; later++) {
    double shared = surge_width(&spec, d, g, progress, later);
    for (int32_t p = (int32_t)threadIdx.x; p < parts; p += (int32_t)blockDim.x)
      a.width[later * parts + p] =
          (float)(spec.width_rule == SURGE_WIDTH_LEARNED ? exp((double)a.rho[p])
                                                         : shared);
  }
  if (threadIdx.x > 0) return;
  a.scalars[SURGE_SCALAR_DECAY] = (float)d;
  a.scalars[SURGE_SCALAR_GAIN] = spec.decay_input ? (float)(1 - d) : 1.0f;
  a.scalars[SURGE_SCALAR_PDA_MEAN] = spec.pda_mean;
  a.scalars[SURGE_SCALAR_PDA_STD] =
      spec.pda_std > 0 ? spec.pda_std : (float)surge_target_spread(&spec, d);
  if (surge_neuron_synaptic(&spec))
    a.scalars[SURGE_SCALAR_SYNAPSE] =
        (float)surge_synapse_factor(&spec, a.synapse_logit);
}

surge_status surge_cuda_neuron_scalars(surge_context *context,
                                       const surge_neuron_scalars *a) {
  SURGE_TRY(surge_check_neuron_scalars(a));
  SURGE_LAUNCH((neuron_scalars_kernel), 1, NEURON_THREADS, 0, context->stream,
               *a);
  return surge_cuda_launched(context, "neuron_scalars");
}
