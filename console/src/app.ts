import { mount } from 'svelte';
import App from './App.svelte';

/** Puts the pages into the document. */
export function start(): void {
  const target = document.getElementById('app');
  if (target) mount(App, { target });
}
