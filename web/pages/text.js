// Text of clipboards. Pure.

const MOST = 256 * 1024;	// bytes of UTF-8: what the gateway lets through (RFB_MAX_TEXT)

// As much of it as there may be, without half a letter at the end; cut: there is more.
export function boundedText(text) {
	const bytes = new TextEncoder().encode(text);
	if (bytes.length <= MOST)
		return { text, cut: false };
	return { text: new TextDecoder().decode(bytes.subarray(0, MOST)).replace(/\uFFFD$/u, ''), cut: true };
}
