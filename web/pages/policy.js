// The policy, and a draft of another one. The draft is this browser's alone: the gateway looks at it when it is asked to and keeps nothing. It comes into
// force by the file that is downloaded here.
import { get, post } from './api.js';
import { describe } from './errors.js';
import { block, failure, field, fill, h } from './dom.js';
import { TABLES, cellText, countOf, directionWords, fromForm, lineRange, policyText, readPolicy, replayWords, rowsOf, toForm, withRow } from './draft.js';
import { dateTime } from './time.js';

const STORE = 'virtgate-draft';	// for this tab, until he logs out
const TURNS = { denied: 'bad', allowed: 'good', noted: 'warn' };
const DIRECTIONS = { gains: 'good', loses: 'bad', changes: 'warn' };

export function forget() {
	sessionStorage.removeItem(STORE);
}

function load(name) {
	const draft = readPolicy(sessionStorage.getItem(STORE) || '');
	return draft?.of === name ? draft : null;
}

function table(headings, rows) {
	return h('div', { class: 'panel scroll' }, h('table', { class: 'stack' }, h('thead', {}, h('tr', {}, headings.map((name) => h('th', {}, name)))), h('tbody', {}, rows)));
}

// ---- what the gateway says of it ----

function problemList(problems, kind, goTo) {
	return h('ul', { class: 'problems' }, problems.map((problem) => h('li', {}, h('button', { class: 'link', onclick: () => goTo(problem.line) }, `Line ${problem.line}`),
		' ', h('span', { class: `tag ${kind}` }, kind === 'bad' ? 'mistake' : 'warning'), ' ', problem.what, problem.hint && h('div', { class: 'quiet' }, problem.hint))));
}

function checkView(answer, goTo) {
	return h('section', { 'aria-label': 'Mistakes' }, h('h2', {}, 'Mistakes'),
		answer.good ? h('p', { class: 'note good' }, answer.warnings.length ? `No mistakes; ${countOf(answer.warnings.length, 'warning')}.` : 'No mistakes.')
			: h('p', { class: 'note bad' }, `${countOf(answer.mistakes.length, 'mistake')}: this would not be loaded.`),
		problemList(answer.mistakes, 'bad', goTo), problemList(answer.warnings, 'warn', goTo));
}

// As a difference: what goes, and what comes in its place, by whether that is more or less than before.
function wasAndNow({ change, was, now }) {
	return [h('del', {}, was), ' → ', h('ins', { class: DIRECTIONS[change] }, now)];
}

function changeRow(people, change) {
	return h('tr', {}, h('td', { 'data-label': 'Who' }, h('div', {}, people.groups.map((group) => h('strong', {}, `group:${group}`, h('br', {}))), people.who.join(', '))),
		h('td', { 'data-label': 'Change' }, h('span', { class: `tag ${DIRECTIONS[change.change]}` }, change.change)),
		change.row ? h('td', { 'data-label': 'Row', colspan: '2' }, change.row) : [h('td', { 'data-label': 'Permissions' }, change.permissions.join(', ')),
			h('td', { 'data-label': 'On' }, change.object === '*' ? 'all else' : change.object, change.except && h('div', { class: 'quiet' }, `as before on: ${change.except}`))],
		h('td', { 'data-label': 'Was → now' }, wasAndNow(change)));
}

function diffView(answer) {
	const rows = answer.people.flatMap((people) => people.changes.map((change) => changeRow(people, change)));
	return h('section', { 'aria-label': 'Who gains and loses' }, h('h2', {}, 'Who gains and loses'),
		answer.mode.was !== answer.mode.now && h('p', { class: 'note warn' }, answer.mode.now === 'permissive' ? 'The gateway would only watch: what is denied would be let through and recorded.'
			: 'What is denied would be refused from then on; now it is only recorded.'),
		rows.length ? [h('p', { class: 'quiet' }, directionWords(answer.people)), table(['Who', 'Change', 'Permissions', 'On', 'Was → now'], rows)] : h('p', { class: 'note good' }, 'Nobody gains or loses anything.'),
		answer.left_out > 0 && h('p', { class: 'quiet' }, `${answer.left_out} more changes are not shown; “virtgate policy diff” shows all.`));
}

