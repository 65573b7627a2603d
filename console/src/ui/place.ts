const EDGE = 8; // px that stay free around
const GAP = 6; // px to what it belongs to

/** Puts a list of the top layer below what it belongs to, or above where there is no room; start: by its left edge. */
export function placeBeside(list: HTMLElement, anchor: DOMRect, start: boolean): void {
  const [width, height] = [list.offsetWidth, list.offsetHeight];
  const below = anchor.bottom + GAP + height + EDGE <= innerHeight || anchor.top < innerHeight / 2;
  const x = start ? anchor.left : anchor.right - width;
  const right = document.documentElement.clientWidth - width - EDGE;
  list.style.left = `${Math.max(EDGE, Math.min(x, right))}px`;
  list.style.top = below ? `${anchor.bottom + GAP}px` : `${Math.max(EDGE, anchor.top - GAP - height)}px`;
}
