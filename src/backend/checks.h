/* checks.h - argument checks shared by all backends: the same calls are
 * refused with the same words, before anything is written. A refused argument
 * is a fault of the caller, SURGE_ERROR_INTERNAL, and the message says op,
 * argument, what was wanted and what was found. */
#ifndef SURGE_BACKEND_CHECKS_H
#define SURGE_BACKEND_CHECKS_H

#include <surge/backend.h>

#ifdef __cplusplus
extern "C" {
#endif

surge_status surge_check_conv2d_shape(const surge_conv2d_shape *shape);
surge_status surge_check_conv2d_forward(const surge_conv2d_shape *shape,
                                        const surge_conv2d_forward *a);
surge_status surge_check_conv2d_backward_data(
    const surge_conv2d_shape *shape, const surge_conv2d_backward_data *a);
surge_status surge_check_conv2d_backward_weights(
    const surge_conv2d_shape *shape, const surge_conv2d_backward_weights *a);
surge_status surge_check_linear_forward(const surge_linear *a);
surge_status surge_check_linear_backward_data(const surge_linear *a);
surge_status surge_check_linear_backward_weights(const surge_linear *a);
surge_status surge_check_pool_forward(const char *op, const surge_pool *a);
surge_status surge_check_pool_backward(const char *op, const surge_pool *a);
surge_status surge_check_norm_forward(const surge_norm_forward *a);
surge_status surge_check_norm_backward(const surge_norm_backward *a);
surge_status surge_check_neuron_scalars(const surge_neuron_scalars *a);
surge_status surge_check_neuron_forward(const surge_neuron_forward *a);
surge_status surge_check_neuron_backward(const surge_neuron_backward *a);
surge_status surge_check_add_forward(const surge_add *a);
surge_status surge_check_add_backward(const surge_add *a);
surge_status surge_check_integrator(const surge_integrator *a);
surge_status surge_check_augment(const surge_augment *a);
surge_status surge_check_poisson(const surge_poisson *a);
surge_status surge_check_dropout(const surge_dropout *a);
surge_status surge_check_loss(const surge_loss *a);
surge_status surge_check_gradient_norm(const surge_gradient_norm *a);
surge_status surge_check_optimize(const surge_optimize *a);
surge_status surge_check_count_nonzero(const surge_count_nonzero *a);
surge_status surge_check_average(const surge_average *a);
surge_status surge_check_cast(const surge_cast *a);
surge_status surge_check_pack(const char *op, const surge_pack *a);

/* Shared by the files checks_*.c. */
surge_status surge_check_pointer(const char *op, const char *argument,
                                 const void *pointer);
surge_status surge_check_map(const char *op, const surge_map *map);
surge_status surge_check_positive(const char *op, const char *argument,
                                  int64_t value);

#ifdef __cplusplus
}
#endif
#endif
