// The guests as the page knows them, changed only here. Pure.

export const ACTIONS = [
	{ name: 'start', label: 'Start', when: ['shutoff', 'crashed'] },
	{ name: 'resume', label: 'Resume', when: ['paused', 'pmsuspended'] },
	{ name: 'suspend', label: 'Pause', when: ['running', 'blocked'] },
	{ name: 'shutdown', label: 'Shut down', when: ['running', 'blocked'] },
	{ name: 'reboot', label: 'Reboot', when: ['running', 'blocked'] },
	{ name: 'reset', label: 'Reset', when: ['running', 'blocked', 'paused'], ask: 'Reset %s now? What it has not written to its disks is lost.' },
	{ name: 'destroy', label: 'Power off', when: ['running', 'blocked', 'paused', 'shutdown', 'pmsuspended'],
		ask: 'Power %s off now? What it has not written to its disks is lost.' },
];

export const STATES = {
	running: ['Running', 'good'], blocked: ['Running', 'good'], paused: ['Paused', 'warn'], shutdown: ['Shutting down', 'warn'], shutoff: ['Off', ''],
	crashed: ['Crashed', 'bad'], pmsuspended: ['Asleep', 'warn'],
};

export function isOn(guest) {
	return !['shutoff', 'crashed'].includes(guest.state);
}

// Only what he may do and what makes sense now.
export function actionsFor(guest) {
	return ACTIONS.filter((action) => guest.may?.[action.name] && action.when.includes(guest.state));
}

export function consoleMode(guest) {
	if (!isOn(guest))
		return null;
	return guest.may?.input ? 'input' : guest.may?.view ? 'view' : null;
}

export function apply(guests, event, data) {
	const next = new Map(guests);
	if (event === 'gone')
		next.delete(data.uuid);
	else if (event === 'guest')
		next.set(data.uuid, data);
	else if (event === 'all')
		return new Map(data.map((guest) => [guest.uuid, guest]));
	return next;
}

export function shown(guests, { search = '', state = '' } = {}) {
	const words = search.toLowerCase().split(/\s+/).filter(Boolean);
	return [...guests.values()]
		.filter((guest) => words.every((word) => guest.name.toLowerCase().includes(word) || guest.uuid.startsWith(word)))
		.filter((guest) => state === '' || (state === 'on') === isOn(guest))
		.sort((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true }) || (a.uuid < b.uuid ? -1 : 1));
}