function turnRow(row) {
	return h('tr', {}, h('td', { class: 'mono', 'data-label': 'Last' }, dateTime(row.last)), h('td', { 'data-label': 'Who' }, row.who),
		h('td', { 'data-label': 'Permission' }, row.permission), h('td', { 'data-label': 'On' }, row.object),
		h('td', { 'data-label': 'Today → draft' }, `${row.today} → `, h('span', { class: `tag ${TURNS[row.change]}` }, row.draft), row.binding && h('span', { class: 'quiet' }, ` by ${row.binding}`),
			row.then !== row.today && h('div', { class: 'quiet' }, `recorded as ${row.then}`)),
		h('td', { class: 'num', 'data-label': 'Times' }, h('a', { href: `#/audit/${encodeURIComponent(row.op)}` }, row.count)));
}

function replayView(answer, days) {
	const words = replayWords(answer);
	return h('section', { 'aria-label': 'Recorded decisions' }, h('h2', {}, `Decisions of the last ${countOf(days, 'day')}`),
		['denied', 'allowed', 'noted'].filter((turn) => words[turn]).flatMap((turn) => [h('p', { class: `note ${TURNS[turn]}` }, words[turn]),
			table(['Last', 'Who', 'Permission', 'On', 'Today → draft', 'Times'], answer.changes.filter((row) => row.change === turn).map(turnRow))]),
		h('p', { class: 'quiet' }, words.summary, ' ', words.notes.join(' ')));
}

// ---- the page ----

