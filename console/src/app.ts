import { mount } from 'svelte';
import App from './App.svelte';
import type { Handover } from './core/boot/handover';

/** Puts the pages into the document; they go on with what was begun before. */
export function start(handover: Handover): void {
  const target = document.getElementById('app');
  if (target) mount(App, { target, props: { handover } });
}
