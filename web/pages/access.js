// What he may do, and why; for those who may read the policy, what anybody may.
import { post } from './api.js';
import { describe } from './errors.js';
import { field, fill, h } from './dom.js';
import { dateTime } from './time.js';

const VERDICT = { allow: 'good', deny: 'bad', 'would-deny': 'warn' };

function bindingRow(binding) {
	return h('tr', {}, h('td', { 'data-label': 'Role' }, h('strong', {}, binding.role)), h('td', { 'data-label': 'On' }, (binding.on || []).join(', ')),
		h('td', { 'data-label': 'Until' }, binding.until ? dateTime(binding.until) : 'no end'), h('td', { 'data-label': 'Hours' }, binding.hours || 'always'),
		h('td', { 'data-label': 'State' }, binding.now === false ? h('span', { class: 'tag warn' }, 'not now') : h('span', { class: 'tag good' }, 'holds'),
			binding.mode === 'permissive' ? h('span', { class: 'tag warn' }, 'permissive') : null),
		h('td', { class: 'mono', 'data-label': 'Binding' }, binding.id));
}

function answerView(answer) {
	const allowed = answer.verdict === 'allow';
	return h('div', {}, h('p', { class: `note ${allowed ? 'good' : 'bad'}` }, answer.text || (allowed ? 'yes' : 'no')),
		answer.bindings?.length ? h('div', { class: 'panel scroll' }, h('table', { class: 'stack' }, h('thead', {}, h('tr', {}, ['Binding', 'Applies', 'Why'].map((name) => h('th', {}, name)))),
			h('tbody', {}, answer.bindings.map((binding) => h('tr', {}, h('td', { 'data-label': 'Binding' }, binding.id), h('td', { 'data-label': 'Applies' }, binding.applies ? 'yes' : 'no'),
				h('td', { 'data-label': 'Why' }, binding.why || '')))))) : null);
}

function peopleView(answer, permission, object) {
	if (answer.mode === 'permissive')
		return h('p', { class: 'note warn' }, 'Everybody: the policy is permissive, what it would refuse is only recorded.');
	if (answer.people.length === 0)
		return h('p', { class: 'note bad' }, `Nobody may ${permission} on ${object}.`);
	return h('div', { class: 'panel scroll' }, h('table', { class: 'stack' }, h('caption', {}, `Who may ${permission} on ${object}; a “deny” wins over what is allowed beside it`),
		h('thead', {}, h('tr', {}, ['Who', 'May', 'Condition', 'Binding'].map((name) => h('th', {}, name)))),
		h('tbody', {}, answer.people.map((one) => h('tr', {}, h('td', { 'data-label': 'Who' }, h('strong', {}, one.who)),
			h('td', { 'data-label': 'May' }, h('span', { class: `tag ${VERDICT[one.verdict]}` }, one.verdict)),
			h('td', { 'data-label': 'Condition' }, one.when || 'always'), h('td', { class: 'mono', 'data-label': 'Binding' }, one.binding))))));
}

// Of himself, and of anybody for those who may read the policy; those may also ask for everybody.
function question(me) {
	const anyone = me.permissions['policy:read'];
	const user = h('input', { name: 'user', placeholder: 'sasl:alice' });
	const permission = h('input', { name: 'permission', placeholder: 'domain:start', required: true });
	const object = h('input', { name: 'object', placeholder: 'domain:web-1', required: true });
	const answer = h('div', { role: 'status' });
	const ask = async (event) => {
		const what = { permission: permission.value.trim(), object: object.value.trim() };
		event.preventDefault();
		fill(answer, h('p', { class: 'quiet' }, 'Asking …'));
		try {
			if (event.submitter?.value === 'everybody')
				fill(answer, peopleView(await post('/policy/who-can', what), what.permission, what.object));
			else
				fill(answer, answerView(await post('/policy/can', { ...(anyone && user.value ? { user: user.value } : {}), ...what, explain: true })));
		} catch (error) {
			fill(answer, h('p', { class: 'note bad' }, describe(error)));
		}
	};
	return [h('h2', {}, anyone ? 'Who may do what' : 'May I …'), h('form', { class: 'filters', onsubmit: ask }, anyone && field('Who (empty: you)', user), field('Permission', permission),
		field('Object', object), h('button', { class: 'primary', type: 'submit' }, 'Ask'), anyone && h('button', { type: 'submit', value: 'everybody' }, 'Everybody who may')), answer];
}

export function show(main, route, me) {
	const gateway = Object.entries(me.permissions).filter(([, granted]) => granted).map(([name]) => name);
	fill(main, h('div', { class: 'head' }, h('h1', {}, 'My access')),
		h('div', { class: 'panel pad' }, h('dl', {}, [['You are', me.name], ['Certificate', me.x509], ['Password user', me.sasl], ['You come from', me.address],
			['Host', me.uri], ['Of the gateway itself', gateway.join(', ')]].filter(([, value]) => value).flatMap(([name, value]) => [h('dt', {}, name), h('dd', {}, value)]))),
		h('h2', {}, 'What you were granted'),
		me.bindings.length ? h('div', { class: 'panel scroll' }, h('table', { class: 'stack' }, h('thead', {}, h('tr', {}, ['Role', 'On', 'Until', 'Hours', 'State', 'Binding']
			.map((name) => h('th', {}, name)))), h('tbody', {}, me.bindings.map(bindingRow)))) : h('p', { class: 'note warn' }, 'Nothing. Ask the people who run this host.'),
		question(me));
}
