/**
 * Ed25519 (RFC 8032), as the browser has it: in a millisecond, beside the page. Where
 * it has none (before Chromium 137, Firefox 129, Safari 17), and on plain http://,
 * where there is none for pages, a library does it, which is loaded for that: 31 ms the first
 * time, when its tables are made, 4 later.
 */

/** Reports whether signature (64 bytes) is key's (32 bytes) of message. Never throws. */
export async function verify(key: Uint8Array, signature: Uint8Array, message: Uint8Array): Promise<boolean> {
  if (key.length !== 32 || signature.length !== 64) return false;
  try {
    const native = await importKey(key);
    if (native) return await crypto.subtle.verify('Ed25519', native, own(signature), own(message));
    const { ed25519 } = await import('@noble/curves/ed25519.js');
    return ed25519.verify(signature, message, key, { zip215: false });
  } catch {
    return false;
  }
}

// Undefined where there is no Ed25519.
async function importKey(key: Uint8Array): Promise<CryptoKey | undefined> {
  const subtle = globalThis.crypto?.subtle as SubtleCrypto | undefined;
  try {
    return await subtle?.importKey('raw', own(key), 'Ed25519', false, ['verify']);
  } catch (error) {
    if (error instanceof DOMException && error.name === 'NotSupportedError') return undefined;
    throw error;
  }
}

// Of memory that is nobody else's, which is all that it takes.
const own = (bytes: Uint8Array) => new Uint8Array(bytes);
