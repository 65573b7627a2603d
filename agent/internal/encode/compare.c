#include "compare.h"

#include <string.h>

/* Where the C library can choose when the program starts, by the processor. */
#if defined(__x86_64__) && defined(__gnu_linux__) && defined(__GLIBC__)
#define WIDE __attribute__((target_clones("avx2", "default")))
#else
#define WIDE
#endif

/* Columns summed at a time: what the compiler makes wide instructions of. */
enum { run = 128 };

/* Sums of squares and largest differences of w <= run columns over h <= 8 rows. */
WIDE static void columns(const uint8_t *restrict a, int sa, const uint8_t *restrict b, int sb, int w, int h,
                    uint32_t *restrict sse, uint8_t *restrict max) {
  for (int x = 0; x < run; x++) { /* all, for the block that ends beyond w */
    sse[x] = 0;
    max[x] = 0;
  }
  for (int y = 0; y < h; y++, a += sa, b += sb) {
    for (int x = 0; x < w; x++) {
      uint8_t d = a[x] > b[x] ? a[x] - b[x] : b[x] - a[x];
      max[x] = d > max[x] ? d : max[x];
      sse[x] += (uint16_t)(d * d);
    }
  }
}

static int equal(const uint8_t *a, int sa, const uint8_t *b, int sb, int w, int h) {
  for (int y = 0; y < h; y++, a += sa, b += sb) {
    if (memcmp(a, b, w) != 0) return 0;
  }
  return 1;
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
    uint32_t sums[run] ;
    uint8_t most[run];
    for (int x = x0; x < x1; x += 8) {
      int w = x1 - x < 8 ? x1 - x : 8, i = (x - x0) % run;
      if (i == 0) {
        const uint8_t *pa = a + (size_t)y * sa + x, *pb = b + (size_t)y * sb + x;
        int all = x1 - x < run ? x1 - x : run;
        if (equal(pa, sa, pb, sb, all, h)) {
          x += run - 8;
          continue;
        }
        columns(pa, sa, pb, sb, all, h, sums, most);
      }
      uint32_t sse = 0;
      uint8_t max = 0;
      for (int k = i; k < i + 8; k++) {
        sse += sums[k];
        max = most[k] > max ? most[k] : max;
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
