/**
 * Text that others sent, made fit to be shown as one line: the rule of package sanitize in
 * Go, which is held to the same vectors (protocol/testdata/lines.json). Control characters
 * go, and every format character that is not needed to spell; line breaks and tabs become
 * a space. Svelte escapes what stays.
 *
 * What a relay keeps of agents it has made plain itself. What agents say to this page, and
 * what a relay passes on without keeping it, is made plain here: by decodePlain, or by plain
 * where a message also holds what is not for people.
 */
import type { DescMessage, MessageShape } from '@bufbuild/protobuf';
import { decode } from './frames';

const BLANK = /[\t\n\v\f\r\u0085\p{Z}]/u;
// But the two joiners, without which Persian, Sinhala and family emoji are misspelt.
const HIDDEN = /(?![\u200c\u200d])[\p{Cc}\p{Cf}]/u;
const HALF = /\p{Cs}/gu; // of a surrogate pair

/** text as one line of at most limit bytes of UTF-8, cut between characters. */
export function line(text: string, limit = Infinity): string {
  let out = '';
  let bytes = 0;
  let space = 0; // 1: one is due before the next character
  for (const char of text.replace(HALF, '\ufffd')) {
    if (BLANK.test(char)) {
      space = out === '' ? 0 : 1;
      continue;
    }
    if (HIDDEN.test(char)) continue;
    bytes += size(char.codePointAt(0) ?? 0) + space;
    if (bytes > limit) return out;
    out += space ? ` ${char}` : char;
    space = 0;
  }
  return out;
}

const size = (point: number) => (point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4);

/** Decodes a message of an agent's with every text in it plain. */
export function decodePlain<D extends DescMessage>(desc: D, bytes: Uint8Array): MessageShape<D> {
  return plain(desc, decode(desc, bytes));
}

/** Makes every text of a message plain, in place. */
export function plain<D extends DescMessage>(desc: D, message: MessageShape<D>): MessageShape<D> {
  clean(desc, message as Record<string, unknown>);
  return message;
}

function clean(desc: DescMessage, message: Record<string, unknown>): void {
  for (const field of desc.fields) {
    const { localName, oneof, message: inner } = field;
    const holder = oneof ? (message[oneof.localName] as Record<string, unknown>) : message;
    if (oneof && holder['case'] !== localName) continue;
    const name = oneof ? 'value' : localName;
    const value = holder[name];
    const one = (item: unknown): unknown => {
      if (inner) clean(inner, item as Record<string, unknown>);
      return typeof item === 'string' ? line(item) : item;
    };
    if (value === undefined || value instanceof Uint8Array) continue;
    holder[name] = Array.isArray(value) ? value.map(one) : one(value);
  }
}
