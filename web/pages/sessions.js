// Who is connected; his own sessions for everybody, all of them for those who may read them.
import { get, remove } from './api.js';
import { describe } from './errors.js';
import { failure, fill, h, toast } from './dom.js';
import { span } from './time.js';

const NUMBERS = ['Calls', 'Silent'];

export function show(main, route, me) {
	const list = h('div', {}, h('p', { class: 'quiet' }, 'Loading the sessions …'));

	async function kill(session) {
		if (!confirm(`End the session of ${session.user} from ${session.address || 'this host'}?`))
			return;
		try {
			await remove(`/sessions/${encodeURIComponent(session.id)}`);
			toast('The session was ended.');
		} catch (error) {
			toast(describe(error), true);
		}
		load();
	}

	function row(session) {
		const own = session.id === me.session;
		return h('tr', {}, h('td', { 'data-label': 'Who' }, session.user, own ? [' ', h('span', { class: 'tag' }, 'this one')] : null), h('td', { 'data-label': 'From' }, session.address || 'this host'),
			h('td', { 'data-label': 'By' }, session.via), h('td', { 'data-label': 'State' }, session.console ? `console of ${session.console} (${session.mode})` : session.state), h('td', { class: 'num', 'data-label': 'Calls' }, session.calls),
			h('td', { class: 'num', 'data-label': 'Silent' }, span(session.silent_seconds)), h('td', {}, session.own || me.permissions['session:kill']
				? h('button', { class: 'danger', 'aria-label': `End the session of ${session.user}`, onclick: () => kill(session) }, 'End') : null));
	}

	async function load() {
		try {
			const { sessions } = await get('/sessions');
			fill(list, h('div', { class: 'panel scroll' }, h('table', { class: 'stack' }, h('thead', {}, h('tr', {}, ['Who', 'From', 'By', 'State', 'Calls', 'Silent', 'Actions']
				.map((name) => h('th', { class: NUMBERS.includes(name) ? 'num' : null }, name)))), h('tbody', {}, sessions.map(row)))));
		} catch (error) {
			fill(list, failure(describe(error), load));
		}
	}

	fill(main, h('div', { class: 'head' }, h('h1', {}, 'Sessions'), h('span', { class: 'grow' }), h('button', { onclick: load }, 'Refresh')), list);
	load();
}