function editor(main, shown, me) {
	const kept = load(me.name);
	let text = kept?.text ?? shown.text;
	const base = kept?.base ?? shown.text;
	let tab = 'bindings';
	const state = h('span', { role: 'status' });
	const tabs = h('div', { class: 'actions parts', role: 'group', 'aria-label': 'Parts of the policy' });
	const body = h('div', {});
	const results = h('div', { 'aria-live': 'polite' });
	const days = h('input', { type: 'number', min: '1', max: '3660', value: '7', required: true });
	const test = h('button', { class: 'primary', type: 'submit' }, 'Test the draft');
	const discard = h('button', { class: 'danger', onclick: () => { if (confirm('Discard the draft?')) { forget(); editor(main, shown, me); } } }, 'Discard the draft');
	let testing = 0;	// which test's answers still count

	function change(next) {
		text = next;
		testing++;
		if (text === shown.text)
			forget();
		else
			sessionStorage.setItem(STORE, JSON.stringify({ of: me.name, text, base }));
		fill(results);
		test.disabled = false;
		drawState();
	}

	function drawState() {
		const differs = text !== shown.text;
		discard.disabled = !differs;
		fill(state, h('span', { class: `tag ${differs ? 'warn' : ''}` }, differs ? 'draft, not in force' : 'in force'));
	}

	function download() {
		const url = URL.createObjectURL(new Blob([text], { type: 'application/json' }));
		h('a', { href: url, download: 'policy.json' }).click();
		setTimeout(() => URL.revokeObjectURL(url), 10000);
	}

	function goTo(line) {
		tab = 'text';
		draw();
		const area = body.querySelector('textarea');
		const [from, to] = lineRange(area.value, line);
		area.focus();
		area.setSelectionRange(from, to);
		area.scrollTop = (line - 5) * area.scrollHeight / Math.max(1, area.value.split('\n').length);
	}

	function input(one, value) {
		if (one.choices)
			return h('select', { name: one.key }, (one.choices.includes(value) ? one.choices : [value, ...one.choices]).map((choice) => h('option', { value: choice, selected: choice === value },
				choice || 'as usual')));
		if (one.list)
			return h('textarea', { name: one.key, rows: String(Math.min(8, Math.max(2, value.split('\n').length))), spellcheck: 'false', placeholder: 'one a line', value });
		return h('input', { name: one.key, value, spellcheck: 'false', autocapitalize: 'none', list: one.roles ? 'policy-roles' : null });
	}

	function form(name, index) {
		const { fields, one, fresh, path, about } = TABLES[name];
		const policy = readPolicy(text);
		const row = index === undefined ? fresh : rowsOf(policy, name)[index];
		const values = toForm(row, fields);
		const wrong = h('p', { role: 'alert', class: 'quiet' });
		const roles = [...new Set([...shown.roles, ...Object.keys(policy.roles || {})])].sort();
		const save = (event) => {
			event.preventDefault();
			try {
				change(policyText(withRow(policy, name, index, fromForm(Object.fromEntries(new FormData(event.target)), fields, index === undefined ? {} : row))));
				draw();
			} catch (error) {
				wrong.textContent = error.message;
			}
		};
		const element = h('form', { class: 'panel pad row-form', 'aria-label': index === undefined ? `New ${one}` : `${one} ${row.id ?? ''}`, onsubmit: save },
			about && h('p', { class: 'quiet' }, about), h('datalist', { id: 'policy-roles' }, roles.map((role) => h('option', { value: role }))), fields.map((one_) => field(one_.label, input(one_, values[one_.key]))),
			path ? null : field('Other members, as JSON', h('textarea', { name: 'more', rows: '2', spellcheck: 'false', value: values.more })), wrong,
			h('div', { class: 'actions' }, h('button', { class: 'primary', type: 'submit' }, 'Into the draft'), h('button', { type: 'button', onclick: draw }, 'Cancel'),
				index !== undefined && h('button', { type: 'button', class: 'danger', onclick: () => { change(policyText(withRow(policy, name, index, null))); draw(); } }, `Take out this ${one}`)));
		fill(body, element);
		element.querySelector('input, select').focus();
	}

	function rowsView(name) {
		const { columns, one, about, key } = TABLES[name];
		const rows = rowsOf(readPolicy(text), name);
		if (readPolicy(text) === null || rows === null)
			return h('p', { class: 'note warn' }, 'This part of the draft cannot be read as a table; it can be edited as text.');
		const heading = (column) => column[0].toUpperCase() + column.slice(1).replace('_', ' ');
		return [about && h('p', { class: 'quiet' }, about), rows.length ? table([...columns.map(heading), 'Actions'], rows.map((row, index) => h('tr', {}, columns.map((column) => h('td', { 'data-label': heading(column) },
			cellText(row, column))), h('td', {}, h('button', { 'aria-label': `Edit ${row[key || 'id'] ?? index + 1}`, onclick: () => form(name, index) }, 'Edit')))))
			: h('p', { class: 'panel pad quiet' }, `There is no ${one}.`), h('p', {}, h('button', { onclick: () => form(name) }, `Add a ${one}`))];
	}

	function draw() {
		fill(tabs, [...Object.entries(TABLES).map(([name, { title }]) => [name, title]), ['text', 'Text']].map(([name, title]) => h('button', { 'aria-pressed': String(name === tab),
			onclick: () => { tab = name; draw(); } }, title)));
		fill(body, tab === 'text' ? h('textarea', { class: 'mono policy-text', 'aria-label': 'Text of the draft', spellcheck: 'false', wrap: 'off', value: text, oninput: (event) => change(event.target.value) })
			: rowsView(tab));
		drawState();
	}

	// One after the other, each shown as soon as it is there; a draft that changes meanwhile needs another test.
	async function run(event) {
		event.preventDefault();
		const mine = ++testing;
		const draft = text;
		const period = Number(days.value);
		const steps = [async () => { const answer = await post('/policy/check', { draft }); return [checkView(answer, goTo), answer.good]; },
			async () => [diffView(await post('/policy/diff', { draft })), true],
			me.permissions['audit:read'] && (async () => [replayView(await post('/policy/replay', { draft, days: period }), period), true])];
		test.disabled = true;
		fill(results, h('p', { class: 'quiet' }, 'Testing …'));
		const views = [];
		for (const step of steps.filter(Boolean)) {
			let view, more;
			try {
				[view, more] = await step();
			} catch (error) {
				[view, more] = [h('p', { class: 'note bad', role: 'alert' }, describe(error)), false];
			}
			if (mine !== testing)
				return;
			views.push(view);
			fill(results, views);
			if (!more)
				break;
		}
		test.disabled = false;
	}

	fill(main, h('div', { class: 'head' }, h('h1', {}, 'Policy'), state, h('span', { class: 'grow' }), discard, h('button', { onclick: download }, 'Download')),
		base !== shown.text && text !== shown.text && h('p', { class: 'note warn' }, 'The policy in force has changed since this draft was begun. The test compares with the one that is in force now.'),
		me.mode === 'permissive' && h('p', { class: 'note warn' }, 'The policy is permissive: what it would refuse is only recorded.'),
		tabs, body, h('h2', {}, 'Test'), h('form', { class: 'filters', onsubmit: run }, field('Recorded decisions of the last … days', days), test), results,
		h('h2', {}, 'Put it in force'), h('div', { class: 'panel pad' }, h('p', {}, 'Nothing here changes the policy: the draft is in this tab only, until you log out. On the host, as root:'),
			block('Commands', { class: 'scroll' }, `virtgate policy check policy.json\ncp policy.json ${shown.file}\nvirtgate reload`),
			h('p', { class: 'quiet' }, 'The reload is recorded, and running sessions are judged anew.')));
	draw();
}

export function show(main, route, me) {
	let ended = false;
	const load = () => get('/policy').then((shown) => { if (!ended) editor(main, shown, me); })
		.catch((error) => { if (!ended) fill(main, h('h1', {}, 'Policy'), failure(describe(error), load)); });
	load();
	return () => { ended = true; };
}
