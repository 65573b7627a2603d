#ifndef ORIEL_DECODETEST_H
#define ORIEL_DECODETEST_H
#include <stddef.h>
#include <stdint.h>

typedef struct oriel_decoder oriel_decoder;

typedef struct {
  const uint8_t *plane[3];
  int stride[3];
  int w, h, shift; /* shift: chroma is halved */
} oriel_decoded;

oriel_decoder *oriel_decoder_open(int codec); /* 0 AV1, 1 VP9, 2 VP8 */
/* -1: not decodable; 0: no picture came out; else how many did; d is the last. */
int oriel_decoder_decode(oriel_decoder *d, const uint8_t *data, size_t size, oriel_decoded *out);
void oriel_decoder_close(oriel_decoder *d);

/* Of two parts of planes: the sum of squared differences; the largest
   difference and where it is first. C, because the race detector would make
   each sample of a Go loop a call. */
uint64_t oriel_squares(const uint8_t *a, int stride_a, const uint8_t *b, int stride_b, int w, int h);
int oriel_furthest(const uint8_t *a, int stride_a, const uint8_t *b, int stride_b, int w, int h, int *x, int *y);
#endif
