// Portable pixmaps (netpbm's ppm(5), "P6"), as QEMU's screenshots come. Pure: bytes in, RGBA out.
// Throws on anything that is not a whole picture with 8 bits a colour and at most 16 million pixels.

const MAX_PIXELS = 1 << 24;

export function decodeP6(bytes) {
	let at = 2;
	const numbers = [];
	if (bytes[0] !== 0x50 || bytes[1] !== 0x36)
		throw new Error('not a P6 picture');
	const blank = (byte) => byte === 32 || (byte >= 9 && byte <= 13);
	while (numbers.length < 3) {
		while (blank(bytes[at]) || bytes[at] === 0x23) {
			if (bytes[at] === 0x23)
				while (at < bytes.length && bytes[at] !== 10)
					at++;
			at++;
		}
		const start = at;
		let number = 0;
		while (bytes[at] >= 0x30 && bytes[at] <= 0x39 && at - start < 7)
			number = number * 10 + bytes[at++] - 0x30;
		if (at === start || !(blank(bytes[at]) || bytes[at] === 0x23))
			throw new Error('broken head of a P6 picture');
		numbers.push(number);
	}
	at++;
	const [width, height, most] = numbers;
	if (width === 0 || height === 0 || width * height > MAX_PIXELS)
		throw new Error('size of a P6 picture');
	if (most !== 255)
		throw new Error('depth of a P6 picture');
	if (bytes.length - at < width * height * 3)
		throw new Error('a P6 picture that is cut off');
	const data = new Uint8ClampedArray(width * height * 4);
	for (let i = 0; i < data.length; i += 4, at += 3) {
		data[i] = bytes[at];
		data[i + 1] = bytes[at + 1];
		data[i + 2] = bytes[at + 2];
		data[i + 3] = 255;
	}
	return { width, height, data };
}
