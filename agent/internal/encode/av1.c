#include "av1.h"

#include <aom/aom_encoder.h>
#include <aom/aomcx.h>
#include <stdlib.h>
#include <string.h>

/* The coarsest quantizer without the loop filter: up to it the filter gains 0.1 dB
   and takes 7 % (a scrolling page) to 12 % (typing) of the instructions; at 40 and
   above video gains 0.5 dB by it. */
enum { unfiltered = 32 };

/* Ours, see .ci/aom.patch; NULL where the system's libaom is linked. */
extern void oriel_aom_scrolled(aom_codec_ctx_t *ctx, int rows, int stays) __attribute__((weak));
extern void oriel_aom_changed(aom_codec_ctx_t *ctx, const uint8_t *cells, const uint8_t *bands) __attribute__((weak));

struct oriel_av1 {
  aom_codec_ctx_t ctx;
  aom_codec_enc_cfg_t cfg;
  int w, h, i444;
  int speed, filter, palette;
  int mapped; /* an active map is in force */
};

oriel_av1 *oriel_av1_open(int w, int h, int threads, int i444, int speed, const char **error) {
  oriel_av1 *e = calloc(1, sizeof *e);
  if (!e) {
    *error = "out of memory";
    return NULL;
  }
  aom_codec_iface_t *iface = aom_codec_av1_cx();
  aom_codec_err_t err = aom_codec_enc_config_default(iface, &e->cfg, AOM_USAGE_REALTIME);
  if (err) {
    *error = aom_codec_err_to_string(err);
    free(e);
    return NULL;
  }
  e->w = w;
  e->h = h;
  e->i444 = i444;
  e->cfg.g_profile = i444 ? 1 : 0;
  e->cfg.g_w = w;
  e->cfg.g_h = h;
  e->cfg.g_threads = threads;
  e->cfg.g_timebase.num = 1;
  e->cfg.g_timebase.den = 30;
  e->cfg.g_lag_in_frames = 0;
  e->cfg.g_error_resilient = 0;
  e->cfg.g_pass = AOM_RC_ONE_PASS;
  e->cfg.kf_mode = AOM_KF_DISABLED;
  /* Not CBR, whose shortcuts leave blocks of 16x16 that swap black and white as
     they were, and in which 3.6 asserts at a quantizer of 1. */
  e->cfg.rc_end_usage = AOM_Q;
  e->cfg.rc_min_quantizer = 40;
  e->cfg.rc_max_quantizer = 40;
  err = aom_codec_enc_init(&e->ctx, iface, &e->cfg, 0);
  if (err) {
    *error = aom_codec_err_to_string(err);
    free(e);
    return NULL;
  }
  int columns = 0;
  while ((1 << columns) < threads && (w >> (columns + 1)) >= 256) columns++;
#define SET(id, v)                                                       \
  do {                                                                   \
    if (aom_codec_control(&e->ctx, id, v) && !*error) *error = #id;      \
  } while (0)
  *error = NULL;
  e->speed = speed;
  e->filter = e->palette = 1;
  SET(AOME_SET_CPUUSED, speed);
  SET(AV1E_SET_TUNE_CONTENT, AOM_CONTENT_SCREEN);
  SET(AV1E_SET_ENABLE_PALETTE, 1);
  SET(AV1E_SET_ENABLE_INTRABC, 0);
  SET(AV1E_SET_AQ_MODE, 0);
  SET(AV1E_SET_DELTAQ_MODE, 0);
  SET(AV1E_SET_ENABLE_CDEF, 0);
  SET(AV1E_SET_ENABLE_RESTORATION, 0);
  SET(AV1E_SET_ENABLE_TPL_MODEL, 0);
  SET(AV1E_SET_ENABLE_ORDER_HINT, 0);
  SET(AV1E_SET_ENABLE_OBMC, 0);
  SET(AV1E_SET_ENABLE_WARPED_MOTION, 0);
  SET(AV1E_SET_ENABLE_GLOBAL_MOTION, 0);
  SET(AV1E_SET_ENABLE_REF_FRAME_MVS, 0);
  SET(AV1E_SET_ENABLE_CFL_INTRA, 0);
  SET(AV1E_SET_ENABLE_SMOOTH_INTRA, 0);
  SET(AV1E_SET_ENABLE_ANGLE_DELTA, 0);
  SET(AV1E_SET_ENABLE_FILTER_INTRA, 0);
  SET(AV1E_SET_INTRA_DEFAULT_TX_ONLY, 1);
  SET(AV1E_SET_DISABLE_TRELLIS_QUANT, 1);
  SET(AV1E_SET_COEFF_COST_UPD_FREQ, 3);
  SET(AV1E_SET_MODE_COST_UPD_FREQ, 3);
  SET(AV1E_SET_MV_COST_UPD_FREQ, 3);
  SET(AV1E_SET_CDF_UPDATE_MODE, 1);
  SET(AV1E_SET_TILE_COLUMNS, columns);
  SET(AV1E_SET_ROW_MT, threads > 1);
  SET(AOME_SET_MAX_INTRA_BITRATE_PCT, 0);
  SET(AV1E_SET_COLOR_PRIMARIES, AOM_CICP_CP_BT_709);
  SET(AV1E_SET_TRANSFER_CHARACTERISTICS, AOM_CICP_TC_SRGB);
  SET(AV1E_SET_MATRIX_COEFFICIENTS, AOM_CICP_MC_BT_601);
  SET(AV1E_SET_COLOR_RANGE, AOM_CR_STUDIO_RANGE);
#undef SET
  if (*error) {
    oriel_av1_close(e);
    return NULL;
  }
  return e;
}

