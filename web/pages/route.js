// The part of the address behind "#/". Pure.

// "#/audit/01JD?user=x" -> { page: 'audit', id: '01JD', query: 'user=x' }
export function parseRoute(hash) {
	const [path, query = ''] = hash.replace(/^#\/?/, '').split('?', 2);
	const [page, id] = path.split('/');
	let decoded;
	try {
		decoded = id ? decodeURIComponent(id) : '';
	} catch {
		decoded = '';
	}
	return { page: page || 'guests', id: decoded, query };
}

// Why a console ended, for people: by the close code of its WebSocket.
const REASONS = {
	4401: 'The ticket was not valid any more.', 4403: 'Your right to this console was withdrawn or refused.',
	4404: 'The guest is not there any more.', 4408: 'The console was idle, or open, for too long.',
	4410: 'You were logged out.', 4500: "The guest's screen could not be reached.", 1006: 'The connection was lost.',
};

export function endReason(code, text) {
	const reason = REASONS[code] || 'The console was closed.';
	return text ? `${reason} (${text})` : reason;
}

// A right that is gone or a log-out is not tried again by itself; a broken network is.
export function mayRetry(code) {
	return code === 1006 || code === 1001 || code === 1012;
}
