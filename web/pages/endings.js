// Why a console ended, for people: what happened, what to do, and whether it is tried again by itself. By the close code of its WebSocket: a row for
// each of include/virtgate/endings.def, and for those that browsers give. Pure.
import { isOn } from './state.js';

export const LOGGED_OUT = 4410;
export const GUEST_GONE = 4415;
const NO_SCREEN = 4417;

const ENDINGS = {
	1001: { text: 'The connection was closed', retry: true },
	1003: { text: 'The gateway did not understand this page', next: 'Load it again.' },
	1006: { text: 'The connection was lost', retry: true },
	4400: { text: 'The gateway did not understand this viewer', next: 'Load this page again.' },
	4401: { text: 'The ticket for this console was too old or used', next: 'Connect again for a new one.' },
	4403: { text: 'Your right to this console was withdrawn or has ended', next: '“My access” shows what you may do now.' },
	4404: { text: 'The gateway refused this console' },
	4408: { text: 'The console did not begin in time', next: 'Your network may be slow; connect again.' },
	4409: { text: 'Another viewer has taken this screen for himself', by: true, next: 'You can come back when he has left.' },
	4410: { text: 'You were logged out', by: true },
	4411: { text: 'Nobody typed or pointed here for a long time, so the console was closed', next: 'Connect again to go on.' },
	4412: { text: 'The console was open for as long as one may be', next: 'Connect again to go on.' },
	4413: { text: 'Somebody ended this console', by: true },
	4414: { text: 'Your right to the text on the guest’s clipboard was withdrawn or has ended', next: 'You may connect again without it.' },
	4415: { text: 'The guest’s screen went away', retry: true },
	4417: { text: 'The guest has no screen to show, or it does not answer', next: 'It needs a VNC display; whoever looks after the guest can see to it.' },
	4500: { text: 'The gateway is not ready', retry: true },
	4502: { text: 'libvirtd on the host cannot be reached', next: 'The guest itself goes on.', retry: true },
	4503: { text: 'The gateway is being stopped', next: 'The guest itself goes on.', retry: true },
	4504: { text: 'The gateway has no room for this console', next: 'Close what you do not need.', retry: true },
	4505: { text: 'The gateway cannot write its audit trail, and opens no console without', next: 'Tell its admin.', retry: true },
};

// What the guest is now says more than that it shows no screen. `guest`: null where there is none, undefined where that is not known.
function withoutGuest(guest) {
	if (guest === null)
		return { text: 'The guest is not there any more', retry: false };
	return guest && !isOn(guest) ? { text: 'The guest is off', next: 'The console comes back when it is started.', retry: false } : {};
}

// noVNC closes what was refused, and may be faster than the gateway's own code.
function isEarly(code, refused) {
	return Boolean(refused) && code < 4000;
}

// Is it worth a look at the guest?
export function isOfGuest(code, refused) {
	return code === GUEST_GONE || code === NO_SCREEN || isEarly(code, refused);
}

// `reason`: the gateway's own words, which may end in ": NAME"; `refused`: what it said in the place of a screen.
export function ending(code, reason, refused, guest) {
	const known = isEarly(code, refused) ? ENDINGS[4404] : ENDINGS[code] || { text: 'The console was closed' };
	const without = isOfGuest(code, refused) ? withoutGuest(guest) : {};
	const { text, by, next, retry } = { ...known, next: without.text ? '' : known.next, ...without };
	const who = by && reason.includes(': ') ? `: ${reason.slice(reason.indexOf(': ') + 2)}` : '';
	const said = refused && !without.text ? ` (${refused})` : '';
	return { text: `${text}${who}.${said}${next ? ` ${next}` : ''}`, retry: Boolean(retry) && !refused, known: code in ENDINGS };
}