int oriel_av1_ours(void) { return oriel_aom_scrolled && oriel_aom_changed; }

static const char *say(oriel_av1 *e) {
  const char *detail = aom_codec_error_detail(&e->ctx);
  return detail ? detail : aom_codec_error(&e->ctx);
}

static int map(oriel_av1 *e, const uint8_t *active) {
  if (!active && !e->mapped) return 0;
  aom_active_map_t m = {(uint8_t *)active, (unsigned)(e->h + 15) / 16, (unsigned)(e->w + 15) / 16};
  e->mapped = active != NULL;
  return aom_codec_control(&e->ctx, AOME_SET_ACTIVEMAP, &m);
}

const char *oriel_av1_encode(oriel_av1 *e, const uint8_t *y, const uint8_t *u, const uint8_t *v,
                             int sy, int sc, int64_t pts, int quantizer, int key, int speed, int soft, int moved, int stays,
                             const uint8_t *cells, const uint8_t *bands, const uint8_t *active, oriel_packet *p) {
  if (speed != e->speed) {
    if (aom_codec_control(&e->ctx, AOME_SET_CPUUSED, speed)) return say(e);
    e->speed = speed;
  }
  if ((quantizer > unfiltered) != e->filter) {
    e->filter = !e->filter;
    if (aom_codec_control(&e->ctx, AV1E_SET_LOOPFILTER_CONTROL, e->filter)) return say(e);
  }
  if (soft == e->palette) { /* there palettes cost a third of the bits and half of the time */
    e->palette = !soft;
    if (aom_codec_control(&e->ctx, AV1E_SET_ENABLE_PALETTE, e->palette)) return say(e);
  }
  if ((int)e->cfg.rc_max_quantizer != quantizer) {
    e->cfg.rc_min_quantizer = e->cfg.rc_max_quantizer = quantizer;
    if (aom_codec_enc_config_set(&e->ctx, &e->cfg)) return say(e);
  }
  if (map(e, active)) return say(e);
  if (oriel_av1_ours()) {
    oriel_aom_scrolled(&e->ctx, moved, stays);
    oriel_aom_changed(&e->ctx, cells, bands);
  }
  aom_image_t img;
  memset(&img, 0, sizeof img);
  aom_img_wrap(&img, e->i444 ? AOM_IMG_FMT_I444 : AOM_IMG_FMT_I420, e->w, e->h, 1, (uint8_t *)y);
  img.planes[AOM_PLANE_Y] = (uint8_t *)y;
  img.planes[AOM_PLANE_U] = (uint8_t *)u;
  img.planes[AOM_PLANE_V] = (uint8_t *)v;
  img.stride[AOM_PLANE_Y] = sy;
  img.stride[AOM_PLANE_U] = img.stride[AOM_PLANE_V] = sc;
  img.mc = AOM_CICP_MC_BT_601;
  img.range = AOM_CR_STUDIO_RANGE;
  aom_codec_err_t err = aom_codec_encode(&e->ctx, &img, pts, 1, key ? AOM_EFLAG_FORCE_KF : 0);
  if (oriel_av1_ours()) oriel_aom_changed(&e->ctx, NULL, NULL); /* the caller's memory */
  if (err) return say(e);
  memset(p, 0, sizeof *p);
  aom_codec_iter_t iter = NULL;
  const aom_codec_cx_pkt_t *pkt;
  while ((pkt = aom_codec_get_cx_data(&e->ctx, &iter))) {
    if (pkt->kind != AOM_CODEC_CX_FRAME_PKT) continue;
    if (p->data) return "two packets for one frame";
    p->data = pkt->data.frame.buf;
    p->size = pkt->data.frame.sz;
    p->key = (pkt->data.frame.flags & AOM_FRAME_IS_KEY) != 0;
  }
  if (!p->data) return "no packet for a frame";
  if (aom_codec_control(&e->ctx, AOME_GET_LAST_QUANTIZER_64, &p->quantizer)) return say(e);
  aom_image_t rec;
  if (aom_codec_control(&e->ctx, AV1_GET_NEW_FRAME_IMAGE, &rec)) return say(e);
  for (int i = 0; i < 3; i++) {
    p->plane[i] = rec.planes[i];
    p->stride[i] = rec.stride[i];
  }
  return NULL;
}

void oriel_av1_close(oriel_av1 *e) {
  if (!e) return;
  aom_codec_destroy(&e->ctx);
  free(e);
}
