// Times and sizes as people read them. Pure: the present is an argument.

const two = (number) => String(number).padStart(2, '0');

// "2026-11-23 19:50:12" in the reader's time zone; what is no time stays as it is.
export function dateTime(text) {
	const time = new Date(text);
	if (text === null || text === undefined || Number.isNaN(time.getTime()))
		return text ? String(text) : '';
	return `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())} ${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}`;
}

export function span(seconds) {
	if (seconds < 60)
		return `${Math.max(0, Math.floor(seconds))} s`;
	if (seconds < 3600)
		return `${Math.floor(seconds / 60)} min`;
	if (seconds < 86400)
		return `${Math.floor(seconds / 3600)} h`;
	return `${Math.floor(seconds / 86400)} d`;
}

export function micros(us) {
	if (typeof us !== 'number')
		return '';
	return us < 1000 ? `${us} µs` : us < 1000000 ? `${(us / 1000).toFixed(1)} ms` : `${(us / 1000000).toFixed(1)} s`;
}

export function memory(kib) {
	if (typeof kib !== 'number')
		return '';
	return kib < 1024 ? `${kib} KiB` : kib < 1048576 ? `${+(kib / 1024).toFixed(1)} MiB` : `${+(kib / 1048576).toFixed(1)} GiB`;
}
