#include "decode.h"

#include <aom/aom_decoder.h>
#include <aom/aomdx.h>
#include <stdlib.h>
#include <string.h>
#include <vpx/vp8dx.h>
#include <vpx/vpx_decoder.h>

struct oriel_decoder {
  int codec;
  aom_codec_ctx_t aom;
  vpx_codec_ctx_t vpx;
};

oriel_decoder *oriel_decoder_open(int codec) {
  oriel_decoder *d = calloc(1, sizeof *d);
  if (!d) return NULL;
  d->codec = codec;
  int failed;
  if (codec == 0) {
    failed = aom_codec_dec_init(&d->aom, aom_codec_av1_dx(), NULL, 0);
  } else {
    failed = vpx_codec_dec_init(&d->vpx, codec == 1 ? vpx_codec_vp9_dx() : vpx_codec_vp8_dx(), NULL, 0);
  }
  if (failed) {
    free(d);
    return NULL;
  }
  return d;
}

#define TAKE(img)                     \
  do {                                 \
    for (int i = 0; i < 3; i++) {      \
      out->plane[i] = img->planes[i];  \
      out->stride[i] = img->stride[i]; \
    }                                  \
    out->w = img->d_w;                 \
    out->h = img->d_h;                 \
    out->shift = img->x_chroma_shift;  \
    n++;                               \
  } while (0)

int oriel_decoder_decode(oriel_decoder *d, const uint8_t *data, size_t size, oriel_decoded *out) {
  int n = 0;
  if (d->codec == 0) {
    if (aom_codec_decode(&d->aom, data, size, NULL)) return -1;
    aom_codec_iter_t iter = NULL;
    aom_image_t *img;
    while ((img = aom_codec_get_frame(&d->aom, &iter))) TAKE(img);
  } else {
    if (vpx_codec_decode(&d->vpx, data, (unsigned)size, NULL, 0)) return -1;
    vpx_codec_iter_t iter = NULL;
    vpx_image_t *img;
    while ((img = vpx_codec_get_frame(&d->vpx, &iter))) TAKE(img);
  }
  return n;
}

void oriel_decoder_close(oriel_decoder *d) {
  if (!d) return;
  if (d->codec == 0) {
    aom_codec_destroy(&d->aom);
  } else {
    vpx_codec_destroy(&d->vpx);
  }
  free(d);
}

uint64_t oriel_squares(const uint8_t *a, int stride_a, const uint8_t *b, int stride_b, int w, int h) {
  uint64_t sum = 0;
  for (int y = 0; y < h; y++, a += stride_a, b += stride_b) {
    uint32_t row = 0; /* at most 16384 samples of 255 squared */
    for (int x = 0; x < w; x++) {
      int d = a[x] - b[x];
      row += (uint32_t)(d * d);
    }
    sum += row;
  }
  return sum;
}

int oriel_furthest(const uint8_t *a, int stride_a, const uint8_t *b, int stride_b, int w, int h, int *x, int *y) {
  int most = 0;
  *x = *y = 0;
  for (int j = 0; j < h; j++, a += stride_a, b += stride_b) {
    if (memcmp(a, b, (size_t)w) == 0) continue;
    for (int i = 0; i < w; i++) {
      int d = abs(a[i] - b[i]);
      if (d > most) {
        most = d;
        *x = i;
        *y = j;
      }
    }
  }
  return most;
}
