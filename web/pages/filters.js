// Filters of the audit trail: between the form, the address and the question to the gateway. Pure.

export const FILTERS = [
	{ key: 'user', label: 'Who' },
	{ key: 'object', label: 'Object' },
	{ key: 'event', label: 'What' },
	{ key: 'result', label: 'Result', choices: ['', 'ok', 'error', 'denied', 'unknown'] },
	{ key: 'since', label: 'From', type: 'datetime-local' },
	{ key: 'until', label: 'To', type: 'datetime-local' },
];

// Only known keys that say something.
export function parseFilters(query) {
	const params = new URLSearchParams(query);
	return Object.fromEntries(FILTERS.map(({ key }) => [key, (params.get(key) || '').trim()]).filter(([, value]) => value !== ''));
}

// Times of the form are the reader's; the gateway wants UTC.
export function toQuery(filters, more = {}) {
	const params = new URLSearchParams();
	for (const { key, type } of FILTERS) {
		const value = filters[key];
		if (!value)
			continue;
		const time = type ? new Date(value) : null;
		if (time && Number.isNaN(time.getTime()))
			continue;
		params.set(key, time ? time.toISOString().replace(/\.\d+Z$/, 'Z') : value);
	}
	for (const [key, value] of Object.entries(more))
		params.set(key, value);
	return params.toString();
}

export function toFragment(filters) {
	const query = new URLSearchParams(FILTERS.filter(({ key }) => filters[key]).map(({ key }) => [key, filters[key]])).toString();
	return '#/audit' + (query ? '?' + query : '');
}

// What came about without a call of anybody's through the gateway (gateway/core/audit_events.def).
const OUTSIDE = {
	'outside.host': { kind: 'bad', label: 'out of band', meaning: 'This was done without the gateway, by somebody on the host or from another host.' },
	'outside.away': { kind: 'bad', label: 'out of band', meaning: 'This was done without the gateway, while it did not run or had lost libvirtd.' },
	'outside.guest': { kind: 'warn', label: 'the guest itself', meaning: "This happened by itself, or by the guest's own doing." },
};

export function outsideMark(record) {
	return OUTSIDE[record.event] ?? null;
}
