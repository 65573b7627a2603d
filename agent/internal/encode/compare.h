#ifndef ORIEL_COMPARE_H
#define ORIEL_COMPARE_H
#include <stddef.h>
#include <stdint.h>

/* What one encode call gives back; data lives until the next call. */
typedef struct {
  const uint8_t *data;
  size_t size;
  int key;
  int quantizer;
  const uint8_t *plane[3]; /* the reconstructed picture */
  int stride[3];
} oriel_packet;

/* Sums over a rectangle of one plane, in blocks of 8x8. */
typedef struct {
  uint64_t sse;
  int max;
  double worst;            /* largest mean squared error of a block */
  int x0, y0, x1, y1;      /* encloses the blocks over the bounds; empty: x1 <= x0 */
} oriel_error;

void oriel_compare(const uint8_t *a, int sa, const uint8_t *b, int sb,
                   int x0, int y0, int x1, int y1,
                   double rough_mse, int rough_max, oriel_error *e);
#endif
