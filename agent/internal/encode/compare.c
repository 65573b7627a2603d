#include "compare.h"

#include <stdlib.h>

static void whole(const uint8_t *a, int sa, const uint8_t *b, int sb, uint32_t *sse, int *max) {
  uint32_t sum = 0;
  uint8_t most = 0;
  for (int y = 0; y < 8; y++, a += sa, b += sb) {
    for (int x = 0; x < 8; x++) {
      int16_t d = (int16_t)(a[x] - b[x]);
      uint8_t m = a[x] > b[x] ? a[x] - b[x] : b[x] - a[x];
      sum += (uint32_t)(d * d);
      most = m > most ? m : most;
    }
  }
  *sse = sum;
  *max = most;
}

static void part(const uint8_t *a, int sa, const uint8_t *b, int sb, int w, int h, uint32_t *sse, int *max) {
  uint32_t sum = 0;
  int most = 0;
  for (int y = 0; y < h; y++, a += sa, b += sb) {
    for (int x = 0; x < w; x++) {
      int d = abs(a[x] - b[x]);
      sum += (uint32_t)(d * d);
      if (d > most) most = d;
    }
  }
  *sse = sum;
  *max = most;
}

void oriel_compare(const uint8_t *a, int sa, const uint8_t *b, int sb,
                   int x0, int y0, int x1, int y1,
                   double rough_mse, int rough_max, oriel_error *e) {
  e->sse = 0;
  e->max = 0;
  e->worst = 0;
  e->x0 = x1;
  e->y0 = y1;
  e->x1 = x0;
  e->y1 = y0;
  for (int y = y0; y < y1; y += 8) {
    int h = y1 - y < 8 ? y1 - y : 8;
    for (int x = x0; x < x1; x += 8) {
      int w = x1 - x < 8 ? x1 - x : 8;
      uint32_t sse;
      int max;
      if (w == 8 && h == 8) {
        whole(a + (size_t)y * sa + x, sa, b + (size_t)y * sb + x, sb, &sse, &max);
      } else {
        part(a + (size_t)y * sa + x, sa, b + (size_t)y * sb + x, sb, w, h, &sse, &max);
      }
      if (sse == 0) continue;
      double mse = (double)sse / (w * h);
      e->sse += sse;
      if (max > e->max) e->max = max;
      if (mse > e->worst) e->worst = mse;
      if (mse > rough_mse || max > rough_max) {
        if (x < e->x0) e->x0 = x;
        if (y < e->y0) e->y0 = y;
        if (x + w > e->x1) e->x1 = x + w;
        if (y + h > e->y1) e->y1 = y + h;
      }
    }
  }
}
