// The part of the address behind "#/", and why consoles end. Pure.
import { isOn } from './state.js';

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
export const ENDED = 4403;	// by the gateway, which says no more
const REASONS = {
	4401: 'The ticket was not valid any more.', 4408: 'The console did not begin in time.', 4410: 'You were logged out.',
	4500: 'The gateway is not ready.', 1006: 'The connection was lost.',
};

// Of what the gateway ended: `guest` is what there is of it now, null nothing, undefined: it is not known; `began` what he might when it began.
function whyEnded(guest, text, began) {
	if (guest === null)
		return 'The guest is not there any more.';
	if (text)
		return 'The gateway refused this console.';
	if (guest && !isOn(guest))
		return 'The guest is off.';
	if (guest && !guest.may?.view && !guest.may?.input)
		return 'Your right to this console was withdrawn.';
	if (guest && began?.copy && !guest.may?.copy)
		return 'Your right to the clipboard of the guest was withdrawn; without it you may connect again.';
	return 'The gateway ended the console: it was idle or open for too long, somebody took the screen over, or an admin ended it.';
}

export function endReason(code, text, guest, began) {
	const reason = code === ENDED ? whyEnded(guest, text, began) : REASONS[code] || 'The console was closed.';
	return text ? `${reason} (${text})` : reason;
}

// A right that is gone or a log-out is not tried again by itself; a broken network is.
export function mayRetry(code) {
	return code === 1006 || code === 1001 || code === 1012;
}
